"""The oracle on single loans: what their events may do, what is theirs for life, and the book of a past day."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from msgspec.structs import replace

from models import oracle
from models.events import LoanEvent
from models.oracle.book import book_at
from models.oracle.frames import canonical
from models.oracle.lending import accepted_loans
from models.policy import Policy, PolicyHistory
from models.reference import Rate
from tests.make import at, loan


def step(event_id: str, when: str, kind: str, value: Any = None, **fields: Any) -> LoanEvent:
    """An event of borrower BX's loan LX; `when` is a day of March and an hour, `value` amount, class or days."""
    day, hour = when.split()
    values: dict[str, Any] = {"borrower_id": "BX", "loan_id": "LX", "kind": kind} | fields
    event = loan(event_id, f"2026-03-{day} {hour}:00", "1", **values)
    if kind == "reclassified":
        return replace(event, amount=None, classification=value)
    if kind == "overdue":
        return replace(event, amount=None, days_past_due=value)
    return replace(event, amount=Decimal(value))


def refused(policies: PolicyHistory, events: Sequence[LoanEvent], **options: Any) -> list[tuple[str, str]]:
    return oracle.refusals(loans=oracle.from_events(events, **options), policies=policies).rows()


def book(policies: PolicyHistory, events: Sequence[LoanEvent], day: str) -> list[dict[str, Any]]:
    return book_at(oracle.from_events(events), policies, date.fromisoformat(f"2026-03-{day}")).to_dicts()


def told(policies: PolicyHistory, events: Sequence[LoanEvent], day: str) -> list[tuple[Any, ...]]:
    names = ("loan_id", "balance", "classification", "days_past_due", "stage")
    return [tuple(row[name] for name in names) for row in book(policies, events, day)]


# ----------------------------------------------------------------------- refusals


def test_what_a_loan_that_was_never_drawn_refuses(policies: PolicyHistory) -> None:
    steps = [
        step("a", "01 09", "applied", "100"),
        step("b", "02 09", "approved", "100"),
        step("c", "03 09", "repaid", "1"),
        step("d", "03 10", "written_off", "1"),
        step("e", "03 11", "reversed", "1"),
        step("f", "03 12", "reclassified", "loss"),
        step("g", "03 13", "overdue", 3),
    ]
    assert refused(policies, steps) == [(one, "unknown_loan") for one in "cdefg"]


def test_what_a_loan_that_is_paid_back_refuses(policies: PolicyHistory) -> None:
    steps = [
        step("a", "01 09", "disbursed", "100"),
        step("b", "02 09", "repaid", "100.01"),
        step("c", "02 10", "reversed", "100.01"),
        step("d", "02 11", "repaid", "100"),
        step("e", "03 09", "repaid", "1"),
        step("f", "03 10", "written_off", "1"),
        step("g", "03 11", "reversed", "1"),
        step("h", "03 12", "reclassified", "loss"),
        step("i", "03 13", "overdue", 3),
        step("j", "03 14", "approved", "50"),
        step("k", "03 15", "disbursed", "50"),
        step("l", "03 16", "reversed", "50"),
    ]
    assert refused(policies, steps) == [
        ("b", "repays_past_zero"),
        ("c", "repays_past_zero"),
        ("e", "closed_loan"),
        ("f", "closed_loan"),
        ("g", "nothing_to_reverse"),
        ("h", "closed_loan"),
        ("i", "closed_loan"),
    ]


def test_a_loan_is_owed_in_one_currency(policies: PolicyHistory) -> None:
    steps = [
        step("a", "01 09", "disbursed", "100", currency="USD"),
        step("b", "02 09", "repaid", "1"),
        step("c", "02 10", "disbursed", "1", currency="EUR"),
        step("d", "02 11", "disbursed", "1", currency="AUD"),
        step("e", "02 12", "overdue", 5, currency="AUD"),
        step("f", "02 13", "approved", "5", currency="AUD"),
    ]
    assert refused(policies, steps) == [("b", "other_currency"), ("c", "other_currency"), ("d", "no_rate")]


