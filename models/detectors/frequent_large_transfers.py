"""Frequent large transfers: many on one day, or one on every working day for days on end.

Source: PBOC Order 2006 No. 2: "frequent" is 3 times or more in one business day, or every business day for 3
days or more; "short term" is 10 business days or fewer; "large" is at or near the reporting limit.
"""

from bisect import insort
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

from msgspec import Struct, field

from models.detectors.amounts import counts, measure
from models.detectors.blocks import block_of, length_mark
from models.detectors.counterparties import Dealings, payee_of, suspicions
from models.events import PostReport, Transaction
from models.heightened import heightened_reasons, report_on
from models.policy import FrequentLargeTransfers as Rule
from models.policy import Policy, PolicyHistory
from models.risk_warning import MAX_EVIDENCE, Finding, Reason, Severity, Window, raised, severity_rank
from models.texts import DIRECTION_NAMES


class LargeTransfer(Struct, frozen=True, order=True):
    """One large transfer as kept for its windows; `payee` is the counterparty's identity."""

    time: datetime
    event_id: str
    payee: str = ""
    high_risk: bool = False
    watched: bool = False
    usual: bool = True  # large by the bank's own figure, not only by that after a report


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
        if event.method != "transfer" or not counts(event, policy.detectors.large_transaction):
            return ()
        measured = measure(event, policy)
        if not measured.reaches(times=_least(policy)):
            return ()
        usual = measured.reaches(times=policy.detectors.frequent_large_transfers.large_from.value)
        transfer = _large_transfer(event, payee, policy, usual=usual)
        insort(state.large.setdefault(f"{event.direction}|{day}", []), transfer)
        if not usual and report_on(day, policies) is None:
            return ()
        return self._findings(state, event.direction, (day, day), event.customer_id, event.event_time, policies)

    def rejudge(
        self, state: FrequentLargeTransfersState, event: PostReport, days: tuple[date, date], policies: PolicyHistory
    ) -> Iterator[Finding]:
        for direction in ("in", "out"):
            yield from self._findings(state, direction, days, event.customer_id or "", event.event_time, policies)

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
        direction: str,
        changed: tuple[date, date],
        customer_id: str,
        at: datetime,
        policies: PolicyHistory,
    ) -> Iterator[Finding]:
        """What the days from the first to the last that changed say, and the runs that hold any of them."""
        first, last = changed
        large = _large_days(state, direction, policies)

        def finding(anchor: str, runs: dict[date, tuple[date, ...]], reason: Reason) -> Finding:
            return _finding(state, large, f"customer:{customer_id}", anchor, runs, reason, at, policies)

        for day in (one for one in large if first <= one <= last):
            rule = policies.on(day).detectors.frequent_large_transfers
            if rule.mode != "off" and len(large[day]) >= rule.a_day.whole:
                reason = _same_day_reason(direction, day, len(large[day]), rule)
                yield finding(f"same_day|{direction}|{day}", {day: (day,)}, reason)
        # An event may be late, or a report: its days can complete the runs of days that follow them.
        touched = [
            one for one in large if one >= first and any(first <= day <= last for day in _run(one, large, policies))
        ]
        for block in dict.fromkeys(_block(closing, policies) for closing in touched):
            closed = {one: _run(one, large, policies) for one in large if _block(one, policies) == block}
            runs = {closing: run for closing, run in closed.items() if run}
            told = policies.on(max(runs)).detectors.frequent_large_transfers
            reason = _run_reason(direction, sorted(set().union(*runs.values())), told)
            yield finding(f"consecutive_days|{direction}|{block}", runs, reason)


def _finding(
    state: FrequentLargeTransfersState,
    large: dict[date, list[LargeTransfer]],
    subject: str,
    anchor: str,
    runs: dict[date, tuple[date, ...]],
    reason: Reason,
    at: datetime,
    policies: PolicyHistory,
) -> Finding:
    """The finding of windows, the days of each by the day that closes it, in order."""
    closings = {policies.on(closing).version: closing for closing in runs}
    graded: list[Severity] = []
    for closing in closings.values():
        policy = policies.on(closing)
        days = sorted({day for one, run in runs.items() if one <= closing for day in run})
        transfers = [(day, transfer) for day in days for transfer in large[day]]
        suspicious = suspicions(transfers, state.dealings, policy, policies)
        watched = any(one.code == "watch_list" for one in suspicious)
        severity = policy.detectors.frequent_large_transfers.severity
        graded.append(raised(severity, 2 if watched else 1 if suspicious else 0))
    # What the last version was shown is all there is.
    rule, calendar = policy.detectors.frequent_large_transfers, policy.bank_calendar
    return Finding(
        subject=subject,
        anchor=anchor,
        severity=max(graded, key=severity_rank),
        departments=rule.departments,
        reasons=(reason, *suspicious, *heightened_reasons(days, policies)),
        event_ids=tuple(transfer.event_id for _, transfer in transfers[:MAX_EVIDENCE]),
        event_count=len(transfers),
        window=Window(calendar.day_window(days[0])[0], calendar.day_window(days[-1])[1]),
        measures=rule.measures,
        event_time=at,
    )


def _least(policy: Policy) -> Decimal:
    """The share of the threshold from which a transfer may ever count as large."""
    usual, heightened = policy.detectors.frequent_large_transfers.large_from.value, policy.heightened
    return usual if heightened is None else min(usual, heightened.large_from.value)


def _window(policy: Policy) -> int:
    """Working days for which a large transfer can still matter."""
    rule = policy.detectors.frequent_large_transfers
    return rule.within.whole + rule.consecutive_days.whole


def _large_transfer(event: Transaction, payee: str, policy: Policy, *, usual: bool) -> LargeTransfer:
    other = event.counterparty
    return LargeTransfer(
        event.event_time,
        event.event_id,
        payee,
        high_risk=other is not None and other.country in policy.counterparties.high_risk_countries,
        watched=policy.watch_list.match(other) is not None,
        usual=usual,
    )


def _within(policy: Policy) -> int:
    return policy.detectors.frequent_large_transfers.within.whole


def _block(closing: date, policies: PolicyHistory) -> str:
    policy = policies.on(closing)
    year, number = block_of(policy.bank_calendar, closing, _within(policy))
    return f"{year}-{number:02d}{length_mark(_within, policy, policies)}"


def _large_days(
    state: FrequentLargeTransfersState, direction: str, policies: PolicyHistory
) -> dict[date, list[LargeTransfer]]:
    """The transfers of one direction that are large by the figures of their days, by day, in order."""
    found = {}
    for key in sorted(one for one in state.large if one.startswith(f"{direction}|")):
        day = date.fromisoformat(key.partition("|")[2])
        stricter = report_on(day, policies) is not None
        if transfers := [one for one in state.large[key] if one.usual or stricter]:
            found[day] = transfers
    return found


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
