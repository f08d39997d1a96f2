"""What inspections draw from, of which month, how many, and what they say of it."""

from hashlib import sha256
from typing import Any

import pytest
from msgspec.structs import replace

from models.activity.inspection import booking_of
from models.events import Controls, Transaction
from models.pipeline import LocalPipeline
from models.policy import Policy, PolicyHistory
from models.risk_warning import RiskWarning
from tests.make import at, transaction

FINE = Controls(identity_verified=True, approved_by=("boss",))
OVER = "2026-04-01 06:00"  # midnight after March, and the grace of six hours


def large(event_id: str, when: str = "2026-03-10 10:00", amount: str = "50000", **fields: Any) -> Transaction:
    """Cash over the counter of branch B1, large from ¥50,000, with its controls."""
    values = {"method": "cash", "branch_id": "B1", "channel": "counter", "customer_id": f"C-{event_id}"}
    return transaction(event_id, when, amount, **(values | {"controls": FINE} | fields))


def clock(when: str = OVER) -> Transaction:
    return transaction(f"clock {when}", when, "1", customer_id="clock")


def told(policies: Policy | PolicyHistory, *events: Transaction) -> dict[str, RiskWarning]:
    """The samples, by branch and month."""
    pipeline = LocalPipeline(policies if isinstance(policies, PolicyHistory) else PolicyHistory(policies))
    warnings = pipeline.run([("transactions", event) for event in events]).values()
    return {
        f"{one.subject} {one.window.start.astimezone(at(OVER).tzinfo):%Y-%m}": one
        for one in warnings
        if one.detector == "inspection"
    }


def told_in_turn(policy: Policy, *turns: tuple[Transaction, ...]) -> RiskWarning:
    """The only sample, where every turn's events are all there is before the next one's come."""
    pipeline = LocalPipeline(PolicyHistory(policy))
    for events in turns:
        for event in events:
            pipeline.feed("transactions", event)
        pipeline.finish()
    (one,) = (one for one in pipeline.warnings.values() if one.detector == "inspection")
    return one


def with_rule(policy: Policy, **fields: Any) -> Policy:
    detectors = replace(policy.detectors, inspection=replace(policy.detectors.inspection, **fields))
    return replace(policy, detectors=detectors)


def from_day(policy: Policy, day: str) -> Policy:
    return replace(policy, policy=replace(policy.policy, version=f"from {day}", valid_from=at(f"{day} 00:00")))


# --- what is drawn from ---


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, "cash"),
        ({"amount": "49999.99"}, None),
        ({"currency": "USD", "amount": "10000"}, "cash"),
        ({"currency": "USD", "amount": "9999.99"}, None),
        ({"method": "transfer", "amount": "500000"}, "person_domestic"),
        ({"method": "transfer", "amount": "499999.99"}, None),
        ({"method": "transfer", "amount": "200000", "cross_border": True}, "person_cross_border"),
        ({"method": "transfer", "amount": "199999.99", "cross_border": True}, None),
        ({"method": "transfer", "amount": "2000000", "customer_kind": "entity"}, "entity_transfer"),
        ({"method": "transfer", "amount": "1999999.99", "customer_kind": "entity"}, None),
        ({"direction": "in", "channel": "mobile"}, "cash"),
        ({"origin": "bank"}, None),
        ({"branch_id": None}, None),
        ({"purpose": "own_account_transfer"}, None),
    ],
)
def test_a_customers_own_that_are_large_by_themselves_at_a_branch(
    policy: Policy, fields: dict[str, Any], kind: str | None
) -> None:
    booking = booking_of(7, large("t1", **({"amount": "50000"} | fields)), policy)
    assert (booking and booking.kind) == kind
    if booking is not None:
        assert (booking.offset, booking.event_id, booking.branch) == (7, "t1", "B1")
        assert booking.event_time == at("2026-03-10 10:00")


@pytest.mark.parametrize(
    ("fields", "lacks"),
    [
        ({}, ()),
        ({"controls": None}, ("identity",)),
        ({"controls": None, "amount": "499999.99"}, ("identity",)),
        ({"controls": None, "amount": "500000"}, ("identity", "approval")),
        ({"controls": Controls(identity_verified=True), "amount": "500000"}, ("approval",)),
        ({"controls": replace(FINE, approved_by=("T1",)), "teller_id": "T1", "amount": "500000"}, ("approval",)),
        ({"controls": None, "amount": "500000", "channel": "mobile"}, ()),  # where posts make no checks
    ],
)
def test_the_controls_that_it_lacks(policy: Policy, fields: dict[str, Any], lacks: tuple[str, ...]) -> None:
    booking = booking_of(0, large("t1", **({"amount": "50000"} | fields)), policy)
    assert booking is not None
    assert booking.lacks == lacks


def test_it_is_known_while_nothing_is_inspected_for_rectifications_are_held_against_it(policy: Policy) -> None:
    assert booking_of(0, large("t1"), with_rule(policy, mode="off")) is not None


def test_nothing_of_a_drill_is_drawn(policy: Policy) -> None:
    event = large("drill~spring~t1", customer_id="drill~spring~C1", branch_id="drill~spring~B1")
    assert told(policy, event, replace(event, event_id="drill~spring~t2", branch_id="B1"), clock()) == {}


# --- what is drawn, and said of it ---


