"""Anomalies: transactions that a model finds strange, scored many at once.

Features are computed as each transaction comes, since the next one's depend on it. A row then waits until its batch is
over, or until there is a report on its customer, which it may corroborate: so what is told does not depend on how
records were batched. What a day has over the threshold is one warning, with the reasons of the strangest.
"""

from bisect import insort
from collections.abc import Iterator
from datetime import date, datetime
from typing import NamedTuple

import numpy as np
from msgspec import Struct, field

from models.anomaly.drift import Counts, count, expected, references
from models.anomaly.features import AnomalyState, features
from models.anomaly.model import Model
from models.anomaly.reasons import reasons
from models.events import PostReport, Transaction
from models.policy import Anomaly, Policy, PolicyError, PolicyHistory
from models.risk_warning import MAX_EVIDENCE, Finding, Window
from models.stage import Bins, Record

CHAMPION, CHALLENGER = "anomaly", "anomaly_challenger"
VERSION = 1


class Strange(Struct):
    """The transactions of a customer's day that reach the threshold.

    Args:
        model: by which they do; two judge one day where a version replaces another in its course.
        evidence: (time, event id) of the `MAX_EVIDENCE` oldest.
        score, event_id, row: of the strangest.
    """

    day: date
    model: str = ""
    count: int = 0
    evidence: list[tuple[datetime, str]] = field(default_factory=list)
    score: float = float("-inf")
    event_id: str = ""
    row: tuple[float, ...] = ()

    def take(self, event_id: str, event_time: datetime, score: float, row: tuple[float, ...]) -> None:
        self.count += 1
        insort(self.evidence, (event_time, event_id))
        del self.evidence[MAX_EVIDENCE:]
        if (score, event_id) > (self.score, self.event_id):
            self.score, self.event_id, self.row = score, event_id, row


class Habits(Struct):
    """What is remembered of one customer: its habit, and by detector its newest day with anything strange."""

    state: AnomalyState = field(default_factory=AnomalyState)
    strange: dict[str, Strange] = field(default_factory=dict)


class Waiting(NamedTuple):
    """A transaction that is still to be scored.

    Args:
        key: of its customer's state.
        day: the bank's, of its effective time.
    """

    key: str
    customer_id: str
    event_id: str
    event_time: datetime
    day: date
    row: tuple[float, ...]
    record: Record
    late: bool


class Scored(NamedTuple):
    """A row that reached its threshold."""

    waiting: Waiting
    detector: str
    score: float


class Anomalies:
    """Rows of each partition that wait, and what the day's models say of them."""

    def __init__(self, policies: PolicyHistory) -> None:
        self._policies = policies
        self._waiting: dict[int, list[Waiting]] = {}
        self._keys: dict[int, set[str]] = {}
        self._thresholds: dict[tuple[str, float], float] = {}
        self._counts: dict[str, Counts] = {}

    def learns_from(self, event: Transaction | PostReport) -> bool:
        """Whether an event is a customer's own, and some version has the stream learn habits."""
        if not isinstance(event, Transaction) or event.origin != "customer":
            return False
        return any(policy.detectors.anomaly.mode != "off" for policy in self._policies.versions)

    def take(self, partition: int, key: str, habits: Habits, record: Record, policy: Policy, *, late: bool) -> None:
        """Learn from a transaction that a customer made; where the day has a model, keep its row to be scored."""
        event: Transaction = record.event
        row = features(habits.state, event, policy)
        day = date.fromordinal(habits.state.today.number)
        if _models(self._policies.on(day).detectors.anomaly):
            one = Waiting(key, event.customer_id, event.event_id, event.event_time, day, row, record, late)
            self._waiting.setdefault(partition, []).append(one)
            self._keys.setdefault(partition, set()).add(key)

    def waits(self, partition: int, key: str) -> bool:
        """Whether a customer has rows that wait."""
        return key in self._keys.get(partition, ())

    def score(self, partition: int) -> Iterator[Scored]:
        """All rows that wait, each by the models of its day: those that reach the threshold, in order of arrival.

        Raises:
            PolicyError: a model that the day's version names is not there.
        """
        rows = self._waiting.pop(partition, [])
        self._keys.pop(partition, None)
        wanted: dict[str, list[tuple[int, str]]] = {}
        for place, one in enumerate(rows):
            for detector, name in _models(self._policies.on(one.day).detectors.anomaly):
                wanted.setdefault(name, []).append((place, detector))
        found: list[tuple[int, Scored]] = []
        for name, places in wanted.items():
            model, matrix = model_of(self._policies, name), np.array([rows[place].row for place, _ in places])
            scores = model.score(matrix)
            self._counts.setdefault(name, Counts()).add(count(model, matrix, scores))
            for (place, detector), score in zip(places, scores, strict=True):
                budget = float(self._policies.on(rows[place].day).detectors.anomaly.budget.value)
                if score >= self._threshold(name, budget):
                    found.append((place, Scored(rows[place], detector, float(score))))
        yield from (one for _, one in sorted(found, key=lambda it: (it[0], it[1].detector)))

    def binned(self) -> Iterator[Bins]:
        """How the rows lie that were scored since it was asked last."""
        counts, self._counts = self._counts, {}
        for name, found in counts.items():
            watched = references(model_of(self._policies, name).card)
            for reference, rows in zip(watched, found.bins, strict=True):
                yield Bins(name, reference.name, expected(reference), tuple(rows))

    def finding(self, habits: Habits, scored: Scored) -> Finding:
        """Take a row into its day, and say what the day looks like now."""
        one = scored.waiting
        policy = self._policies.on(one.day)
        rule = policy.detectors.anomaly
        name = dict(_models(rule))[scored.detector]
        strange = habits.strange.get(scored.detector)
        if strange is None or (strange.day, strange.model) != (one.day, name):
            strange = habits.strange[scored.detector] = Strange(one.day, name)
        strange.take(one.event_id, one.event_time, scored.score, one.row)
        threshold = self._threshold(name, float(rule.budget.value))
        return Finding(
            subject=f"customer:{one.customer_id}",
            anchor=str(one.day),
            severity=rule.severity,
            departments=rule.departments,
            reasons=reasons(model_of(self._policies, name), strange.row, strange.score, threshold, name),
            event_ids=tuple(event_id for _, event_id in strange.evidence),
            event_count=strange.count,
            window=Window(*policy.bank_calendar.day_window(one.day)),
            measures=rule.measures,
            event_time=one.event_time,
        )

    def _threshold(self, name: str, budget: float) -> float:
        known = self._thresholds.get((name, budget))
        if known is None:
            known = self._thresholds[name, budget] = model_of(self._policies, name).card.threshold(budget)
        return known


def model_of(policies: PolicyHistory, name: str) -> Model:
    """The model of a hash.

    Raises:
        PolicyError: it is not there.
    """
    try:
        model: Model = policies.models[name]
    except KeyError:
        remedy = "copy its file to LIANDONG_MODELS"
        raise PolicyError(f"detectors.anomaly names the model {name}, which is not there: {remedy}") from None
    return model


def _models(rule: Anomaly) -> tuple[tuple[str, str], ...]:
    """(detector, hash) of each model that judges."""
    if rule.mode == "off":
        return ()
    return tuple((one, name) for one, name in ((CHAMPION, rule.model), (CHALLENGER, rule.challenger)) if name)
