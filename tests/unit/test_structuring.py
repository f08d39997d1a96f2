"""structuring: amounts just below the reporting threshold whose sum passes it, inside ten working days."""

from datetime import date, timedelta
from decimal import ROUND_DOWN, Decimal
from itertools import permutations
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from models.detectors.structuring import Structuring, StructuringState
from models.events import Transaction
from models.policy import Policy, PolicyHistory
from models.reference import Rate
from models.risk_warning import RiskWarning
from tests.make import at, transaction
from tests.rules import agreed, streamed, told

NAME = "structuring"


def cash(event_id: str, when: str, amount: str, **fields: Any) -> Transaction:
    """Cash of ¥`amount`; ¥50,000 are reported, from ¥40,000 they are near."""
    return transaction(event_id, when, amount, **({"method": "cash", "payee": None} | fields))


def with_rule(policy: Policy, **fields: Any) -> Policy:
    """The policy with other figures (given as text) or settings in the rule."""
    rule = policy.detectors.structuring
    changed = {
        name: replace(getattr(rule, name), value=Decimal(value))
        if name in ("near_from", "at_least", "within")
        else value
        for name, value in fields.items()
    }
    return replace(policy, detectors=replace(policy.detectors, structuring=replace(rule, **changed)))


def with_cash_op(policy: Policy, op: str) -> Policy:
    rules = policy.detectors.large_transaction
    changed = replace(rules, cash=replace(rules.cash, op=op))
    return replace(policy, detectors=replace(policy.detectors, large_transaction=changed))


def from_day(policy: Policy, day: str) -> Policy:
    return replace(policy, policy=replace(policy.policy, version=f"from {day}", valid_from=at(f"{day} 00:00")))


def dollar(day: str, rate: str) -> Rate:
    return Rate(currency="USD", as_of=date.fromisoformat(day), rate=Decimal(rate), source="test")


def warnings_of(policies: PolicyHistory, *events: Transaction) -> list[RiskWarning]:
    return agreed(policies, NAME, events)


def test_two_amounts_just_below_it(policies: PolicyHistory) -> None:
    (one,) = warnings_of(policies, cash("a", "2026-03-02 10:00", "40000"), cash("b", "2026-03-03 10:00", "49999.99"))
    assert [(reason.code, reason.observed, reason.threshold) for reason in one.reasons] == [
        ("near_threshold_sum", "89999.99", "50000"),
        ("near_threshold_count", "2", "2"),
    ]
    assert (one.event_ids, one.severity, one.departments) == (("a", "b"), "medium", ("operations",))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("39999.99", "49999.99"),  # not near: 0.01 below 80 %
        ("40000", "50000"),  # not below: at the threshold it is reported by itself
        ("40000", "50000.01"),
    ],
)
def test_what_is_not_near_does_not_count(policies: PolicyHistory, first: str, second: str) -> None:
    assert not warnings_of(policies, cash("a", "2026-03-02 10:00", first), cash("b", "2026-03-03 10:00", second))


def test_one_alone_is_no_pattern(policies: PolicyHistory) -> None:
    assert not warnings_of(policies, cash("a", "2026-03-02 10:00", "49999.99"))


@pytest.mark.parametrize(
    "fields",
    [{"direction": "in"}, {"origin": "bank"}, {"purpose": "own_account_transfer"}, {"customer_id": "C2"}],
)
def test_only_alike_amounts_of_one_customer_are_summed(policies: PolicyHistory, fields: dict[str, Any]) -> None:
    other = cash("b", "2026-03-03 10:00", "45000", **fields)
    assert not warnings_of(policies, cash("a", "2026-03-02 10:00", "45000"), other)


@pytest.mark.parametrize(
    ("second", "found"),
    [
        ("2026-03-13 23:59", 1),  # the tenth working day from Monday 2 March
        ("2026-03-14 10:00", 1),  # a Saturday comes on top of the ten
        ("2026-03-16 00:00", 0),  # the eleventh
    ],
)
def test_the_window_is_ten_working_days(policies: PolicyHistory, second: str, found: int) -> None:
    events = cash("a", "2026-03-02 00:00", "45000"), cash("b", second, "45000")
    assert len(warnings_of(policies, *events)) == found


