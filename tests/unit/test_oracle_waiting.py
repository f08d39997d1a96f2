"""The oracle on loan events that come before what they follow: how long they wait, and what becomes of them."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest
from msgspec.structs import replace

from models import oracle
from models.events import LoanEvent
from models.oracle.book import book_at
from models.oracle.frames import canonical
from models.oracle.lending import AcceptedLoans, accepted_loans
from models.policy import Policy, PolicyHistory
from tests.make import at, loan

INSTANT = timedelta(microseconds=1)


def step(event_id: str, when: str, kind: str, value: Any = "10", **fields: Any) -> LoanEvent:
    """An event of borrower BX's loan LX; `when` is a day of March and an hour, `value` amount, class or days."""
    day, hour = when.split()
    values: dict[str, Any] = {"borrower_id": "BX", "loan_id": "LX", "kind": kind} | fields
    event = loan(event_id, f"2026-03-{day} {hour}:00", "1", **values)
    if kind == "reclassified":
        return replace(event, amount=None, classification=value)
    if kind == "overdue":
        return replace(event, amount=None, days_past_due=value)
    return replace(event, amount=Decimal(value))


def judged(policies: PolicyHistory, events: Sequence[LoanEvent]) -> AcceptedLoans:
    return accepted_loans(canonical(oracle.from_events(events), "loans"), policies)


def taken(policies: PolicyHistory, events: Sequence[LoanEvent]) -> str:
    """The ids of what counts, in the order of taking."""
    return "".join(judged(policies, events).steps["event_id"])


def refused(policies: PolicyHistory, events: Sequence[LoanEvent]) -> list[tuple[str, str]]:
    return oracle.refusals(loans=oracle.from_events(events), policies=policies).rows()


def balances(policies: PolicyHistory, events: Sequence[LoanEvent], day: str = "31") -> dict[str, Decimal]:
    frame = book_at(oracle.from_events(events), policies, date.fromisoformat(f"2026-03-{day}"))
    return dict(frame.select("loan_id", "balance").rows())


# ------------------------------------------------------------------------ what waits


EVERY_WAITER = [
    step("a", "02 09", "overdue", 3),
    step("b", "02 10", "repaid", "30"),
    step("c", "02 11", "reclassified", "loss"),
    step("d", "02 12", "reversed", "20"),
    step("e", "02 13", "written_off", "50"),
]


@pytest.mark.parametrize("order", list(permutations(range(5)))[::17])
def test_what_comes_before_its_disbursement_is_taken_after_it_in_order_of_time(
    policies: PolicyHistory, order: Sequence[int]
) -> None:
    early = [EVERY_WAITER[i] for i in order]
    events = [*early, step("z", "02 08", "disbursed", "100")]
    assert taken(policies, events) == "zabcde"
    assert refused(policies, events) == []
    accepted = judged(policies, events)
    assert accepted.steps["taken"].to_list() == list(range(6))
    assert accepted.steps["opened"].to_list() == [1, 0, 0, 0, 0, -1]
    assert balances(policies, events) == {"LX": Decimal(0)}


@pytest.mark.parametrize("waiter", EVERY_WAITER)
def test_what_comes_after_its_loan_was_repaid_waits_for_more(policies: PolicyHistory, waiter: LoanEvent) -> None:
    repaid = [step("1", "01 09", "disbursed", "100"), step("2", "02 08", "repaid", "100")]
    reason = "nothing_to_reverse" if waiter.kind == "reversed" else "closed_loan"
    assert refused(policies, [*repaid, waiter]) == [(waiter.event_id, reason)]
    again = step("3", "02 09", "disbursed", "60")
    assert taken(policies, [*repaid, waiter, again]) == f"123{waiter.event_id}"
    # Of another loan, of another entity's or of another borrower's it had not been waiting.
    for other in ({"loan_id": "LY"}, {"entity": "BANK2"}, {"borrower_id": "BY"}):
        assert refused(policies, [*repaid, waiter, replace(again, **other)]) == [(waiter.event_id, reason)]


