"""Reminders: one working hour before what is due, computed once, sent once."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings

from models.policy import Policy, parse_policy
from models.response.case import Case
from models.response.deadlines import next_due, remind_time, settle, task_dues
from models.response.joining import join, open_case
from models.response.moves import act
from models.response.subject import SubjectCases
from tests.data import ROOT
from tests.response import DAY, HOUR, MONDAY, POLICY, TEXT, Desk, action, warning

SHANGHAI = ZoneInfo("Asia/Shanghai")
MINUTE = timedelta(minutes=1)


def shipped(name: str) -> Policy:
    return parse_policy((ROOT / "deploy" / "policy" / f"{name}.toml").read_bytes())


EU = shipped("eu")


def sh(month: int, day: int, hour: int, minute: int = 0, year: int = 2026) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=SHANGHAI)


def opened(at: datetime = MONDAY, policy: Policy = POLICY, **fields: Any) -> Case:
    return open_case(1, "live", warning(at, **fields), policy, at)


def told(case: Case) -> list[tuple[datetime, str, str | None]]:
    return [(entry.at, entry.detail, entry.measure) for entry in case.history if entry.kind == "reminded"]


# --- when ---


@pytest.mark.parametrize(
    ("start", "severity", "acknowledge", "complete"),
    [
        (sh(3, 2, 10), "medium", sh(3, 2, 13), sh(3, 5, 9)),
        (sh(3, 6, 13, 30), "medium", sh(3, 6, 16, 30), sh(3, 11, 12, 30)),  # due at 9:30 on Monday: on Friday
        (sh(3, 6, 16), "medium", sh(3, 9, 11), sh(3, 11, 15)),  # over a weekend
        (sh(3, 6, 14), "medium", sh(3, 9, 9), sh(3, 11, 13)),  # due at 10: at opening, not at closing before
        (sh(3, 7, 12), "high", sh(3, 9, 10), sh(3, 10, 16)),  # from a Saturday
        (sh(2, 27, 13, 30), "medium", sh(2, 27, 16, 30), sh(3, 3, 12, 30)),  # month end, and a make-up Saturday
        (sh(2, 14, 13, 30), "medium", sh(2, 14, 16, 30), sh(2, 26, 12, 30)),  # a make-up day, then New Year
        (sh(2, 13, 13, 30), "medium", sh(2, 13, 16, 30), sh(2, 25, 12, 30)),  # due on the make-up day
        (sh(2, 24, 9), "critical", sh(2, 24, 9), sh(2, 24, 16)),
    ],
)
def test_a_working_hour_before(start: datetime, severity: str, acknowledge: datetime, complete: datetime) -> None:
    task = opened(start, severity=severity).tasks[0]
    assert (task.acknowledge_remind_at, task.remind_at) == (acknowledge, complete)
    assert task.remind_at is not None
    assert task.remind_at.tzinfo is UTC


def test_before_new_year_what_is_due_first_thing_after_it() -> None:
    """Due on 24 February at 9:30: half an hour is left of that day, and the other was on 14 February, a Saturday."""
    due = sh(2, 24, 9, 30)
    assert remind_time(POLICY, due, sh(2, 13, 9)) == sh(2, 14, 16, 30)
    assert remind_time(POLICY, sh(2, 24, 9), sh(2, 13, 9)) == sh(2, 14, 16)
    assert remind_time(POLICY, sh(2, 24, 10), sh(2, 13, 9)) == sh(2, 24, 9)


def test_never_before_it_was_asked_for() -> None:
    task = opened(sh(3, 2, 10, 30), severity="critical").tasks[0]  # to acknowledge within the hour
    assert task.acknowledge_remind_at == task.created_at == sh(3, 2, 10, 30)
    night = opened(sh(3, 2, 20), severity="critical").tasks[0]
    assert night.acknowledge_remind_at == sh(3, 3, 9)


@pytest.mark.parametrize("friday", [date(2026, 3, 27), date(2026, 10, 23), date(2028, 3, 24), date(2028, 10, 27)])
def test_over_a_change_of_the_clock(friday: date) -> None:
    """In Europe's policy: due 40 minutes after opening on Monday, reminded 20 before closing on Friday."""
    calendar = EU.bank_calendar
    closes = datetime.combine(friday, calendar.config.closes, calendar.zone)
    opens = datetime.combine(friday + 3 * DAY, calendar.config.opens, calendar.zone)
    due = (opens.astimezone(UTC) + 40 * MINUTE).astimezone(calendar.zone)
    remind = remind_time(EU, due, closes.astimezone(UTC) - 5 * DAY)
    assert remind == closes.astimezone(UTC) - 20 * MINUTE
    usual = timedelta(days=3) - calendar.hours_a_day + HOUR
    assert remind is not None
    assert abs(due.astimezone(UTC) - remind - usual) == HOUR  # real time: an hour less or more than on others


