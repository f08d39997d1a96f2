"""What loans prove of a measure: the list worked off loan by loan, the reclassification seen, in any order."""

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.events import LoanEvent
from models.policy import PolicyHistory
from models.proofs import ProofAsk, Proved
from models.stages.reviews import ASK_PREFIX
from tests.desk import Desk, step
from tests.make import at

SINCE = at("2026-03-10 09:00")


def ask(subject: str = "industry:BANK1:K", revision: int = 1, **fields: Any) -> ProofAsk:
    values: dict[str, Any] = {
        "case_id": f"{subject}#1",
        "subject": subject,
        "measure": "review_granted_loans",
        "kind": "loans_reviewed",
        "since": SINCE,
        "revision": revision,
    }
    return ProofAsk(**values | fields)


def lent(name: str, day: str = "02", **fields: Any) -> LoanEvent:
    return step(f"d-{name}", day, "disbursed", "100", **{"loan_id": name, "borrower_id": f"B-{name}"} | fields)


def reviewed(name: str, day: str = "11", **fields: Any) -> LoanEvent:
    return step(f"r-{name}-{day}", day, "reviewed", **{"loan_id": name, "borrower_id": f"B-{name}"} | fields)


def told(desk: Desk) -> tuple[int, int, datetime | None]:
    last = desk.proofs[-1]
    assert [one.revision for one in desk.proofs] == list(range(1, len(desk.proofs) + 1))
    return last.listed, last.left, last.done_at


@pytest.fixture
def desk(policies: PolicyHistory) -> Desk:
    return Desk(policies)


def test_a_list_is_worked_off_loan_by_loan(desk: Desk) -> None:
    desk.feed(lent("a"), lent("b"), lent("c", industry="A01")).ask(ask())
    assert told(desk) == (2, 2, None)
    desk.feed(reviewed("a", "11"))
    assert told(desk) == (2, 1, None)
    desk.feed(reviewed("b", "13"))
    assert told(desk) == (2, 0, at("2026-03-13 10:00"))
    desk.feed(reviewed("b", "14"), reviewed("c", "14"))
    assert len(desk.proofs) == 3  # nothing that the case does not know


def test_a_review_before_it_was_asked_for_proves_nothing(desk: Desk) -> None:
    desk.feed(lent("a"), reviewed("a", "09")).ask(ask())
    assert told(desk) == (1, 1, None)


def test_a_review_that_was_taken_before_the_ask_counts(desk: Desk) -> None:
    desk.feed(lent("a"), reviewed("a", "12")).ask(ask())
    assert told(desk) == (1, 0, at("2026-03-12 10:00"))


def test_at_its_very_instant_a_review_counts_and_a_loan_is_on_the_list(desk: Desk) -> None:
    desk.feed(lent("a", "2026-03-10 09:00"), reviewed("a", "2026-03-10 09:00")).ask(ask())
    assert told(desk) == (1, 0, SINCE)
    later = Desk(desk.policies).feed(lent("a", "2026-03-10 09:01")).ask(ask())
    assert told(later) == (0, 0, SINCE)


def test_where_nothing_is_listed_there_is_nothing_to_do(desk: Desk) -> None:
    desk.ask(ask())
    assert told(desk) == (0, 0, SINCE)


@pytest.mark.parametrize("kind", ["repaid", "written_off", "reversed"])
def test_a_loan_on_which_nothing_is_owed_leaves_the_list(desk: Desk, kind: str) -> None:
    desk.feed(lent("a"), lent("b")).ask(ask()).feed(reviewed("a"))
    desk.feed(step("end", "15", kind, "100", loan_id="b", borrower_id="B-b"))
    assert told(desk) == (1, 0, at("2026-03-15 10:00"))


def test_a_loan_that_comes_late_is_left_again(desk: Desk) -> None:
    desk.feed(lent("a")).ask(ask()).feed(reviewed("a"))
    assert told(desk)[1:] == (0, at("2026-03-11 10:00"))
    desk.feed(lent("late", "08"))
    assert told(desk) == (2, 1, None)


