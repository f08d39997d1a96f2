"""scatter_gather: many new counterparties on one side, few on the other, and money that passes through."""

from datetime import date, timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from models import oracle
from models.detectors.scatter_gather import ScatterGather, ScatterGatherState
from models.events import Counterparty, Transaction
from models.pipeline import LocalPipeline
from models.policy import Policy, PolicyHistory
from models.risk_warning import RiskWarning
from tests.make import at, transaction

NAME = "scatter_gather"
DAY = date(2026, 3, 2)


def moved(
    event_id: str, day: date, amount: str, payee: str | None, direction: str = "in", **fields: Any
) -> Transaction:
    other = Counterparty(account_id=payee) if payee else None
    when = at(f"{day} 10:00")
    return transaction(event_id, when, amount, direction=direction, **({"counterparty": other} | fields))


def payers(count: int, amount: str = "20000", day: date = DAY, direction: str = "in") -> list[Transaction]:
    return [
        moved(f"{direction}{n}", day + timedelta(days=n % 3), amount, f"X{direction}{n}", direction)
        for n in range(count)
    ]


def out(amount: str, day: date = DAY + timedelta(days=3), name: str = "out", direction: str = "out") -> Transaction:
    return moved(name, day, amount, "BOSS", direction)


def warnings_of(policies: PolicyHistory, *events: Transaction) -> list[RiskWarning]:
    pipeline = LocalPipeline(policies)
    for event in events:
        pipeline.feed("transactions", event)
        pipeline.restart()
    found = {key: one for key, one in pipeline.warnings.items() if one.detector == NAME}
    expected = oracle.warnings(transactions=oracle.from_events(events), policies=policies)
    rows = expected.filter(expected["detector"] == NAME).iter_rows(named=True)
    assert {key: one.severity for key, one in found.items()} == {row["warning_id"]: row["severity"] for row in rows}
    return sorted(found.values(), key=lambda one: one.event_time)


def test_ten_new_payers_and_one_payee(policies: PolicyHistory) -> None:
    (one,) = warnings_of(policies, *payers(10), out("160000"))
    gather, passed = one.reasons
    assert (gather.code, gather.observed, gather.threshold) == ("gather", "10", "10")
    assert (passed.code, passed.observed, passed.threshold, passed.unit) == ("passed_on", "160000", "160000.00", "CNY")
    assert "200000 CNY came in and 160000 CNY went out (80%)" in passed.text_en
    assert (one.event_count, one.severity) == (11, "medium")


def test_the_reverse_is_scatter(policies: PolicyHistory) -> None:
    events = [out("200000", DAY - timedelta(days=1), "in", "in"), *payers(10, "16000", direction="out")]
    (one,) = warnings_of(policies, *events)
    assert one.reasons[0].code == "scatter"


@pytest.mark.parametrize(
    ("count", "amount", "gone"),
    [
        (9, "30000", "200000"),  # nine payers
        (10, "19999.99", "160000"),  # 199,999.90 came in
        (10, "20000", "159999.99"),  # 0.01 less than 80 % went out
        (10, "20000", None),  # nothing went out
    ],
)
def test_each_figure_is_reached_at_it(policies: PolicyHistory, count: int, amount: str, gone: str | None) -> None:
    assert not warnings_of(policies, *payers(count, amount), *([out(gone)] if gone else []))


def test_only_the_two_largest_payees_are_few(policies: PolicyHistory) -> None:
    def spread(*amounts: str) -> list[Transaction]:
        return [moved(f"o{n}", DAY + timedelta(days=3), one, f"B{n}", "out") for n, one in enumerate(amounts)]

    assert warnings_of(policies, *payers(10), *spread("80000", "80000"))
    assert not warnings_of(policies, *payers(10), *spread("60000", "60000", "60000"))
    # Cash and others of whom nothing is known count as one.
    cash = [moved(f"c{n}", DAY + timedelta(days=3), "40000", None, "out", method="cash") for n in range(4)]
    assert warnings_of(policies, *payers(10), *cash)


@pytest.mark.parametrize(("days", "found"), [(13, 1), (14, 0)])
def test_the_window_is_fourteen_days(policies: PolicyHistory, days: int, found: int) -> None:
    events = [moved(f"in{n}", DAY, "20000", f"X{n}") for n in range(10)]
    assert len(warnings_of(policies, *events, out("160000", DAY + timedelta(days=days)))) == found


@pytest.mark.parametrize(("days_before", "found"), [(14, 0), (43, 0), (44, 1)])
def test_whom_the_customer_knew_is_not_new(policies: PolicyHistory, days_before: int, found: int) -> None:
    # The window that ends with the last day begins on 20 February (14 days); 30 days are looked back from there.
    closing = DAY + timedelta(days=3)
    dealt = moved("old", closing - timedelta(days=days_before), "5", "Xin0", "out")
    assert len(warnings_of(policies, dealt, *payers(10), out("160000"))) == found


def test_a_shop_with_as_many_payers_as_ever_is_left_alone(policies: PolicyHistory) -> None:
    usual = [
        moved(f"u{n}", DAY - timedelta(days=20 + n), "20000", f"OLD{n}") for n in range(14)
    ]  # 14 in the look-back of 30 days are 6.5 in 14 days: 13.07 would be twice as many
    assert not warnings_of(policies, *usual[::-1], *payers(13), out("160000"))
    assert warnings_of(policies, *usual[::-1], *payers(14), out("160000"))


