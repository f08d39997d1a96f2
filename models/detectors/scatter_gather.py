"""Scatter and gather: money of many new payers passed on to few payees in a short time, or the reverse.

Everything a window is judged by either only grows (counterparties, sums) or is over before the window begins (whom the
customer knew, how many were usual), so a late event never takes a finding back. That is why "few" is not a most: it
says that the few largest counterparties of the other side moved enough by themselves.
"""

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Literal, NamedTuple

from msgspec import Struct, field

from models.detectors.amounts import counts
from models.detectors.blocks import length_mark
from models.detectors.counterparties import Dealings, payee_of
from models.events import Transaction
from models.policy import Amounts, Policy, PolicyHistory
from models.policy import ScatterGather as Rule
from models.risk_warning import MAX_EVIDENCE, Finding, Reason, Window, severity_rank

Shape = Literal["gather", "scatter"]
# The side on which there are many, the side on which there are few.
SIDES: dict[Shape, tuple[str, str]] = {"gather": ("in", "out"), "scatter": ("out", "in")}
EPOCH = date(1970, 1, 1)


class Flow(Struct):
    """What moved on one day between the customer and one counterparty, in one direction; with its first event."""

    payee: str
    time: datetime
    event_id: str
    total: Decimal = Decimal(0)  # in the policy's base currency
    count: int = 0


class ScatterGatherState(Struct):
    """Bounded by time: flows over two windows and the lateness, dealings and numbers over the look-back more.

    Args:
        flows: by direction, day and payee; the payee is empty where nothing is known of it.
        numbers: named counterparties by direction and day.
        dealings: on which days the customer dealt with whom.
    """

    flows: dict[str, dict[date, dict[str, Flow]]] = field(default_factory=lambda: {"in": {}, "out": {}})
    numbers: dict[str, dict[date, int]] = field(default_factory=lambda: {"in": {}, "out": {}})
    dealings: Dealings = field(default_factory=Dealings)


FlowKey = tuple[str, date, str]


class Held(NamedTuple):
    """A window that shows the shape: days after `begin` up to `closing`, and what makes it so.

    Args:
        new: how many new counterparties.
        came, went: money of the side with many (of the new ones alone) and of the few largest of the other side.
        flows: by direction, day and payee.
    """

    shape: Shape
    begin: date
    closing: date
    new: int
    came: Decimal
    went: Decimal
    flows: dict[FlowKey, Flow]


class ScatterGather:
    """Judges the `within` days that end with each day on which such money moved, by the figures of that day.

    The windows that close in one fixed block of days are one episode: as grave as the gravest version says, told by the
    last of them, with the number of the one that has most new counterparties.
    """

    id = "scatter_gather"
    version = 1
    consumes = Transaction
    state_type = ScatterGatherState

    def rule(self, policy: Policy) -> Rule:
        return policy.detectors.scatter_gather

    def step(
        self, state: ScatterGatherState, event: Transaction, policy: Policy, policies: PolicyHistory
    ) -> Iterator[Finding]:
        if event.origin != "customer":
            return
        day = policy.bank_calendar.day_of(event.event_time)
        payee = payee_of(event)
        state.dealings.note(payee, day)
        if not counts(event, policy.detectors.large_transaction):
            return
        self._note(state, event, day, payee, policy)
        active = sorted({one for days in state.flows.values() for one in days})
        # The event may be late: it belongs to the windows that end with later days too.
        touched = [one for one in active if one >= day > one - timedelta(days=_within(policies.on(one)))]
        for shape in SIDES:
            held = {one: _held(state, shape, one, policies.on(one)) for one in touched}
            if not any(held.values()):
                continue
            blocks = {one: _block(one, policies) for one in active}
            for block in sorted({blocks[one] for one, window in held.items() if window}):
                closings = [one for one in active if blocks[one] == block]
                windows = [held[one] if one in held else _held(state, shape, one, policies.on(one)) for one in closings]
                yield self._finding(f"{shape}|{block}", [one for one in windows if one], event, policies)

    def expire(self, state: ScatterGatherState, before: datetime, policies: PolicyHistory) -> None:
        # A window may close at the far end of its block, and the block's first window began as long before it.
        within = timedelta(days=2 * policies.longest(_within))
        back = timedelta(days=policies.longest(lambda one: one.counterparties.new_after.whole))
        oldest = policies.latest.bank_calendar.day_of(before) - within
        for side in ("in", "out"):
            flows, numbers = state.flows[side], state.numbers[side]
            state.flows[side] = {day: flow for day, flow in flows.items() if day > oldest}
            state.numbers[side] = {day: number for day, number in numbers.items() if day > oldest - back}
        state.dealings.forget(oldest - back)

    @staticmethod
    def _note(state: ScatterGatherState, event: Transaction, day: date, payee: str, policy: Policy) -> None:
        flows = state.flows[event.direction].setdefault(day, {})
        flow = flows.get(payee)
        if flow is None:
            flow = flows[payee] = Flow(payee, event.event_time, event.event_id)
            if payee:
                numbers = state.numbers[event.direction]
                numbers[day] = numbers.get(day, 0) + 1
        flow.time, flow.event_id = min((flow.time, flow.event_id), (event.event_time, event.event_id))
        flow.total += event.amount * policy.rates[event.currency]
        flow.count += 1

    def _finding(self, anchor: str, windows: list[Held], event: Transaction, policies: PolicyHistory) -> Finding:
        """The finding of the windows of a block, in order: whichever of them an event has touched, it is the same."""
        judges = [policies.on(one.closing) for one in windows]
        rule, calendar = judges[-1].detectors.scatter_gather, judges[-1].bank_calendar
        # The later of two windows with as many new ones: it is the one to look at now.
        widest = max(windows, key=lambda one: (one.new, one.closing))
        flows = {key: flow for one in windows for key, flow in one.flows.items()}
        evidence = sorted(flows.values(), key=lambda flow: (flow.time, flow.event_id))
        first = min(one.begin for one in windows) + timedelta(days=1)
        return Finding(
            subject=f"customer:{event.customer_id}",
            anchor=anchor,
            severity=max((one.detectors.scatter_gather.severity for one in judges), key=severity_rank),
            departments=rule.departments,
            reasons=tuple(_reasons(widest, policies.on(widest.closing))),
            event_ids=tuple(flow.event_id for flow in evidence[:MAX_EVIDENCE]),
            event_count=sum(flow.count for flow in evidence),
            window=Window(calendar.day_window(first)[0], calendar.day_window(windows[-1].closing)[1]),
            measures=rule.measures,
            event_time=event.event_time,
        )


