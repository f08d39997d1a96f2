"""Loan events that came before what they need: what lets them in, in which order, and until when they wait."""

import base64
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from connectors.codec import Codec
from models.events import LoanEvent
from models.messages import LoanDeltas, LoanWatermark
from models.pipeline import END_OF_TIME, LocalPipeline, MemoryStates
from models.policy import Policy, PolicyHistory
from models.stage import Emit, Record, Tick
from models.stages.borrowers import BorrowersStage
from models.stages.portfolio import PortfolioStage
from models.stages.portfolio.states import EntityState
from models.stages.waiting import AT_ONCE, MAX_WAITING, WAITING_PREFIX, Waiting
from tests.desk import Desk, step
from tests.make import at, loan

LATENESS = timedelta(days=3)
INSTANT = timedelta(microseconds=1)
SAID = {"classification": "substandard", "days_past_due": 31}


@pytest.fixture
def desk(policies: PolicyHistory) -> Desk:
    assert policies.latest.lateness == LATENESS
    return Desk(policies)


def moved(event: LoanEvent, later: timedelta) -> LoanEvent:
    return replace(event, event_time=event.event_time + later)


DRAWN = step("d", "02", "disbursed", "100")
REPAID_IN_FULL = step("r", "03", "repaid", "100")
AGAIN = step("again", "03", "disbursed", "60")

# What comes first, the step that is not allowed then, the disbursement that allows it, what is owed after both.
CURES: list[tuple[str, Sequence[LoanEvent], LoanEvent, LoanEvent, int]] = [
    ("unknown_loan", [], step("e", "04", "repaid", "40"), DRAWN, 60),
    ("unknown_loan", [], step("e", "04", "written_off", "100"), DRAWN, 0),
    ("unknown_loan", [], step("e", "04", "reversed", "100"), DRAWN, 0),
    ("unknown_loan", [], step("e", "04", "overdue", **SAID), DRAWN, 100),
    ("unknown_loan", [], step("e", "04", "reclassified", **SAID), DRAWN, 100),
    ("closed_loan", [DRAWN, REPAID_IN_FULL], step("e", "04", "repaid", "40"), AGAIN, 20),
    ("closed_loan", [DRAWN, REPAID_IN_FULL], step("e", "04", "written_off", "60"), AGAIN, 0),
    ("closed_loan", [DRAWN, REPAID_IN_FULL], step("e", "04", "overdue", **SAID), AGAIN, 60),
    ("closed_loan", [DRAWN, REPAID_IN_FULL], step("e", "04", "reclassified", **SAID), AGAIN, 60),
    ("nothing_to_reverse", [DRAWN, REPAID_IN_FULL], step("e", "04", "reversed", "60"), AGAIN, 0),
    ("repays_past_zero", [DRAWN], step("e", "04", "repaid", "100.01"), step("again", "03", "disbursed", "0.01"), 0),
    ("repays_past_zero", [DRAWN], step("e", "04", "written_off", "150"), AGAIN, 10),
    ("repays_past_zero", [DRAWN], step("e", "04", "reversed", "160"), AGAIN, 0),
]


@pytest.mark.parametrize(("reason", "first", "early", "cure", "owed"), CURES)
def test_a_step_waits_for_the_disbursement_that_allows_it(
    desk: Desk, reason: str, first: Sequence[LoanEvent], early: LoanEvent, cure: LoanEvent, owed: int
) -> None:
    desk.feed(*first)
    before = msgspec.msgpack.encode({key: one for key, one in desk.states.values.items() if key in ("B", "~progress")})
    deltas = len(desk.deltas)
    desk.feed(early)
    # It is as if it had not come.
    assert (desk.waiting, desk.refused, len(desk.deltas)) == (["e"], [], deltas)
    kept = {key: one for key, one in desk.states.values.items() if key in ("B", "~progress")}
    assert msgspec.msgpack.encode(kept) == before
    desk.feed(cure)
    assert (desk.waiting, desk.refused, desk.loan().balance) == ([], [], owed)
    assert (desk.state.newest, desk.watermark) == (early.event_time, early.event_time)
    assert set(desk.state.seen) == {*(one.event_id for one in first), early.event_id, cure.event_id}
    if early.kind == "overdue":
        assert desk.loan().days_past_due == 31
    if early.kind == "reclassified":
        assert desk.loan().classification == "substandard"
    assert f"{WAITING_PREFIX}B" not in desk.states.values
    assert desk.end().refused == []