def test_without_amounts(policy: Policy) -> None:
    rule = replace(policy.detectors.scatter_gather, passed_on=None)
    blind = PolicyHistory(replace(policy, detectors=replace(policy.detectors, scatter_gather=rule)))
    (one,) = warnings_of(blind, *payers(10, "1"), out("1"))
    assert [reason.code for reason in one.reasons] == ["gather"]
    assert not warnings_of(blind, *payers(10, "1"))


@pytest.mark.parametrize(
    ("amount", "gone", "found"), [("20000", "160000.01", 0), ("20000.01", "160000", 0), ("20000.01", "160000.01", 1)]
)
def test_above_only(policy: Policy, amount: str, gone: str, found: int) -> None:
    rule = policy.detectors.scatter_gather
    assert rule.passed_on is not None
    rule = replace(rule, passed_on=replace(rule.passed_on, op=">"))
    strict = PolicyHistory(replace(policy, detectors=replace(policy.detectors, scatter_gather=rule)))
    assert len(warnings_of(strict, *payers(10, amount), out(gone))) == found


def test_other_currencies_are_summed_in_base_money(policies: PolicyHistory) -> None:
    # 10 x 2,817 USD at 7.10 are 200,007 CNY; 2,816 USD are 199,936.
    few, enough = ([replace(event, currency="USD") for event in payers(10, amount)] for amount in ("2816", "2817"))
    assert not warnings_of(policies, *few, out("160000"))
    assert "200007.00 CNY came in" in warnings_of(policies, *enough, out("160000"))[0].reasons[1].text_en


def test_exempt_and_bank_made_money_does_not_pass_through(policies: PolicyHistory) -> None:
    for fields in ({"purpose": "own_account_transfer"}, {"origin": "bank"}):
        gone = moved("out", DAY + timedelta(days=3), "160000", "BOSS", "out", **fields)
        assert not warnings_of(policies, *payers(10), gone)


def test_a_new_version_judges_its_own_days(policy: Policy) -> None:
    rule = policy.detectors.scatter_gather
    more = replace(rule, many_payers=replace(rule.many_payers, value=Decimal(11)))
    head = replace(policy.policy, version="cn-2026.2", valid_from=at(f"{DAY + timedelta(days=5)} 00:00"))
    later = replace(policy, policy=head, detectors=replace(policy.detectors, scatter_gather=more))
    both = PolicyHistory(policy, later)
    assert warnings_of(both, *payers(10), out("160000", DAY + timedelta(days=4)))
    assert not warnings_of(both, *payers(10), out("160000", DAY + timedelta(days=5)))
    # A late payer is judged by the figures of the day on which the window closes.
    assert not warnings_of(
        both, *payers(9), out("160000", DAY + timedelta(days=5)), moved("l", DAY + timedelta(days=3), "20000", "L")
    )


def test_any_order_within_the_lateness(policies: PolicyHistory) -> None:
    start, moves = payers(7), [*payers(10)[7:], out("160000")]
    found = {
        frozenset(one.warning_id for one in warnings_of(policies, *start, *order)) for order in permutations(moves)
    }
    assert len(found) == 1
    assert found != {frozenset()}


def test_state_stays_bounded(policies: PolicyHistory, policy: Policy) -> None:
    state, detector = ScatterGatherState(), ScatterGather()
    for day in range(300):
        for number in range(3):
            event = moved(f"e{day}-{number}", DAY + timedelta(days=day), "10", f"P{day}-{number}")
            list(detector.step(state, event, policy, policies))
        detector.expire(state, event.event_time - policy.lateness, policies)
        state = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=ScatterGatherState)
        assert sum(len(flows) for days in state.flows.values() for flows in days.values()) <= 3 * 33
        assert len(state.dealings.days) <= 3 * 64
        assert len(state.numbers["in"]) <= 64


steps = st.lists(
    st.tuples(
        st.integers(0, 70),
        st.sampled_from(["15000", "20000", "80000", "160000"]),
        st.sampled_from(["in", "in", "in", "out"]),
        st.integers(0, 11),
        st.sampled_from([None, "own_account_transfer"]),
        st.integers(0, 71),
    ),
    max_size=50,
)


@given(steps)
@settings(max_examples=60, deadline=None)
def test_stream_equals_oracle_under_lateness(policy: Policy, moves: list[tuple[Any, ...]]) -> None:
    few = replace(policy.detectors.scatter_gather.many_payers, value=Decimal(3))
    rule = replace(policy.detectors.scatter_gather, many_payers=few, many_payees=few)
    policies = PolicyHistory(replace(policy, detectors=replace(policy.detectors, scatter_gather=rule)))
    events = []
    for number, (day, amount, direction, payee, purpose, late) in enumerate(moves):
        other = None if payee == 11 else f"P{payee}"
        event = moved(f"e{number}", DAY + timedelta(days=day), amount, other, direction, purpose=purpose)
        events.append((event.event_time + timedelta(hours=late), event))
    warnings_of(policies, *(event for _, event in sorted(events, key=lambda one: one[0])))
