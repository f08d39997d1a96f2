"""Frequent large transfers: many on one day, or one on every working day for days on end.

Source: PBOC Order 2006 No. 2: "frequent" is 3 times or more in one business day, or every business day for 3
days or more; "short term" is 10 business days or fewer; "large" is at or near the reporting limit.
"""

from bisect import insort
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, timedelta

from msgspec import Struct, field

from models.calendar import BankCalendar
from models.detectors.amounts import counts, measure
from models.detectors.blocks import block_days, block_of
from models.detectors.counterparties import Dealings, payee_of, suspicions
from models.detectors.texts import DIRECTION_NAMES
from models.events import Transaction
from models.policy import FrequentLargeTransfers as Rule
from models.policy import Policy, PolicyHistory
from models.risk_warning import MAX_EVIDENCE, Finding, Reason, Window, raised


class LargeTransfer(Struct, frozen=True, order=True):
    """One large transfer as kept for its windows; `payee` is the counterparty's identity."""

    time: datetime
    event_id: str
    payee: str = ""
    high_risk: bool = False
    watched: bool = False


class FrequentLargeTransfersState(Struct):
    """Large transfers by `direction|day`, over at most `within` + `consecutive_days` working days and the
    lateness; dealings with each counterparty over `new_payee_after` days more."""

    large: dict[str, list[LargeTransfer]] = field(default_factory=dict)
    dealings: Dealings = field(default_factory=Dealings)


class FrequentLargeTransfers:
    """Two rules over large transfers of one customer and direction: `same_day` and `consecutive_days`.

    Days only fill up, and blocks of working days are fixed in the calendar, so the same events give the same
    findings in any order. Non-working days count for `same_day` (a weekend burst must not escape) and neither
    break nor extend a run of working days.
    """

    id = "frequent_large_transfers"
    version = 1
    consumes = Transaction
    state_type = FrequentLargeTransfersState

    def rule(self, policy: Policy) -> Rule:
        return policy.detectors.frequent_large_transfers

    def step(
        self, state: FrequentLargeTransfersState, event: Transaction, policy: Policy, policies: PolicyHistory
    ) -> Iterable[Finding]:
        if event.origin != "customer":
            return ()
        day = policy.bank_calendar.day_of(event.event_time)
        payee = payee_of(event)
        state.dealings.note(payee, day)
        rule = policy.detectors.frequent_large_transfers
        if event.method != "transfer" or not counts(event, policy.detectors.large_transaction):
            return ()
        measured = measure(event, policy)
        if not measured.reaches(times=rule.large_from.value):
            return ()
        insort(state.large.setdefault(f"{event.direction}|{day}", []), _large_transfer(event, payee, policy))
        return self._findings(state, event, day, policy, policies)

    def expire(self, state: FrequentLargeTransfersState, before: datetime, policies: PolicyHistory) -> None:
        calendar = policies.latest.bank_calendar
        oldest = calendar.day_of(before)
        for _ in range(policies.longest(_window)):
            oldest = calendar.previous_working_day(oldest)
        if any(key.partition("|")[2] < str(oldest) for key in state.large):
            state.large = {key: day for key, day in state.large.items() if key.partition("|")[2] >= str(oldest)}
        state.dealings.forget(oldest - timedelta(days=policies.longest(lambda one: one.counterparties.new_after.whole)))

    def _findings(
        self,
        state: FrequentLargeTransfersState,
        event: Transaction,
        day: date,
        policy: Policy,
        policies: PolicyHistory,
    ) -> Iterator[Finding]:
        rule, calendar = policy.detectors.frequent_large_transfers, policy.bank_calendar
        direction = event.direction
        today = state.large[f"{direction}|{day}"]
        if len(today) >= rule.a_day.whole:
            reason = _same_day_reason(direction, day, len(today), rule)
            yield self._finding(state, event, policy, f"same_day|{direction}|{day}", (day,), reason)
        if not calendar.is_working_day(day):
            return

        def has_large(one: date) -> bool:
            return f"{direction}|{one}" in state.large

        # This day can complete a run for itself and for the working days that follow it (it may be late).
        following = day
        blocks: dict[tuple[int, int], Policy] = {}
        for _ in range(policies.longest(lambda one: one.detectors.frequent_large_transfers.consecutive_days.whole)):
            closing = policies.on(following)
            length = closing.detectors.frequent_large_transfers.consecutive_days.whole
            if qualifies(calendar, following, length, has_large):
                within = closing.detectors.frequent_large_transfers.within.whole
                blocks.setdefault(block_of(calendar, following, within), closing)
            following = calendar.next_working_day(following)
        for (year, number), closing in blocks.items():
            days = run_days(calendar, (year, number), closing.detectors.frequent_large_transfers, has_large)
            reason = _run_reason(direction, days, closing.detectors.frequent_large_transfers)
            anchor = f"consecutive_days|{direction}|{year}-{number:02d}"
            yield self._finding(state, event, closing, anchor, days, reason)

    def _finding(
        self,
        state: FrequentLargeTransfersState,
        event: Transaction,
        policy: Policy,
        anchor: str,
        days: tuple[date, ...],
        reason: Reason,
    ) -> Finding:
        rule, calendar = policy.detectors.frequent_large_transfers, policy.bank_calendar
        transfers = [(day, transfer) for day in days for transfer in state.large[f"{event.direction}|{day}"]]
        suspicious = suspicions(transfers, state.dealings, policy)
        watched = any(one.code == "watch_list" for one in suspicious)
        return Finding(
            subject=f"customer:{event.customer_id}",
            anchor=anchor,
            severity=raised(rule.severity, 2 if watched else 1 if suspicious else 0),
            departments=rule.departments,
            reasons=(reason, *suspicious),
            event_ids=tuple(transfer.event_id for _, transfer in transfers[:MAX_EVIDENCE]),
            event_count=len(transfers),
            window=Window(calendar.day_window(days[0])[0], calendar.day_window(days[-1])[1]),
            measures=rule.measures,
            event_time=event.event_time,
        )


