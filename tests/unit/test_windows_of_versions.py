"""Blocks and windows of versions that differ in length or lateness, and what of them must not hang on the arrival."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest
from msgspec.structs import replace

from models.detectors.large_transaction import LargeTransaction, LargeTransactionState
from models.detectors.scatter_gather import EPOCH
from models.events import Transaction
from models.policy import Policy, PolicyError, PolicyHistory
from models.risk_warning import MAX_EVIDENCE, RiskWarning, warning_id
from tests.make import at, transaction
from tests.rules import agreed, streamed, told

FREQUENT, STRUCTURING, SCATTER = "frequent_large_transfers", "structuring", "scatter_gather"


def version(policy: Policy, valid_from: str | date, name: str, late: int = 3, **fields: Any) -> Policy:
    """A version with other figures of one rule, and of how late events may come."""
    rule = getattr(policy.detectors, name)
    figures = {
        key: replace(getattr(rule, key), value=Decimal(value)) if isinstance(value, int) else value
        for key, value in fields.items()
    }
    head = replace(policy.policy, version=f"from {valid_from}", valid_from=at(f"{valid_from} 00:00"))
    events = replace(policy.events, lateness=replace(policy.events.lateness, value=Decimal(late)))
    detectors = replace(policy.detectors, **{name: replace(rule, **figures)})
    return replace(policy, policy=head, events=events, detectors=detectors)


def working_days(policy: Policy, *numbers: int) -> list[date]:
    """The so-manieth working days of 2026, the first being number 0."""
    days = (date(2026, 1, 1) + timedelta(days=n) for n in range(365))
    worked = [day for day in days if policy.bank_calendar.is_working_day(day)]
    return [worked[number] for number in numbers]


# ------------------------------------------------------------ blocks of other lengths


@pytest.mark.parametrize(
    ("name", "fields", "anchor"),
    [
        (FREQUENT, {"amount": "400000"}, "consecutive_days|out|2026-02"),
        (STRUCTURING, {"amount": "40000", "method": "cash"}, "cash|out|CNY|2026-02"),
    ],
)
def test_the_second_block_of_ten_and_of_twenty_days_are_two(
    policy: Policy, name: str, fields: dict[str, Any], anchor: str
) -> None:
    (switch,) = working_days(policy, 35)
    policies = PolicyHistory(version(policy, "2020-01-01", name), version(policy, switch, name, within=20))
    events = [transaction(f"e{day}", f"{day} 10:00", **fields) for day in working_days(policy, 21, 22, 23, 43, 44, 45)]
    found = agreed(policies, name, events)
    assert [one.event_count for one in found] == [3, 3]
    # Versions of one length have the names that they would have alone.
    assert [one.warning_id for one in found] == [
        warning_id(name, 1, "customer:C1", one) for one in (anchor, f"{anchor}/20")
    ]
    assert agreed(PolicyHistory(policy), name, events[:3])[0].warning_id == found[0].warning_id


def test_a_block_of_calendar_days_says_its_length_too(policy: Policy) -> None:
    later = version(policy, "2026-03-01", SCATTER, within=10)
    events = [*payers("a", 10, date(2026, 3, 2), "20000"), gone("a", date(2026, 3, 4))]
    for policies, name in (
        (PolicyHistory(policy, later), f"gather|{(date(2026, 3, 4) - EPOCH).days // 10}/10"),
        (PolicyHistory(version(policy, "2020-01-01", SCATTER, within=10)), "gather|2051"),
    ):
        (one,) = agreed(policies, SCATTER, events)
        assert one.warning_id == warning_id(SCATTER, 1, "customer:C1", name)


# --------------------------------------------------------------------- order of arrival


def payers(name: str, count: int, day: date, amount: str) -> list[Transaction]:
    return [
        transaction(f"{name}{n}", f"{day} 1{n}:00", amount, direction="in", payee=f"{name}{n}") for n in range(count)
    ]


def gone(name: str, day: date, **fields: Any) -> Transaction:
    return transaction(f"out-{name}", f"{day} 12:00", "160000", **({"payee": "BOSS"} | fields))


def in_any_order(
    policies: PolicyHistory, name: str, start: Sequence[Transaction], *groups: Sequence[Transaction]
) -> list[RiskWarning]:
    """The warnings, which the oracle must give too, the same in whatever order the groups come."""
    found = agreed(policies, name, [*start, *(one for group in groups for one in group)])
    expected = told({one.warning_id: one for one in found})
    for order in permutations(groups):
        events = [*start, *(one for group in order for one in group)]
        assert told(streamed(policies, name, events, restart=False)) == expected
    return found


@pytest.fixture
def three(policy: Policy) -> PolicyHistory:
    """Three payers are many; events may come twelve days late."""
    fields = {"many_payers": 3, "times_usual": 0}
    return PolicyHistory(version(policy, "2020-01-01", SCATTER, late=12, **fields))


def test_the_windows_of_a_block_are_one_episode_whichever_comes_last(three: PolicyHistory) -> None:
    """Five payers before 27 February, three others on 10 March: no window holds all of them, one block does."""
    groups = [gone("a", date(2026, 2, 27))], payers("b", 3, date(2026, 3, 10), "70000"), [gone("b", date(2026, 3, 10))]
    (one,) = in_any_order(three, SCATTER, payers("a", 5, date(2026, 2, 24), "50000"), *groups)
    assert (one.reasons[0].observed, one.event_count) == ("5", 10)
    assert (one.window.start, one.window.end) == (at("2026-02-14 00:00"), at("2026-03-11 00:00"))


def test_a_day_that_adds_nothing_closes_no_window(three: PolicyHistory) -> None:
    shopping = gone("shop", date(2026, 3, 12), direction="in", counterparty=None, method="cash")
    groups = [gone("a", date(2026, 3, 3))], [shopping]
    (one,) = in_any_order(three, SCATTER, payers("a", 3, date(2026, 3, 2), "70000"), *groups)
    assert (one.window.end, one.event_count) == (at("2026-03-04 00:00"), 4)


@pytest.mark.parametrize(("day", "severity"), [("09", "high"), ("07", "high"), ("06", "medium")])
def test_who_is_new_is_asked_of_days_that_are_over(policies: PolicyHistory, day: str, severity: str) -> None:
    """Events of the 7th may still be under way on the 10th: a small dealing then says nothing, early or late."""
    since = transaction("since", "2026-01-05 10:00", "1", payee="")
    small = transaction("small", f"2026-03-{day} 23:00", "1", payee="P1")
    large = [transaction(f"e{n}", f"2026-03-10 0{n}:00", "400000", payee=f"P{n % 2}") for n in range(3)]
    groups = ([since, small], large), ([since, large[0], small], large[1:])
    for start, rest in groups if day != "06" else groups[:1]:
        (one,) = agreed(policies, FREQUENT, [*start, *rest])
        assert one.severity == severity


def test_the_evidence_is_the_oldest_of_the_day(policies: PolicyHistory, policy: Policy) -> None:
    detector, state = LargeTransaction(), LargeTransactionState()
    events = [transaction(f"e{n}", at("2026-03-02 09:00") + timedelta(seconds=n), "500000") for n in range(501)]
    for event in reversed(events):
        (finding,) = detector.step(state, event, policy, policies)
    assert finding.event_ids == tuple(one.event_id for one in events[:MAX_EVIDENCE])
    assert finding.event_count == 501


# ---------------------------------------------------------------------------- lateness


def successors(policy: Policy) -> Iterator[tuple[Policy, str]]:
    yield version(policy, "2026-03-10", SCATTER, within=11), "scatter_gather.within 11, which must be at least 12"
    new = replace(policy.counterparties, new_after=replace(policy.counterparties.new_after, value=Decimal(11)))
    other = replace(version(policy, "2026-03-10", SCATTER), counterparties=new)
    yield other, "counterparties.new_after 11, which must be at least 12"


def test_late_events_of_the_version_before_must_not_reach_what_is_looked_back_on(policy: Policy) -> None:
    first = version(policy, "2020-01-01", SCATTER, late=10)
    for later, message in successors(policy):
        with pytest.raises(PolicyError, match=message):
            PolicyHistory(first, later)
        with pytest.raises(PolicyError, match=message):
            PolicyHistory(later, first)
        # What a later version allows is asked of its own days alone.
        assert PolicyHistory(
            replace(later, policy=replace(later.policy, valid_from=at("2019-01-01 00:00"))), first
        ).versions
    assert PolicyHistory(first, version(policy, "2026-03-10", SCATTER, within=12)).versions
