"""The life of a loan: every step, every refusal, what stays as it was opened, and what comes late.

A step that its loan does not allow waits; here it waits in vain (see `test_waiting_loans`).
"""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest
from msgspec.structs import replace

from models.messages import LoanDelta
from models.policy import Policy, PolicyHistory
from tests.desk import Desk, step
from tests.make import at


@pytest.fixture
def desk(policies: PolicyHistory) -> Desk:
    return Desk(policies)


def test_every_step_of_a_life(desk: Desk) -> None:
    desk.feed(
        step("e1", "02", "applied", "1000"),
        step("e2", "03", "approved", "900"),
    )
    assert desk.state.loans == {}  # an application is no loan
    desk.feed(step("e3", "04", "disbursed", "600"))
    one = desk.loan()
    assert (one.balance, one.classification, one.days_past_due, one.exposure) == (600, "normal", 0, Decimal(600))
    desk.feed(step("e4", "05", "disbursed", "300"), step("e5", "06", "repaid", "100.01"))
    assert desk.loan().balance == Decimal("799.99")
    desk.feed(step("e6", "07", "reversed", "99.99"), step("e7", "08", "overdue", days_past_due=31))
    desk.feed(step("e8", "08", "reclassified", classification="special_mention"))
    one = desk.loan()
    assert (one.balance, one.classification, one.days_past_due) == (700, "special_mention", 31)
    desk.feed(step("e9", "09", "overdue", days_past_due=0), step("e10", "10", "written_off", "300"))
    assert (desk.loan().balance, desk.loan().days_past_due, desk.loan().written_off) == (400, 0, False)
    desk.feed(step("e11", "11", "written_off", "400"))
    assert (desk.loan().balance, desk.loan().written_off) == (0, True)
    assert not desk.refused
    moved = [(one.event_id, f"{one.amount}", one.loans) for one in desk.deltas]
    assert moved == [
        ("e3", "600", 1),
        ("e4", "300", 0),
        ("e5", "-100.01", 0),
        ("e6", "-99.99", 0),
        ("e10", "-300", 0),
        ("e11", "-400", -1),
    ]


NEEDS_A_LOAN = ["repaid", "written_off", "reversed", "reclassified", "overdue"]


@pytest.mark.parametrize("kind", NEEDS_A_LOAN)
def test_a_step_on_a_loan_that_was_never_disbursed(desk: Desk, kind: str) -> None:
    fields = {"classification": "loss", "days_past_due": 9}
    desk.feed(step("e0", "02", "applied", "1000"), step("e1", "03", kind, "5", **fields))
    assert not desk.refused
    desk.end()
    assert desk.refused == [("e1", "unknown_loan", "loan_id")]
    assert "send its disbursement first" in desk.details[0]
    # Nothing is changed: the same id is taken later, and no watermark was raised.
    desk.feed(step("d", "02", "disbursed", "5"), step("e1", "03", kind, "5", **fields))
    assert len(desk.refused) == 1
    # Another entity's loan of the same number is another loan.
    desk.feed(step("e2", "04", kind, "5", entity="BANK2", **fields)).end()
    assert desk.refused[1:] == [("e2", "unknown_loan", "loan_id")]


@pytest.mark.parametrize("last", ["repaid", "written_off", "reversed"])
@pytest.mark.parametrize("kind", NEEDS_A_LOAN)
def test_a_step_on_a_closed_loan(desk: Desk, kind: str, last: str) -> None:
    desk.feed(step("e1", "02", "disbursed", "500"), step("e2", "03", last, "500"))
    desk.feed(step("e3", "04", kind, "5", classification="loss", days_past_due=9)).end()
    reason = "nothing_to_reverse" if kind == "reversed" else "closed_loan"
    assert desk.refused == [("e3", reason, "loan_id")]
    assert ("written off" if last == "written_off" else "repaid or reversed in full") in desk.details[0]
    assert "disbursement" in desk.details[0]


@pytest.mark.parametrize("kind", ["repaid", "written_off", "reversed"])
def test_more_than_is_owed(desk: Desk, kind: str) -> None:
    desk.feed(step("e1", "02", "disbursed", "500"), step("e2", "03", "repaid", "100"))
    desk.feed(step("e3", "04", kind, "400.01"), step("e4", "05", kind, "399.99"), step("e5", "06", kind, "0.02"))
    desk.end()
    assert desk.refused == [("e3", "repays_past_zero", "amount"), ("e5", "repays_past_zero", "amount")]
    assert "400.01 is more than the 400 outstanding on L" in desk.details[0]
    desk.feed(step("e6", "07", kind, "0.01"))
    assert desk.loan().balance == 0


