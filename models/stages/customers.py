"""Customers: transactions and post reports of one customer, judged together.

Each event is taken once, checked against the customer's own watermark, shown to every detector that consumes
it, and what they find goes out as warnings and as the departments' copies. How much was seen leaves as
`ActivityBatch`es, one a batch and topic, so that `activity` notices who has gone silent.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct, field

from models.activity.inspection import booking_of
from models.activity.log import ActivityLog
from models.corroboration import corroborate
from models.detectors import DETECTORS
from models.detectors.base import Detector, Heightenable
from models.drill import drill_of
from models.episodes import Episode, observe, tell
from models.events import PostReport, Transaction
from models.heightened import HeightenedHistory, heightened_days, heightens
from models.messages import ActivityWatermark, Reevaluated
from models.policy import Policy, PolicyHistory
from models.risk_warning import Finding, RiskWarning, warning_id
from models.stage import Bins, Emit, Record, Refused, States, Tick
from models.stages.anomalies import VERSION as ANOMALY_VERSION
from models.stages.anomalies import Anomalies, Habits

# Departments with a topic of their own; the risk department reads `warnings` itself.
DEPARTMENT_TOPICS = {name: f"warnings.{name}" for name in ("credit", "operations", "it", "clearing", "product")}


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
        reported: day of each teller's report on the customer that still has a say in how it is judged.
        habits: what it usually does; None where no version has the stream learn that.
    """

    newest: dict[str, datetime] = field(default_factory=dict)
    seen: dict[str, dict[str, datetime]] = field(default_factory=dict)
    detectors: DetectorStates = field(default_factory=DetectorStates)
    episodes: dict[str, Episode] = field(default_factory=dict)
    reported: dict[str, date] = field(default_factory=dict)
    habits: Habits | None = None