def test_a_repayment_beyond_what_is_owed_waits_for_more(policies: PolicyHistory) -> None:
    first, paid = step("a", "01 09", "disbursed", "100"), step("b", "03 09", "repaid", "150")
    assert refused(policies, [first, paid]) == [("b", "repays_past_zero")]
    little, enough = step("c", "02 09", "disbursed", "49.99"), step("d", "02 10", "disbursed", "0.01")
    assert refused(policies, [first, paid, little]) == [("b", "repays_past_zero")]
    assert taken(policies, [first, paid, little, enough]) == "acdb"
    assert balances(policies, [first, paid, little, enough]) == {"LX": Decimal(0)}


def test_money_that_is_asked_for_or_granted_waits_for_nothing(policies: PolicyHistory) -> None:
    events = [step("a", "02 09", "approved"), step("b", "01 09", "applied"), step("c", "03 09", "disbursed")]
    assert taken(policies, events) == "abc"


def test_other_currencies_times_and_rates_are_refused_at_once(policies: PolicyHistory) -> None:
    """Their ids are free again: what is sent under them then is taken."""
    early = step("a", "02 09", "repaid", currency="AUD")
    drawn = step("z", "01 09", "disbursed", "100")
    assert refused(policies, [early, replace(early, currency="CNY"), drawn]) == [("a", "no_rate")]
    foreign = replace(early, currency="USD")
    assert refused(policies, [drawn, foreign, replace(early, currency="CNY")]) == [("a", "other_currency")]
    assert taken(policies, [drawn, foreign, replace(early, currency="CNY")]) == "za"


def test_what_turns_out_to_be_of_another_currency_is_refused_then(policies: PolicyHistory) -> None:
    early, drawn = step("a", "02 09", "repaid", currency="USD"), step("z", "01 09", "disbursed", "100")
    assert refused(policies, [early, drawn]) == [("a", "other_currency")]
    mended = replace(early, currency="CNY")
    assert taken(policies, [early, drawn, mended]) == "za"
    assert refused(policies, [early, mended, drawn]) == [("a", "other_currency")]  # the mended one came too soon
    status = step("b", "02 09", "overdue", 3, currency="USD")
    assert taken(policies, [status, drawn]) == "zb"  # it speaks of no money


# --------------------------------------------------------------------- which disbursement


def test_a_step_does_not_wait_for_what_happened_after_it(policies: PolicyHistory) -> None:
    early, drawn = step("a", "02 09", "repaid", "10"), step("b", "02 09", "disbursed", "100")
    assert taken(policies, [early, drawn]) == "ba"
    later = replace(drawn, event_time=drawn.event_time + INSTANT)
    assert refused(policies, [early, later]) == [("a", "closed_loan")]
    # It goes on waiting for one that did.
    assert taken(policies, [early, later, step("c", "01 09", "disbursed", "10")]) == "bca"


def test_a_step_waits_for_money_that_a_later_step_has_taken(policies: PolicyHistory) -> None:
    drawn, late = step("a", "01 09", "disbursed", "100"), step("c", "03 09", "repaid", "50")
    early, more = step("b", "01 10", "repaid", "100"), step("d", "02 09", "disbursed", "100")
    assert taken(policies, [drawn, late, early, more]) == "acdb"


@pytest.mark.parametrize(("moment", "found"), [("02 10", "abc"), ("02 11", "ab")])
def test_what_is_said_of_the_time_before_the_end_is_taken_after_it(
    policies: PolicyHistory, moment: str, found: str
) -> None:
    events = [
        step("a", "01 09", "disbursed", "10"),
        step("b", "02 10", "repaid", "10"),
        step("c", moment, "overdue", 1),
    ]
    assert taken(policies, events) == found


def test_what_was_tried_in_vain_goes_on_waiting_and_says_what_was_wrong_last(policies: PolicyHistory) -> None:
    early = [step("a", "02 09", "repaid", "100"), step("b", "02 10", "repaid", "30"), step("c", "02 11", "overdue", 1)]
    events = [*early, step("x", "01 09", "disbursed", "30")]
    assert taken(policies, events) == "xb"
    assert refused(policies, events) == [("a", "repays_past_zero"), ("c", "closed_loan")]
    more = step("y", "01 10", "disbursed", "101")
    assert taken(policies, [*events, more]) == "xbyac"