@pytest.mark.parametrize(("reason", "first", "early", "cure", "owed"), CURES)
def test_nothing_but_that_disbursement_allows_it(
    desk: Desk, reason: str, first: Sequence[LoanEvent], early: LoanEvent, cure: LoanEvent, owed: int
) -> None:
    desk.feed(*first, early)
    others = [
        replace(cure, event_id="o1", loan_id="M"),
        replace(cure, event_id="o2", entity="BANK2"),
        replace(cure, event_id="o3", borrower_id="C"),
        replace(cure, event_id="o4", kind="approved"),
    ]
    desk.feed(*others)
    assert (desk.waiting, desk.refused) == (["e"], [])
    desk.end()
    assert [one[:2] for one in desk.refused] == [("e", reason)]
    assert "it has waited for that since 2026-03-04T02:00:00+00:00" in desk.details[0]
    assert desk.waiting == []


def test_a_disbursement_that_happened_after_it_does_not_allow_it(desk: Desk) -> None:
    """It was a repayment of nothing when it happened."""
    desk.feed(step("e", "04", "repaid", "40"), step("d", "05", "disbursed", "100"))
    assert desk.waiting == ["e"]
    desk.feed(step("c", "03", "disbursed", "40"))
    assert (desk.waiting, desk.refused, desk.loan().balance) == ([], [], 100)


def test_one_that_came_later_makes_room_for_what_waits(desk: Desk) -> None:
    """The money that it needed was taken by a step that happened after it."""
    desk.feed(step("a", "02", "disbursed", "100"), step("c", "05", "repaid", "50"), step("b", "03", "repaid", "100"))
    assert desk.waiting == ["b"]
    desk.feed(step("d", "04", "disbursed", "100"))
    assert (desk.waiting, desk.refused, desk.loan().balance) == ([], [], 50)


def test_a_repayment_of_a_closed_loan_is_none_of_what_is_drawn_later(desk: Desk) -> None:
    desk.feed(step("a", "02", "disbursed", "100"), step("b", "03", "repaid", "100"), step("e", "04", "repaid", "1"))
    desk.feed(step("d", "05", "disbursed", "50"))
    assert (desk.waiting, desk.loan().balance) == (["e"], 50)


@pytest.mark.parametrize(("day", "waits"), [("04", False), ("05", True)])
def test_a_statement_on_the_time_before_the_loan_was_closed_is_taken_after_it(
    desk: Desk, day: str, waits: bool
) -> None:
    desk.feed(step("d", "02", "disbursed", "100"), step("r", "04", "repaid", "100"), step("o", day, "overdue", **SAID))
    assert desk.waiting == (["o"] if waits else [])


def test_a_disbursement_of_the_same_instant_allows_it(desk: Desk) -> None:
    desk.feed(step("e", "04", "repaid", "40"), step("d", "04", "disbursed", "100"))
    assert (desk.waiting, desk.loan().balance) == ([], 60)


# ----------------------------------------------------------------- several, and in order


