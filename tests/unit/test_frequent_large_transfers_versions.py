"""frequent_large_transfers while a block of ten working days spans two versions, in every order of arrival."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest
from msgspec.structs import replace

from models.events import Transaction
from models.policy import Policy, PolicyHistory
from models.risk_warning import RiskWarning
from tests.make import at, transaction
from tests.rules import agreed, streamed, told

NAME = "frequent_large_transfers"


def version(policy: Policy, valid_from: str, **fields: Any) -> Policy:
    """A version with other figures of the rule, under which events may come ten days late."""
    rule = policy.detectors.frequent_large_transfers
    for name, value in fields.items():
        changed = replace(getattr(rule, name), value=Decimal(value)) if isinstance(value, int) else value
        rule = replace(rule, **{name: changed})
    lateness = replace(policy.events.lateness, value=Decimal(10))
    head = replace(policy.policy, version=f"from {valid_from}", valid_from=at(f"{valid_from} 00:00"))
    detectors = replace(policy.detectors, frequent_large_transfers=rule)
    return replace(policy, policy=head, events=replace(policy.events, lateness=lateness), detectors=detectors)


def switched(policy: Policy, before: dict[str, Any], after: dict[str, Any]) -> PolicyHistory:
    """A switch on 10 March 2026, the fourth working day of the block from the 5th to the 18th."""
    return PolicyHistory(version(policy, "2020-01-01", **before), version(policy, "2026-03-10", **after))


def on(*days: str) -> list[Transaction]:
    return [transaction(f"e{day}", f"2026-03-{day} 10:00", "400000", payee=f"P{day}") for day in days]


def in_any_order(policies: PolicyHistory, events: Sequence[Transaction]) -> list[RiskWarning]:
    """The warnings, the same in every order of arrival, as the oracle has them."""
    found = agreed(policies, NAME, events)
    expected = told({one.warning_id: one for one in found})
    for order in permutations(events):
        assert told(streamed(policies, NAME, order, restart=False)) == expected
    return found


FOUR, FIVE = ("05", "06", "09", "10"), ("05", "06", "09", "10", "11")
LOW, HIGH = {"severity": "low"}, {"severity": "high"}


@pytest.mark.parametrize(
    ("before", "after", "days", "severity", "reason", "end"),
    [
        # Two days are enough from the 10th on: the run of the 9th and 10th is judged by the new figures, the one that
        # the 9th closed by the old; told by the new.
        ({}, HIGH | {"consecutive_days": 2}, FOUR, "high", ("4", "2"), "11"),
        (HIGH, LOW | {"consecutive_days": 2}, FOUR, "high", ("4", "2"), "11"),
        # Five are needed from the 10th on: what the 9th closed stands, and the 10th closes nothing.
        ({}, HIGH | {"consecutive_days": 5}, FOUR, "medium", ("3", "3"), "10"),
        ({}, HIGH | {"consecutive_days": 5, "many_payees": 6}, FIVE, "high", ("5", "5"), "12"),
        # A version that is switched off closes nothing, and takes nothing back.
        ({}, HIGH | {"mode": "off"}, FOUR, "medium", ("3", "3"), "10"),
        # What makes counterparties odd is asked of each version about what had closed under it by then.
        (LOW, LOW | {"many_payees": 4}, FOUR, "medium", ("4", "3"), "11"),
        (LOW | {"many_payees": 3}, LOW, FOUR, "medium", ("4", "3"), "11"),
        (LOW | {"many_payees": 4}, LOW, FOUR, "low", ("4", "3"), "11"),
    ],
)
def test_a_block_that_spans_two_versions(
    policy: Policy,
    before: dict[str, Any],
    after: dict[str, Any],
    days: tuple[str, ...],
    severity: str,
    reason: tuple[str, str],
    end: str,
) -> None:
    (one,) = in_any_order(switched(policy, before, after), on(*days))
    assert (one.severity, one.window.end) == (severity, at(f"2026-03-{end} 00:00"))
    assert (one.reasons[0].observed, one.reasons[0].threshold) == reason


def test_departments_and_measures_are_those_of_the_last_closing_day(policy: Policy) -> None:
    after = {"departments": ("credit",), "measures": ("verify_identity",), "severity": "low"}
    policies = switched(policy, {"severity": "high"}, after)
    (one,) = in_any_order(policies, on("05", "06", "09"))
    assert (one.severity, one.departments) == ("high", ("operations", "risk"))
    (one,) = in_any_order(policies, on("05", "06", "09", "10"))
    assert (one.severity, one.departments, one.measures) == ("high", ("credit",), ("verify_identity",))


def test_blocks_of_another_length_are_other_episodes(policy: Policy) -> None:
    # 5 March is the 41st working day: block 4 of ten; the 10th the 44th, block 2 of twenty.
    policies = switched(policy, {}, {"within": 20, "severity": "high"})
    first, second = in_any_order(policies, on("05", "06", "09", "10"))
    assert sorted([first.severity, second.severity]) == ["high", "medium"]
    assert {one.window.end for one in (first, second)} == {at("2026-03-10 00:00"), at("2026-03-11 00:00")}
    assert [one.event_count for one in (first, second)] == [3, 3]