def _within(policy: Policy) -> int:
    return policy.detectors.scatter_gather.within.whole


def _block(closing: date, policies: PolicyHistory) -> str:
    policy = policies.on(closing)
    return f"{(closing - EPOCH).days // _within(policy)}{length_mark(_within, policy, policies)}"


def _held(state: ScatterGatherState, shape: Shape, closing: date, policy: Policy) -> Held | None:
    """The window that ends with a day, where it shows the shape by the figures of that day."""
    rule, (many, few) = policy.detectors.scatter_gather, SIDES[shape]
    begin = closing - timedelta(days=rule.within.whole)  # the last day before the window
    back = policy.counterparties.new_after.whole
    first = begin - timedelta(days=back)
    numbers = state.numbers[many]
    usual = sum(number for day, number in numbers.items() if first < day <= begin)
    needed = rule.many_payers.whole if shape == "gather" else rule.many_payees.whole

    def enough(count: int) -> bool:
        return count >= needed and count * back >= rule.times_usual.value * usual * rule.within.whole

    # Cheap and never too low: spares busy customers the walk through their counterparties.
    if rule.mode == "off" or not enough(sum(number for day, number in numbers.items() if begin < day <= closing)):
        return None
    inside = {side: _between(side, state.flows[side], begin, closing) for side in (many, few)}
    new = {
        (side, day, payee): flow
        for (side, day, payee), flow in inside[many].items()
        if payee and not _known(state.dealings, payee, first, begin)
    }
    payees = {payee for _, _, payee in new}
    if not inside[few] or not enough(len(payees)):
        return None
    wide = sum((flow.total for flow in new.values()), Decimal(0))
    narrow = _largest(inside[few].values(), rule.few.whole)
    came, went = (wide, narrow) if shape == "gather" else (narrow, wide)
    if rule.passed_on is not None:
        least_in, least_out = _least(rule.passed_on, policy)
        if not (rule.passed_on.reached(came, least_in) and rule.passed_on.reached(went, least_out)):
            return None
    flows = new | inside[few]
    # A day that adds nothing does not close a window: what would be told for it has been told.
    if not any(day == closing for _, day, _ in flows):
        return None
    return Held(shape, begin, closing, len(payees), came, went, flows)


def _between(side: str, days: dict[date, dict[str, Flow]], begin: date, closing: date) -> dict[FlowKey, Flow]:
    """The flows of the days after `begin` up to `closing`."""
    return {
        (side, day, payee): flow
        for day, flows in days.items()
        if begin < day <= closing
        for payee, flow in flows.items()
    }


def _known(dealings: Dealings, payee: str, first: date, begin: date) -> bool:
    """Whether the two dealt with each other in the look-back before the window."""
    return any(first < day <= begin for day in dealings.days.get(payee, ()))


def _largest(flows: Iterable[Flow], few: int) -> Decimal:
    """What the largest counterparties moved; all that are not known count as one."""
    sums: dict[str, Decimal] = {}
    for flow in flows:
        sums[flow.payee] = sums.get(flow.payee, Decimal(0)) + flow.total
    return sum(sorted(sums.values(), reverse=True)[:few], Decimal(0))


def _least(passed_on: Amounts, policy: Policy) -> tuple[Decimal, Decimal]:
    """What must come in, and what must go out: in base money, since a window may hold several currencies."""
    amount = passed_on.amounts[policy.money.base]
    return amount, policy.detectors.scatter_gather.share.value * amount


def _reasons(held: Held, policy: Policy) -> Iterator[Reason]:
    rule, base = policy.detectors.scatter_gather, policy.money.base
    days, back = rule.within.whole, policy.counterparties.new_after.whole
    shape, count, came, went = held.shape, held.new, held.came, held.went
    side_zh, side_en = ("付款方", "payers") if shape == "gather" else ("收款方", "payees")
    needed = rule.many_payers.whole if shape == "gather" else rule.many_payees.whole
    yield Reason(
        code=shape,
        observed=str(count),
        threshold=str(needed),
        unit="new counterparties",
        text_zh=f"{days}天内有{count}个此前{back}天无往来的{side_zh}，达到{needed}个。",
        text_en=f"{count} {side_en} inside {days} days with whom there was no dealing in the {back} days before; "
        f"{needed} or more are many.",
    )
    if rule.passed_on is None:
        return
    least, share = _least(rule.passed_on, policy)[1], went / came
    yield Reason(
        code="passed_on",
        observed=f"{went:f}",
        threshold=f"{least:f}",
        unit=base,
        text_zh=f"转入{came:f} {base}，转出{went:f} {base}（{share:.0%}），其中少的一方只计最大的{rule.few.whole}个。",
        text_en=f"{came:f} {base} came in and {went:f} {base} went out ({share:.0%}), of the narrow side counting the "
        f"{rule.few.whole} largest.",
    )