def test_several_are_tried_in_the_order_in_which_they_happened(desk: Desk) -> None:
    desk.feed(
        step("late", "05", "repaid", "50"),
        step("b", "04", "repaid", "70"),
        step("a", "04", "repaid", "40"),  # of the same instant as b
        step("o", "03", "overdue", **SAID),
        step("other", "03", "repaid", "1", loan_id="M"),
    )
    assert desk.waiting == ["late", "b", "a", "o", "other"]
    desk.feed(step("d", "02", "disbursed", "90"))
    # a before b, for which too little is left then; late takes the rest.
    assert (desk.loan().balance, desk.waiting) == (0, ["b", "other"])
    assert [one.event_id for one in desk.deltas] == ["d", "a", "late"]
    assert desk.state.newest == at("2026-03-05 10:00")
    # b has waited for more since: a further drawing of before lets it in.
    desk.feed(step("d2", "04", "disbursed", "70"))
    assert (desk.loan().balance, desk.waiting) == (0, ["other"])
    assert desk.end().refused == [("other", "unknown_loan", "loan_id")]


def test_what_is_refused_in_the_end_says_why_it_was_last(desk: Desk) -> None:
    desk.feed(step("e", "04", "repaid", "100.01"), step("d", "03", "disbursed", "100"))
    assert desk.waiting == ["e"]
    assert desk.end().refused == [("e", "repays_past_zero", "amount")]
    assert desk.details[0].startswith("100.01 is more than the 100 outstanding on L")


def test_a_disbursement_that_comes_twice_lets_in_once(desk: Desk) -> None:
    out = step("d", "02", "disbursed", "100")
    desk.feed(step("e", "04", "repaid", "40"), out, out)
    assert (desk.loan().balance, [one.event_id for one in desk.deltas]) == (60, ["d", "e"])


# -------------------------------------------------------------------------- duplicates


def test_a_duplicate_of_what_waits_is_nothing(desk: Desk) -> None:
    early = step("e", "04", "repaid", "40")
    desk.feed(early, early, replace(early, amount=Decimal(1)), replace(early, loan_id="M"))
    assert (desk.waiting, desk.refused) == (["e"], [])
    desk.feed(step("d", "03", "disbursed", "100"), early)
    assert (desk.waiting, desk.refused, desk.loan().balance) == ([], [], 60)


def test_once_refused_its_id_is_free_again(desk: Desk) -> None:
    early = step("e", "04", "repaid", "40")
    desk.feed(early).tick(early.event_time + LATENESS + INSTANT)
    assert [one[0] for one in desk.refused] == ["e"]
    desk.feed(step("d", "03", "disbursed", "100"), early)
    assert (desk.waiting, len(desk.refused), desk.loan().balance) == ([], 1, 60)


# ------------------------------------------------------------------------- until when


@pytest.mark.parametrize("kind", ["disbursed", "approved", "applied"])
def test_it_waits_until_the_borrower_is_past_its_lateness(desk: Desk, kind: str) -> None:
    early = step("e", "04", "repaid", "40")
    newer = moved(step("n", "04", kind, "5", loan_id="N"), LATENESS)
    desk.feed(early, newer)
    assert (desk.waiting, desk.refused) == (["e"], [])
    desk.feed(replace(moved(newer, INSTANT), event_id="n2"))
    assert (desk.waiting, desk.refused) == ([], [("e", "unknown_loan", "loan_id")])
    assert "it has waited for that since" in desk.details[0]


def test_of_another_borrower_it_knows_nothing(desk: Desk) -> None:
    desk.feed(step("e", "04", "repaid", "40"), step("n", "20", "disbursed", "5", borrower_id="C"))
    assert desk.waiting == ["e"]