def test_the_smallest_numbers_of_each_class_are_drawn_and_told(policy: Policy) -> None:
    cash = [large(f"e{n}", f"2026-03-1{n} 10:00", controls=None) for n in range(9)]
    wires = [large("w1", "2026-03-09 10:00", "500000", method="transfer")]
    numbers = {event.event_id: sha256(f"cn-2026|2026-03|{event.event_id}".encode()).hexdigest() for event in cash}
    names = sorted(sorted(numbers, key=numbers.__getitem__)[:2])
    (one,) = told(policy, *wires, *cash, clock()).values()
    assert (one.subject, one.severity, one.mode) == ("branch:B1", "low", "live")
    assert (one.departments, one.measures) == (("operations",), ("inspect_sample",))
    assert (one.event_ids, one.event_count) == (("w1", *names), 3)
    assert (one.window.start, one.window.end) == (at("2026-03-01 00:00"), at("2026-04-01 00:00"))
    assert one.event_time == at("2026-04-01 00:00")
    assert [(reason.code, reason.observed, reason.threshold, reason.unit) for reason in one.reasons] == [
        ("sample", "2", "9", "transactions"),
        ("sample", "1", "1", "transactions"),
        ("sample_lacks", "2", "0", "transactions"),
    ]
    assert [reason.text_en for reason in one.reasons] == [
        "2 of 9 large transactions (cash) at branch B1 in 2026-03 drawn: inspect their identity checks and approvals.",
        "1 of 1 large transaction (personal domestic transfers) at branch B1 in 2026-03 drawn: inspect its identity "
        "check and approval.",
        f"By their records 2 of them lack an identity check or an approval that was needed: {', '.join(names)}.",
    ]
    assert [reason.text_zh for reason in one.reasons] == [
        "2026-03网点B1现金类大额交易9笔，抽取2笔检查身份识别与审批。",
        "2026-03网点B1个人境内转账类大额交易1笔，抽取1笔检查身份识别与审批。",
        f"其中2笔按记录缺少应有的身份识别或审批：{'、'.join(names)}。",
    ]


def test_one_that_lacks_a_control_is_one(policy: Policy) -> None:
    (one,) = told(policy, large("e1"), large("e2", controls=None), clock()).values()
    assert one.reasons[-1].text_en == (
        "By its record 1 of them lacks an identity check or an approval that was needed: e2."
    )


def test_months_are_of_the_banks_days(policy: Policy) -> None:
    events = [
        large("before", "2026-02-28 23:59:59.999999"),
        large("first", "2026-03-01 00:00"),
        large("last", "2026-03-31 23:59:59.999999"),
        large("after", "2026-04-01 00:00"),
    ]
    found = told(policy, *events, clock("2026-05-01 06:00"))
    assert {name: one.event_ids for name, one in found.items()} == {
        "branch:B1 2026-02": ("before",),
        "branch:B1 2026-03": ("first", "last"),
        "branch:B1 2026-04": ("after",),
    }


@pytest.mark.parametrize(("when", "count"), [("2026-04-01 05:59:59.999999", 0), (OVER, 1)])
def test_it_is_drawn_once_the_months_last_day_is_closed(policy: Policy, when: str, count: int) -> None:
    assert len(told(policy, large("e1"), clock(when))) == count


def test_it_does_not_wait_for_silence_to_be_on(policy: Policy) -> None:
    silence = replace(policy.detectors.silence, mode="off")
    quiet = replace(policy, detectors=replace(policy.detectors, silence=silence))
    assert len(told(quiet, large("e1"), clock())) == 1


def test_what_comes_after_its_month_is_drawn_changes_nothing(policy: Policy) -> None:
    one = told_in_turn(
        policy, (large("e1"), clock()), (large("l1", "2026-03-31 10:00"), large("l2", "2026-03-02 10:00"))
    )
    assert (one.event_ids, one.revision) == (("e1",), 1)


def test_what_comes_after_its_day_is_closed_is_drawn_while_its_month_is_open(policy: Policy) -> None:
    one = told_in_turn(policy, (large("e1"), clock("2026-03-20 10:00")), (large("l1", "2026-03-02 10:00"), clock()))
    assert one.event_ids == ("l1", "e1")


# --- by which figures ---


def test_a_month_whose_last_day_has_it_off_is_not_drawn(policy: Policy) -> None:
    off = with_rule(policy, mode="off")
    for day, count in (("2026-03-31", 0), ("2026-04-01", 1)):
        assert len(told(PolicyHistory(policy, from_day(off, day)), large("e1"), clock())) == count


def test_of_a_month_that_is_drawn_every_day_is_drawn_from(policy: Policy) -> None:
    policies = PolicyHistory(with_rule(policy, mode="off"), from_day(policy, "2026-03-11"))
    (one,) = told(policies, large("e10"), large("e11", "2026-03-11 00:00"), clock()).values()
    assert one.event_ids == ("e10", "e11")


def test_in_shadow_nobody_is_asked_to_inspect(policy: Policy) -> None:
    (one,) = told(with_rule(policy, mode="shadow"), large("e1"), clock()).values()
    assert one.mode == "shadow"


def test_the_seed_and_the_number_are_those_of_the_months_last_day(policy: Policy) -> None:
    names = [f"e{n}" for n in range(1, 9)]
    each = policy.detectors.inspection.each
    later = with_rule(policy, seed="another", each=replace(each, value=each.value + 2))
    for day, seed, count in (("2026-03-31", "another", 4), ("2026-04-01", "cn-2026", 2)):
        policies = PolicyHistory(policy, from_day(later, day))
        (one,) = told(policies, *(large(name, f"2026-03-0{name[1]} 10:00") for name in names), clock()).values()
        numbers = {name: sha256(f"{seed}|2026-03|{name}".encode()).hexdigest() for name in names}
        assert one.event_ids == tuple(sorted(sorted(numbers, key=numbers.__getitem__)[:count]))