@pytest.mark.parametrize(
    ("subject", "fields"),
    [
        ("borrower:BANK1:B-a", {}),
        ("group:BANK1:G1", {"group_id": "G1"}),
        ("real_estate:BANK1:total", {"real_estate": "mortgage"}),
        ("industry:BANK1:K", {}),
    ],
)
def test_every_subject_of_a_book_has_its_loans(desk: Desk, subject: str, fields: dict[str, Any]) -> None:
    desk.feed(lent("a", **fields), lent("b", industry="A01")).ask(ask(subject)).feed(reviewed("a"))
    assert told(desk) == (1, 0, at("2026-03-11 10:00"))


def test_a_reclassification_is_seen_by_its_earliest_time(desk: Desk) -> None:
    desk.feed(lent("a"), lent("b")).ask(ask(kind="reclassified"))
    assert desk.proofs[-1].done_at is None

    def said(name: str, day: str) -> LoanEvent:
        owner = {"loan_id": name, "borrower_id": f"B-{name}"}
        return step(f"c-{name}", day, "reclassified", classification="substandard", **owner)

    desk.feed(step("c0", "09", "reclassified", classification="loss", loan_id="a", borrower_id="B-a"))
    assert desk.proofs[-1].done_at is None
    desk.feed(said("a", "14"))
    assert (desk.proofs[-1].done_at, desk.proofs[-1].evidence) == (at("2026-03-14 10:00"), ("c-a",))
    desk.feed(said("b", "12"))
    assert (desk.proofs[-1].done_at, desk.proofs[-1].evidence) == (at("2026-03-12 10:00"), ("c-b",))


def test_a_closed_ask_is_forgotten_and_a_new_one_counts_anew(desk: Desk) -> None:
    desk.feed(lent("a")).ask(ask()).ask(ask(revision=2, open=False))
    assert not any(key.startswith(ASK_PREFIX) for key in desk.states.keys())
    count = len(desk.proofs)
    desk.feed(reviewed("a"))
    assert len(desk.proofs) == count
    desk.ask(ask(revision=5, since=at("2026-03-12 00:00")))
    assert desk.proofs[-1].left == 1


def test_what_is_older_than_the_ask_that_is_known_changes_nothing(desk: Desk) -> None:
    desk.feed(lent("a")).ask(ask(revision=4)).ask(ask(revision=3, open=False))
    desk.feed(reviewed("a"))
    assert desk.proofs[-1].left == 0


def test_a_review_needs_a_loan_and_waits_for_it(desk: Desk) -> None:
    desk.feed(reviewed("a")).ask(ask())
    assert told(desk) == (0, 0, SINCE)
    desk.feed(lent("a", "10"))  # opened after the ask: on no list
    assert not desk.refused


def test_no_borrower_may_be_called_like_the_stage_calls_its_own(desk: Desk) -> None:
    desk.feed(lent("a", borrower_id="~ask|x"))
    assert [one[1:] for one in desk.refused] == [("reserved", "borrower_id")]


STEPS = [
    *(lent(name, "08") for name in "abcd"),
    *(reviewed(name, day) for name, day in zip("abc", ("10", "11", "12"), strict=True)),
    step("paid", "09", "repaid", "100", loan_id="d", borrower_id="B-d"),
]


@settings(max_examples=40)
@given(order=st.permutations(range(len(STEPS))), place=st.integers(0, len(STEPS)))
def test_the_order_of_arrival_changes_nothing_in_the_end(order: list[int], place: int) -> None:
    from tests.response import POLICY

    desk = Desk(PolicyHistory(POLICY))
    question = ask(since=at("2026-03-09 00:00"))
    for number, one in enumerate([*order, None]):
        if number == place:
            desk.ask(question)
        if one is not None:
            desk.feed(STEPS[one])
    last: Proved = desk.proofs[-1]
    assert (last.listed, last.left, last.done_at) == (3, 0, at("2026-03-12 10:00"))