def test_how_late_it_may_be_is_said_by_its_own_day(policy: Policy) -> None:
    def late(days: str, valid_from: str) -> Policy:
        lateness = replace(policy.events.lateness, value=Decimal(days))
        head = replace(policy.policy, version=days, valid_from=at(f"{valid_from} 00:00"))
        return replace(policy, policy=head, events=replace(policy.events, lateness=lateness))

    desk = Desk(PolicyHistory(late("10", "2020-01-01"), late("1", "2026-03-06")))
    desk.feed(step("old", "05", "repaid", "1"), step("new", "06", "repaid", "1"))
    desk.feed(step("n", "2026-03-07 10:00:00.000001", "disbursed", "5", loan_id="N"))
    assert (desk.waiting, [one[0] for one in desk.refused]) == (["old"], ["new"])
    desk.feed(step("n2", "15", "disbursed", "5", loan_id="N"))
    assert desk.waiting == ["old"]
    desk.feed(step("n3", "2026-03-15 10:00:00.000001", "disbursed", "5", loan_id="N"))
    assert [one[0] for one in desk.refused] == ["new", "old"]


def test_a_step_that_waited_makes_others_too_late(desk: Desk) -> None:
    """It moves the borrower's newest only once it is taken."""
    first = step("first", "03", "repaid", "999")
    second = replace(moved(first, LATENESS + INSTANT), event_id="second", amount=Decimal(1))
    beside = step("beside", "03", "repaid", "1", loan_id="M")
    desk.feed(beside, first, second)
    assert desk.waiting == ["beside", "first", "second"]
    desk.feed(step("d", "03", "disbursed", "5"))
    assert (desk.loan().balance, desk.waiting) == (4, [])
    assert desk.refused == [("beside", "unknown_loan", "loan_id"), ("first", "repays_past_zero", "amount")]


def test_what_is_too_late_is_refused_before_anything_is_tried_again(desk: Desk) -> None:
    """Of the loans, too: the disbursement that ends the waiting of another one's step."""
    desk.feed(step("e", "02", "repaid", "1", loan_id="M"), step("f", "06", "repaid", "1"))
    desk.feed(step("d", "05", "disbursed", "5"))
    assert (desk.refused, desk.waiting) == ([("e", "unknown_loan", "loan_id")], [])
    assert desk.loan().balance == 4


# ------------------------------------------------------------------------------ clock


def test_by_the_clock_it_waits_for_its_lateness_from_its_arrival(desk: Desk) -> None:
    arrived = at("2026-05-01 12:00")
    desk.feed(step("e", "04", "repaid", "40"), ingest_time=arrived)
    desk.feed(step("f", "05", "repaid", "40"), ingest_time=arrived + INSTANT)
    desk.tick(arrived + LATENESS)
    assert desk.waiting == ["e", "f"]
    desk.tick(arrived + LATENESS * 2, caught_up=False)  # the disbursement may be among what is not read yet
    assert desk.waiting == ["e", "f"]
    desk.tick(arrived + LATENESS + INSTANT)
    assert (desk.waiting, desk.refused) == (["f"], [("e", "unknown_loan", "loan_id")])
    desk.tick(arrived + LATENESS + INSTANT * 2)
    assert [one[0] for one in desk.refused] == ["e", "f"]
    assert list(desk.states.values) == []


def test_a_tick_gives_up_for_some_borrowers_at_once(policies: PolicyHistory) -> None:
    stage, states, when = BorrowersStage(policies, 1), MemoryStates(), at("2026-03-04 10:00")
    for number in range(AT_ONCE + 1):
        event = loan(f"e{number}", when, "1", kind="repaid")
        assert not stage.apply(states, Record("loans", 0, number, when, event, when))
    later = when + LATENESS + INSTANT
    given_up = [
        [one for one in stage.tick(states, Tick(later, True, 5)) if one.topic == "dead-letters"] for _ in range(3)
    ]
    assert [len(one) for one in given_up] == [AT_ONCE, 1, 0]


