"""misclassification a second time: every loan's class against its days past due, and one bad loan against the rest.

A borrower's events are judged as they are taken: what a late one changes is known from then on only.
"""

from collections.abc import Iterator
from datetime import date, datetime
from fractions import Fraction
from typing import NamedTuple

import polars as pl

from models.oracle.frames import six_places
from models.oracle.lending import LOAN
from models.oracle.level_episodes import Rise, episode_warnings
from models.policy import Misclassification, PolicyHistory
from models.risk_warning import Severity

CLASSES = ("normal", "special_mention", "substandard", "doubtful", "loss")
_BAD = CLASSES.index("substandard")
_COLUMNS = ("happened", "happened_on", "event_id", "kind", "own", "rate", "classification", "days_past_due")
_GRAVE = 2  # classes by which one is too good


class _Step(NamedTuple):
    event_time: datetime
    day: date
    event_id: str
    kind: str
    own: int
    rate: int | None
    classification: str | None
    days_past_due: int | None


class _Loan:
    """What is known of a loan."""

    def __init__(self) -> None:
        self.balance = self.exposure = 0
        self.grade = self.days = 0
        self._said: dict[str, tuple[datetime, str]] = {}  # when each kind of status was last said

    def take(self, step: _Step) -> bool:
        """Whether the step changed anything."""
        before = (self.balance, self.grade, self.days)
        self.balance += step.own
        self.exposure = self.balance * (step.rate or 0)
        said = (step.event_time, step.event_id)
        if step.kind == "reclassified" and step.classification is not None and self._is_news("class", said):
            self.grade = CLASSES.index(step.classification)
        if step.kind == "overdue" and step.days_past_due is not None and self._is_news("days", said):
            self.days = step.days_past_due
        return before != (self.balance, self.grade, self.days)

    def _is_news(self, what: str, said: tuple[datetime, str]) -> bool:
        if what in self._said and said < self._said[what]:
            return False
        self._said[what] = said
        return True

    def too_good_by(self, rule: Misclassification) -> int:
        figures = (rule.special_mention_after, rule.substandard_after, rule.doubtful_after, rule.loss_after)
        least = sum(self.days > figure.value for figure in figures)
        return max(least - self.grade, 0) if self.balance else 0


class _Debtor:
    """A borrower's loans in one entity, together."""

    def __init__(self) -> None:
        self.loans: dict[str, _Loan] = {}
        self.whole = self.bad = self.better = 0  # exposures; number of loans better than substandard

    def take(self, name: str, step: _Step) -> bool:
        loan = self.loans.setdefault(name, _Loan())
        self._count(loan, -1)
        changed = loan.take(step)
        self._count(loan, 1)
        return changed

    def _count(self, loan: _Loan, sign: int) -> None:
        if loan.balance:
            self.whole += sign * loan.exposure
            if loan.grade >= _BAD:
                self.bad += sign * loan.exposure
            else:
                self.better += sign

    @property
    def share(self) -> Fraction:
        return Fraction(self.bad, self.whole) if self.whole else Fraction()


def misclassifications(steps: pl.DataFrame, policies: PolicyHistory) -> pl.DataFrame:
    """The detector's warnings (severity as a rank), one an episode.

    Args:
        steps: all accepted loan events.
    """

    def severity(rule: Misclassification, level: int) -> Severity:
        return rule.grave_severity if level == _GRAVE else rule.severity

    return episode_warnings(_found(steps, policies), "misclassification", policies, severity)


def _found(steps: pl.DataFrame, policies: PolicyHistory) -> Iterator[Rise]:
    debtors: dict[tuple[str, str], _Debtor] = {}
    under_way: dict[tuple[str, str | None], Rise] = {}  # by subject, and the loan or None for all of a debtor's
    rows = steps.filter(~pl.col("kind").is_in(["applied", "approved"])).sort("taken")
    for borrower, entity, name, *values in rows.select(*LOAN, *_COLUMNS).iter_rows():
        debtor, step = debtors.setdefault((borrower, entity), _Debtor()), _Step(*values)
        changed = debtor.take(name, step)
        rule = policies.on(step.day).detectors.misclassification
        if not changed:
            continue
        subject, loan = f"borrower:{entity}:{borrower}", debtor.loans[name]
        infects = debtor.better > 0 and debtor.share > Fraction(rule.contagion_from.value)
        for of, level, observed in (
            (name, min(loan.too_good_by(rule), _GRAVE), str(loan.days)),
            (None, _GRAVE if infects else 0, six_places(debtor.share)),
        ):
            known = under_way.get((subject, of))
            if level == 0:
                under_way.pop((subject, of), None)
            elif known is None or level > known.level:
                anchor = known.anchor if known else f"{of or 'contagion'}|{step.day.isoformat()}"
                # While the rule is off the condition goes on, but nobody is told how bad it is.
                told = (known.level if known else 0) if rule.mode == "off" else level
                rise = under_way[subject, of] = Rise(subject, anchor, told, 1, step.event_time, step.day, observed)
                if rule.mode != "off":
                    yield rise