class CustomersStage:
    """Judges transactions and reports, keyed by customer (a report on no customer: by branch).

    Args:
        policies: the figures in force.
        partitions: of `transactions` and `reports`.
        settle: time in which an event that is on its way surely arrives; what the broker has taken before that
            is known to be all there is.
        detectors: the rules.
        scoring: whether models judge as well.
    """

    name = "customers"
    topics = ("transactions", "reports", "reevaluations")
    state_version = 1

    def __init__(
        self,
        policies: PolicyHistory,
        partitions: int = 1,
        settle: timedelta = timedelta(seconds=2),
        detectors: Sequence[Detector] = DETECTORS,
        *,
        scoring: bool = True,
    ) -> None:
        self._policies = policies
        self._partitions = partitions
        self._settle = settle
        self._caught_up: dict[int, datetime] = {}
        self._logs: dict[int, dict[str, ActivityLog]] = {}
        self._anomalies = Anomalies(policies)
        self._late: Counter[str] = Counter()
        self._scoring = scoring
        self._detectors = {
            kind: tuple(one for one in detectors if one.consumes is kind) for kind in (Transaction, PostReport)
        }
        self._heightenable: tuple[Any, ...] = tuple(one for one in detectors if isinstance(one, Heightenable))

    def apply(self, states: States, record: Record) -> Iterable[Emit]:
        if isinstance(record.event, Reevaluated):
            return self._reevaluated(states, record)
        event: Transaction | PostReport = record.event
        policy = self._policies.at(event.event_time)
        key = state_key(event)
        state = states.load(key, CustomerState) or CustomerState()
        newest = state.newest.get(record.topic)
        check_time(event.event_time, record.ingest_time, newest, policy)
        log = self._log(states, record.topic)
        real = drill_of(event.key) is None
        if isinstance(event, Transaction) and not has_rate(event, policy):
            if real:
                log.refused(record.offset, event.currency, event.event_id, event.event_time)
            raise no_rate(event.currency)
        if event.event_id in state.seen.get(record.topic, ()):
            return ()
        emits: list[Emit] = []
        if isinstance(event, PostReport) and self._anomalies.waits(states.partition, key):
            emits += self._score(states)
            state = states.load(key, CustomerState) or state
        seen = state.seen.setdefault(record.topic, {})
        seen[event.event_id] = event.event_time
        late = newest is not None and event.event_time < newest
        self._late[record.topic] += late
        if not late:
            state.newest[record.topic] = event.event_time
            if newest is None or newest.date() != event.event_time.date():
                self._expire(state, record.topic)
        states.save(key, state)
        day = policy.bank_calendar.day_of(event.event_time)
        log.accepted(record, day if real else None)
        if real and isinstance(event, Transaction) and (booking := booking_of(record.offset, event, policy)):
            log.large(booking)
        for warning in self._judge(state, record, policy, late=late):
            if warning.revision == 1 and real:
                log.told(record.offset, warning.detector, day)
            emits += warning_emits(warning)
        if real and self._scoring and self._anomalies.learns_from(event):
            habits = state.habits = state.habits or Habits()
            self._anomalies.take(states.partition, key, habits, record, policy, late=late)
        return emits

    def flush(self, states: States) -> Iterable[Emit]:
        """What models find strange in the batch, and what it counts for."""
        yield from self._score(states)
        for topic, log in self._logs.pop(states.partition, {}).items():
            for batch in log.batches(topic, states.partition):
                yield Emit("activity", batch.key, batch)

    def came_late(self) -> Mapping[str, int]:
        """Events behind their customer's newest, by topic."""
        late, self._late = self._late, Counter()
        return late

    def binned(self) -> Iterable[Bins]:
        """How what its models have scored lies."""
        return self._anomalies.binned()

    def tick(self, states: States, tick: Tick) -> Iterable[Emit]:
        """A partition that has nothing to say must say so: else no day is over before its next event."""
        told = self._caught_up.get(states.partition)
        if not tick.caught_up or (told is not None and tick.now - told < self._settle):
            return
        self._caught_up[states.partition] = tick.now
        mark = ActivityWatermark(
            partition=states.partition, partitions=self._partitions, caught_up_at=tick.now - self._settle
        )
        yield Emit("activity", mark.key, mark)

    def _log(self, states: States, topic: str) -> ActivityLog:
        logs = self._logs.setdefault(states.partition, {})
        return logs.get(topic) or logs.setdefault(topic, ActivityLog())

    def _score(self, states: States) -> list[Emit]:
        """Tell what models say of the transactions that wait."""
        emits: list[Emit] = []
        for scored in self._anomalies.score(states.partition):
            one = scored.waiting
            state = states.load(one.key, CustomerState) or CustomerState()
            habits = state.habits = state.habits or Habits()
            finding = self._anomalies.finding(habits, scored)
            name = warning_id(scored.detector, ANOMALY_VERSION, finding.subject, finding.anchor)
            episode = observe(state.episodes.get(name), scored.detector, ANOMALY_VERSION, finding)
            for warning in self._tell(state, episode, one.event_time, one.record.now, late=one.late):
                emits += warning_emits(warning)
            states.save(one.key, state)
        return emits

    def _judge(self, state: CustomerState, record: Record, policy: Policy, *, late: bool) -> Iterator[RiskWarning]:
        event = record.event
        policies = self._policies
        if heightens(event):
            state.reported[event.event_id] = policy.bank_calendar.day_of(event.event_time)
        if state.reported:
            policies = HeightenedHistory(policies, state.reported)
        for detector in self._detectors[type(event)]:
            found = detector.step(getattr(state.detectors, detector.id), event, policy, policies)
            yield from self._found(state, detector, found, record, late=late)
        days = heightened_days(state.reported[event.event_id], self._policies) if heightens(event) else None
        if days is not None:
            for detector in self._heightenable:
                found = detector.rejudge(getattr(state.detectors, detector.id), event, days, policies)
                yield from self._found(state, detector, found, record, late=late)

    def _found(
        self, state: CustomerState, detector: Detector, findings: Iterable[Finding], record: Record, *, late: bool
    ) -> Iterator[RiskWarning]:
        for finding in findings:
            # Only findings are left out: the day a rule is switched on it must know what was before.
            if detector.rule(self._closing(finding)).mode == "off":
                continue
            name = warning_id(detector.id, detector.version, finding.subject, finding.anchor)
            episode = observe(state.episodes.get(name), detector.id, detector.version, finding)
            yield from self._tell(state, episode, record.event.event_time, record.now, late=late)

    def _reevaluated(self, states: States, record: Record) -> list[Emit]:
        """Tell what history says now and was not told."""
        news: Reevaluated = record.event
        key = state_key(news)
        emits = self._score(states) if self._anomalies.waits(states.partition, key) else []
        state = states.load(key, CustomerState) or CustomerState()
        finding = news.finding
        told = news.episode()
        episode = observe(state.episodes.get(told.id, told), told.detector, told.version, finding)
        episode.partners = tuple(sorted({*episode.partners, *news.partners}))
        states.save(key, state)
        warnings = self._tell(state, episode, finding.event_time, record.now, late=True)
        return [*emits, *(emit for warning in warnings for emit in warning_emits(warning))]

    def _tell(
        self, state: CustomerState, changed: Episode, event_time: datetime, now: datetime, *, late: bool
    ) -> Iterator[RiskWarning]:
        """What there is to say of an episode that has changed, and of those that say the same."""
        state.episodes[changed.id] = changed
        corroborated = corroborate(state.episodes.values(), changed, self._policies)
        for episode in (changed, *(one for one in corroborated if one is not changed)):
            closing = self._closing(episode.finding)
            rule = getattr(closing.detectors, episode.detector)
            mutes = self._policies.mutes
            warning = tell(episode, rule, closing, mutes, event_time=event_time, now=now, late=late)
            if warning is not None:
                yield warning

    def _closing(self, finding: Finding) -> Policy:
        """What holds on the day that closes the finding's window, whenever its events come."""
        return self._policies.at(finding.window.end - timedelta(microseconds=1))

    def _expire(self, state: CustomerState, topic: str) -> None:
        # How late an event may come is said by its own day's version: an id is kept as long as any of them says.
        before = state.newest[topic] - self._policies.lateness
        state.seen[topic] = {name: time for name, time in state.seen[topic].items() if time >= before}
        for detector in self._detectors[Transaction if topic == "transactions" else PostReport]:
            detector.expire(getattr(state.detectors, detector.id), before, self._policies)
        remember = self._policies.longest(lambda one: one.episodes.remember.whole)
        oldest = max(state.newest.values()) - timedelta(days=remember)
        state.episodes = {name: one for name, one in state.episodes.items() if one.finding.window.end >= oldest}
        if state.reported and "transactions" in state.newest:
            # As long as a window may still be judged that holds a day which a report has heightened: transactions
            # say so alone, as they may be far behind the reports.
            longest = self._policies.longest(lambda one: one.heightened.days.whole if one.heightened else 0)
            first = state.newest["transactions"].date() - timedelta(days=remember + longest)
            state.reported = {name: day for name, day in state.reported.items() if day >= first}


def state_key(event: Transaction | PostReport | Reevaluated) -> str:
    """Under which key the state of its customer stands; of its branch, for a report on no customer."""
    return event.customer_id or f"branch:{event.key}"


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


def has_rate(event: Transaction, policy: Policy) -> bool:
    """Whether a transaction can be held against thresholds: the bank's own ones never are."""
    return event.origin == "bank" or event.currency in policy.rates


def no_rate(currency: str) -> Refused:
    """The refusal of an event whose value cannot be told."""
    return Refused(
        "no_rate",
        "currency",
        f"no exchange rate for {currency}: put it with `liandong rates put` (or in [money.rates]) and redrive",
    )


def warning_emits(warning: RiskWarning) -> Iterator[Emit]:
    """The warning on `warnings`, and the copies of the departments that are to be told now."""
    yield Emit("warnings", warning.subject, warning)
    if warning.notify and warning.mode != "shadow":
        for department in warning.departments:
            if department in DEPARTMENT_TOPICS:
                yield Emit(DEPARTMENT_TOPICS[department], warning.subject, warning)
