"""The bank's calendar: days, hours, holidays, make-up days and changes of the clock."""

import threading
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from models.calendar import BankCalendar, CalendarConfig

CN = BankCalendar(CalendarConfig("CN", "Asia/Shanghai", time(9), time(17)))
CZ = BankCalendar(CalendarConfig("CZ", "Europe/Prague", time(8), time(16)))
US = BankCalendar(CalendarConfig("US", "America/New_York", time(9), time(17)))
SHANGHAI, PRAGUE, NEW_YORK = (ZoneInfo(name) for name in ("Asia/Shanghai", "Europe/Prague", "America/New_York"))
H = timedelta(hours=1)


def cn(month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=SHANGHAI)


def test_opening_after_closing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"opens 17:00:00 must be before calendar\.closes 09:00:00"):
        BankCalendar(CalendarConfig("CN", "Asia/Shanghai", time(17), time(9)))


def test_day_is_the_banks_own() -> None:
    assert CN.day_of(datetime(2026, 3, 1, 15, 59, 59, tzinfo=UTC)) == date(2026, 3, 1)
    assert CN.day_of(datetime(2026, 3, 1, 16, 0, tzinfo=UTC)) == date(2026, 3, 2)


@pytest.mark.parametrize(
    ("calendar", "day", "hours"),
    [
        (CN, date(2026, 3, 29), 24),
        (CZ, date(2026, 3, 29), 23),
        (CZ, date(2026, 10, 25), 25),
        (US, date(2026, 3, 8), 23),
        (US, date(2026, 11, 1), 25),
    ],
)
def test_a_day_is_as_long_as_it_is(calendar: BankCalendar, day: date, hours: int) -> None:
    start, end = (instant.astimezone(UTC) for instant in calendar.day_window(day))
    assert end - start == hours * H
    assert calendar.day_of(start) == day == calendar.day_of(end - timedelta(microseconds=1))


@pytest.mark.parametrize(
    ("day", "worked"),
    [
        (date(2026, 2, 13), True),
        (date(2026, 2, 14), True),  # Saturday, made up for the Spring Festival
        (date(2026, 2, 15), False),
        (date(2026, 2, 20), False),
        (date(2026, 2, 23), False),
        (date(2026, 2, 24), True),
        (date(2026, 2, 28), True),  # Saturday, made up
        (date(2026, 3, 1), False),
        (date(2026, 10, 10), True),  # Saturday, made up for the National Day
    ],
)
def test_china_2026(day: date, worked: bool) -> None:
    assert CN.is_working_day(day) is worked


def test_the_banks_own_days_go_before_the_countrys() -> None:
    own = BankCalendar(
        CalendarConfig(
            "CN",
            "Asia/Shanghai",
            time(9),
            time(17),
            closed_days=(date(2026, 3, 4), date(2026, 3, 5)),
            extra_working_days=(date(2026, 3, 5), date(2026, 3, 8)),
        )
    )
    assert [own.is_working_day(date(2026, 3, day)) for day in (3, 4, 5, 8)] == [True, False, True, True]


def test_stepping_over_the_spring_festival() -> None:
    assert CN.next_working_day(date(2026, 2, 14)) == date(2026, 2, 24)
    assert CN.previous_working_day(date(2026, 2, 24)) == date(2026, 2, 14)
    assert CN.add_working_days(date(2026, 2, 13), 2) == date(2026, 2, 24)
    assert CN.add_working_days(date(2026, 2, 15), 0) == date(2026, 2, 15)


def test_working_day_of_year_counts_each_once() -> None:
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(365)]
    counts = [CN.working_day_of_year(day) for day in days]
    assert counts[0] == 0  # New Year's Day
    assert [b - a for a, b in pairwise(counts)] == [int(CN.is_working_day(day)) for day in days[1:]]


def test_working_day_of_year_needs_no_deep_stack() -> None:
    """It is asked first for a day late in the year, deep inside a worker's stack."""
    results: list[int] = []

    def deep(levels: int) -> None:
        if levels:
            deep(levels - 1)
        else:
            fresh = BankCalendar(CalendarConfig("CN", "Asia/Shanghai", time(9), time(17)))
            results.append(fresh.working_day_of_year(date(2026, 12, 31)))

    thread = threading.Thread(target=deep, args=(700,))
    thread.start()
    thread.join()
    assert results == [CN.working_day_of_year(date(2026, 12, 31))]