def test_a_refused_event_leaves_no_trace(policy: Policy, policies: PolicyHistory) -> None:
    lateness = policy.lateness
    assert lateness > timedelta(hours=1)
    start = at("2026-03-01 09:00")
    opened = replace(step("a", "01 09", "disbursed", "100"), event_time=start)
    foreign = replace(step("x", "20 09", "repaid", "1", currency="USD"), event_time=start + lateness * 2)
    mended = replace(foreign, currency="CNY", event_time=start)
    # Neither its time makes others late, nor is its id taken.
    assert refused(policies, [opened, foreign, mended, mended]) == [("x", "other_currency")]
    assert told(policies, [opened, foreign, mended, mended], "01") == [
        ("LX", Decimal("99.00"), "normal", 0, "disbursed")
    ]
    # An id that was taken is passed over, at whatever time it comes again; what comes too late is not.
    again = replace(opened, event_time=start + lateness * 3)
    last = replace(step("b", "01 09", "repaid", "1"), event_time=start - lateness)
    assert refused(policies, [opened, again, last]) == []
    assert refused(
        policies, [opened, again, replace(last, event_time=start - lateness - timedelta(microseconds=1))]
    ) == [("b", "too_late")]


def test_future_events_are_refused_first(policy: Policy, policies: PolicyHistory) -> None:
    event = step("a", "01 09", "repaid", "1", currency="AUD")
    arrived = event.event_time - policy.future_tolerance
    assert refused(policies, [event], ingest_times=[arrived]) == [("a", "no_rate")]
    assert refused(policies, [event], ingest_times=[arrived - timedelta(microseconds=1)]) == [("a", "in_the_future")]


# ----------------------------------------------------------------------- for life


FIXED = ("member", "division", "region", "real_estate", "group_id", "branch_id")


def test_what_a_loan_is_was_fixed_by_the_first_disbursement_that_arrived(policy: Policy) -> None:
    rates = [Rate(currency="USD", as_of=date(2026, 3, day), rate=Decimal(f"7.{day}"), source="") for day in (2, 3, 4)]
    policies = PolicyHistory(policy, rates=rates)
    first: dict[str, Any] = {"industry": "C1391", "real_estate": "mortgage", "group_id": "G", "branch_id": "0731"}
    other: dict[str, Any] = {"industry": "K70", "real_estate": "development", "group_id": "H", "branch_id": "0732"}
    steps = [
        step("a", "01 09", "approved", "100", currency="USD", **other),
        step("b", "03 09", "disbursed", "100", currency="USD", **first),
        step("c", "02 09", "disbursed", "10", currency="USD", **other),
        step("d", "04 09", "repaid", "20", currency="USD"),
    ]
    accepted = accepted_loans(canonical(oracle.from_events(steps), "loans"), policies)
    assert accepted.steps["event_id"].to_list() == ["a", "b", "c", "d"]
    assert accepted.frame["event_id"].to_list() == ["b", "c", "d"]
    assert set(accepted.steps.select(FIXED).rows()) == {("C", "13", "unknown", "mortgage", "G", "0731")}
    assert set(accepted.steps["opened_on"]) == {date(2026, 3, 3)}
    row = book(policies, steps, "04")[0]
    assert (row["rate"], row["balance"], row["balance_base"]) == (Decimal("7.3"), 90, Decimal("657"))
    assert (row["opened"], row["currency"], row["member"]) == (date(2026, 3, 3), "USD", "C")


def test_the_region_is_the_openings_own(policies: PolicyHistory) -> None:
    frame = oracle.from_events([step("a", "01 09", "disbursed", "100"), step("b", "02 09", "disbursed", "1")])
    regions = pl.Series("region", ["CN-43", "CN-44"])
    assert book_at(frame.with_columns(regions), policies, date(2026, 3, 2))["region"].to_list() == ["CN-43"]
    assert book_at(frame, policies, date(2026, 3, 2))["region"].to_list() == ["unknown"]


# ------------------------------------------------------------------------ the book


LIFE = [
    step("a", "01 09", "applied", "120"),
    step("b", "02 09", "approved", "100"),
    step("c", "03 09", "disbursed", "100"),
    step("d", "04 09", "repaid", "30"),
    step("e", "05 09", "overdue", 3),
    step("f", "05 10", "reclassified", "special_mention"),
    step("g", "06 09", "overdue", 0),
    step("h", "07 09", "repaid", "70"),
    step("i", "08 09", "disbursed", "5"),
    step("j", "09 09", "written_off", "5"),
]


