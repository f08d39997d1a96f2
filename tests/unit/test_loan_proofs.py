"""What loans prove of a measure: the list worked off loan by loan, the reclassification seen, in any order."""

from datetime import datetime
from itertools import pairwise
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.codec import Codec
from models import oracle
from models.credit.book import MOST_SAID
from models.events import LoanEvent
from models.oracle.frames import canonical
from models.oracle.lending import accepted_loans
from models.pipeline import MemoryStates
from models.policy import PolicyHistory
from models.proofs import ProofAsk
from models.stage import Record
from models.stages.borrowers import BorrowersStage, BorrowerState
from models.stages.reviews import ASK_PREFIX
from tests.desk import NOW, Desk, step
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


def owned(name: str, count: str, day: str, kind: str, amount: str | None = None, **fields: Any) -> LoanEvent:
    return step(f"{count}-{name}", day, kind, amount, loan_id=name, borrower_id=f"B-{name}", **fields)


def told(desk: Desk) -> tuple[int, int, datetime | None]:
    last, revisions = desk.proofs[-1], [one.revision for one in desk.proofs]
    assert all(one < other for one, other in pairwise(revisions))
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

    def said(name: str, day: str) -> tuple[datetime | None, tuple[str, ...]]:
        desk.feed(owned(name, f"c{day}", day, "reclassified", classification="substandard"))
        return desk.proofs[-1].done_at, desk.proofs[-1].evidence

    assert said("a", "09") == (None, ())
    assert said("a", "14") == (at("2026-03-14 10:00"), ("c14-a",))
    assert said("b", "12") == (at("2026-03-12 10:00"), ("c12-b",))


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


def test_only_the_first_review_takes_a_loan_off(desk: Desk) -> None:
    desk.feed(lent("a")).ask(ask()).feed(reviewed("a", "11"), reviewed("a", "13"))
    assert (len(desk.proofs), told(desk)) == (2, (1, 0, at("2026-03-11 10:00")))
    desk.feed(reviewed("a", "12"))
    assert len(desk.proofs) == 2
    again = Desk(desk.policies).feed(lent("a"), reviewed("a", "11"), reviewed("a", "13")).ask(ask())
    assert told(again) == told(desk)


def test_an_earlier_review_that_comes_late_takes_the_time_back_to_the_next_of_the_others(desk: Desk) -> None:
    desk.feed(lent("a"), lent("b")).ask(ask()).feed(reviewed("b", "11"), reviewed("a", "13"))
    assert told(desk) == (2, 0, at("2026-03-13 10:00"))
    desk.feed(reviewed("a", "2026-03-10 10:00"))
    assert told(desk) == (2, 0, at("2026-03-11 10:00"))


def test_a_repayment_taken_before_the_ask_counts_by_its_own_time(desk: Desk) -> None:
    paid = owned("a", "end", "12", "repaid", "100")
    assert told(desk.feed(lent("a"), paid).ask(ask())) == (0, 0, at("2026-03-12 10:00"))
    before = owned("a", "end", "09", "repaid", "100")
    assert told(Desk(desk.policies).feed(lent("a"), before).ask(ask())) == (0, 0, SINCE)


def test_a_loan_that_was_reviewed_and_then_repaid_was_off_with_its_review(desk: Desk) -> None:
    desk.feed(lent("a")).ask(ask()).feed(reviewed("a", "11"), owned("a", "end", "14", "repaid", "100"))
    assert told(desk) == (0, 0, at("2026-03-11 10:00"))


def test_a_loan_drawn_again_is_left_again_unless_it_was_reviewed(desk: Desk) -> None:
    desk.feed(lent("a")).ask(ask()).feed(owned("a", "end", "12", "repaid", "100"))
    assert told(desk) == (0, 0, at("2026-03-12 10:00"))
    desk.feed(owned("a", "anew", "13", "disbursed", "60"))
    assert told(desk) == (1, 1, None)
    desk.feed(reviewed("a", "14"), owned("a", "more", "15", "repaid", "60"), owned("a", "x", "16", "disbursed", "5"))
    assert told(desk) == (1, 0, at("2026-03-14 10:00"))