class Watched(MemoryStates):
    """Notes which keys are looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.looked: list[str] = []

    def load(self, key: str, kind: type[Any]) -> Any:
        self.looked.append(key)
        return super().load(key, kind)


def test_a_tick_looks_at_nobody_who_has_nothing_to_wait_for(policies: PolicyHistory) -> None:
    stage, states = BorrowersStage(policies, 1), Watched()
    drawn = [loan(f"d{n}", "2026-03-04 10:00", "1") for n in range(3)]
    events = [*drawn, step("e", "04", "repaid", "1")]
    for offset, event in enumerate(events):
        list(stage.apply(states, Record("loans", 0, offset, event.event_time, event, event.event_time)))
    for again in (stage, BorrowersStage(policies, 1)):
        states.looked.clear()
        list(again.tick(states, Tick(at("2026-03-04 11:00"), True, 5)))
        assert {one for one in states.looked if one.startswith("B")} == set()
    list(stage.tick(states, Tick(at("2026-04-04 11:00"), True, 5)))
    assert set(states.looked) == {"~progress", f"{WAITING_PREFIX}B"}


# ----------------------------------------------------------------------------- bounds


def test_of_a_borrower_a_hundred_wait(desk: Desk) -> None:
    many = [step(f"e{number:03d}", "04", "repaid", "1", loan_id=f"L{number}") for number in range(MAX_WAITING)]
    desk.feed(*many)
    assert (len(desk.waiting), desk.refused) == (100, [])
    one_more = step("more", "04", "repaid", "1")
    desk.feed(one_more)
    assert desk.refused == [("more", "unknown_loan", "loan_id")]
    assert "loan L was never disbursed" in desk.details[0]
    assert "100 events of B wait already" in desk.details[0]
    assert not desk.letters  # at once: the runner writes its letter
    # Another borrower's wait, and a duplicate is nothing all the same.
    desk.feed(replace(one_more, borrower_id="C"), many[0])
    assert len(desk.refused) == 1
    size = len(msgspec.msgpack.encode(desk.states.load(f"{WAITING_PREFIX}B", Waiting)))
    assert size < 60_000
    # Where one is let in, another may wait.
    desk.feed(step("d", "04", "disbursed", "1", loan_id="L7"), one_more)
    assert (len(desk.waiting), len(desk.refused), desk.waiting[-1]) == (100, 1, "more")


def test_another_currency_shows_when_the_loan_is_known(desk: Desk) -> None:
    desk.feed(step("e", "04", "repaid", "40", currency="USD"), step("f", "05", "repaid", "40"))
    desk.feed(step("d", "03", "disbursed", "100"))
    assert (desk.waiting, desk.loan().balance) == ([], 60)
    assert desk.refused == [("e", "other_currency", "currency")]
    assert desk.details == ["loan L is in CNY, not USD: send its amount in CNY"]
    (letter,) = desk.letters
    assert (letter.dead_letter_id, letter.source_topic, letter.source_partition, letter.source_offset) == (
        "loans/0/0", "loans", 0, 0
    )  # fmt: skip
    assert (letter.source_key, letter.refused_at) == ("B", at("2026-12-31 00:00"))


def test_what_can_be_told_at_once_does_not_wait(desk: Desk) -> None:
    desk.feed(step("d", "20", "disbursed", "100"))
    desk.feed(
        step("usd", "20", "repaid", "1", currency="USD"),
        step("late", "17", "repaid", "1", loan_id="M"),  # in time by an hour less than nothing
        step("later", "2026-03-17 09:59", "repaid", "1", loan_id="M"),
        step("aud", "20", "repaid", "1", loan_id="M", currency="AUD"),
    )
    desk.feed(step("ahead", "21", "repaid", "1", loan_id="M"), ingest_time=at("2026-03-20 10:00"))
    assert [one[:2] for one in desk.refused] == [
        ("usd", "other_currency"),
        ("later", "too_late"),
        ("aud", "no_rate"),
        ("ahead", "in_the_future"),
    ]
    assert desk.waiting == ["late"]


def test_the_letter_of_what_waited_can_be_sent_again(desk: Desk) -> None:
    fields = {"industry": "K70", "region": "CN-43", "group_id": "G1", "branch_id": "0731", "classification": "loss"}
    early = step("e", "04", "repaid", "40.10", **fields)
    (letter,) = desk.feed(early).end().letters
    again = Codec().decode("loans", b"B", base64.b64decode(letter.raw or ""), ())
    assert again == early
    assert f"{again.amount}" == "40.10"


# ------------------------------------------------------------- what others are told of


def test_it_is_passed_on_from_where_the_disbursement_stands(desk: Desk) -> None:
    arrived = at("2026-03-10 08:00")
    desk.feed(step("e", "04", "repaid", "40"), ingest_time=arrived)
    desk.feed(step("x", "03", "approved", "1"))
    desk.feed(step("d", "04", "disbursed", "100"), ingest_time=arrived + timedelta(hours=1))
    told = [(one.event_id, one.offset, one.ingest_time, f"{one.amount}", one.loans) for one in desk.deltas]
    assert told == [
        ("d", 2, arrived + timedelta(hours=1), "100", 1),
        ("e", 2, arrived, "-40", 0),
    ]
    assert {one.event_time for one in desk.deltas} == {at("2026-03-04 10:00")}


def test_a_book_counts_all_of_an_offset_once(policies: PolicyHistory) -> None:
    stage, states = BorrowersStage(policies, 1), MemoryStates()
    events = [step("e", "04", "repaid", "40"), step("f", "05", "repaid", "1"), step("d", "03", "disbursed", "100")]
    for offset, event in enumerate(events):
        list(stage.apply(states, Record("loans", 0, offset, event.event_time, event, event.event_time)))
    (message,) = (one.value for one in stage.flush(states) if isinstance(one.value, LoanDeltas))
    assert [(one.event_id, one.offset) for one in message.deltas] == [("d", 2), ("e", 2), ("f", 2)]
    portfolio, books = PortfolioStage(policies), MemoryStates()
    end = LoanWatermark(loans_partition=0, loans_partitions=1, caught_up_at=END_OF_TIME)
    for value in (message, message, end, message, end):
        list(portfolio.apply(books, Record("portfolio.deltas", 0, 0, END_OF_TIME, value, END_OF_TIME)))
        list(portfolio.flush(books))
    book = books.load("BANK1", EntityState)
    assert book is not None
    assert (book.total, book.loans) == (59, 1)


def test_it_is_judged_when_it_is_taken_and_late_behind_the_newest(desk: Desk) -> None:
    overdue = step("o", "04", "overdue", days_past_due=91)
    desk.feed(overdue, step("d", "03", "disbursed", "100"))
    assert [(one.detector, one.severity, one.late, one.event_time) for one in desk.warnings] == [
        ("misclassification", "high", False, overdue.event_time)
    ]
    other = Desk(desk.policies).feed(overdue, step("n", "05", "disbursed", "1", loan_id="N"))
    assert not other.warnings
    other.feed(step("d", "03", "disbursed", "100"))
    (late,) = other.warnings
    assert (late.late, late.event_time, late.warning_id) == (True, overdue.event_time, desk.warnings[0].warning_id)


def test_contagion_by_a_class_that_waited(desk: Desk) -> None:
    """The bad class is there before the disbursement of its loan: the borrower's other loan becomes too good."""
    bad = step("c", "04", "reclassified", classification="loss", loan_id="M")
    desk.feed(step("d", "02", "disbursed", "10"), bad)
    assert not desk.warnings
    desk.feed(step("m", "03", "disbursed", "100", loan_id="M"))
    assert [(one.reasons[0].code, one.event_ids, one.late) for one in desk.warnings] == [("contagion", ("c",), False)]