@settings(max_examples=60, deadline=None)
@given(
    minutes=st.integers(0, 3 * 365 * 24 * 60),
    severity=st.sampled_from(("low", "medium", "high", "critical")),
    policy=st.sampled_from((POLICY, EU, shipped("us"))),
)
def test_as_much_working_time_is_left_as_the_policy_says(minutes: int, severity: Any, policy: Policy) -> None:
    at = MONDAY + minutes * MINUTE
    dues = task_dues(policy, severity, at)
    for due in (dues.acknowledge_due_at, dues.due_at):
        remind = remind_time(policy, due, at)
        assert remind is not None
        assert remind >= at
        left = policy.bank_calendar.add_working_time(remind, HOUR)
        assert left == due or (remind == at and left > due)


def test_a_measure_with_a_time_of_its_own() -> None:
    codes = ("file_large_transaction_report", "verify_identity")
    report, identity = opened(measures=codes).tasks[0].measures
    assert (report.due_at, report.remind_at) == (sh(3, 9, 17), sh(3, 9, 16))
    assert identity.remind_at is None  # due with its task, it is not told twice
    later = warning(MONDAY + DAY, warning_id="w2", measures=("verify_approval",))
    added = join(opened(measures=codes), later, POLICY, MONDAY + DAY).tasks[0].measures[2]
    assert (added.due_at, added.remind_at) == (sh(3, 6, 10), sh(3, 6, 9))


def test_a_calendar_day_off_is_reminded_of_before_it() -> None:
    """Due on Saturday, 4 July, observed on Friday: reminded on Thursday, before closing."""
    us = shipped("us")
    start = datetime(2026, 6, 19, 12, tzinfo=ZoneInfo("America/New_York"))
    case = opened(start.astimezone(UTC), us, measures=("file_large_transaction_report",))
    closes = datetime.combine(date(2026, 7, 2), time(16), ZoneInfo("America/New_York"))
    assert case.tasks[0].measures[0].remind_at == closes


# --- what is told ---


def test_each_is_told_once_at_its_own_time_to_the_owner() -> None:
    case = act(opened(), action("assign", MONDAY, note="mei"), POLICY, MONDAY)
    assert next_due(case) == sh(3, 2, 13)
    assert told(settle(case, sh(3, 2, 13), MONDAY)) == []  # at the instant itself it is not past
    for clock in (sh(3, 2, 13, 1), sh(3, 2, 13, 30), sh(3, 5, 9, 1), sh(3, 5, 9, 2)):
        case = settle(case, clock, clock)
    due = "is due at 2026-03-02T06:00:00+00:00", "is due at 2026-03-05T02:00:00+00:00"
    assert told(case) == [
        (sh(3, 2, 13), f"mei: acknowledgement {due[0]}", None),
        (sh(3, 5, 9), f"mei: completion {due[1]}", None),
    ]
    entry = next(entry for entry in case.history if entry.kind == "reminded")
    assert (entry.actor, entry.department, entry.recorded_at) == ("system", "operations", sh(3, 2, 13, 1))
    task = case.tasks[0]
    assert (task.acknowledge_reminded_at, task.reminded_at) == (task.acknowledge_remind_at, task.remind_at)


