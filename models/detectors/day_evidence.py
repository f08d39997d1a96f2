"""What a rule keeps of one customer's day when each transaction speaks for itself: how many, which, the largest."""

from bisect import insort
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction

from msgspec import Struct, field

from models.detectors.amounts import Measured
from models.events import Transaction
from models.policy import Policy, Rule
from models.risk_warning import MAX_EVIDENCE, Finding, Reason, Severity, Window


class Largest(Struct, frozen=True):
    """An amount beside its threshold, and both as text in the threshold's currency."""

    bucket: str
    value: Decimal
    threshold: Decimal
    observed: str
    limit: str

    @property
    def rank(self) -> tuple[Fraction, str, str]:
        """Amounts in several currencies compare by how far they are beyond their own thresholds."""
        return Fraction(self.value) / Fraction(self.threshold), self.bucket, self.observed


NOTHING = Largest("", Decimal(0), Decimal(1), "", "")


class DayEvidence(Struct):
    """The transactions of one day, the same in whatever order they came.

    Args:
        evidence: (time, event id) of the `MAX_EVIDENCE` oldest.
        largest: of those that were held against a threshold.
    """

    day: date
    count: int = 0
    evidence: list[tuple[datetime, str]] = field(default_factory=list)
    largest: Largest = NOTHING

    def take(self, event: Transaction, measured: Measured | None = None) -> None:
        """Take in one transaction, once."""
        self.count += 1
        insort(self.evidence, (event.event_time, event.event_id))
        del self.evidence[MAX_EVIDENCE:]
        if measured is not None:
            value, threshold = measured.value, measured.threshold
            one = Largest(measured.bucket, value, threshold, measured.shown(value), measured.shown(threshold))
            self.largest = max(self.largest, one, key=lambda largest: largest.rank)

    def finding(
        self,
        name: str,
        event: Transaction,
        severity: Severity,
        reasons: tuple[Reason, ...],
        rule: Rule,
        policy: Policy,
    ) -> Finding:
        """The finding `<name>|<day>` on the customer of `event`, which has just made it so."""
        return Finding(
            subject=f"customer:{event.customer_id}",
            anchor=f"{name}|{self.day}",
            severity=severity,
            departments=rule.departments,
            reasons=reasons,
            event_ids=tuple(event_id for _, event_id in self.evidence),
            event_count=self.count,
            window=Window(*policy.bank_calendar.day_window(self.day)),
            measures=rule.measures,
            event_time=event.event_time,
        )