def test_another_currency(desk: Desk) -> None:
    desk.feed(step("e1", "02", "disbursed", "500"))
    for kind in ("disbursed", "repaid", "written_off", "reversed"):
        desk.feed(step(f"{kind}-usd", "03", kind, "5", currency="USD"))
    assert {one[1:] for one in desk.refused} == {("other_currency", "currency")}
    assert "is in CNY, not USD: send its amount in CNY" in desk.details[0]
    # A step without money speaks of none.
    desk.feed(step("c", "03", "reclassified", currency="USD", classification="loss"))
    assert (len(desk.refused), desk.loan().classification) == (4, "loss")


def test_what_a_loan_is_stays_as_it_was_opened(policy: Policy) -> None:
    later = replace(policy, policy=replace(policy.policy, version="later", valid_from=at("2026-03-05 00:00")))
    rule = replace(policy.detectors.industry_concentration, scheme="naics")
    later = replace(later, detectors=replace(policy.detectors, industry_concentration=rule))
    desk = Desk(PolicyHistory(policy, later))
    first = {
        "industry": "C1391",
        "group_id": "G1",
        "region": "CN-43",
        "real_estate": "development",
        "branch_id": "0731",
    }
    other = {"industry": "52", "group_id": "G2", "region": "CN-11", "real_estate": "mortgage", "branch_id": "0101"}
    desk.feed(step("e1", "04", "disbursed", "100", **first), step("e2", "06", "disbursed", "50", **other))
    desk.feed(
        step("e3", "07", "repaid", "30", **other), step("e4", "07", "reclassified", classification="loss", **other)
    )
    desk.feed(step("e5", "08", "repaid", "120", **other), step("e6", "09", "disbursed", "7", **other))
    one = desk.loan()
    assert (one.member, one.division, one.group, one.region) == ("C", "13", "G1", "CN-43")
    assert (one.real_estate, one.branch, one.opened) == ("development", "0731", at("2026-03-04 10:00"))
    assert (one.balance, one.classification) == (7, "loss")
    told = {(one.member, one.division, one.region, one.group, one.real_estate, one.borrower) for one in desk.deltas}
    assert told == {("C", "13", "CN-43", "G1", "development", "B")}
    assert [one.loans for one in desk.deltas] == [1, 0, 0, -1, 1]
    # Another loan, opened under the later scheme, which knows no divisions.
    desk.feed(step("n", "10", "disbursed", "9", **(other | {"loan_id": "N", "region": ""})))
    assert (desk.loan("N").member, desk.loan("N").division, desk.loan("N").region) == ("52", "unknown", "unknown")


def test_what_is_not_said_is_unknown(desk: Desk) -> None:
    desk.feed(step("e1", "02", "disbursed", "1", industry=""))
    one = desk.loan()
    assert (one.member, one.division, one.region, one.group, one.real_estate, one.branch) == (
        "unknown", "unknown", "unknown", None, "none", None
    )  # fmt: skip


def test_a_delta_of_before_it_said_more_is_still_read() -> None:
    old = {
        "offset": 3,
        "event_id": "e",
        "event_time": "2026-03-02T10:00:00Z",
        "ingest_time": "2026-03-02T10:00:00Z",
        "member": "K",
        "amount": "5",
        "loans": 1,
    }
    delta = msgspec.convert(old, LoanDelta, strict=False)
    assert (delta.division, delta.region, delta.borrower, delta.group, delta.real_estate) == (
        "unknown", "unknown", "", None, "none"
    )  # fmt: skip


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1)])
def test_of_status_steps_the_newest_wins_whatever_comes_first(desk: Desk, order: Sequence[int]) -> None:
    classes = ["substandard", "special_mention", "doubtful"]
    said = [step(f"c{n}", f"0{3 + n}", "reclassified", classification=name) for n, name in enumerate(classes)]
    aged = [step(f"o{n}", f"0{3 + n}", "overdue", days_past_due=days) for n, days in enumerate([100, 0, 33])]
    desk.feed(step("e1", "02", "disbursed", "5"), *(said[n] for n in order), *(aged[n] for n in order))
    assert (desk.loan().classification, desk.loan().days_past_due) == ("doubtful", 33)
    assert not desk.refused


