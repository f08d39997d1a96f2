"""missing_control: identity checks and approvals by somebody else, at the edges of amounts, tellers and days."""

from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from models import oracle
from models.detectors.missing_control import MissingControl, MissingControlState
from models.events import Controls, Transaction
from models.pipeline import LocalPipeline
from models.policy import Policy, PolicyHistory
from models.risk_warning import RiskWarning
from tests.make import at, transaction
from tests.rules import by_code, streamed

NOON = "2026-03-02 12:00"
CHECKED = Controls(identity_verified=True)
APPROVED = Controls(identity_verified=True, approved_by=("M1",))


def handled(event_id: str, amount: str, when: str = NOON, **fields: Any) -> Transaction:
    """A transaction at the counter of teller T7, without any check unless told otherwise."""
    return transaction(
        event_id, when, amount, **({"channel": "counter", "branch_id": "0731", "teller_id": "T7"} | fields)
    )


def warnings_of(policies: PolicyHistory, *events: Transaction, restart: bool = False) -> dict[str, RiskWarning]:
    return by_code(streamed(policies, "missing_control", events, restart=restart))


def codes(policies: PolicyHistory, *events: Transaction) -> set[str]:
    return {name.partition("|")[0] for name in warnings_of(policies, *events)}


def with_rule(policy: Policy, **figures: Any) -> PolicyHistory:
    rule = replace(policy.detectors.missing_control, **figures)
    return PolicyHistory(replace(policy, detectors=replace(policy.detectors, missing_control=rule)))


@pytest.mark.parametrize(("amount", "found"), [("49999.99", set()), ("50000", {"identity_not_verified"})])
def test_identity_is_needed_from_the_threshold(policies: PolicyHistory, amount: str, found: set[str]) -> None:
    assert codes(policies, handled("e1", amount)) == found
    assert codes(policies, handled("e1", amount, controls=Controls(identity_verified=False))) == found
    assert codes(policies, handled("e1", amount, controls=Controls(approved_by=("M1",)))) == found
    assert codes(policies, handled("e1", amount, controls=CHECKED)) == set()


@pytest.mark.parametrize(("amount", "found"), [("499999.99", set()), ("500000", {"approval_missing"})])
def test_approval_is_needed_from_the_threshold(policies: PolicyHistory, amount: str, found: set[str]) -> None:
    assert codes(policies, handled("e1", amount, controls=CHECKED)) == found
    assert codes(policies, handled("e1", amount, controls=APPROVED)) == set()


def test_above_means_above(policy: Policy) -> None:
    rule = policy.detectors.missing_control
    strict = with_rule(
        policy, identity_from=replace(rule.identity_from, op=">"), approval_from=replace(rule.approval_from, op=">")
    )
    assert codes(strict, handled("e1", "50000")) == set()
    assert codes(strict, handled("e1", "50000.01")) == {"identity_not_verified"}
    assert codes(strict, handled("e1", "500000", controls=CHECKED)) == set()
    over = warnings_of(strict, handled("e1", "500000.01", controls=CHECKED))["approval_missing|02"]
    assert "above the 500000 CNY" in over.reasons[0].text_en
    assert "超过标准500000 CNY" in over.reasons[0].text_zh


@pytest.mark.parametrize(
    ("teller", "approvers", "lacks"),
    [
        ("T7", (), True),
        ("T7", ("T7",), True),
        ("T7", ("T7", "T7"), True),
        ("T7", ("T7", "M1"), False),
        (None, (), True),
        (None, ("T7",), False),
    ],
)
def test_nobody_approves_their_own_business(
    policies: PolicyHistory, teller: str | None, approvers: tuple[str, ...], lacks: bool
) -> None:
    controls = Controls(identity_verified=True, approved_by=approvers)
    event = handled("e1", "500000", teller_id=teller, controls=controls)
    assert codes(policies, event) == ({"approval_missing"} if lacks else set())
    assert set(expected_of(policies, [event])) == {one.warning_id for one in warnings_of(policies, event).values()}