def _window(policy: Policy) -> int:
    """Working days for which a large transfer can still matter."""
    rule = policy.detectors.frequent_large_transfers
    return rule.within.whole + rule.consecutive_days.whole


def _large_transfer(event: Transaction, payee: str, policy: Policy) -> LargeTransfer:
    other = event.counterparty
    return LargeTransfer(
        event.event_time,
        event.event_id,
        payee,
        high_risk=other is not None and other.country in policy.counterparties.high_risk_countries,
        watched=policy.watch_list.match(other) is not None,
    )


def qualifies(calendar: BankCalendar, day: date, length: int, has_large: Callable[[date], bool]) -> bool:
    """Whether a working day and the `length` - 1 working days before it all have a large transfer."""
    for _ in range(length - 1):
        if not has_large(day):
            return False
        day = calendar.previous_working_day(day)
    return has_large(day)


def run_days(
    calendar: BankCalendar, block: tuple[int, int], rule: Rule, has_large: Callable[[date], bool]
) -> tuple[date, ...]:
    """The working days that make the block's runs: each day that qualifies and those before it that it needs."""
    length = rule.consecutive_days.whole
    days: set[date] = set()
    for day in block_days(calendar, block, rule.within.whole):
        if qualifies(calendar, day, length, has_large):
            for _ in range(length):
                days.add(day)
                day = calendar.previous_working_day(day)
    return tuple(sorted(days))


def _same_day_reason(direction: str, day: date, count: int, rule: Rule) -> Reason:
    direction_zh, direction_en = DIRECTION_NAMES[direction]
    return Reason(
        code="transfers_in_a_day",
        observed=str(count),
        threshold=str(rule.a_day.whole),
        unit="transfers",
        text_zh=f"{day}当日大额转账{direction_zh}{count}笔，达到频繁标准{rule.a_day.whole}笔。",
        text_en=f"{count} large transfers {direction_en} on {day}; {rule.a_day.whole} or more in a day are frequent.",
    )


def _run_reason(direction: str, days: tuple[date, ...], rule: Rule) -> Reason:
    direction_zh, direction_en = DIRECTION_NAMES[direction]
    needed = rule.consecutive_days.whole
    return Reason(
        code="consecutive_days",
        observed=str(len(days)),
        threshold=str(needed),
        unit="working days",
        text_zh=f"{days[0]}至{days[-1]}有{len(days)}个工作日连续发生大额转账{direction_zh}，达到频繁标准{needed}个工作日。",
        text_en=f"Large transfers {direction_en} on {len(days)} working days in runs "
        f"between {days[0]} and {days[-1]}; {needed} in a row or more are frequent.",
    )
