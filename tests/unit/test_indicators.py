"""The indicators of a month, from cases that the stage itself made, against figures worked out by hand."""

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest

from models.events import LoanEvent, Transaction
from models.response.happenings import Happenings
from models.response.indicators import indicators
from models.response.kpi import Figures, Key, Ratio, Spread, together
from models.response.period import Period, parse_period
from tests.make import loan, report, transaction
from tests.response import DAY, HOUR, MONDAY, POLICY, Desk, action, warning

MARCH = parse_period("2026-03")
CALENDAR = POLICY.bank_calendar


def played(desk: Desk, warnings: list[Any], events: list[tuple[Any, datetime]], *months: Period) -> Happenings:
    happened = Happenings(desk.cases.values(), warnings, months or (MARCH,), CALENDAR)
    for event, at in events:
        happened.take(event, at)
    return happened


def spent(event_id: str, at: datetime = MONDAY, **fields: Any) -> Transaction:
    return transaction(event_id, at, "10", branch_id="B1", **fields)


def ratio(figures: Figures, *key: Any) -> Ratio:
    found = figures[Key(*key)]
    assert isinstance(found, Ratio)
    return found


def spread(figures: Figures, *key: Any) -> Spread:
    found = figures[Key(*key)]
    assert isinstance(found, Spread)
    return found


@pytest.fixture(scope="module")
def figures() -> Figures:
    """Three cases: one done in time; one acknowledged late and dismissed by two; one of two departments, half done."""
    desk = Desk()
    done = warning(detected_at=MONDAY + timedelta(seconds=3))
    dismissed = warning(warning_id="w2", subject="customer:C43", detector="structuring", event_ids=("e2",))
    both = warning(warning_id="w3", subject="customer:C44", departments=("operations", "risk"), event_ids=("e3",))
    desk.take(done, dismissed, both)

    def act(kind: str, hours: int, subject: str, **fields: Any) -> None:
        desk.take(action(kind, MONDAY + hours * HOUR, case_id=f"{subject}#1", **fields))

    act("acknowledge", 1, "customer:C42")
    act("start", 2, "customer:C42")
    act("complete", 5, "customer:C42")
    act("dismiss", 6, "customer:C43")
    act("approve", 8, "customer:C43", who="wang")
    act("acknowledge", 4, "customer:C44")
    act("complete", 7, "customer:C44")
    desk.tick(MONDAY + 30 * DAY)
    assert not desk.refused
    events: list[tuple[Any, datetime]] = [(spent(f"e{number}"), MONDAY + timedelta(seconds=2)) for number in (1, 2, 3)]
    events += [(spent(f"x{number}"), MONDAY) for number in range(17)]
    events += [(spent("x0"), MONDAY), (spent("fee", origin="bank"), MONDAY)]
    events += [(spent("february", MONDAY - 31 * DAY), MONDAY)]
    complaint = report("r1", MONDAY, kind="complaint")
    return indicators(played(desk, [done, dismissed, both], [*events, (complaint, MONDAY)]), MARCH)


def test_completion_counts_what_was_done_by_its_frozen_time(figures: Figures) -> None:
    found = ratio(figures, "completion")
    assert found.whole == {"customer:C42#1/operations", "customer:C43#1/operations"} | {
        "customer:C44#1/operations",
        "customer:C44#1/risk",
    }
    assert found.whole - found.part == {"customer:C44#1/risk"}  # type: ignore[operator]
    assert str(found.value) == "0.750000"
    assert str(ratio(figures, "completion", "department", "risk").value) == "0.000000"
    assert str(ratio(figures, "completion", "detector", "structuring").value) == "1.000000"
    assert str(ratio(figures, "completion", "branch", "B1").value) == "0.750000"


def test_a_joint_case_counts_only_when_every_department_was_in_time(figures: Figures) -> None:
    found = ratio(figures, "joint_completion")
    assert (found.part, found.count) == (frozenset(), 1)


def test_timeliness_counts_acknowledgements(figures: Figures) -> None:
    found = ratio(figures, "timeliness")
    # A proposal to dismiss acknowledges, here two hours late; four hours exactly are in time.
    assert found.part == {"customer:C42#1/operations", "customer:C44#1/operations"}
    assert found.count == 4


def test_decided_cases_are_confirmed_or_false(figures: Figures) -> None:
    false = ratio(figures, "false_positives")
    assert false.count == 2
    assert {one.split("@")[0] for one in false.part} == {"customer:C43#1"}
    assert str(ratio(figures, "false_positives", "detector", "structuring").value) == "1.000000"
    assert str(ratio(figures, "false_positives", "detector", "teller_report").value) == "0.000000"
    events = ratio(figures, "risk_events")
    assert ({one.split("@")[0] for one in events.part}, events.whole) == ({"customer:C42#1"}, 20)
    assert str(events.value) == "500.000000"  # one in twenty