def test_of_one_instant_the_id_decides(policies: PolicyHistory) -> None:
    early = [step("c", "02 09", "repaid", "60"), step("b", "02 09", "repaid", "50"), step("a", "02 10", "repaid", "40")]
    events = [*early, step("x", "01 09", "disbursed", "100")]
    assert taken(policies, events) == "xba"
    assert refused(policies, events) == [("c", "repays_past_zero")]


# ------------------------------------------------------------------------- ids and time


def test_an_event_that_waits_is_seen_and_moves_nothing(policy: Policy, policies: PolicyHistory) -> None:
    early, drawn = step("a", "09 09", "repaid", "60"), step("z", "01 09", "disbursed", "100")
    # Its time makes nothing late, and a duplicate of it is nothing.
    assert early.event_time - drawn.event_time > policy.lateness
    assert taken(policies, [early, early, drawn, early]) == "za"
    assert refused(policies, [early, early, drawn, early]) == []
    # Once it is taken, it does.
    others = [step("b", "02 09", "repaid", "1", loan_id="LY"), step("c", "01 08", "approved")]
    assert refused(policies, [early, drawn, *others]) == [("b", "too_late"), ("c", "too_late")]
    assert refused(policies, [*others[1:], early, drawn]) == []


def test_what_falls_behind_is_refused_before_anything_is_tried_again(policy: Policy, policies: PolicyHistory) -> None:
    start = at("2026-03-02 09:00")
    early = replace(step("a", "02 09", "repaid", "1"), event_time=start)
    drawn = replace(step("z", "01 09", "disbursed", "100"), event_time=start - timedelta(days=1))
    end = replace(step("n", "02 09", "approved"), event_time=start + policy.lateness)
    past = replace(end, event_time=end.event_time + INSTANT)
    assert taken(policies, [early, end, replace(drawn, event_time=start)]) == "nza"
    assert refused(policies, [early, past, drawn]) == [("a", "unknown_loan"), ("z", "too_late")]
    # It is gone, and its id is free: what is mended and sent again is judged anew.
    mended = replace(early, event_time=past.event_time)
    assert refused(policies, [early, past, mended, replace(drawn, event_time=past.event_time)]) == [
        ("a", "unknown_loan")
    ]
    assert taken(policies, [early, past, mended, replace(drawn, event_time=past.event_time)]) == "nza"
    assert refused(policies, [early, past, early]) == [("a", "unknown_loan"), ("a", "too_late")]


def test_what_was_taken_again_lets_others_fall_behind(policy: Policy, policies: PolicyHistory) -> None:
    drawn = step("z", "02 09", "disbursed", "100")
    paid = replace(step("p", "02 09", "repaid", "1"), event_time=drawn.event_time + policy.lateness)
    other = step("o", "02 09", "overdue", 1, loan_id="LY")
    of_other = replace(drawn, event_id="y", loan_id="LY")
    assert refused(policies, [other, paid, drawn, of_other]) == []
    later = replace(paid, event_time=paid.event_time + INSTANT)
    assert refused(policies, [other, later, drawn]) == [("o", "unknown_loan")]
    assert refused(policies, [other, later, drawn, of_other]) == [("o", "unknown_loan"), ("y", "too_late")]


def test_an_event_waits_as_long_as_the_lateness_of_its_own_day(policy: Policy) -> None:
    head = replace(policy.policy, version="later", valid_from=at("2026-03-05 00:00"))
    longer = replace(policy.events, lateness=replace(policy.events.lateness, value=Decimal(9)))
    policies = PolicyHistory(policy, replace(policy, policy=head, events=longer))
    newest = step("n", "08 09", "approved")
    events = [step("a", "05 08", "overdue", 1), step("b", "04 23", "overdue", 1), newest]
    assert refused(policies, events) == [("a", "unknown_loan"), ("b", "unknown_loan")]
    drawn = [*events, step("z", "05 08", "disbursed")]
    assert refused(policies, drawn) == [("b", "unknown_loan")]
    assert taken(policies, drawn) == "nza"