def test_only_channels_where_posts_make_checks(policy: Policy, policies: PolicyHistory) -> None:
    everywhere = with_rule(policy, channels=())
    for channel, at_counters in (("counter", True), ("mobile", False), (None, False)):
        event = handled("e1", "50000", channel=channel)
        assert bool(codes(policies, event)) is at_counters
        assert codes(everywhere, event) == {"identity_not_verified"}


def test_exempt_purposes_are_not_exempt_here_and_the_banks_own_bookings_are(policies: PolicyHistory) -> None:
    assert codes(policies, handled("e1", "50000", purpose="own_account_transfer")) == {"identity_not_verified"}
    assert codes(policies, handled("e1", "5000000", origin="bank")) == set()


def test_foreign_money(policies: PolicyHistory) -> None:
    # The dollar has a threshold of its own; euros are converted: 10000 USD are 8658.5365... EUR at 7.10 and 8.20.
    assert codes(policies, handled("e1", "9999.99", currency="USD")) == set()
    assert codes(policies, handled("e1", "8658.53", currency="EUR")) == set()
    found = warnings_of(policies, handled("e1", "8658.54", currency="EUR"))["identity_not_verified|02"]
    reason = found.reasons[0]
    assert (reason.observed, reason.threshold, reason.unit) == ("10000.003944", "10000", "USD")
    # Of several currencies the amount farthest beyond its own threshold is shown.
    found = warnings_of(policies, handled("e1", "90000"), handled("e2", "20000", currency="USD"))[
        "identity_not_verified|02"
    ]
    assert (found.reasons[0].observed, found.reasons[0].unit, found.event_count) == ("20000", "USD", 2)


def test_a_day_is_one_warning_that_names_its_newest_teller(policies: PolicyHistory) -> None:
    first = handled("e1", "80000", "2026-03-02 09:00")
    second = handled("e2", "60000", "2026-03-02 16:00", branch_id="0800", teller_id=None)
    for order in ((first, second), (second, first)):
        found = warnings_of(policies, *order)["identity_not_verified|02"]
        reason = found.reasons[0]
        assert (found.severity, found.departments, found.subject) == ("medium", ("operations",), "customer:C1")
        assert (reason.observed, reason.threshold, reason.unit) == ("80000", "50000", "CNY")
        assert found.event_ids == ("e1", "e2")
        assert reason.text_en == (
            "2 transactions on 2026-03-02 without a verified identity, the largest of 80000 CNY, at or above the "
            "50000 CNY from which it is needed; the newest: branch 0800, teller unknown."
        )
        assert reason.text_zh == (
            "2026-03-02有2笔交易应核实客户身份而未核实，最大一笔80000 CNY，达到标准50000 CNY；"
            "最近一笔：网点0800，柜员不详。"
        )
    alone = warnings_of(policies, first)["identity_not_verified|02"].reasons[0]
    assert alone.text_en == (
        "1 transaction on 2026-03-02 without a verified identity, of 80000 CNY, at or above the 50000 CNY from which "
        "it is needed; branch 0731, teller T7."
    )
    assert "不详" not in alone.text_zh
    assert "最大" not in alone.text_zh


def test_lacking_both_on_one_event_is_graver(policies: PolicyHistory) -> None:
    both = warnings_of(policies, handled("e1", "500000"))
    assert {name: one.severity for name, one in both.items()} == {
        "identity_not_verified|02": "medium",
        "approval_missing|02": "high",
    }
    second = both["approval_missing|02"].reasons[1]
    assert (second.code, second.observed) == ("identity_and_approval", "1")
    assert second.text_en == "1 of them lacks both the identity check and the approval."
    # One lacks the approval and another the identity: neither is graver for it.
    apart = warnings_of(policies, handled("e1", "500000", controls=CHECKED), handled("e2", "50000"))
    assert {one.severity for one in apart.values()} == {"medium"}