def test_a_loan_is_as_old_as_its_earliest_disbursement(desk: Desk) -> None:
    desk.ask(ask()).feed(owned("a", "d2", "11", "disbursed", "50"))
    assert told(desk) == (0, 0, SINCE)
    desk.feed(owned("a", "d1", "10", "disbursed", "50"))  # at 10:00, an hour after it was asked
    assert told(desk) == (0, 0, SINCE)
    desk.feed(owned("a", "d0", "2026-03-10 09:00", "disbursed", "50"))
    assert told(desk) == (1, 1, None)


def test_the_earliest_reclassification_counts_though_it_was_taken_before_the_ask(desk: Desk) -> None:
    days = ("09", "11", "13")
    desk.feed(lent("a"), *(owned("a", f"c{day}", day, "reclassified", classification="loss") for day in days))
    desk.ask(ask(kind="reclassified"))
    last = desk.proofs[-1]
    assert (last.done_at, last.evidence) == (at("2026-03-11 10:00"), ("c11-a",))


def test_who_asks_for_a_reclassification_is_told_of_no_list(desk: Desk) -> None:
    desk.feed(lent("a")).ask(ask(kind="reclassified")).feed(lent("b"), reviewed("a", "11"))
    assert [(one.listed, one.left, one.done_at) for one in desk.proofs] == [(0, 0, None)]


def test_of_very_many_reviews_a_loan_remembers_the_newest(desk: Desk) -> None:
    desk.feed(lent("a"), *(reviewed("a", f"{day:02}") for day in range(11, 11 + MOST_SAID + 1))).ask(ask())
    state = desk.states.load("B-a", BorrowerState)
    assert state is not None
    assert len(state.loans["BANK1"]["a"].reviews) == MOST_SAID
    assert told(desk) == (1, 0, at("2026-03-12 10:00"))


def test_an_answer_given_again_has_the_same_number_and_a_newer_one_a_greater(desk: Desk) -> None:
    desk.feed(lent("a"), lent("b")).ask(ask()).ask(ask())
    first, repeated = desk.proofs
    assert first == repeated
    stored = msgspec.msgpack.encode(desk.states.values)
    desk.feed(reviewed("a", "11"))
    # Killed after it had answered, before it stored that: more may be read at once the next time.
    again = Desk(desk.policies).feed(lent("a"), lent("b")).ask(ask())
    assert msgspec.msgpack.encode(again.states.values) == stored
    stage = BorrowersStage(desk.policies, 1)
    for offset, one in enumerate((reviewed("a", "11"), reviewed("b", "12")), 4):
        list(stage.apply(again.states, Record("loans", 0, offset, one.event_time, one, NOW)))
    (together,) = [emit.value for emit in stage.flush(again.states) if emit.topic == "proofs"]
    assert together.revision > desk.proofs[-1].revision
    assert (together.left, together.done_at) == (0, at("2026-03-12 10:00"))


def test_an_event_that_is_not_taken_says_nothing(desk: Desk) -> None:
    desk.feed(lent("a")).ask(ask())
    desk.feed(reviewed("b", "11"), owned("a", "x", "11", "repaid", "101"))
    assert len(desk.proofs) == 1


def test_other_borrowers_are_not_looked_at_for_an_event(desk: Desk) -> None:
    desk.feed(*(lent(name) for name in "abcde")).ask(ask())

    class Watched(MemoryStates):
        looked: ClassVar[list[str]] = []

        def load(self, key: str, kind: type[Any]) -> Any:
            self.looked.append(key)
            return super().load(key, kind)

    states = Watched()
    states.values = desk.states.values
    stage = BorrowersStage(desk.policies, 1)
    for offset, one in enumerate((reviewed("a", "11"), reviewed("b", "12")), 6):
        list(stage.apply(states, Record("loans", 0, offset, one.event_time, one, NOW)))
    assert len([emit for emit in stage.flush(states) if emit.topic == "proofs"]) == 1
    assert {key for key in states.looked if not key.startswith("~")} == {"B-a", "B-b"}


