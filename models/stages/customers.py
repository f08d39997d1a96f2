"""Customers: transactions and post reports of one customer, judged together.

Each event is taken once, checked against the customer's own watermark, shown to every detector that consumes
it, and what they find goes out as warnings and as the departments' copies.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct, field

from models.corroboration import corroborate
from models.detectors import DETECTORS
from models.detectors.base import Detector
from models.episodes import Episode, observe, tell
from models.events import PostReport, Transaction
from models.policy import Policy, PolicyHistory
from models.risk_warning import Finding, RiskWarning, warning_id
from models.stage import Emit, Record, Refused, States, Tick

# Departments with a topic of their own; risk reads `warnings` itself.
DEPARTMENT_TOPICS = {"credit": "warnings.credit", "operations": "warnings.operations"}


# One field a detector, made from the registry: a new detector adds a field that old states simply lack.
DetectorStates: Any = msgspec.defstruct(
    "DetectorStates",
    [(one.id, one.state_type, field(default_factory=one.state_type)) for one in DETECTORS],
    module=__name__,
)


class CustomerState(Struct):
    """What is remembered of one customer; bounded by its traffic inside the detectors' windows.

    Args:
        newest: latest event time by topic, the customer's own watermark.
        seen: ids taken inside the lateness, by topic and id, with their event time.
        detectors: each detector's state.
        episodes: warnings that can still change, by id.
    """

    newest: dict[str, datetime] = field(default_factory=dict)
    seen: dict[str, dict[str, datetime]] = field(default_factory=dict)
    detectors: DetectorStates = field(default_factory=DetectorStates)
    episodes: dict[str, Episode] = field(default_factory=dict)


class CustomersStage:
    """Judges transactions and reports, keyed by customer (a report on no customer: by branch)."""

    name = "customers"
    topics = ("transactions", "reports")
    state_version = 1

    def __init__(self, policies: PolicyHistory, detectors: Iterable[Detector] = DETECTORS) -> None:
        self._policies = policies
        self._detectors = {
            kind: tuple(one for one in detectors if one.consumes is kind) for kind in (Transaction, PostReport)
        }

    def apply(self, states: States, record: Record) -> Iterable[Emit]:
        event: Transaction | PostReport = record.event
        policy = self._policies.at(event.event_time)
        key = event.customer_id or f"branch:{event.key}"
        state = states.load(key, CustomerState) or CustomerState()
        newest = state.newest.get(record.topic)
        check_time(event.event_time, record.ingest_time, newest, policy)
        if isinstance(event, Transaction):
            check_currency(event, policy)
        seen = state.seen.setdefault(record.topic, {})
        if event.event_id in seen:
            return ()
        seen[event.event_id] = event.event_time
        late = newest is not None and event.event_time < newest
        if not late:
            state.newest[record.topic] = event.event_time
            if newest is None or newest.date() != event.event_time.date():
                self._expire(state, record.topic, policy)
        states.save(key, state)
        return list(self._judge(state, record, policy, late=late))

    def flush(self, states: States) -> Iterable[Emit]:
        return ()

    def tick(self, states: States, tick: Tick) -> Iterable[Emit]:
        return ()

    def _judge(self, state: CustomerState, record: Record, policy: Policy, *, late: bool) -> Iterator[Emit]:
        event = record.event
        for detector in self._detectors[type(event)]:
            off = detector.rule(policy).mode == "off"
            for finding in detector.step(getattr(state.detectors, detector.id), event, policy, self._policies):
                if off:  # only its findings are left out: the day it is switched on it must know what was before
                    continue
                for episode in self._observe(state, detector, finding):
                    rule = getattr(policy.detectors, episode.detector)
                    warning = tell(
                        episode,
                        rule,
                        policy,
                        self._policies.mutes,
                        event_time=event.event_time,
                        now=record.now,
                        late=late,
                    )
                    if warning is not None:
                        yield from warning_emits(warning)

    def _observe(self, state: CustomerState, detector: Detector, finding: Finding) -> Iterable[Episode]:
        name = warning_id(detector.id, detector.version, finding.subject, finding.anchor)
        episode = observe(state.episodes.get(name), detector.id, detector.version, finding)
        state.episodes[name] = episode
        corroborated = corroborate(state.episodes.values(), episode, self._policies)
        return [episode, *(one for one in corroborated if one is not episode)]

    def _expire(self, state: CustomerState, topic: str, policy: Policy) -> None:
        before = state.newest[topic] - policy.lateness
        state.seen[topic] = {name: time for name, time in state.seen[topic].items() if time >= before}
        for detector in self._detectors[Transaction if topic == "transactions" else PostReport]:
            detector.expire(getattr(state.detectors, detector.id), before, self._policies)
        oldest = max(state.newest.values()) - timedelta(days=policy.episodes.remember.whole)
        state.episodes = {name: one for name, one in state.episodes.items() if one.finding.window.end >= oldest}


def check_time(event_time: datetime, ingest_time: datetime, newest: datetime | None, policy: Policy) -> None:
    """Refuse an event from the future, or one older than the policy's lateness behind its key's newest.

    The watermark is the key's own, so what is refused depends on no other customer and no partition.
    """
    if event_time > ingest_time + policy.future_tolerance:
        raise Refused(
            "in_the_future",
            "event_time",
            f"{event_time.isoformat()} is more than {policy.events.future_tolerance.value} minutes after its arrival "
            f"at {ingest_time.isoformat()}; check the sender's clock",
        )
    if newest is not None and event_time < newest - policy.lateness:
        raise Refused(
            "too_late",
            "event_time",
            f"{event_time.isoformat()} is more than {policy.events.lateness.value} days behind {newest.isoformat()}, "
            "the newest event of its key; replay the history instead",
        )


def check_currency(event: Transaction, policy: Policy) -> None:
    """Refuse a customer's transaction whose value cannot be told: no threshold or rate for its currency."""
    if event.origin == "bank" or event.currency in policy.rates:
        return
    raise Refused("no_rate", "currency", f"no exchange rate for {event.currency}; add it to [money.rates] and redrive")


def warning_emits(warning: RiskWarning) -> Iterator[Emit]:
    """The warning on `warnings`, and the copies of the departments that are to be told now."""
    yield Emit("warnings", warning.subject, warning)
    if warning.notify and warning.mode != "shadow":
        for department in warning.departments:
            if department in DEPARTMENT_TOPICS:
                yield Emit(DEPARTMENT_TOPICS[department], warning.subject, warning)