def test_who_was_in_time_is_not_reminded() -> None:
    case = act(opened(), action("start", sh(3, 2, 12, 59)), POLICY, MONDAY)
    case = act(case, action("complete", sh(3, 5, 8, 59)), POLICY, MONDAY)
    assert told(settle(case, MONDAY + 30 * DAY, MONDAY)) == []
    assert next_due(case) is None


def test_who_was_late_for_it_is_though_the_timer_never_ran() -> None:
    case = act(opened(), action("start", sh(3, 2, 13, 1)), POLICY, MONDAY)
    assert [at for at, _, _ in told(settle(case, MONDAY, MONDAY))] == [sh(3, 2, 13)]


def test_a_deed_that_came_late_takes_no_reminder_back() -> None:
    case = settle(opened(), sh(3, 2, 13, 30), MONDAY)
    after = settle(act(case, action("acknowledge", sh(3, 2, 12)), POLICY, MONDAY), sh(3, 2, 13, 30), MONDAY)
    assert told(after) == told(case)
    assert after.tasks[0].acknowledge_reminded_at == sh(3, 2, 13)


def test_a_measure_is_reminded_of_by_its_name() -> None:
    case = act(opened(measures=("file_large_transaction_report",)), action("start", MONDAY), POLICY, MONDAY)
    case = settle(case, sh(3, 9, 16, 1), MONDAY)
    assert told(case)[-1][::2] == (sh(3, 9, 16), "file_large_transaction_report")


def test_what_waits_to_be_countersigned_is_reminded_of() -> None:
    case = opened(departments=("credit",), measures=("adjust_classification",))
    for kind in ("start", "complete"):
        case = act(case, action(kind, MONDAY, department="credit"), POLICY, MONDAY)
    assert [at for at, _, _ in told(settle(case, sh(3, 5, 9, 1), MONDAY))] == [sh(3, 5, 9)]


def test_the_stage_reminds_by_its_clock() -> None:
    desk = Desk()
    desk.take(warning())
    assert desk.tick(MONDAY + 3 * HOUR) == []
    desk.restart()
    assert len(desk.tick(MONDAY + 3 * HOUR + MINUTE)) == 1
    desk.restart()
    assert desk.tick(MONDAY + 3 * HOUR + 2 * MINUTE) == []
    assert [at for at, _, _ in told(desk.case())] == [MONDAY + 3 * HOUR]


def test_a_policy_that_comes_later_moves_none() -> None:
    case = opened()
    other = parse_policy(TEXT.replace("remind_before = { value = 1", "remind_before = { value = 2"))
    assert opened(policy=other).tasks[0].remind_at == sh(3, 4, 16)
    after = act(case, action("assign", MONDAY), other, MONDAY)
    assert after.tasks[0].remind_at == case.tasks[0].remind_at


def test_where_nobody_is_reminded() -> None:
    head, _, rest = TEXT.partition("remind_before = ")
    case = opened(policy=parse_policy(head + rest.partition("\n")[2]), measures=("file_large_transaction_report",))
    task = case.tasks[0]
    assert (task.acknowledge_remind_at, task.remind_at, task.measures[0].remind_at) == (None, None, None)
    assert told(settle(case, MONDAY + 30 * DAY, MONDAY)) == []


def test_states_of_before_are_read() -> None:
    """A task that was made before there were reminders has none; everything else goes on."""
    desk = Desk()
    desk.take(warning(), action("dismiss", MONDAY + HOUR))
    wire = msgspec.to_builtins(desk.subject(), str_keys=True)
    case = wire["cases"]["1"]
    del case["head"]
    for entry in case["history"]:
        del entry["hash"]
    for task in case["tasks"]:
        del task["acknowledge_remind_at"], task["remind_at"]
        assert task["proposal"].keys() == {"employee_id", "at", "before"}
    desk.states.values["customer:C42"] = msgspec.convert(wire, SubjectCases, str_keys=True)
    desk.tick(MONDAY + 3 * DAY)
    assert told(desk.case()) == []
    desk.take(action("approve", MONDAY + 4 * HOUR, who="mei"))
    assert desk.case().state == "resolved"