def test_over_the_spring_festival_and_the_years_end(policies: PolicyHistory) -> None:
    # 14 February 2026 is a make-up Saturday; the 15th to the 23rd are off.
    assert warnings_of(policies, cash("a", "2026-02-13 10:00", "45000"), cash("b", "2026-03-03 10:00", "45000"))
    assert warnings_of(policies, cash("a", "2025-12-31 23:59", "45000"), cash("b", "2026-01-02 10:00", "45000"))


def test_foreign_money_is_held_against_the_foreign_threshold(policies: PolicyHistory) -> None:
    # 1,100,000 yen are 52,800 CNY or 7,436 USD: below 80 % of 10,000 USD; 1,200,000 are 8,112 USD.
    few = [cash(name, f"2026-03-0{n} 10:00", "1100000", currency="JPY") for n, name in ((2, "a"), (3, "b"))]
    assert not warnings_of(policies, *few)
    (one,) = warnings_of(policies, *(replace(event, amount=Decimal(1_200_000)) for event in few))
    assert (one.reasons[0].unit, one.reasons[0].threshold) == ("USD", "10000")


def test_above_only(policy: Policy) -> None:
    """Where only what is above the threshold is reported, the threshold itself is still near it."""
    policies = PolicyHistory(with_cash_op(policy, ">"))
    (one,) = warnings_of(policies, cash("a", "2026-03-02 10:00", "50000"), cash("b", "2026-03-03 10:00", "40000"))
    assert (
        "none of them above the reporting threshold of 50000 CNY but each at least 80% of it" in one.reasons[0].text_en
    )
    assert "2笔，单笔均未超过报告标准50000 CNY而不低于其80%，合计90000 CNY，超过该标准" in one.reasons[0].text_zh
    assert not warnings_of(policies, cash("a", "2026-03-02 10:00", "50000.01"), cash("b", "2026-03-03 10:00", "40000"))


@pytest.mark.parametrize(
    ("op", "second", "found"),
    [(">=", "29999.99", 0), (">=", "30000", 1), (">", "30000", 0), (">", "30000.01", 1)],
)
def test_the_sum_must_reach_the_threshold(policy: Policy, op: str, second: str, found: int) -> None:
    policies = PolicyHistory(with_cash_op(with_rule(policy, near_from="0.4"), op))
    events = cash("a", "2026-03-02 10:00", "20000"), cash("b", "2026-03-03 10:00", second)
    assert len(warnings_of(policies, *events)) == found


@pytest.mark.parametrize(("count", "found"), [(2, 0), (3, 1)])
def test_so_many_are_needed(policy: Policy, count: int, found: int) -> None:
    events = [cash(f"e{n}", f"2026-03-02 1{n}:00", "45000") for n in range(count)]
    assert len(warnings_of(PolicyHistory(with_rule(policy, at_least="3")), *events)) == found


def test_a_new_version_judges_its_own_days(policy: Policy) -> None:
    policies = PolicyHistory(policy, from_day(with_rule(policy, at_least="3"), "2026-03-04"))
    two = [cash("a", "2026-03-02 10:00", "45000"), cash("b", "2026-03-03 10:00", "45000")]
    assert [one.policy_version for one in warnings_of(policies, *two)] == ["cn-2026.1"]
    moved = [two[0], cash("b", "2026-03-04 10:00", "45000")]
    assert warnings_of(policies, *moved) == []
    assert warnings_of(policies, *moved, cash("c", "2026-03-04 11:00", "45000"))


def test_the_gravest_version_of_a_block_counts_in_any_order(policy: Policy) -> None:
    policies = PolicyHistory(
        with_rule(policy, severity="high"), from_day(with_rule(policy, severity="low"), "2026-03-04")
    )
    events = [cash("a", "2026-03-02 10:00", "45000"), cash("b", "2026-03-03 10:00", "45000")]
    events.append(cash("c", "2026-03-04 10:00", "45000"))
    for order in permutations(events):
        (one,) = warnings_of(policies, *order)
        assert one.severity == "high"


