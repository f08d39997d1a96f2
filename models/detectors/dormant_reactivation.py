"""Dormant reactivation: a customer silent for a year, then large flows.

Source: PBOC Order 2006 No. 2, where an account without dealings for a year is long dormant.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple, cast

from msgspec import Struct, field

from models.detectors.amounts import Measured, TransactionClass, counts, measure, sum_against
from models.detectors.settled import settled
from models.events import Transaction
from models.policy import DormantReactivation as Rule
from models.policy import Policy, PolicyHistory
from models.risk_warning import MAX_EVIDENCE, Finding, Reason, Window, severity_rank
from models.texts import CLASS_NAMES, DIRECTION_NAMES, VERBS, plural


class Flow(Struct):
    """What moved on one day in one class, direction and bucket; `total` as the values of `Measured`."""

    day: date
    total: Decimal = Decimal(0)
    count: int = 0
    evidence: list[tuple[datetime, str]] = field(default_factory=list)


class Reached(NamedTuple):
    """Flows of one series up to the last day on which their sum reached the figure, and the days on which it did."""

    series: str
    flows: list[Flow]
    days: list[date]


class DormantReactivationState(Struct):
    """Active days within twice the lateness and the last one before; awakenings and flows within the watch.

    Args:
        days: on which the customer did anything, in order.
        awakenings: by day, the last active day before the silence.
        flows: by `day|class|direction|bucket`.
    """

    days: list[date] = field(default_factory=list)
    awakenings: dict[date, date] = field(default_factory=dict)
    flows: dict[str, Flow] = field(default_factory=dict)


class DormantReactivation:
    """Watches the days after an awakening: a day with activity after `dormant_after` days without.

    The days just before it, on which late events may still land, do not decide whether it is one; so an awakening is
    never taken back, and what moved up to a day only grows: the same events give the same findings in any order.
    """

    id = "dormant_reactivation"
    version = 1
    consumes = Transaction
    state_type = DormantReactivationState

    def rule(self, policy: Policy) -> Rule:
        return policy.detectors.dormant_reactivation

    def step(
        self, state: DormantReactivationState, event: Transaction, policy: Policy, policies: PolicyHistory
    ) -> Iterator[Finding]:
        if event.origin != "customer":
            return
        day = policy.bank_calendar.day_of(event.event_time)
        self._note(state, day, policy, policies)
        if counts(event, policy.detectors.large_transaction):
            measured = measure(event, policy)
            name = f"{day}|{measured.kind}|{event.direction}|{measured.bucket}"
            flow = state.flows.setdefault(name, Flow(day))
            flow.total += measured.value
            flow.count += 1
            insort(flow.evidence, (event.event_time, event.event_id))
            del flow.evidence[MAX_EVIDENCE:]
        for since in sorted({since for one, since in state.awakenings.items() if _watched(one, day, policies)}):
            reached = _reached(state, since, policies)
            if reached:
                yield self._finding(since, reached, event, policies)

    def expire(self, state: DormantReactivationState, before: datetime, policies: PolicyHistory) -> None:
        oldest = policies.latest.bank_calendar.day_of(before)
        closed = settled(oldest, policies)
        # An episode is kept whole while any event can still add to it, or one more awakening: its sums must not shrink.
        open_ones = {
            since
            for day, since in state.awakenings.items()
            if day >= closed or _watched(day, max(day, oldest), policies)
        }
        state.awakenings = {day: since for day, since in state.awakenings.items() if since in open_ones}
        del state.days[: max(0, bisect_left(state.days, closed) - 1)]
        first = min([oldest, *state.awakenings])
        state.flows = {name: flow for name, flow in state.flows.items() if flow.day >= first}

    def _note(self, state: DormantReactivationState, day: date, policy: Policy, policies: PolicyHistory) -> None:
        place = bisect_left(state.days, day)
        if place < len(state.days) and state.days[place] == day:
            return
        state.days.insert(place, day)
        before = bisect_left(state.days, settled(day, policies))
        # Days without activity: those between the two.
        if before and (day - state.days[before - 1]).days > policy.detectors.dormant_reactivation.dormant_after.whole:
            state.awakenings[day] = state.days[before - 1]

    def _finding(
        self,
        since: date,
        reached: list[Reached],
        event: Transaction,
        policies: PolicyHistory,
    ) -> Finding:
        flows = [flow for one in reached for flow in one.flows]
        first, latest = min(flow.day for flow in flows), max(flow.day for flow in flows)
        judges = [policies.on(day) for one in reached for day in one.days]
        policy = policies.on(latest)
        rule, calendar = policy.detectors.dormant_reactivation, policy.bank_calendar
        return Finding(
            subject=f"customer:{event.customer_id}",
            anchor=f"dormant|{since}",
            severity=max((one.detectors.dormant_reactivation.severity for one in judges), key=severity_rank),
            departments=rule.departments,
            reasons=tuple(_reason(one, since, policies.on(one.days[-1])) for one in reached),
            event_ids=tuple(
                name for _, name in sorted(pair for flow in flows for pair in flow.evidence)[:MAX_EVIDENCE]
            ),
            event_count=sum(flow.count for flow in flows),
            window=Window(calendar.day_window(first)[0], calendar.day_window(latest)[1]),
            measures=rule.measures,
            event_time=event.event_time,
        )


def _watched(awakening: date, day: date, policies: PolicyHistory) -> bool:
    watch = policies.on(awakening).detectors.dormant_reactivation.watch.whole
    return awakening <= day <= awakening + timedelta(days=watch)


def _reached(state: DormantReactivationState, since: date, policies: PolicyHistory) -> list[Reached]:
    """The series of an episode that reach the figure: each watched day's figures judge what moved up to it.

    A later day with a higher threshold or another rate must not take back what an earlier one has shown.
    """
    awakenings = [day for day, before in state.awakenings.items() if before == since]
    series: dict[str, list[Flow]] = {}
    for name, flow in sorted(state.flows.items()):
        if any(_watched(one, flow.day, policies) for one in awakenings):
            series.setdefault(name.partition("|")[2], []).append(flow)
    found = []
    for name, flows in sorted(series.items()):
        total, days = Decimal(0), []
        for flow in flows:
            total += flow.total
            policy = policies.on(flow.day)
            rule = policy.detectors.dormant_reactivation
            if rule.mode != "off" and _beside(name, total, policy).reaches(times=rule.flow_from.value):
                days.append(flow.day)
        if days:
            found.append(Reached(name, [flow for flow in flows if flow.day <= days[-1]], days))
    return found


def _beside(series: str, total: Decimal, policy: Policy) -> Measured:
    kind, _, bucket = series.split("|")
    return sum_against(cast(TransactionClass, kind), bucket, total, policy)


def _reason(reached: Reached, since: date, policy: Policy) -> Reason:
    total = _beside(reached.series, sum((flow.total for flow in reached.flows), Decimal(0)), policy)
    rule = policy.detectors.dormant_reactivation
    limit, dormant = rule.flow_from.value * total.threshold, rule.dormant_after.whole
    shown, threshold, bucket = total.shown(total.value), total.shown(limit), total.bucket
    class_zh, class_en = CLASS_NAMES[total.kind]
    direction_zh, direction_en = DIRECTION_NAMES[reached.series.split("|")[1]]
    verb_zh, verb_en = VERBS[total.amounts.op]
    count = sum(flow.count for flow in reached.flows)
    return Reason(
        code="dormant_then_flows",
        observed=shown,
        threshold=threshold,
        unit=bucket,
        text_zh=f"客户自{since}后长期无往来（{dormant}天为长期），其后{class_zh}{direction_zh}{count}笔，"
        f"合计{shown} {bucket}，{verb_zh}{threshold} {bucket}。",
        text_en=f"After a silence since {since} ({plural(dormant, 'day')} are dormant), "
        f"{plural(count, 'transaction')} ({class_en}, {direction_en}) {'sum' if count > 1 else 'comes'} to "
        f"{shown} {bucket}, {verb_en} {threshold} {bucket}.",
    )