@pytest.mark.parametrize(
    ("start", "hours", "due"),
    [
        (cn(3, 2, 10), 4, cn(3, 2, 14)),
        (cn(3, 2, 7), 4, cn(3, 2, 13)),  # before opening
        (cn(3, 2, 9), 8, cn(3, 2, 17)),  # exactly at closing is still that day
        (cn(3, 2, 16), 2, cn(3, 3, 10)),
        (cn(3, 2, 17), 1, cn(3, 3, 10)),  # at closing
        (cn(3, 2, 17), 0, cn(3, 2, 17)),
        (cn(3, 2, 17, 1), 0, cn(3, 3, 9)),
        (cn(3, 2, 22), 8, cn(3, 3, 17)),  # after closing
        (cn(3, 6, 16), 2, cn(3, 9, 10)),  # over a weekend
        (cn(3, 7, 12), 1, cn(3, 9, 10)),  # from a Saturday
        (cn(2, 13, 16), 2, cn(2, 14, 10)),  # into the make-up Saturday
        (cn(2, 14, 16), 2, cn(2, 24, 10)),  # over the Spring Festival
        (cn(2, 17, 12), 24, cn(2, 26, 17)),  # from within it
        (cn(2, 27, 16), 10, cn(3, 2, 10)),  # month end, with the make-up Saturday of 28 February between
        (cn(4, 30, 16), 2, cn(5, 6, 10)),  # Labour Day, 1 to 5 May
    ],
)
def test_working_time_in_china(start: datetime, hours: int, due: datetime) -> None:
    assert CN.add_working_time(start, hours * H) == due


@pytest.mark.parametrize(
    ("calendar", "start", "hours", "due"),
    [
        # The weekend of the change counts nothing: the clock time of the due hour stays, its UTC offset does not.
        (CZ, datetime(2026, 3, 27, 15, tzinfo=PRAGUE), 2, datetime(2026, 3, 30, 9, tzinfo=PRAGUE)),
        (CZ, datetime(2026, 10, 23, 15, tzinfo=PRAGUE), 2, datetime(2026, 10, 26, 9, tzinfo=PRAGUE)),
        (US, datetime(2026, 3, 6, 16, tzinfo=NEW_YORK), 2, datetime(2026, 3, 9, 10, tzinfo=NEW_YORK)),
        (US, datetime(2026, 10, 30, 16, tzinfo=NEW_YORK), 2, datetime(2026, 11, 2, 10, tzinfo=NEW_YORK)),
        (US, datetime(2026, 7, 2, 16, tzinfo=NEW_YORK), 2, datetime(2026, 7, 6, 10, tzinfo=NEW_YORK)),  # 4 July
    ],
)
def test_working_time_over_daylight_saving(calendar: BankCalendar, start: datetime, hours: int, due: datetime) -> None:
    assert calendar.add_working_time(start, hours * H).astimezone(UTC) == due.astimezone(UTC)


def test_hours_of_a_day_on_which_the_clock_is_changed() -> None:
    """A bank that works round the clock, on the Sundays of the changes too, works 23 and 25 hours on them."""
    days = (date(2026, 3, 29), date(2026, 10, 25))
    open_always = BankCalendar(
        CalendarConfig("CZ", "Europe/Prague", time(0), time(23, 59, 59), extra_working_days=days)
    )
    spring = open_always.add_working_time(datetime(2026, 3, 29, 0, tzinfo=PRAGUE), 3 * H)
    assert spring.astimezone(UTC) == datetime(2026, 3, 29, 2, tzinfo=UTC)
    assert spring.hour == 4
    autumn = open_always.add_working_time(datetime(2026, 10, 25, 0, tzinfo=PRAGUE), 3 * H)
    assert autumn.hour == 2
    assert autumn.fold == 1
    again = open_always.add_working_time(autumn, H)
    assert again.astimezone(UTC) - autumn.astimezone(UTC) == H
    assert again.hour == 3


def test_the_machines_zone_does_not_matter() -> None:
    starts = [cn(3, 2, 16).astimezone(zone) for zone in (UTC, PRAGUE, NEW_YORK)]
    assert {CN.add_working_time(start, 2 * H) for start in starts} == {cn(3, 3, 10)}