def test_within_an_instant_the_larger_id_is_the_newer(desk: Desk) -> None:
    said = [step(name, "03", "reclassified", classification=given) for name, given in (("b", "loss"), ("a", "normal"))]
    desk.feed(step("e1", "02", "disbursed", "5"), *said)
    assert desk.loan().classification == "loss"


def test_a_step_that_says_nothing_changes_nothing(desk: Desk) -> None:
    desk.feed(step("e1", "02", "disbursed", "5"), step("c", "03", "reclassified", classification="loss"))
    desk.feed(step("o", "03", "overdue", days_past_due=7))
    desk.feed(step("c2", "04", "reclassified", days_past_due=70), step("o2", "04", "overdue", classification="normal"))
    assert (desk.loan().classification, desk.loan().days_past_due) == ("loss", 7)


def test_no_borrower_takes_the_place_of_what_the_stage_keeps(desk: Desk) -> None:
    desk.feed(step("e1", "02", "disbursed", "5"), step("e2", "02", "disbursed", "5", borrower_id="~progress"))
    assert desk.refused == [("e2", "reserved", "borrower_id")]
    desk.feed(step("e3", "03", "repaid", "5"), step("e4", "02", "disbursed", "5", borrower_id="~waiting|B"))
    assert desk.refused[1:] == [("e4", "reserved", "borrower_id")]


def test_an_event_counts_once(desk: Desk) -> None:
    out, late = step("e1", "04", "disbursed", "5"), step("c", "03", "reclassified", classification="loss")
    desk.feed(out, out, late, step("c2", "05", "reclassified", classification="doubtful"), late, out)
    assert (desk.loan().balance, desk.loan().classification, len(desk.deltas)) == (5, "doubtful", 1)


def test_a_foreign_loan_is_exact(desk: Desk) -> None:
    usd = {"currency": "USD"}
    desk.feed(step("e1", "02", "disbursed", "100.01", **usd), step("e2", "03", "repaid", "0.02", **usd))
    assert (desk.loan().balance, desk.loan().exposure) == (Decimal("99.99"), Decimal("709.929"))
    assert [one.amount for one in desk.deltas] == [Decimal("710.071"), Decimal("-0.142")]


# What is kept: every loan, so that a step on a closed one is refused however much later it comes.
CLOSED = [step("e1", "2026-01-02 10:00", "disbursed", "5"), step("e2", "2026-01-10 10:00", "repaid", "5")]
LATER = at("2029-01-10 10:00")


def test_a_closed_loan_stays_closed(policies: PolicyHistory) -> None:
    late = replace(step("e3", "02", "repaid", "1"), event_time=LATER)
    other = replace(step("o", "02", "disbursed", "1", loan_id="O"), event_time=LATER)
    for events in ((late,), (other, late)):
        desk = Desk(policies).feed(*CLOSED, *events).end()
        assert [one[1] for one in desk.refused] == ["closed_loan"]


def test_a_line_drawn_again_is_the_same_loan(policies: PolicyHistory) -> None:
    again = replace(step("e3", "02", "disbursed", "9", industry="C13"), event_time=LATER)
    desk = Desk(policies).feed(*CLOSED, again)
    assert (desk.loan().member, desk.loan().balance) == ("K", 9)
    assert [one.member for one in desk.deltas] == ["K", "K", "K"]


def test_a_loan_with_a_balance_stays_known(desk: Desk) -> None:
    desk.feed(step("e1", "2023-01-02 10:00", "disbursed", "5"), step("o", "02", "disbursed", "1", loan_id="O"))
    desk.feed(step("e2", "03", "repaid", "5"))
    assert not desk.refused


def test_what_is_kept_does_not_grow_with_what_was(desk: Desk) -> None:
    """A borrower that takes and repays a loan each day: what is over is forgotten but for the loans themselves."""
    sizes = []
    start = at("2024-03-01 10:00")
    for day in range(200):
        out = replace(step(f"d{day:03d}", "02", "disbursed", "5", loan_id=f"L{day:03d}"), event_time=start)
        bad = replace(step(f"o{day:03d}", "02", "overdue", days_past_due=91, loan_id=f"L{day:03d}"), event_time=start)
        back = replace(out, event_id=f"r{day:03d}", kind="repaid", event_time=start + timedelta(hours=1))
        desk.feed(out, bad, back)
        start += timedelta(days=1)
        sizes.append(len(msgspec.msgpack.encode(desk.states.values)))
    assert not desk.refused
    assert len(desk.state.episodes) == 81
    assert len(desk.state.loans["BANK1"]) == 200
    assert (sizes[-1] - sizes[-51]) / 50 < 400  # bytes a loan
