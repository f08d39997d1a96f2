"""Deadlines of tasks and measures: computed once, judged by event times."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from models.policy import Policy, parse_policy
from models.response.case import Case
from models.response.deadlines import late_tasks, measure_due, next_due, settle, task_dues
from models.response.joining import open_case
from models.response.moves import act
from tests.data import ROOT
from tests.response import DAY, HOUR, MONDAY, POLICY, TEXT, action, warning

SHANGHAI = ZoneInfo("Asia/Shanghai")
FOREVER = MONDAY + 365 * DAY


def sh(month: int, day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=SHANGHAI)


def ny(month: int, day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=ZoneInfo("America/New_York"))


def elsewhere(country: str, zone: str) -> Policy:
    midnight = datetime(2026, 1, 1, tzinfo=ZoneInfo(zone)).isoformat()
    text = TEXT.replace('country = "CN"', f'country = "{country}"').replace("Asia/Shanghai", zone)
    return parse_policy(text.replace("2026-01-01T00:00:00+08:00", midnight))


def opened(at: datetime = MONDAY, **fields: object) -> Case:
    return open_case(1, "live", warning(at, **fields), POLICY, at)  # type: ignore[arg-type]


def did(case: Case, kind: str, at: datetime, **fields: object) -> Case:
    return act(case, action(kind, at, **fields), POLICY, at)


@pytest.mark.parametrize(
    ("severity", "acknowledge", "complete"),
    [
        ("low", sh(3, 3, 10), sh(3, 9, 10)),  # 8 and 40 working hours from Monday, 10:00
        ("medium", sh(3, 2, 14), sh(3, 5, 10)),
        ("high", sh(3, 2, 12), sh(3, 4, 10)),
        ("critical", sh(3, 2, 11), sh(3, 3, 10)),
    ],
)
def test_by_severity(severity: str, acknowledge: datetime, complete: datetime) -> None:
    task = opened(severity=severity).tasks[0]
    assert (task.acknowledge_due_at, task.due_at) == (acknowledge, complete)
    assert task.measures[0].due_at == complete
    assert task.due_at.tzinfo is UTC  # of one zone, times would be compared by their wall clocks


@pytest.mark.parametrize(
    ("start", "acknowledge", "complete"),
    [
        (sh(3, 6, 16), sh(3, 9, 12), sh(3, 11, 16)),  # over a weekend
        (sh(3, 2, 7), sh(3, 2, 13), sh(3, 4, 17)),  # before opening
        (sh(3, 2, 20), sh(3, 3, 13), sh(3, 5, 17)),  # after closing
        (sh(3, 2, 17), sh(3, 3, 13), sh(3, 5, 17)),  # at closing
        (sh(2, 13, 16), sh(2, 14, 12), sh(2, 25, 16)),  # a make-up Saturday, then the Spring Festival
        (sh(2, 14, 15), sh(2, 24, 11), sh(2, 26, 15)),
        (sh(2, 27, 16), sh(2, 28, 12), sh(3, 3, 16)),  # month end
        (sh(9, 30, 16), sh(10, 8, 12), sh(10, 10, 16)),  # National Day; 10 October is a make-up Saturday
    ],
)
def test_in_the_banks_working_time(start: datetime, acknowledge: datetime, complete: datetime) -> None:
    dues = task_dues(POLICY, "medium", start)
    assert (dues.acknowledge_due_at, dues.due_at) == (acknowledge, complete)


@pytest.mark.parametrize(
    ("country", "zone", "friday"),
    [
        ("CZ", "Europe/Prague", date(2026, 3, 27)),
        ("CZ", "Europe/Prague", date(2026, 10, 23)),
        ("US", "America/New_York", date(2026, 3, 6)),
        ("US", "America/New_York", date(2026, 10, 30)),
    ],
)
def test_over_a_change_of_the_clock(country: str, zone: str, friday: date) -> None:
    start = datetime.combine(friday, time(16), ZoneInfo(zone))
    dues = task_dues(elsewhere(country, zone), "medium", start)
    monday = datetime.combine(friday + 3 * DAY, time(12), ZoneInfo(zone))
    assert dues.acknowledge_due_at == monday.astimezone(UTC)
    # Real time that passed: an hour less or more than on any other weekend.
    usual = timedelta(days=2, hours=20)
    assert abs(dues.acknowledge_due_at - start.astimezone(UTC) - usual) == HOUR


@pytest.mark.parametrize(
    ("start", "due"),
    [
        (sh(3, 2, 10), sh(3, 9, 17)),
        (sh(3, 2, 23), sh(3, 9, 17)),  # the day counts, not the hour
        (sh(3, 7, 12), sh(3, 13, 17)),  # from a Saturday
        (sh(2, 12, 10), sh(2, 26, 17)),  # 13, make-up 14, then 24, 25, 26 February
        (sh(2, 26, 10), sh(3, 4, 17)),  # 27, make-up 28, then 2, 3, 4 March
    ],
)
def test_a_measure_with_working_days_of_its_own(start: datetime, due: datetime) -> None:
    assert measure_due(POLICY, "file_large_transaction_report", "low", start) == due


@pytest.mark.parametrize(
    ("start", "due"),
    [
        (ny(3, 2, 10), ny(3, 17, 17)),  # over the change of the clock
        (ny(3, 2, 23, 59), ny(3, 17, 17)),  # the day counts, not the hour
        (ny(6, 19, 12), ny(7, 4, 17)),  # from a holiday to another: the law waits for no bank
    ],
)
def test_a_measure_with_calendar_days_of_its_own(start: datetime, due: datetime) -> None:
    policy = parse_policy((ROOT / "deploy" / "policy" / "us.toml").read_bytes())
    measured = measure_due(policy, "file_large_transaction_report", "low", start)
    assert measured == due.astimezone(UTC)
    assert measured.tzinfo is UTC


def test_a_policy_that_comes_later_moves_nothing() -> None:
    stricter = parse_policy(
        TEXT.replace('version = "cn-2026.1"', 'version = "cn-2026.2"').replace(
            "complete = { value = 24,", "complete = { value = 20,"
        )
    )
    case = opened()
    after = act(case, action("assign", MONDAY + HOUR), stricter, MONDAY + HOUR)
    assert after.tasks[0].due_at == case.tasks[0].due_at
    assert after.tasks[0].steps == case.tasks[0].steps


def test_breach_and_ladder_by_the_clock() -> None:
    """Each missed deadline is one level up, and each further 8 working hours, to the top and no further."""
    case = opened()
    assert case.tasks[0].acknowledge_steps == (sh(3, 2, 14), sh(3, 3, 14))
    assert case.tasks[0].steps == (sh(3, 5, 10), sh(3, 6, 10))
    moments = [
        (sh(3, 2, 14), 0, ()),  # at the deadline exactly it is not missed
        (sh(3, 2, 14, 1), 1, ("linkage_office",)),
        (sh(3, 3, 14), 1, ("linkage_office",)),
        (sh(3, 3, 14, 1), 2, ("linkage_office", "leading_group")),
        (sh(4, 1, 10), 2, ("linkage_office", "leading_group")),
    ]
    for clock, level, told in moments:
        case = settle(case, clock, clock)
        task = case.tasks[0]
        assert (task.escalation_level, task.escalated_to) == (level, told)
    assert task.acknowledge_breached_at == task.acknowledge_due_at
    assert task.breached_at == task.due_at == task.measures[0].breached_at
    assert task.escalated_at == (sh(3, 2, 14), sh(3, 3, 14))
    assert next_due(case) is None


def test_the_ladder_rests_over_the_weekend() -> None:
    case = opened(sh(3, 6, 12))  # Friday: acknowledge by 16:00
    task = settle(case, sh(3, 8, 23), MONDAY).tasks[0]
    assert (task.acknowledge_due_at, task.escalation_level) == (sh(3, 6, 16), 1)
    assert settle(case, sh(3, 9, 16, 1), MONDAY).tasks[0].escalation_level == 2


def test_an_acknowledged_task_goes_up_for_its_completion() -> None:
    case = settle(opened(), sh(3, 2, 15), MONDAY)
    case = settle(did(case, "start", sh(3, 2, 15)), sh(3, 2, 15), MONDAY)
    assert case.tasks[0].escalated_at == (sh(3, 2, 14),)
    assert next_due(case) == sh(3, 5, 9)  # the reminder
    case = settle(case, sh(3, 5, 9, 1), MONDAY)
    assert next_due(case) == sh(3, 5, 10)
    assert settle(case, sh(3, 5, 10, 1), MONDAY).tasks[0].escalated_at == (sh(3, 2, 14), sh(3, 5, 10))


def test_a_measure_due_before_its_task_is_a_deadline_of_its_own() -> None:
    case = opened(severity="low", measures=("file_large_transaction_report", "verify_identity"))
    assert case.tasks[0].due_at == sh(3, 9, 10)
    assert [one.due_at for one in case.tasks[0].measures] == [sh(3, 9, 17), sh(3, 9, 10)]
    early = opened(sh(3, 2, 17, 30), severity="low", measures=("file_large_transaction_report", "verify_identity"))
    assert early.tasks[0].due_at == early.tasks[0].measures[0].due_at == sh(3, 9, 17)


def test_what_was_done_in_time_is_withdrawn_however_late_it_arrives() -> None:
    marked = settle(opened(), FOREVER, FOREVER)
    assert marked.tasks[0].breached
    done = did(did(marked, "acknowledge", sh(3, 2, 14)), "complete", sh(3, 5, 10))  # both at the deadline
    after = settle(done, MONDAY, FOREVER)
    task = after.tasks[0]
    assert not task.breached
    assert (task.escalation_level, task.escalated_to, task.escalated_at) == (0, (), ())
    kinds = [entry.kind for entry in after.history]
    assert kinds.count("breached") == kinds.count("breach_withdrawn") == 3
    assert kinds.count("escalated") == kinds.count("escalation_withdrawn") == 2


def test_late_work_stays_late() -> None:
    case = did(did(opened(), "acknowledge", sh(3, 2, 14, 1)), "complete", sh(3, 5, 10, 1))
    task = settle(case, MONDAY, MONDAY).tasks[0]
    assert task.acknowledge_breached_at == task.acknowledge_due_at
    assert task.breached_at == task.due_at
    assert task.completed_at == sh(3, 5, 10, 1)
    assert task.escalated_at == (sh(3, 2, 14), sh(3, 5, 10))


def test_a_clock_that_falls_back_unmarks_nothing() -> None:
    marked = settle(opened(), sh(3, 2, 15), MONDAY)
    assert settle(marked, MONDAY, MONDAY) is marked


def test_settling_twice_is_settling_once() -> None:
    once = settle(opened(), sh(3, 4, 12), MONDAY)
    assert settle(once, sh(3, 4, 12), MONDAY) is once
    slowly = opened()
    for hours in range(60):
        slowly = settle(slowly, MONDAY + hours * HOUR, MONDAY)
    assert slowly.tasks == settle(opened(), MONDAY + 59 * HOUR, MONDAY).tasks


def test_late_tasks_names_who_and_by_what() -> None:
    case = did(opened(departments=("operations", "risk")), "acknowledge", sh(3, 2, 15))
    assert late_tasks(case, MONDAY + HOUR) == late_tasks(case, MONDAY)
    late = late_tasks(case, sh(3, 5, 11))
    assert [(one.department, one.what, one.due_at, one.met_at) for one in late] == [
        ("operations", "acknowledge", sh(3, 2, 14), sh(3, 2, 15)),
        ("risk", "acknowledge", sh(3, 2, 14), None),
        ("operations", "complete", sh(3, 5, 10), None),
        ("risk", "complete", sh(3, 5, 10), None),
    ]
    assert late[1].owner == "risk-duty-officer"


def test_each_breach_is_in_the_history_at_its_own_time() -> None:
    case = settle(opened(), sh(3, 6, 12), sh(3, 6, 12))
    entries = [(entry.kind, entry.at) for entry in case.history if entry.kind in ("breached", "escalated")]
    assert entries == [
        ("breached", sh(3, 2, 14)),
        ("escalated", sh(3, 2, 14)),
        ("escalated", sh(3, 3, 14)),
        ("breached", sh(3, 5, 10)),
        ("breached", sh(3, 5, 10)),
    ]
    assert {entry.recorded_at for entry in case.history[-5:]} == {sh(3, 6, 12)}