def test_days_on_which_the_rule_is_off_close_no_window(policy: Policy) -> None:
    off = from_day(with_rule(policy, mode="off"), "2026-03-03")
    policies = PolicyHistory(policy, off, from_day(policy, "2026-03-05"))
    two = [cash("a", "2026-03-02 10:00", "45000"), cash("b", "2026-03-03 10:00", "45000")]
    assert not warnings_of(policies, *two)
    assert not warnings_of(policies, *reversed(two))
    (one,) = warnings_of(policies, *two, cash("c", "2026-03-05 10:00", "45000"))
    assert one.event_ids == ("a", "b", "c")


def test_the_rate_of_the_day_that_closes_the_window_is_told(policy: Policy) -> None:
    """Whatever order the events come in."""
    policies = PolicyHistory(policy, rates=[dollar("2026-03-03", "8")])
    events = [
        cash("a", "2026-03-02 10:00", "9000", currency="USD"),
        cash("b", "2026-03-03 10:00", "9000", currency="USD"),
    ]
    # 9,000 dollars at 7.10 are worth 7,987.5 at 8.
    for order in permutations(events):
        (one,) = warnings_of(policies, *order)
        assert (one.reasons[0].observed, one.reasons[0].threshold) == ("16987.5", "10000")


def test_any_order_of_arrival_gives_the_same(policies: PolicyHistory) -> None:
    # 5 March 2026 is the first day of another block of ten working days: windows of these close in two of them.
    days = ("2026-03-03", "2026-03-04", "2026-03-05", "2026-03-05")
    events = [cash(f"e{n}", f"{day} 1{n}:00", "45000") for n, day in enumerate(days)]
    expected = {one.warning_id: one for one in warnings_of(policies, *events)}
    assert len(expected) == 2
    for order in permutations(events):
        assert told(streamed(policies, NAME, order)) == told(expected)


def test_state_survives_bytes_and_stays_bounded(policies: PolicyHistory, policy: Policy) -> None:
    state, detector = StructuringState(), Structuring()
    for day in range(3 * 365):
        event = replace(
            cash(f"e{day}", "2026-01-02 10:00", "45000"), event_time=at("2026-01-02 10:00") + timedelta(days=day)
        )
        detector.expire(state, event.event_time - policy.lateness, policies)
        list(detector.step(state, event, policy, policies))
        state = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=StructuringState)
        # 20 working days, at most 16 days off among them, and the lateness.
        assert sum(map(len, state.near.values())) <= 40
    detector.expire(state, at("2030-01-02 10:00"), policies)
    assert state == StructuringState()


START = at("2025-12-22 00:00")
moves = st.lists(
    st.tuples(
        st.integers(0, 6 * 70),
        st.sampled_from(["40000", "45000", "49999.99", "50000", "39999.99"]),
        st.sampled_from(["CNY", "CNY", "USD", "JPY"]),
        st.integers(0, 71),
    ),
    max_size=20,
)


@given(moves)
@settings(max_examples=40, deadline=None)
def test_stream_equals_oracle_under_lateness(policy: Policy, steps: list[tuple[int, str, str, int]]) -> None:
    later = with_cash_op(with_rule(policy, within="7", at_least="3", severity="high"), ">")
    rates = [dollar("2026-01-05", "7.3"), dollar("2026-01-20", "6.9")]
    policies = PolicyHistory(policy, from_day(later, "2026-01-14"), rates=rates)
    units = {"CNY": ("1", "0.01"), "USD": ("0.2", "0.01"), "JPY": ("30", "1")}
    arrivals = []
    for number, (when, amount, currency, late) in enumerate(steps):
        times, smallest = map(Decimal, units[currency])
        value = (Decimal(amount) * times).quantize(smallest, rounding=ROUND_DOWN)
        event = cash(f"e{number}", "2026-01-01 00:00", str(value), currency=currency)
        arrivals.append((4 * when + late, replace(event, event_time=START + timedelta(hours=4 * when))))
    in_order = streamed(policies, NAME, sorted((event for _, event in arrivals), key=lambda one: one.event_time))
    late_ones = warnings_of(policies, *(event for _, event in sorted(arrivals, key=lambda one: one[0])))
    assert told({one.warning_id: one for one in late_ones}) == told(in_order)
