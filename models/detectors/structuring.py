"""Structuring: amounts kept just below the reporting threshold whose sum reaches it.

Source: PBOC Order 2006 No. 2 ("short term" is 10 business days or fewer); 31 CFR 1010.100(xx), where no number of days
bounds it, so that the policy's is the bank's own.
"""

from bisect import insort
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal

from msgspec import Struct, field

from models.detectors.amounts import Measured, counts, measure, sum_against
from models.detectors.blocks import block_of, length_mark, window_start
from models.events import PostReport, Transaction
from models.heightened import heightened_reasons, report_on
from models.policy import Policy, PolicyHistory
from models.policy import Structuring as Rule
from models.risk_warning import MAX_EVIDENCE, Finding, Reason, Window, severity_rank
from models.texts import CLASS_NAMES, DIRECTION_NAMES, VERBS, plural


class Near(Struct, frozen=True, order=True):
    """A transaction just below its threshold; `value` as of `Measured`."""

    time: datetime
    event_id: str
    day: date
    value: Decimal
    usual: bool = True  # near by the bank's own figure, not only by that after a report


class StructuringState(Struct):
    """Near transactions by `class|direction|bucket`, over two windows and the lateness."""

    near: dict[str, list[Near]] = field(default_factory=dict)


class Structuring:
    """Judges, for each day with a near transaction, the working days that end with it, by that day's figures.

    Sums and numbers only grow, and an episode is named by the block of working days in which its window closes, so the
    same events give the same findings in any order.
    """

    id = "structuring"
    version = 1
    consumes = Transaction
    state_type = StructuringState

    def rule(self, policy: Policy) -> Rule:
        return policy.detectors.structuring

    def step(
        self, state: StructuringState, event: Transaction, policy: Policy, policies: PolicyHistory
    ) -> Iterator[Finding]:
        if not counts(event, policy.detectors.large_transaction):
            return
        measured = measure(event, policy)
        if measured.reaches() or measured.value < _least(policy) * measured.threshold:
            return
        usual = measured.value >= policy.detectors.structuring.near_from.value * measured.threshold
        day = policy.bank_calendar.day_of(event.event_time)
        series = f"{measured.kind}|{event.direction}|{measured.bucket}"
        near = state.near.setdefault(series, [])
        insort(near, Near(event.event_time, event.event_id, day, measured.value, usual))
        if usual or report_on(day, policies) is not None:
            yield from self._findings(near, series, day, day, event.customer_id, event.event_time, policies)

    def rejudge(
        self, state: StructuringState, event: PostReport, days: tuple[date, date], policies: PolicyHistory
    ) -> Iterator[Finding]:
        for series, near in state.near.items():
            yield from self._findings(near, series, *days, event.customer_id or "", event.event_time, policies)

    def _findings(
        self,
        near: list[Near],
        series: str,
        first: date,
        last: date,
        customer_id: str,
        at: datetime,
        policies: PolicyHistory,
    ) -> Iterator[Finding]:
        """What the windows say that hold any of the days from `first` to `last`."""
        near = [one for one in near if one.usual or report_on(one.day, policies) is not None]
        # An event may be late, or a report: it can complete the windows of later days too.
        later = sorted({one.day for one in near if one.day >= first})
        touched = [closing for closing in later if _start(closing, policies) <= last]
        reached = [closing for closing in touched if _reached(near, closing, series, policies)]
        for block in dict.fromkeys(_block(closing, policies) for closing in reached):
            yield self._finding(near, block, series, customer_id, at, policies)

    def expire(self, state: StructuringState, before: datetime, policies: PolicyHistory) -> None:
        if not state.near:
            return
        calendar = policies.latest.bank_calendar
        oldest = calendar.day_of(before)
        # A window may close at the far end of its block, and the block's first window began as long before it.
        for _ in range(2 * policies.longest(_within)):
            oldest = calendar.previous_working_day(oldest)
        kept = {series: [one for one in near if one.day >= oldest] for series, near in state.near.items()}
        state.near = {series: near for series, near in kept.items() if near}

    def _finding(
        self, near: list[Near], block: str, series: str, customer_id: str, at: datetime, policies: PolicyHistory
    ) -> Finding:
        days = sorted({one.day for one in near if _block(one.day, policies) == block})
        reached = [day for day in days if _reached(near, day, series, policies)]
        windows = [(_start(day, policies), day) for day in reached]
        evidence = [one for one in near if any(first <= one.day <= last for first, last in windows)]
        judges = [policies.on(day) for day in reached]
        policy, total = judges[-1], sum((one.value for one in evidence), Decimal(0))
        rule, calendar = policy.detectors.structuring, policy.bank_calendar
        stricter = heightened_reasons((one.day for one in evidence if not one.usual), policies)
        return Finding(
            subject=f"customer:{customer_id}",
            anchor=f"{series}|{block}",
            severity=max((one.detectors.structuring.severity for one in judges), key=severity_rank),
            departments=rule.departments,
            reasons=(*_reasons(_sum(series, total, policy), len(evidence), series, rule), *stricter),
            event_ids=tuple(one.event_id for one in evidence[:MAX_EVIDENCE]),
            event_count=len(evidence),
            window=Window(calendar.day_window(evidence[0].day)[0], calendar.day_window(evidence[-1].day)[1]),
            measures=rule.measures,
            event_time=at,
        )


