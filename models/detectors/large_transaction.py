"""Large transactions: one customer's bookings of a class, direction and day that reach the reporting threshold.

Source: PBOC Order 2016 No. 3, art. 5 (thresholds, single or summed over a day) and art. 8 (5 working days).
"""

from bisect import insort
from datetime import date, datetime
from decimal import Decimal

from msgspec import Struct, field

from models.detectors.amounts import Measured, counts, measure
from models.events import Transaction
from models.policy import LargeTransaction as Rule
from models.policy import Policy, PolicyHistory
from models.risk_warning import MAX_EVIDENCE, Finding, Reason, Severity, Window
from models.texts import CLASS_NAMES, DIRECTION_NAMES, VERBS, plural


class DaySum(Struct):
    """What a customer moved on one day in one class, direction and currency bucket."""

    day: date
    total: Decimal = Decimal(0)
    count: int = 0
    evidence: list[tuple[datetime, str]] = field(default_factory=list)


class LargeTransactionState(Struct):
    """At most one sum a day, class, direction and bucket inside the lateness; each with at most 500 event ids."""

    sums: dict[str, DaySum] = field(default_factory=dict)


class LargeTransaction:
    """Sums bookings by (class, direction, bucket, day) and reports a sum at or above the threshold.

    A day's sum only grows, so the same events give the same findings in any order.
    """

    id = "large_transaction"
    version = 1
    consumes = Transaction
    state_type = LargeTransactionState

    def rule(self, policy: Policy) -> Rule:
        return policy.detectors.large_transaction

    def step(
        self, state: LargeTransactionState, event: Transaction, policy: Policy, policies: PolicyHistory
    ) -> tuple[Finding, ...]:
        rule = policy.detectors.large_transaction
        if not counts(event, rule):
            return ()
        measured = measure(event, policy)
        if not measured.amounts.reported:
            return ()
        day = policy.bank_calendar.day_of(event.event_time)
        anchor = f"{measured.kind}|{event.direction}|{measured.bucket}|{day}"
        entry = state.sums.get(anchor)
        if entry is None:
            entry = state.sums[anchor] = DaySum(day)
        entry.total += measured.value
        entry.count += 1
        # The oldest of the day, not those that happened to come first.
        insort(entry.evidence, (event.event_time, event.event_id))
        del entry.evidence[MAX_EVIDENCE:]
        if not measured.reaches(entry.total):
            return ()
        return (self._finding(anchor, entry, event, measured, policy),)

    def expire(self, state: LargeTransactionState, before: datetime, policies: PolicyHistory) -> None:
        oldest = policies.latest.bank_calendar.day_of(before)
        if any(entry.day < oldest for entry in state.sums.values()):
            state.sums = {anchor: entry for anchor, entry in state.sums.items() if entry.day >= oldest}

    def _finding(self, anchor: str, entry: DaySum, event: Transaction, measured: Measured, policy: Policy) -> Finding:
        rule = policy.detectors.large_transaction
        total, threshold = measured.shown(entry.total), measured.shown(measured.threshold)
        bucket = measured.bucket
        class_zh, class_en = CLASS_NAMES[measured.kind]
        direction_zh, direction_en = DIRECTION_NAMES[event.direction]
        reason = Reason(
            code="daily_sum",
            observed=total,
            threshold=threshold,
            unit=bucket,
            text_zh=f"{entry.day}当日{class_zh}{direction_zh}{entry.count}笔，合计{total} {bucket}，"
            f"{VERBS[measured.amounts.op][0]}报告标准{threshold} {bucket}。",
            text_en=f"{plural(entry.count, 'transaction')} ({class_en}, {direction_en}) on "
            f"{entry.day} {'sum' if entry.count > 1 else 'comes'} to {total} {bucket}, "
            f"{VERBS[measured.amounts.op][1]} the reporting threshold of {threshold} {bucket}.",
        )
        return Finding(
            subject=f"customer:{event.customer_id}",
            anchor=anchor,
            severity=self._severity(entry.total, measured.threshold, rule),
            departments=rule.departments,
            reasons=(reason,),
            event_ids=tuple(event_id for _, event_id in entry.evidence),
            event_count=entry.count,
            window=Window(*policy.bank_calendar.day_window(entry.day)),
            measures=rule.measures,
            event_time=event.event_time,
        )

    @staticmethod
    def _severity(total: Decimal, threshold: Decimal, rule: Rule) -> Severity:
        if total >= rule.high_from.value * threshold:
            return "high"
        return "medium" if total >= rule.medium_from.value * threshold else "low"
