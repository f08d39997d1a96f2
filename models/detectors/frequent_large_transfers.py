"""Frequent large transfers: many on one day, or one on every working day for days on end.

Source: PBOC Order 2006 No. 2: "frequent" is 3 times or more in one business day, or every business day for 3
days or more; "short term" is 10 business days or fewer; "large" is at or near the reporting limit.
"""

from bisect import insort
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta

from msgspec import Struct, field

from models.detectors.amounts import counts, measure
from models.detectors.blocks import block_of, length_mark
from models.detectors.counterparties import Dealings, payee_of, suspicions
from models.detectors.texts import DIRECTION_NAMES
from models.events import Transaction
from models.policy import FrequentLargeTransfers as Rule
from models.policy import Policy, PolicyHistory
from models.risk_warning import MAX_EVIDENCE, Finding, Reason, Severity, Window, raised, severity_rank


class LargeTransfer(Struct, frozen=True, order=True):
    """One large transfer as kept for its windows; `payee` is the counterparty's identity."""

    time: datetime
    event_id: str
    payee: str = ""
    high_risk: bool = False
    watched: bool = False


class FrequentLargeTransfersState(Struct):
    """Large transfers by `direction|day`, over at most `within` + `consecutive_days` working days and the
    lateness; dealings with each counterparty over `counterparties.new_after` days more."""

    large: dict[str, list[LargeTransfer]] = field(default_factory=dict)
    dealings: Dealings = field(default_factory=Dealings)


class FrequentLargeTransfers:
    """Two rules over large transfers of one customer and direction: `same_day` and `consecutive_days`.

    A run is judged by the figures of the day that closes it. The runs that close in one block of working days are one
    episode: as grave as the gravest version says of what had closed under it, told by the figures of the last of them.
    Days only fill up, and blocks are fixed in the calendar, so the same events give the same findings in any order.
    Non-working days count for `same_day` (a weekend burst must not escape) and neither break nor extend a run.
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
        rule, direction = policy.detectors.frequent_large_transfers, event.direction
        today = state.large[f"{direction}|{day}"]
        if rule.mode != "off" and len(today) >= rule.a_day.whole:
            reason = _same_day_reason(direction, day, len(today), rule)
            yield self._finding(state, event, f"same_day|{direction}|{day}", {day: (day,)}, reason, policies)
        days = _large_days(state, direction)
        # The event may be late: its day can complete the runs of days that follow it.
        touched = [closing for closing in days if closing >= day and day in _run(closing, days, policies)]
        for block in dict.fromkeys(_block(closing, policies) for closing in touched):
            closed = {one: _run(one, days, policies) for one in days if _block(one, policies) == block}
            runs = {closing: run for closing, run in closed.items() if run}
            last = policies.on(max(runs)).detectors.frequent_large_transfers
            reason = _run_reason(direction, sorted(set().union(*runs.values())), last)
            yield self._finding(state, event, f"consecutive_days|{direction}|{block}", runs, reason, policies)

    def _finding(
        self,
        state: FrequentLargeTransfersState,
        event: Transaction,
        anchor: str,
        runs: dict[date, tuple[date, ...]],
        reason: Reason,
        policies: PolicyHistory,
    ) -> Finding:
        """The finding of windows, the days of each by the day that closes it, in order."""
        closings = {policies.on(closing).version: closing for closing in runs}
        graded: list[Severity] = []
        for closing in closings.values():
            policy = policies.on(closing)
            days = sorted({day for one, run in runs.items() if one <= closing for day in run})
            transfers = [(day, transfer) for day in days for transfer in state.large[f"{event.direction}|{day}"]]
            suspicious = suspicions(transfers, state.dealings, policy, policies)
            watched = any(one.code == "watch_list" for one in suspicious)
            severity = policy.detectors.frequent_large_transfers.severity
            graded.append(raised(severity, 2 if watched else 1 if suspicious else 0))
        # What the last version was shown is all there is.
        rule, calendar = policy.detectors.frequent_large_transfers, policy.bank_calendar
        return Finding(
            subject=f"customer:{event.customer_id}",
            anchor=anchor,
            severity=max(graded, key=severity_rank),
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


def _within(policy: Policy) -> int:
    return policy.detectors.frequent_large_transfers.within.whole


def _block(closing: date, policies: PolicyHistory) -> str:
    policy = policies.on(closing)
    year, number = block_of(policy.bank_calendar, closing, _within(policy))
    return f"{year}-{number:02d}{length_mark(_within, policy, policies)}"


def _large_days(state: FrequentLargeTransfersState, direction: str) -> list[date]:
    keys = (key.partition("|") for key in state.large)
    return sorted(date.fromisoformat(day) for one, _, day in keys if one == direction)


def _run(closing: date, large: Collection[date], policies: PolicyHistory) -> tuple[date, ...]:
    """The working days that end with `closing`, as many as its own figures ask for and all of them with a large
    transfer; empty where these are too few, on a day off, and on a day on which the rule is off.
    """
    policy = policies.on(closing)
    rule, calendar = policy.detectors.frequent_large_transfers, policy.bank_calendar
    if rule.mode == "off" or not calendar.is_working_day(closing):
        return ()
    days = [closing]
    while days[-1] in large:
        if len(days) == rule.consecutive_days.whole:
            return tuple(reversed(days))
        days.append(calendar.previous_working_day(days[-1]))
    return ()


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


def _run_reason(direction: str, days: Sequence[date], rule: Rule) -> Reason:
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