@pytest.mark.parametrize(
    ("events", "refused"),
    [
        ([reviewed("a"), lent("a")], []),
        ([reviewed("a")], [("r-a-11", "unknown_loan")]),
        ([reviewed("a", "11"), lent("a", "12")], [("r-a-11", "closed_loan")]),
        ([lent("a"), owned("a", "p", "10", "repaid", "100"), reviewed("a", "11")], [("r-a-11", "closed_loan")]),
        ([lent("a"), owned("a", "p", "10", "repaid", "100"), reviewed("a", "10")], []),
        ([lent("a"), owned("a", "p", "12", "repaid", "100"), reviewed("a", "11")], []),
        ([lent("a"), reviewed("a", currency="EUR")], []),  # moves no money: nothing to convert or compare
    ],
)
def test_a_review_is_a_step_that_needs_an_open_loan_to_stream_and_oracle(
    desk: Desk, events: list[LoanEvent], refused: list[tuple[str, str]]
) -> None:
    assert [(name, reason) for name, reason, _ in desk.feed(*events).end().refused] == refused
    judged = accepted_loans(canonical(oracle.from_events(events), "loans"), desk.policies)
    assert judged.refused.select("event_id", "reason").rows() == refused
    assert len(judged.steps) == len(events) - len(refused)


def test_a_review_moves_no_money_and_changes_no_class(desk: Desk) -> None:
    desk.feed(lent("a"))
    deltas = len(desk.deltas)
    desk.feed(reviewed("a"))
    assert (len(desk.deltas), desk.warnings, desk.refused) == (deltas, [], [])


def test_a_review_comes_over_the_wire_without_an_amount() -> None:
    event = reviewed("a")
    value, headers = Codec().encode("loans", event)
    assert b"amount" not in value
    assert Codec().decode("loans", event.key.encode(), value, headers) == event


# All within the lateness, on either side of what is asked; whatever overtakes a disbursement waits for it.
LIVES = {
    "reviewed": [lent("a", "08"), reviewed("a", "09"), reviewed("a", "10"), reviewed("a", "11")],
    "repaid": [lent("b", "08"), owned("b", "p1", "09", "repaid", "40"), owned("b", "p2", "11", "repaid", "60")],
    "reviewed, then repaid": [lent("c", "08"), reviewed("c", "10"), owned("c", "p", "11", "repaid", "100")],
    "in two parts": [lent("d", "08"), owned("d", "d2", "10", "disbursed", "50"), reviewed("d", "11")],
    "after it was asked": [lent("e", "10"), owned("e", "d2", "11", "disbursed", "50")],
    "written off": [lent("f", "08"), owned("f", "w", "10", "written_off", "100")],
    "reclassified": [
        lent("g", "08"),
        owned("g", "c1", "09", "reclassified", classification="substandard"),
        owned("g", "c2", "10", "reclassified", classification="doubtful"),
        owned("g", "c3", "11", "reclassified", classification="loss"),
    ],
}
ASKED_AT = at("2026-03-09 12:00")


def ends(order: list[LoanEvent], places: tuple[int, int]) -> list[tuple[int, int, datetime | None, tuple[str, ...]]]:
    """What is told last of a list and of a reclassification, each asked for after so many events."""
    from tests.response import POLICY

    desk = Desk(PolicyHistory(POLICY))
    for number, one in enumerate([*order, None]):
        if number == places[0]:
            desk.ask(ask(since=ASKED_AT))
        if number == places[1]:
            desk.ask(ask(since=ASKED_AT, kind="reclassified", measure="adjust_classification"))
        if one is not None:
            desk.feed(one)
    assert desk.refused == []
    found = []
    for measure in ("review_granted_loans", "adjust_classification"):
        answers = [one for one in desk.proofs if one.measure == measure]
        assert all(one.revision < other.revision for one, other in pairwise(answers))
        found.append((answers[-1].listed, answers[-1].left, answers[-1].done_at, answers[-1].evidence))
    return found


@settings(max_examples=60)
@given(st.data())
def test_the_order_of_arrival_changes_nothing_in_the_end(data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(sorted(LIVES)), min_size=1, unique=True))
    events = [one for name in names for one in LIVES[name]]
    place = st.integers(0, len(events))
    found = ends(data.draw(st.permutations(events)), (data.draw(place), data.draw(place)))
    assert found == ends(sorted(events, key=lambda one: (one.event_time, one.event_id)), (0, 0))


def test_what_all_of_these_lives_come_to() -> None:
    events = sorted((one for life in LIVES.values() for one in life), key=lambda one: (one.event_time, one.event_id))
    # Listed: a and d are reviewed, g is left.
    assert ends(events, (0, 0)) == [(3, 1, None, ()), (0, 0, at("2026-03-10 10:00"), ("c2-g",))]
    done = [one for one in events if one.loan_id != "g"]
    assert ends(done, (0, 0))[0] == (2, 0, at("2026-03-11 10:00"), ())