@pytest.mark.parametrize(
    ("day", "balance", "given", "days", "stage"),
    [
        ("01", "0", "normal", 0, "applied"), ("02", "0", "normal", 0, "approved"),
        ("03", "100", "normal", 0, "disbursed"), ("04", "70", "normal", 0, "disbursed"),
        ("05", "70", "special_mention", 3, "disbursed"),
        ("06", "70", "special_mention", 0, "disbursed"), ("07", "0", "special_mention", 0, "closed"),
        ("08", "5", "special_mention", 0, "disbursed"), ("09", "0", "special_mention", 0, "written_off"),
    ],
)  # fmt: skip
def test_a_loans_life(policies: PolicyHistory, day: str, balance: str, given: str, days: int, stage: str) -> None:
    assert told(policies, LIFE, day) == [("LX", Decimal(balance), given, days, stage)]
    assert refused(policies, LIFE) == []


def test_a_loan_that_was_never_drawn_has_no_rate_and_no_day(policies: PolicyHistory) -> None:
    row = book(policies, LIFE, "02")[0]
    assert (row["rate"], row["opened"], row["balance_base"]) == (None, None, 0)
    row = book(policies, LIFE, "03")[0]
    assert (row["rate"], row["opened"], row["balance_base"]) == (1, date(2026, 3, 3), 100)
    assert book_at(oracle.from_events(LIFE), policies, date(2026, 2, 28)).is_empty()


def test_a_day_ends_at_midnight_in_the_banks_zone(policies: PolicyHistory) -> None:
    opened = step("a", "03 09", "disbursed", "100")
    last = replace(opened, event_id="b", event_time=at("2026-03-04 00:00") - timedelta(microseconds=1))
    next_day = replace(opened, event_id="c", event_time=at("2026-03-04 00:00"))
    assert [row["balance"] for row in book(policies, [opened, last, next_day], "03")] == [200]
    assert [row["balance"] for row in book(policies, [opened, last, next_day], "04")] == [300]


def test_late_steps_change_the_past_and_not_what_is_newer(policies: PolicyHistory) -> None:
    steps = [
        step("a", "03 09", "disbursed", "100"),
        step("b", "05 09", "reclassified", "doubtful"),
        step("c", "05 10", "overdue", 300),
        step("d", "04 09", "reclassified", "special_mention"),
        step("e", "04 10", "overdue", 20),
        step("f", "04 11", "repaid", "40"),
    ]
    assert told(policies, steps, "04") == [("LX", Decimal(60), "special_mention", 20, "disbursed")]
    assert told(policies, steps, "05") == [("LX", Decimal(60), "doubtful", 300, "disbursed")]


def test_no_balance_is_below_zero_on_any_day(policies: PolicyHistory) -> None:
    steps = [
        step("a", "03 09", "disbursed", "50"),
        step("b", "05 09", "disbursed", "60"),
        step("c", "04 09", "repaid", "70"),  # it can only be from the 5th
    ]
    assert [book(policies, steps, day)[0]["balance"] for day in ("03", "04", "05")] == [50, 50, 40]


def test_loans_of_several_entities_and_borrowers_in_order(policies: PolicyHistory) -> None:
    names = [("BANK2", "B1", "L1"), ("BANK1", "B2", "L1"), ("BANK1", "B1", "L9"), ("BANK1", "B1", "L1")]
    steps = [
        step(f"e{i}", "03 09", "disbursed", "1", entity=entity, borrower_id=borrower, loan_id=name)
        for i, (entity, borrower, name) in enumerate(names)
    ]
    frame = book_at(oracle.from_events(steps), policies, date(2026, 3, 3))
    assert frame.select("entity", "borrower_id", "loan_id").rows() == sorted(names)
    assert frame.columns == [
        "entity", "loan_id", "borrower_id", "group_id", "currency", "rate", "member", "division", "region",
        "real_estate", "branch_id", "balance", "balance_base", "classification", "days_past_due", "opened", "stage",
    ]  # fmt: skip


def test_great_sums_and_small_rates_are_exact(policy: Policy) -> None:
    tiny = Rate(currency="JPY", as_of=date(2020, 1, 1), rate=Decimal("0.048123456789"), source="")
    policies = PolicyHistory(policy, rates=[tiny])
    steps = [step("a", "03 09", "disbursed", "999999999999", currency="JPY")]
    row = book(policies, steps, "03")[0]
    assert row["balance_base"] == Decimal("999999999999") * Decimal("0.048123456789")
    assert row["rate"] == tiny.rate