def _least(policy: Policy) -> Decimal:
    """The share of the threshold from which an amount may ever count as near."""
    usual, heightened = policy.detectors.structuring.near_from.value, policy.heightened
    return usual if heightened is None else min(usual, heightened.near_from.value)


def _sum(series: str, total: Decimal, policy: Policy) -> Measured:
    kind, _, bucket = series.split("|")
    return sum_against(kind, bucket, total, policy)  # type: ignore[arg-type]


def _within(policy: Policy) -> int:
    return policy.detectors.structuring.within.whole


def _start(closing: date, policies: PolicyHistory) -> date:
    policy = policies.on(closing)
    return window_start(policy.bank_calendar, closing, _within(policy))


def _block(closing: date, policies: PolicyHistory) -> str:
    policy = policies.on(closing)
    year, number = block_of(policy.bank_calendar, closing, _within(policy))
    return f"{year}-{number:02d}{length_mark(_within, policy, policies)}"


def _reached(near: list[Near], closing: date, series: str, policies: PolicyHistory) -> bool:
    """Whether the window that closes on a day holds enough; on a day on which the rule is off none does."""
    policy, first = policies.on(closing), _start(closing, policies)
    rule = policy.detectors.structuring
    inside = [one.value for one in near if first <= one.day <= closing]
    if rule.mode == "off" or len(inside) < rule.at_least.whole:
        return False
    return _sum(series, sum(inside, Decimal(0)), policy).reaches()


def _reasons(total: Measured, count: int, series: str, rule: Rule) -> tuple[Reason, Reason]:
    observed, threshold, bucket = total.shown(total.value), total.shown(total.threshold), total.bucket
    class_zh, class_en = CLASS_NAMES[total.kind]
    direction_zh, direction_en = DIRECTION_NAMES[series.split("|")[1]]
    verb_zh, verb_en = VERBS[total.amounts.op]
    share, at_least, within = rule.near_from.value, rule.at_least.whole, rule.within.whole
    return (
        Reason(
            code="near_threshold_sum",
            observed=observed,
            threshold=threshold,
            unit=bucket,
            text_zh=f"{class_zh}{direction_zh}{count}笔，单笔均未{verb_zh}报告标准{threshold} {bucket}"
            f"而不低于其{share:%}，合计{observed} {bucket}，{verb_zh}该标准。",
            text_en=f"{plural(count, 'transaction')} ({class_en}, {direction_en}), none of them {verb_en} the "
            f"reporting threshold of {threshold} {bucket} but each at least {share:%} of it, "
            f"{'sum' if count > 1 else 'comes'} to {observed} {bucket}, {verb_en} it.",
        ),
        Reason(
            code="near_threshold_count",
            observed=str(count),
            threshold=str(at_least),
            unit="transactions",
            text_zh=f"{within}个工作日内有{at_least}笔以上（含{at_least}笔）此类交易且合计{verb_zh}报告标准即为疑似拆分。",
            text_en=f"{at_least} or more of them inside {plural(within, 'working day')} that are together {verb_en} "
            "the threshold look like one amount split up.",
        ),
    )