# --------------------------------------------------------------------- in one process


def fed(policies: PolicyHistory, events: Sequence[LoanEvent]) -> tuple[LocalPipeline, list[Emit]]:
    pipeline, emits = LocalPipeline(policies), list[Emit]()
    for event in events:
        emits += pipeline.feed("loans", event)
        pipeline.restart()
    return pipeline, emits


def test_the_pipeline_says_what_was_refused_when_that_is_certain(policies: PolicyHistory) -> None:
    events = [
        step("e", "04", "repaid", "40"),
        step("usd", "05", "repaid", "1", loan_id="M", currency="USD"),
        step("m", "05", "disbursed", "9", loan_id="M"),
    ]
    pipeline, emits = fed(policies, events)
    assert [(one.event_id, one.topic, one.reason, one.field) for one in pipeline.refusals] == [
        ("usd", "loans", "other_currency", "currency")
    ]
    assert [one.key for one in emits if one.topic == "dead-letters"] == ["B"]
    emits = pipeline.feed("loans", step("n", "08", "disbursed", "9", loan_id="M"))
    assert [one.event_id for one in pipeline.refusals] == ["usd", "e"]
    pipeline.feed("loans", step("c2", "08", "repaid", "1", borrower_id="C"))
    pipeline.feed("loans", step("a1", "07", "repaid", "1", borrower_id="A"))
    pipeline.feed("loans", step("c1", "07", "repaid", "1", borrower_id="C"))
    out = pipeline.finish()
    assert [one.event_id for one in pipeline.refusals] == ["usd", "e", "c2", "a1", "c1"]
    assert [one.value.source_offset for one in out if one.topic == "dead-letters"] == [4, 5, 6]
    last = pipeline.refusals[-1]
    assert (last.topic, last.reason, last.field) == ("loans", "unknown_loan", "loan_id")
    assert last.detail.startswith("loan L was never disbursed: send its disbursement first")
    assert not [one for one in pipeline.finish() if one.topic == "dead-letters"]


