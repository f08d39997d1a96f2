"""dormant_reactivation: a customer silent for a year, then large flows."""

from datetime import date, timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from models.detectors.dormant_reactivation import DormantReactivation, DormantReactivationState
from models.events import Transaction
from models.policy import Policy, PolicyHistory
from models.reference import Rate
from models.risk_warning import RiskWarning
from tests.make import at, transaction
from tests.rules import agreed, streamed, told

NAME = "dormant_reactivation"
AWAKE = date(2026, 3, 2)
LARGE = "500000"  # a person's domestic threshold


def on(event_id: str, day: date, amount: str, **fields: Any) -> Transaction:
    return transaction(event_id, at(f"{day} 10:00"), amount, **fields)


def days_on(event_id: str, after: int, amount: str, **fields: Any) -> Transaction:
    """So many days after the awakening."""
    return on(event_id, AWAKE + timedelta(days=after), amount, **fields)


OLD = on("old", date(2024, 1, 2), "10")


def with_rule(policy: Policy, **fields: Any) -> Policy:
    """The policy with other figures (given as text) or settings in the rule."""
    rule, figures = policy.detectors.dormant_reactivation, ("dormant_after", "watch", "flow_from")
    changed = {
        name: replace(getattr(rule, name), value=Decimal(value)) if name in figures else value
        for name, value in fields.items()
    }
    return replace(policy, detectors=replace(policy.detectors, dormant_reactivation=replace(rule, **changed)))


def with_domestic(policy: Policy, op: str) -> Policy:
    rules = policy.detectors.large_transaction
    changed = replace(rules, person_domestic=replace(rules.person_domestic, op=op))
    return replace(policy, detectors=replace(policy.detectors, large_transaction=changed))


def from_day(policy: Policy, day: date) -> Policy:
    return replace(policy, policy=replace(policy.policy, version=f"from {day}", valid_from=at(f"{day} 00:00")))


def warnings_of(policies: PolicyHistory, *events: Transaction) -> list[RiskWarning]:
    return agreed(policies, NAME, events)


@pytest.mark.parametrize(("silent", "found"), [(363, 0), (364, 0), (365, 1), (366, 1), (2000, 1)])
def test_a_year_of_silence(policies: PolicyHistory, silent: int, found: int) -> None:
    last = AWAKE - timedelta(days=silent + 1)
    warnings = warnings_of(policies, on("old", last, "10"), on("e1", AWAKE, LARGE))
    assert len(warnings) == found
    for one in warnings:
        (reason,) = one.reasons
        assert (reason.code, reason.observed, reason.threshold, reason.unit) == (
            "dormant_then_flows",
            LARGE,
            LARGE,
            "CNY",
        )
        assert reason.text_en.startswith(f"After a silence since {last} (365 days are dormant), 1 transaction (")
        assert reason.text_zh.startswith(
            f"客户自{last}后长期无往来（365天为长期），其后个人境内转账支出1笔，合计500000 CNY"
        )
        assert (one.event_ids, one.severity) == (("e1",), "medium")


def test_a_new_customer_was_never_dormant(policies: PolicyHistory) -> None:
    assert not warnings_of(policies, on("e1", AWAKE, LARGE))


@pytest.mark.parametrize(
    ("amounts", "found"),
    [(("499999.99",), 0), (("250000", "249999.99"), 0), (("250000", "250000"), 1), (("500000.01",), 1)],
)
def test_the_sum_of_the_watched_days(policies: PolicyHistory, amounts: tuple[str, ...], found: int) -> None:
    moves = [on(f"e{n}", AWAKE + timedelta(days=n), amount) for n, amount in enumerate(amounts)]
    assert len(warnings_of(policies, on("old", date(2024, 1, 2), "10"), *moves)) == found


@pytest.mark.parametrize(("after", "found"), [(10, 1), (11, 0)])
def test_the_watch_is_ten_days(policies: PolicyHistory, after: int, found: int) -> None:
    moves = on("e1", AWAKE, "1"), on("e2", AWAKE + timedelta(days=after), LARGE)
    assert len(warnings_of(policies, on("old", date(2024, 1, 2), "10"), *moves)) == found


def test_what_the_bank_books_is_no_activity(policies: PolicyHistory) -> None:
    fees = [on(f"f{n}", date(2025, 1, 2) + timedelta(days=30 * n), "5", origin="bank") for n in range(14)]
    assert warnings_of(policies, on("old", date(2024, 1, 2), "10"), *fees, on("e1", AWAKE, LARGE))
    # A customer's own small dealing is activity, even one that is exempt from reporting.
    own = on("x", date(2025, 9, 1), "5", purpose="own_account_transfer")
    assert not warnings_of(policies, on("old", date(2024, 1, 2), "10"), own, on("e1", AWAKE, LARGE))


def test_in_and_out_are_summed_apart_and_both_told(policies: PolicyHistory) -> None:
    old = on("old", date(2024, 1, 2), "10")
    assert not warnings_of(policies, old, on("a", AWAKE, "300000"), on("b", AWAKE, "300000", direction="in"))
    (one,) = warnings_of(policies, old, on("a", AWAKE, LARGE), on("b", AWAKE, "600000", direction="in"))
    assert sorted(reason.observed for reason in one.reasons) == [LARGE, "600000"]
    assert one.event_count == 2