def test_complaints_are_held_against_customers_transactions(figures: Figures) -> None:
    assert (ratio(figures, "complaints").part, ratio(figures, "complaints").whole) == ({"r1"}, 20)


def test_clocks(figures: Figures) -> None:
    assert spread(figures, "arrival").spans == {name: timedelta(seconds=2) for name in ("w1", "w2", "w3")}
    assert spread(figures, "detection").spans["w1"] == timedelta(seconds=1)
    assert spread(figures, "acknowledgement").spans["customer:C42#1/operations"] == HOUR
    assert spread(figures, "handling").spans["customer:C42#1/operations"] == 4 * HOUR
    assert spread(figures, "resolution").p95 == 8 * HOUR


def test_a_month_ends_at_midnight_of_the_bank() -> None:
    desk = Desk()
    last, first = datetime(2026, 3, 31, 15, 59, 59, tzinfo=UTC), datetime(2026, 3, 31, 16, 0, tzinfo=UTC)
    april = parse_period("2026-04")
    happened = played(desk, [], [(spent("a", last), last), (spent("b", first), first)], MARCH, april)
    assert [ratio(indicators(happened, one), "complaints").whole for one in (MARCH, april)] == [1, 1]


def test_later_work_changes_no_figure_of_the_month() -> None:
    """What is opened again in April had been finished in March."""
    desk = Desk()
    told = warning()
    desk.take(told)
    for kind, hours in (("acknowledge", 1), ("complete", 2)):
        desk.take(action(kind, MONDAY + hours * HOUR))
    before = indicators(played(desk, [told], []), MARCH)
    desk.take(action("reopen", MONDAY + 40 * DAY))
    assert indicators(played(desk, [told], []), MARCH) == before


def test_what_falls_due_later_in_a_month_that_is_not_over_is_not_due_yet() -> None:
    desk = Desk()
    told = warning()
    desk.take(told)
    happened = played(desk, [told], [])
    (task,) = desk.case().tasks
    before, after = (indicators(happened, MARCH, task.due_at + timedelta(seconds=n)) for n in (0, 1))
    assert Key("completion") not in before
    assert str(ratio(after, "completion").value) == "0.000000"


def test_loans_in_motion_are_what_credit_is_held_against() -> None:
    desk = Desk()
    told = warning(subject="industry:BANK1:K", detector="industry_concentration", departments=("credit",), measures=())
    desk.take(told)
    for kind, hours in (("acknowledge", 1), ("complete", 2)):
        desk.take(action(kind, MONDAY + hours * HOUR, case_id="industry:BANK1:K#1", department="credit"))
    steps: list[LoanEvent] = [loan(f"l{n}", MONDAY, "100", loan_id=f"L{n % 2}") for n in range(3)]
    found = indicators(played(desk, [told], [(one, MONDAY) for one in steps]), MARCH)
    assert str(ratio(found, "risk_events", "department", "credit").value) == "0.500000"


def test_a_quarter_is_its_months() -> None:
    one = {Key("completion"): Ratio(frozenset("a"), frozenset("ab"))}
    two = {Key("completion"): Ratio(frozenset("c"), frozenset("cd")), Key("complaints"): Ratio(frozenset(), 5, 10_000)}
    three = {Key("complaints"): Ratio(frozenset("r"), 15, 10_000), Key("arrival"): Spread({"w": HOUR})}
    found = together([one, two, three])
    assert ratio(found, "completion").part == frozenset("ac")
    assert str(ratio(found, "completion").value) == "0.500000"
    assert str(ratio(found, "complaints").value) == "500.000000"
    assert spread(found, "arrival").p50 == HOUR


@pytest.mark.parametrize(
    ("text", "first", "last", "before", "months"),
    [
        ("2026-07", date(2026, 7, 1), date(2026, 7, 31), "2026-06", 1),
        ("2024-02", date(2024, 2, 1), date(2024, 2, 29), "2024-01", 1),
        ("2026-Q1", date(2026, 1, 1), date(2026, 3, 31), "2025-Q4", 3),
        ("2026", date(2026, 1, 1), date(2026, 12, 31), "2025", 12),
    ],
)
def test_periods(text: str, first: date, last: date, before: str, months: int) -> None:
    period = parse_period(text)
    assert (period.name, period.first, period.last, period.before().name) == (text, first, last, before)
    assert len(period.each_month()) == months


@pytest.mark.parametrize("text", ["2026-13", "2026-Q5", "26", "2026-7", "next", "0000-01"])
def test_what_is_no_period_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(ValueError, match="write a month as 2026-07"):
        parse_period(text)


def test_percentiles_are_nearest_rank() -> None:
    spans = Spread({str(number): timedelta(number) for number in range(1, 21)})
    assert (spans.p50, spans.p95, spans.percentile(Fraction(0))) == (timedelta(10), timedelta(19), timedelta(1))
    assert Spread({}).p50 is None