@pytest.mark.parametrize(("others", "waits"), [(99, True), (100, False)])
def test_a_hundred_events_of_a_borrower_wait(policies: PolicyHistory, others: int, waits: bool) -> None:
    of_others = [step(f"o{i:03d}", "02 09", "overdue", 1, loan_id=f"L{i}", entity=f"E{i % 3}") for i in range(others)]
    last, drawn = step("a", "02 09", "repaid"), step("z", "01 09", "disbursed")
    reasons = dict(refused(policies, [*of_others, last, drawn]))
    assert (reasons.pop("a", None) is None) == waits
    assert set(reasons.values()) == {"unknown_loan"}
    assert taken(policies, [*of_others, last, drawn]) == ("za" if waits else "z")
    # One beyond them holds no id, another borrower's none of their places, and one that is taken leaves its own.
    assert taken(policies, [*of_others, last, drawn, last]) == "za"
    elsewhere = [replace(one, borrower_id="BY") for one in of_others]
    assert taken(policies, [*elsewhere, last, drawn]) == "za"
    made_room = [*of_others, step("y", "01 09", "disbursed", loan_id="L0", entity="E0"), last, drawn]
    assert taken(policies, made_room) == "yo000za"


# --------------------------------------------------------------------- what follows from it


def test_the_book_and_the_classes_are_the_same_whatever_came_first(policies: PolicyHistory) -> None:
    life = [
        step("a", "02 09", "disbursed", "100"),
        step("b", "02 10", "overdue", 200),
        step("c", "02 11", "repaid", "30"),
        step("d", "02 12", "disbursed", "50"),
        step("e", "02 13", "repaid", "110"),
    ]
    whole = balances(policies, life)
    for order in permutations(life):
        warned = oracle.warnings(loans=oracle.from_events(order), policies=policies)
        assert balances(policies, order) == whole == {"LX": Decimal(10)}
        assert "misclassification" in warned["detector"].to_list()


def test_a_repayment_that_waited_counts_from_when_it_happened(policies: PolicyHistory) -> None:
    events = [step("b", "05 09", "repaid", "40"), step("a", "03 09", "disbursed", "100")]
    moves = judged(policies, events).frame
    assert moves["event_time"].to_list() == [datetime(2026, 3, 3, 1, tzinfo=UTC), datetime(2026, 3, 5, 1, tzinfo=UTC)]
    assert [balances(policies, events, day)["LX"] for day in ("03", "04", "05")] == [100, 100, 60]
    # One that was taken before it waits no longer than the disbursements that had been taken by then.
    events = [step("x", "06 09", "disbursed", "1"), *events]
    assert [balances(policies, events, day).get("LX", 0) for day in ("03", "05", "06")] == [100, 100, 61]


def test_the_class_is_judged_when_the_event_is_taken(policies: PolicyHistory) -> None:
    """That it was once 400 days past due is news as long as nothing newer has been taken."""
    events = [step("b", "02 10", "overdue", 400), step("c", "02 11", "overdue", 5), step("a", "02 09", "disbursed")]
    rows = oracle.warnings(loans=oracle.from_events(events), policies=policies)
    rows = rows.filter(rows["detector"] == "misclassification")
    assert rows.select("anchor", "severity", "observed").rows() == [("LX|2026-03-02", "high", "400")]
    assert rows["event_time"].to_list() == [datetime(2026, 3, 2, 2, tzinfo=UTC)]
    # Taken after what is newer, it is none.
    late = [events[2], events[1], events[0]]
    rows = oracle.warnings(loans=oracle.from_events(late), policies=policies)
    assert rows.filter(rows["detector"] == "misclassification")["severity"].to_list() == ["medium"]


def test_borrowers_of_whom_nothing_waits_stand_in_the_order_of_arrival_among_the_rest(policies: PolicyHistory) -> None:
    plain = {"borrower_id": "BY", "loan_id": "LY"}
    events = [
        step("1", "02 09", "disbursed", "5", **plain),
        step("c", "03 09", "repaid", "5"),
        step("2", "02 10", "repaid", "5", **plain),
        step("b", "03 08", "overdue", 5),
        step("a", "03 07", "disbursed", "9"),
        step("3", "02 11", "approved", "5", **plain),
    ]
    accepted = judged(policies, events)
    assert "".join(accepted.steps["event_id"]) == "12abc3"
    assert accepted.steps["arrival"].to_list() == [0, 2, 4, 3, 1, 5]
    assert "".join(accepted.frame["event_id"]) == "12ac"
