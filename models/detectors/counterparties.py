"""What makes counterparties suspicious: on a watch list, in a high-risk country, many, or brand new.

Source: the policy on linked posts, part 5(2)1, example: many large transfers in a short time and payees that
look odd.
"""

from bisect import bisect_left, insort
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Protocol

from msgspec import Struct, field

from models.detectors.settled import settled
from models.events import Transaction
from models.policy import Policy, PolicyHistory
from models.risk_warning import Reason


class Transfer(Protocol):
    """What is asked of a transfer kept as evidence."""

    @property
    def payee(self) -> str: ...
    @property
    def high_risk(self) -> bool: ...
    @property
    def watched(self) -> bool: ...


def payee_of(event: Transaction) -> str:
    """The identity of a transaction's counterparty; empty where nothing is known of it."""
    return (event.counterparty.identity if event.counterparty else None) or ""


class Dealings(Struct):
    """On which days a customer dealt with whom. `since` is its first day ever."""

    since: date | None = None
    days: dict[str, list[date]] = field(default_factory=dict)

    def note(self, payee: str, day: date) -> None:
        """Take in one transaction of any kind with this counterparty ("" when it is not known)."""
        if self.since is None or day < self.since:
            self.since = day
        if not payee:
            return
        days = self.days.setdefault(payee, [])
        if not days or days[-1] < day:
            days.append(day)
        elif day not in days:
            insort(days, day)

    def is_new(self, payee: str, day: date, after: timedelta, until: date) -> bool:
        """Whether `payee` had no dealing in the days before `day`, with a customer known for that long.

        Args:
            after: for how long there was none.
            until: dealings from this day on say nothing, since late events may still add to them: `settled`.
        """
        if self.since is None or self.since > day - after:
            return False
        days = self.days.get(payee, [])
        index = bisect_left(days, until)
        return index == 0 or days[index - 1] < day - after

    def forget(self, before: date) -> None:
        """Drop dealings older than `before`."""
        for payee, days in list(self.days.items()):
            if days[0] < before:
                kept = [day for day in days if day >= before]
                if kept:
                    self.days[payee] = kept
                else:
                    del self.days[payee]


def suspicions(
    transfers: Sequence[tuple[date, Transfer]], dealings: Dealings, policy: Policy, policies: PolicyHistory
) -> tuple[Reason, ...]:
    """The reasons, if any, why the counterparties of these transfers look odd; graver ones first.

    Args:
        policy: by whose figures they are judged.
    """
    rule, after_days = policy.detectors.frequent_large_transfers, policy.counterparties.new_after.whole
    watched = sum(transfer.watched for _, transfer in transfers)
    risky = sum(transfer.high_risk for _, transfer in transfers)
    payees = {transfer.payee for _, transfer in transfers if transfer.payee}
    after = timedelta(days=after_days)
    until = {day: settled(day, policies) for day in {day for day, _ in transfers}}
    new = {one.payee for day, one in transfers if one.payee and dealings.is_new(one.payee, day, after, until[day])}
    many, new_from = rule.many_payees.whole, rule.new_payees.whole
    reasons = []
    if watched:
        reasons.append(
            Reason(
                code="watch_list",
                observed=str(watched),
                threshold="1",
                unit="transfers",
                text_zh=f"其中{watched}笔的交易对手在监控名单上。",
                text_en=f"{watched} of them are with a counterparty on the watch list.",
            )
        )
    if risky:
        reasons.append(
            Reason(
                code="high_risk_country",
                observed=str(risky),
                threshold="1",
                unit="transfers",
                text_zh=f"其中{risky}笔的交易对手位于高风险国家或地区。",
                text_en=f"{risky} of them are with a counterparty in a high-risk country.",
            )
        )
    if len(payees) >= many:
        reasons.append(
            Reason(
                code="many_payees",
                observed=str(len(payees)),
                threshold=str(many),
                unit="counterparties",
                text_zh=f"涉及{len(payees)}个不同的交易对手，达到{many}个。",
                text_en=f"They are spread over {len(payees)} counterparties; {many} or more are many.",
            )
        )
    if len(new) >= new_from:
        reasons.append(
            Reason(
                code="new_payees",
                observed=str(len(new)),
                threshold=str(new_from),
                unit="counterparties",
                text_zh=f"其中{len(new)}个交易对手在此前{after_days}天内没有往来。",
                text_en=f"{len(new)} counterparties had no dealing in the {after_days} days before.",
            )
        )
    return tuple(reasons)