def test_above_only(policy: Policy) -> None:
    policies = PolicyHistory(with_domestic(policy, ">"))
    assert not warnings_of(policies, OLD, days_on("a", 0, LARGE))
    assert warnings_of(policies, OLD, days_on("a", 0, LARGE), days_on("b", 1, "0.01"))


def test_foreign_money_is_summed_in_the_foreign_bucket(policies: PolicyHistory) -> None:
    # 100,000 USD are 710,000 CNY; 60,000 EUR are 492,000.
    euros = days_on("a", 0, "60000", currency="EUR")
    assert not warnings_of(policies, OLD, euros, days_on("b", 1, "30704.22", currency="USD"))
    (one,) = warnings_of(policies, OLD, euros, days_on("b", 1, "30704.23", currency="USD"))
    assert (one.reasons[0].unit, one.reasons[0].threshold, one.event_count) == ("USD", "100000", 2)


@pytest.mark.parametrize(("amount", "found"), [("249999.99", 0), ("250000", 1)])
def test_the_threshold_counts_times_the_figure_of_the_rule(policy: Policy, amount: str, found: int) -> None:
    policies = PolicyHistory(with_rule(policy, flow_from="0.5"))
    assert len(warnings_of(policies, OLD, days_on("a", 0, amount))) == found


def test_any_order_within_the_lateness(policies: PolicyHistory) -> None:
    moves = [days_on(f"e{n}", n, "250000") for n in range(4)]
    expected = {one.warning_id: one for one in warnings_of(policies, OLD, *moves)}
    assert len(expected) == 1
    for order in permutations(moves):
        assert told(streamed(policies, NAME, [OLD, *order])) == told(expected)


def test_a_late_event_at_the_very_end_of_the_watch_finds_its_first_day(policies: PolicyHistory) -> None:
    """Day 3 is an awakening too, so that day 13 is watched: then the sum goes back to day 0."""
    first, second = days_on("a", 0, "250000"), days_on("b", 3, "10")
    last, later = days_on("c", 13, "249990"), days_on("d", 16, "10")
    (one,) = warnings_of(policies, OLD, first, second, later, last)
    assert one.event_ids == ("a", "b", "c")
    assert told({one.warning_id: one}) == told(streamed(policies, NAME, [OLD, first, second, last, later]))
    assert not warnings_of(policies, OLD, first, second, replace(later, event_id="x"), replace(last, amount=Decimal(9)))


def test_another_rate_or_version_takes_nothing_back(policy: Policy) -> None:
    """What was reached by the figures of one day stays so, although a later day's are not reached."""
    dollars = [days_on("a", 0, "100000", currency="USD"), days_on("b", 1, "1", currency="USD")]
    dearer = Rate(currency="USD", as_of=AWAKE + timedelta(days=1), rate=Decimal(9), source="test")
    histories = (
        PolicyHistory(policy, rates=[dearer]),
        PolicyHistory(policy, from_day(with_rule(policy, flow_from="3", severity="high"), AWAKE + timedelta(days=1))),
        PolicyHistory(policy, from_day(with_rule(policy, mode="off"), AWAKE + timedelta(days=1))),
    )
    for policies in histories:
        for order in permutations(dollars):
            (one,) = warnings_of(policies, OLD, *order)
            assert (one.event_ids, one.severity) == (("a",), "medium")


def test_state_stays_bounded(policies: PolicyHistory, policy: Policy) -> None:
    state, detector = DormantReactivationState(), DormantReactivation()
    days = [*range(500), *range(900, 2000)]  # with one long silence
    for day in days:
        event = on(f"e{day}", date(2021, 1, 4) + timedelta(days=day), "10")
        detector.expire(state, event.event_time - policy.lateness, policies)
        list(detector.step(state, event, policy, policies))
        state = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=DormantReactivationState)
        assert len(state.days) <= 8
        assert len(state.flows) <= 22
        assert len(state.awakenings) <= 4
    assert len(state.days) <= 8
    assert len(state.flows) <= 4
    assert not state.awakenings


START = at("2025-06-02 00:00")
steps = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 8), st.integers(360, 390), st.integers(745, 775)),
        st.sampled_from(["10", "150000", "250000", "499999.99", LARGE]),
        st.sampled_from(["CNY", "CNY", "USD"]),
        st.sampled_from([None, None, "own_account_transfer"]),
        st.integers(0, 71),
    ),
    max_size=20,
)


@given(steps)
@settings(max_examples=40, deadline=None)
def test_stream_equals_oracle_under_lateness(policy: Policy, moves: list[tuple[Any, ...]]) -> None:
    later = with_domestic(with_rule(policy, watch="5", flow_from="2", severity="high"), ">")
    changed = (START + timedelta(days=375)).date()
    rates = [Rate(currency="USD", as_of=changed - timedelta(days=3), rate=Decimal("8"), source="test")]
    policies = PolicyHistory(policy, from_day(later, changed), rates=rates)
    arrivals = []
    for number, (day, amount, currency, purpose, late) in enumerate(moves):
        when = START + timedelta(days=day, hours=number % 24)
        event = transaction(f"e{number}", when, amount, currency=currency, purpose=purpose)
        arrivals.append((when + timedelta(hours=late), event))
    in_order = streamed(policies, NAME, sorted((event for _, event in arrivals), key=lambda one: one.event_time))
    late_ones = warnings_of(policies, *(event for _, event in sorted(arrivals, key=lambda one: one[0])))
    assert told({one.warning_id: one for one in late_ones}) == told(in_order)