def test_days_end_at_the_banks_midnight(policies: PolicyHistory) -> None:
    late, early = handled("e1", "50000", "2026-03-02 23:59"), handled("e2", "50000", "2026-03-03 00:00")
    found = warnings_of(policies, late, early)
    assert {name: one.event_ids for name, one in found.items()} == {
        "identity_not_verified|02": ("e1",),
        "identity_not_verified|03": ("e2",),
    }


def test_any_order_and_restarts_say_the_same(policies: PolicyHistory) -> None:
    events = [
        handled("e1", "70000", "2026-03-02 10:00"),
        handled("e2", "500000", "2026-03-03 10:00", teller_id="T8"),
        handled("e3", "600000", "2026-03-02 11:00", controls=CHECKED),
        handled("e4", "65000", "2026-03-04 11:00"),
    ]
    told = warnings_of(policies, *events)
    assert len(told) == 5
    for order in permutations(events):
        again = warnings_of(policies, *order, restart=True)
        assert {name: (one.severity, one.reasons, one.event_ids) for name, one in again.items()} == {
            name: (one.severity, one.reasons, one.event_ids) for name, one in told.items()
        }


def test_what_is_too_old_to_change_is_forgotten(policies: PolicyHistory) -> None:
    detector, state = MissingControl(), MissingControlState()
    for day in (2, 3, 4):
        event = handled(f"e{day}", "500000", f"2026-03-0{day} 12:00")
        detector.step(state, event, policies.at(event.event_time), policies)
    detector.expire(state, at("2026-03-03 12:00"), policies)
    assert set(state.lapses) == {f"{name}|2026-03-0{day}" for name in ("identity", "approval") for day in (3, 4)}


def expected_of(policies: PolicyHistory, events: list[Transaction]) -> dict[str, str]:
    frame = oracle.warnings(transactions=oracle.from_events(events), policies=policies)
    rows = frame.filter(frame["detector"] == "missing_control").iter_rows(named=True)
    return {row["warning_id"]: row["severity"] for row in rows}


events_of = st.lists(
    st.builds(
        handled,
        st.just("e"),
        st.sampled_from(["49999.99", "50000", "50000.01", "499999.99", "500000", "8658.54", "10000", "100000"]),
        st.integers(0, 6 * 24).map(lambda hour: at("2026-03-01 00:00") + timedelta(hours=hour)),
        customer_id=st.sampled_from(["C1", "C2"]),
        currency=st.sampled_from(["CNY", "CNY", "USD", "EUR"]),
        channel=st.sampled_from(["counter", "counter", "mobile", None]),
        teller_id=st.sampled_from(["T7", "T8", None]),
        controls=st.none()
        | st.builds(
            Controls,
            identity_verified=st.sampled_from([True, True, False, None]),
            approved_by=st.lists(st.sampled_from(["T7", "T8"]), max_size=2).map(tuple),
        ),
        purpose=st.sampled_from([None, "own_account_transfer"]),
        origin=st.sampled_from(["customer", "customer", "bank"]),
    ),
    max_size=40,
).map(lambda events: [replace(event, event_id=f"e{number}") for number, event in enumerate(events)])


@given(events_of, st.randoms(use_true_random=False), st.booleans())
@settings(max_examples=50, deadline=None)
def test_the_stream_equals_the_oracle(policy: Policy, events: list[Transaction], dice: Any, strict: bool) -> None:
    rule = policy.detectors.missing_control
    figures = {"identity_from": replace(rule.identity_from, op=">"), "channels": ()} if strict else {}
    policies = with_rule(policy, **figures)
    delayed = sorted((one.event_time + timedelta(hours=dice.random() * 72), one.event_id, one) for one in events)
    arrivals = [event for _, _, event in delayed]
    pipeline = LocalPipeline(policies)
    for event in arrivals:
        pipeline.feed("transactions", event)
    told = {key: one.severity for key, one in pipeline.warnings.items() if one.detector == "missing_control"}
    assert told == expected_of(policies, arrivals)
