"""dormant_reactivation: a customer silent for a year, then large flows."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import oracle
from models.detectors.dormant_reactivation import DormantReactivation, DormantReactivationState
from models.events import Transaction
from models.pipeline import LocalPipeline
from models.policy import Policy, PolicyHistory
from models.risk_warning import RiskWarning
from tests.make import at, transaction

NAME = "dormant_reactivation"
AWAKE = date(2026, 3, 2)
LARGE = "500000"  # a person's domestic threshold


def on(event_id: str, day: date, amount: str, **fields: Any) -> Transaction:
    return transaction(event_id, at(f"{day} 10:00"), amount, **fields)


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


@pytest.mark.parametrize(("gap", "found"), [(364, 0), (365, 1), (366, 1), (2000, 1)])
def test_a_year_of_silence(policies: PolicyHistory, gap: int, found: int) -> None:
    last = AWAKE - timedelta(days=gap)
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
        assert f"After {gap} days" in reason.text_en
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


def test_any_order_within_the_lateness(policies: PolicyHistory) -> None:
    old = on("old", date(2024, 1, 2), "10")
    moves = [on(f"e{n}", AWAKE + timedelta(days=n), "200000") for n in range(3)]
    found = {frozenset(w.warning_id for w in warnings_of(policies, old, *order)) for order in permutations(moves)}
    assert len(found) == 1
    assert found != {frozenset()}


def test_state_stays_bounded(policies: PolicyHistory, policy: Policy) -> None:
    state, detector = DormantReactivationState(), DormantReactivation()
    for day in range(1000):
        event = on(f"e{day}", date(2023, 1, 2) + timedelta(days=day * (1 if day < 500 else 400) % 3000), "10")
        list(detector.step(state, event, policy, policies))
        detector.expire(state, event.event_time - policy.lateness, policies)
        state = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=DormantReactivationState)
        assert len(state.days) <= 12
        assert len(state.flows) <= 20


START = datetime.fromisoformat("2024-01-01T00:00:00+08:00")
steps = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 8), st.integers(360, 385), st.integers(745, 760)),
        st.sampled_from(["10", "250000", "499999.99", LARGE]),
        st.sampled_from(["in", "out"]),
        st.sampled_from([None, "own_account_transfer"]),
        st.integers(0, 71),
    ),
    max_size=30,
)


@given(steps)
@settings(max_examples=60, deadline=None)
def test_stream_equals_oracle_under_lateness(policies: PolicyHistory, moves: list[tuple[Any, ...]]) -> None:
    events = []
    for number, (day, amount, direction, purpose, late) in enumerate(moves):
        when = START + timedelta(days=day, hours=number % 24)
        event = transaction(f"e{number}", when, amount, direction=direction, purpose=purpose)
        events.append((when + timedelta(hours=late), event))
    warnings_of(policies, *(event for _, event in sorted(events, key=lambda one: one[0])))


def test_the_threshold_of_the_policy_counts_times_its_figure(policy: Policy) -> None:
    rule = policy.detectors.dormant_reactivation
    half = msgspec.structs.replace(rule, flow_from=msgspec.structs.replace(rule.flow_from, value=Decimal("0.5")))
    rules = msgspec.structs.replace(policy.detectors, dormant_reactivation=half)
    policies = PolicyHistory(msgspec.structs.replace(policy, detectors=rules))
    old = on("old", date(2024, 1, 2), "10")
    assert warnings_of(policies, old, on("a", AWAKE, "250000"))
    assert not warnings_of(policies, old, on("a", AWAKE, "249999.99"))