@pytest.mark.parametrize("order", [sorted, lambda ids: sorted(ids, reverse=True)])
def test_a_life_that_comes_backwards_is_the_same_life(
    policies: PolicyHistory, order: Callable[[Sequence[str]], list[str]]
) -> None:
    life = {
        "1": step("1", "02", "disbursed", "100"),
        "2": step("2", "03", "repaid", "30"),
        "3": step("3", "03", "overdue", days_past_due=31),
        "4": step("4", "04", "reclassified", classification="special_mention"),
        "5": step("5", "04", "written_off", "70"),
    }
    desk = Desk(policies).feed(*(life[name] for name in order(list(life)))).end()
    one = desk.loan()
    assert (one.balance, one.written_off, one.days_past_due, one.classification) == (0, True, 31, "special_mention")
    assert desk.refused == []
    assert sum(one.amount for one in desk.deltas) == 0
    assert [(one.detector, one.event_ids) for one in desk.warnings] == [("misclassification", ("3",))]


def test_a_pipeline_restarted_while_something_waits(policies: PolicyHistory) -> None:
    events = [step("e", "04", "repaid", "40"), step("d", "03", "disbursed", "100"), step("f", "04", "repaid", "60")]
    pipeline, emits = fed(policies, events)
    emits += pipeline.finish()
    assert pipeline.refusals == []
    lines = {one.key: one.value for one in emits if one.topic == "portfolio"}
    assert (lines["BANK1|entity|BANK1"].exposure, lines["BANK1|entity|BANK1"].loans) == (0, 0)


def test_the_clock_of_a_long_wait(desk: Desk) -> None:
    """What waits longest is given up first, whoever's it is."""
    start: datetime = at("2026-03-04 10:00")
    for number, borrower in enumerate("CAB"):
        event = step(f"e{borrower}", "04", "repaid", "1", borrower_id=borrower)
        desk.feed(event, ingest_time=start + timedelta(hours=number))
    desk.tick(start + LATENESS + timedelta(hours=1))
    assert [one[0] for one in desk.refused] == ["eC"]
    desk.tick(start + LATENESS + timedelta(hours=5))
    assert [one[0] for one in desk.refused] == ["eC", "eA", "eB"]
