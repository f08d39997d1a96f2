"""The bank's calendar: days, hours, holidays, make-up days and changes of the clock."""

import re
import threading
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.calendar import BankCalendar, CalendarConfig, calendar_of


def config(country: str, timezone: str, opens: time, closes: time, **more: Any) -> CalendarConfig:
    return CalendarConfig(country=country, timezone=timezone, opens=opens, closes=closes, **more)


CN = BankCalendar(config("CN", "Asia/Shanghai", time(9), time(17)))
CZ = BankCalendar(config("CZ", "Europe/Prague", time(8), time(16)))
US = BankCalendar(config("US", "America/New_York", time(9), time(17)))
ECB = BankCalendar(CalendarConfig(market="ECB", timezone="Europe/Berlin", opens=time(9), closes=time(17)))
SHANGHAI, PRAGUE, NEW_YORK = (ZoneInfo(name) for name in ("Asia/Shanghai", "Europe/Prague", "America/New_York"))
H = timedelta(hours=1)


def cn(month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=SHANGHAI)


def test_opening_after_closing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"opens 17:00:00 must be before calendar\.closes 09:00:00"):
        BankCalendar(config("CN", "Asia/Shanghai", time(17), time(9)))


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
        (date(2026, 1, 4), True),  # Sunday, made up for 2 January
        (date(2026, 4, 6), False),  # Tomb-Sweeping Day on a Sunday, observed on Monday
        (date(2026, 5, 5), False),
        (date(2026, 5, 9), True),  # Saturday, made up for Labour Day
        (date(2026, 9, 20), True),  # Sunday, made up for the National Day
        (date(2026, 9, 30), True),
        (date(2026, 10, 1), False),
        (date(2026, 10, 7), False),
        (date(2026, 10, 8), True),
        (date(2026, 10, 10), True),  # Saturday, made up for the National Day
        (date(2025, 1, 26), True),  # Sunday, made up for the Spring Festival
        (date(2025, 1, 27), True),
        (date(2025, 1, 28), False),
        (date(2025, 2, 4), False),
        (date(2025, 2, 5), True),
        (date(2025, 2, 8), True),  # Saturday, made up
        (date(2025, 4, 27), True),  # Sunday, made up for Labour Day
        (date(2025, 9, 28), True),  # Sunday, made up for the National Day and Mid-Autumn
        (date(2025, 10, 8), False),
        (date(2025, 10, 11), True),  # Saturday, made up
    ],
)
def test_china_2025_and_2026(day: date, worked: bool) -> None:
    assert CN.is_working_day(day) is worked


def test_the_banks_own_days_go_before_the_countrys() -> None:
    own = BankCalendar(
        config(
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
            fresh = BankCalendar(config("CN", "Asia/Shanghai", time(9), time(17)))
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
    open_always = BankCalendar(config("CZ", "Europe/Prague", time(0), time(23, 59, 59), extra_working_days=days))
    spring = open_always.add_working_time(datetime(2026, 3, 29, 0, tzinfo=PRAGUE), 3 * H)
    assert spring.astimezone(UTC) == datetime(2026, 3, 29, 2, tzinfo=UTC)
    assert spring.hour == 4
    autumn = open_always.add_working_time(datetime(2026, 10, 25, 0, tzinfo=PRAGUE), 3 * H)
    assert (autumn.hour, autumn.utcoffset()) == (2, H)  # the second time it is two o'clock
    again = open_always.add_working_time(autumn, H)
    assert again.astimezone(UTC) - autumn.astimezone(UTC) == H
    assert again.hour == 3


def test_the_machines_zone_does_not_matter() -> None:
    starts = [cn(3, 2, 16).astimezone(zone) for zone in (UTC, PRAGUE, NEW_YORK)]
    assert {CN.add_working_time(start, 2 * H) for start in starts} == {cn(3, 3, 10)}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "calendar needs either country or market, and not both"),
        ({"country": "CN", "market": "ECB"}, "calendar needs either country or market, and not both"),
        ({"country": "cn"}, "calendar.country 'cn' is not known (did you mean 'CN'?)"),
        ({"country": "??"}, "calendar.country '??' is not known"),
        ({"market": "ECC"}, "calendar.market 'ECC' is not known (did you mean 'ECB'?)"),
        (
            {"country": "CN", "timezone": "Asia/Shangai"},
            "calendar.timezone 'Asia/Shangai' is not known (did you mean 'Asia/Shanghai'?)",
        ),
        ({"country": "CN", "timezone": "Europe"}, "calendar.timezone 'Europe' is not known (did you mean "),
        ({"country": "CN", "timezone": "../UTC"}, "calendar.timezone '../UTC' is not known (did you mean "),
        ({"country": "CN", "timezone": ""}, "calendar.timezone '' is not known"),
        ({"country": "US", "subdivision": "TXX"}, "calendar.subdivision 'TXX' is not known (did you mean 'TX'?)"),
        (
            {"market": "ECB", "subdivision": "BY"},
            "calendar.subdivision is a part of calendar.country, which is not given",
        ),
    ],
)
def test_an_unknown_calendar_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        BankCalendar(CalendarConfig(**{"timezone": "Asia/Shanghai", "opens": time(9), "closes": time(17), **fields}))


def test_one_configuration_has_one_calendar() -> None:
    one, other = (config("CN", "Asia/Shanghai", time(9), time(17)) for _ in range(2))
    assert one is not other
    assert calendar_of(one) is calendar_of(other)
    assert calendar_of(one) is not calendar_of(config("CN", "Asia/Shanghai", time(9), time(16)))


@pytest.mark.parametrize(
    ("day", "worked"),
    [
        (date(2026, 6, 19), False),  # Juneteenth, a Friday
        (date(2026, 7, 3), False),  # Saturday's Independence Day, observed on Friday
        (date(2026, 7, 6), True),
        (date(2027, 7, 5), False),  # Sunday's, observed on Monday
        (date(2027, 12, 24), False),  # Saturday's Christmas, observed on Friday
        (date(2027, 12, 31), False),  # Saturday's New Year, observed in the old year
        (date(2026, 11, 26), False),  # Thanksgiving
        (date(2026, 11, 27), True),
    ],
)
def test_united_states(day: date, worked: bool) -> None:
    assert US.is_working_day(day) is worked


@pytest.mark.parametrize(
    ("day", "worked"),
    [
        (date(2026, 1, 1), False),
        (date(2026, 4, 3), False),  # Good Friday
        (date(2026, 4, 6), False),  # Easter Monday
        (date(2026, 5, 1), False),
        (date(2026, 5, 14), True),  # Ascension is a holiday in Germany alone
        (date(2026, 10, 3), False),  # a Saturday
        (date(2026, 12, 24), True),
        (date(2026, 12, 25), False),
        (date(2025, 12, 26), False),
        (date(2026, 12, 28), True),
    ],
)
def test_target_days(day: date, worked: bool) -> None:
    assert ECB.is_working_day(day) is worked


def test_part_of_a_country_has_days_of_its_own() -> None:
    bavaria = BankCalendar(config("DE", "Europe/Berlin", time(9), time(17), subdivision="BY"))
    germany = BankCalendar(config("DE", "Europe/Berlin", time(9), time(17)))
    epiphany = date(2026, 1, 6)
    assert (bavaria.is_working_day(epiphany), germany.is_working_day(epiphany)) == (False, True)


def test_leap_day_and_the_last_microsecond_of_the_year() -> None:
    assert CN.day_of(datetime(2028, 2, 29, 12, tzinfo=SHANGHAI)) == date(2028, 2, 29)
    start, end = CN.day_window(date(2028, 2, 29))
    assert (start, end) == (datetime(2028, 2, 29, tzinfo=SHANGHAI), datetime(2028, 3, 1, tzinfo=SHANGHAI))
    assert US.next_working_day(date(2028, 2, 28)) == date(2028, 2, 29)
    assert US.working_day_of_year(date(2028, 2, 29)) == US.working_day_of_year(date(2028, 2, 28)) + 1
    assert US.working_day_of_year(date(2028, 12, 31)) == US.working_day_of_year(date(2028, 12, 29)) == 250
    last = datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=SHANGHAI)
    assert CN.day_of(last) == CN.day_of(last.astimezone(UTC)) == date(2026, 12, 31)
    assert CN.day_of(last + timedelta(microseconds=1)) == date(2027, 1, 1)
    assert CN.day_window(date(2026, 12, 31))[1] == last + timedelta(microseconds=1)
    assert CN.add_working_time(last, H) == datetime(2027, 1, 4, 10, tzinfo=SHANGHAI)


SKIPPED = [
    ("Africa/Cairo", date(2026, 4, 24), datetime(2026, 4, 23, 22, tzinfo=UTC)),
    ("Asia/Beirut", date(2026, 3, 29), datetime(2026, 3, 28, 22, tzinfo=UTC)),
    ("America/Santiago", date(2026, 9, 6), datetime(2026, 9, 6, 4, tzinfo=UTC)),
    ("America/Havana", date(2026, 3, 8), datetime(2026, 3, 8, 5, tzinfo=UTC)),
    ("America/Sao_Paulo", date(2018, 11, 4), datetime(2018, 11, 4, 3, tzinfo=UTC)),
    ("America/Danmarkshavn", date(1996, 1, 1), datetime(1996, 1, 1, 3, tzinfo=UTC)),
    ("Antarctica/Casey", date(2016, 10, 22), datetime(2016, 10, 21, 16, tzinfo=UTC)),
    ("Pacific/Pitcairn", date(1998, 4, 27), datetime(1998, 4, 27, 8, 30, tzinfo=UTC)),
    # Not midnight itself is where the clock is changed, but a minute after it:
    ("America/St_Johns", date(2010, 3, 14), datetime(2010, 3, 14, 3, 30, tzinfo=UTC)),
    # From 23:30 to 00:30: the day begins half an hour late.
    ("America/Toronto", date(1919, 3, 31), datetime(1919, 3, 31, 4, 30, tzinfo=UTC)),
]


@pytest.mark.parametrize(("zone", "day", "first"), SKIPPED)
def test_a_day_without_midnight_begins_when_the_clock_is_changed(zone: str, day: date, first: datetime) -> None:
    calendar = BankCalendar(config("US", zone, time(9), time(17)))
    start, _ = calendar.day_window(day)
    assert start.astimezone(UTC) == first
    assert start == first  # a time that does not exist would equal no time of another zone
    assert calendar.day_window(day - timedelta(days=1))[1] == start
    assert calendar.day_of(first) == day == calendar.day_of(start)
    assert calendar.day_of(first - timedelta(microseconds=1)) == day - timedelta(days=1)
    # Arithmetic on the edge itself is exact too; on a time of the zone it would land in the hour that was skipped.
    assert calendar.day_of(start - timedelta(microseconds=1)) == day - timedelta(days=1)


def test_a_day_that_the_clock_skips_is_empty() -> None:
    samoa = BankCalendar(config("US", "Pacific/Apia", time(9), time(17)))
    start, end = (instant.astimezone(UTC) for instant in samoa.day_window(date(2011, 12, 30)))
    assert start == end == samoa.day_window(date(2011, 12, 31))[0].astimezone(UTC)
    assert samoa.day_of(start) == date(2011, 12, 31)


def test_a_midnight_that_comes_twice_begins_its_day_at_the_first() -> None:
    havana = BankCalendar(config("US", "America/Havana", time(9), time(17)))
    start, end = (instant.astimezone(UTC) for instant in havana.day_window(date(2026, 11, 1)))
    assert (start, end) == (datetime(2026, 11, 1, 4, tzinfo=UTC), datetime(2026, 11, 2, 5, tzinfo=UTC))
    assert havana.day_of(start - timedelta(microseconds=1)) == date(2026, 10, 31)


ZONES = ["Africa/Cairo", "Asia/Beirut", "America/Santiago", "America/Havana", "America/New_York", "Europe/Berlin",
         "Asia/Shanghai", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "America/Scoresbysund"]  # fmt: skip
CALENDARS = [BankCalendar(config("US", zone, time(9), time(17))) for zone in ZONES]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(CALENDARS),
    st.one_of(
        st.integers(0, 25 * 365 * 86_400).map(lambda seconds: timedelta(seconds=seconds)),
        st.integers(0, 25 * 365).map(lambda days: timedelta(days=days, hours=4)),
    ),
)
def test_days_part_the_line_of_time(calendar: BankCalendar, since: timedelta) -> None:
    instant = datetime(2011, 12, 1, tzinfo=UTC) + since
    day = calendar.day_of(instant)
    start, end = calendar.day_window(day)
    assert start <= instant < end
    assert calendar.day_window(day + timedelta(days=1))[0] == end
    assert calendar.day_of(start) == day
    assert calendar.starts_day(start)
    assert calendar.starts_day(instant) is (instant == start)
    assert calendar.day_of(end - timedelta(microseconds=1)) == day


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/New_York", date(2026, 3, 8), 23),
        ("America/New_York", date(2026, 11, 1), 25),
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
    ],
)
def test_a_bank_open_on_the_day_of_the_change_works_the_hours_there_are(zone: str, day: date, hours: int) -> None:
    """Open from 00:30 to 23:30 by the clock: an hour less or more than 23."""
    bank = BankCalendar(config("US", zone, time(0, 30), time(23, 30), extra_working_days=(day,)))
    opens, closes = (datetime.combine(day, hour, ZoneInfo(zone)) for hour in (time(0, 30), time(23, 30)))
    assert bank.add_working_time(opens, (hours - 1) * H).astimezone(UTC) == closes.astimezone(UTC)
    over = bank.add_working_time(opens, hours * H)
    assert over.date() > day


def test_the_second_of_two_equal_hours_is_later() -> None:
    """The bank opens in the hour that comes twice: at 01:45 for the first time. 01:30 for the second time is after."""
    day = date(2026, 11, 1)
    bank = BankCalendar(config("US", "America/New_York", time(1, 45), time(17), extra_working_days=(day,)))
    start = datetime(2026, 11, 1, 1, 30, fold=1, tzinfo=NEW_YORK)
    assert bank.add_working_time(start, H).astimezone(UTC) == start.astimezone(UTC) + H


def test_a_make_up_day_is_known_to_a_calendar_that_was_asked_nothing_else() -> None:
    assert BankCalendar(CN.config).is_working_day(date(2026, 2, 14))


@pytest.mark.parametrize(
    ("calendar", "year", "known"),
    [(CN, 2001, True), (CN, 2025, True), (CN, 2026, True), (CN, 2100, False), (CN, 1949, False), (US, 2028, True),
     (ECB, 2028, True), (ECB, 1998, False), (US, 2101, False)],
)  # fmt: skip
def test_years_with_official_days(calendar: BankCalendar, year: int, known: bool) -> None:
    assert calendar.covered(year) is known
    assert (calendar.gap(year) is None) is known


def test_a_year_not_announced_yet_has_weekends_and_fixed_holidays() -> None:
    days = [date(2099, 10, 1) + timedelta(days=n) for n in range(14)]
    assert not CN.covered(2099)
    assert [day.day for day in days if not CN.is_working_day(day)] == [1, 2, 3, 4, 5, 10, 11]
    assert all(not CN.is_working_day(day) for day in days if day.weekday() > 4)  # no make-up day
    # The bank enters them by itself, once they are announced:
    entered = BankCalendar(config("CN", "Asia/Shanghai", time(9), time(17), extra_working_days=(date(2099, 10, 10),)))
    assert entered.covered(2099)
    assert entered.is_working_day(date(2099, 10, 10))
    assert not entered.covered(2098)


@pytest.mark.parametrize(
    ("calendar", "day", "count", "reached"),
    [
        (CN, date(2025, 1, 24), 3, date(2025, 2, 5)),  # Sunday 26, Monday 27, then the Spring Festival
        (CN, date(2025, 9, 30), 2, date(2025, 10, 10)),  # National Day with Mid-Autumn
        (CN, date(2026, 9, 30), 3, date(2026, 10, 10)),  # into the make-up Saturday
        (CN, date(2025, 12, 31), 1, date(2026, 1, 4)),  # the year's first working day is a Sunday
        (CN, date(2028, 2, 28), 1, date(2028, 2, 29)),
        (US, date(2024, 2, 28), 2, date(2024, 3, 1)),
        (US, date(2026, 4, 30), 1, date(2026, 5, 1)),
        (US, date(2026, 6, 18), 1, date(2026, 6, 22)),  # Juneteenth and the weekend
        (US, date(2022, 6, 17), 1, date(2022, 6, 21)),  # Juneteenth on a Sunday, observed on Monday
        (US, date(2026, 7, 2), 1, date(2026, 7, 6)),
        (US, date(2026, 11, 25), 2, date(2026, 11, 30)),  # Thanksgiving
        (US, date(2027, 12, 30), 1, date(2028, 1, 3)),  # New Year observed in the old year
        (ECB, date(2026, 4, 2), 1, date(2026, 4, 7)),  # Easter
        (ECB, date(2026, 4, 30), 1, date(2026, 5, 4)),
        (ECB, date(2024, 12, 24), 1, date(2024, 12, 27)),
        (ECB, date(2026, 3, 27), 1, date(2026, 3, 30)),  # over the change of the clock
    ],
)
def test_working_days_over_holidays(calendar: BankCalendar, day: date, count: int, reached: date) -> None:
    assert calendar.add_working_days(day, count) == reached


@pytest.mark.parametrize(
    ("day", "number"),
    [
        (date(2025, 12, 30), 247),
        (date(2025, 12, 31), 248),
        (date(2026, 1, 1), 0),
        (date(2026, 1, 3), 0),
        (date(2026, 1, 4), 1),  # the make-up Sunday begins the new year's count
        (date(2026, 1, 5), 2),
        (date(2026, 2, 28), 37),  # 21 days in January, 16 in February with two make-up Saturdays
        (date(2026, 12, 31), 248),
        (date(2024, 2, 29), 40),  # 22 and 18
        (date(2024, 3, 1), 41),
    ],
)
def test_the_count_of_working_days_begins_anew_each_year(day: date, number: int) -> None:
    assert CN.working_day_of_year(day) == number


@pytest.mark.parametrize(
    ("instant", "first"),
    [
        (datetime(2026, 3, 2, tzinfo=SHANGHAI), True),
        (datetime(2026, 3, 1, 16, tzinfo=UTC), True),
        (datetime(2026, 3, 1, 16, 0, 0, 1, tzinfo=UTC), False),
        (datetime(2026, 3, 1, 15, 59, 59, 999_999, tzinfo=UTC), False),
        (datetime(2026, 3, 2, tzinfo=UTC), False),
    ],
)
def test_the_first_instant_of_a_day(instant: datetime, first: bool) -> None:
    assert CN.starts_day(instant) is first


@pytest.mark.parametrize(("zone", "day", "first"), SKIPPED)
def test_the_first_instant_where_midnight_is_skipped(zone: str, day: date, first: datetime) -> None:
    calendar = BankCalendar(config("US", zone, time(9), time(17)))
    assert calendar.starts_day(first)
    assert calendar.starts_day(first.astimezone(calendar.zone))
    assert not calendar.starts_day(first - timedelta(microseconds=1))
    assert not calendar.starts_day(first + timedelta(microseconds=1))


def test_the_first_instant_where_midnight_comes_twice() -> None:
    havana = BankCalendar(config("US", "America/Havana", time(9), time(17)))
    first, second = (datetime(2026, 11, 1, tzinfo=havana.zone, fold=fold) for fold in (0, 1))
    assert (havana.starts_day(first), havana.starts_day(second)) == (True, False)


def test_a_clock_set_back_over_midnight_does_not_bring_the_old_day_back() -> None:
    """Newfoundland, 7 November 2010: a minute after midnight it was 23:01 of the sixth again."""
    calendar = BankCalendar(config("CA", "America/St_Johns", time(9), time(17)))
    midnight = datetime(2010, 11, 7, 2, 30, tzinfo=UTC)
    assert calendar.day_window(date(2010, 11, 7)) == (midnight, datetime(2010, 11, 8, 3, 30, tzinfo=UTC))
    minutes = [midnight + timedelta(minutes=n) for n in range(-1, 121)]
    assert [calendar.day_of(one).day for one in minutes] == [6] + [7] * 121
    assert [one for one in minutes if calendar.starts_day(one)] == [midnight]


def test_two_times_that_the_wall_clock_shows_alike_have_their_own_days() -> None:
    """02:30 comes twice in Berlin, and between the two it is midnight on Cape Verde."""
    calendar = BankCalendar(config("US", "Atlantic/Cape_Verde", time(9), time(17)))
    berlin = ZoneInfo("Europe/Berlin")
    days = [calendar.day_of(datetime(2026, 10, 25, 2, 30, tzinfo=berlin, fold=fold)) for fold in (0, 1)]
    assert days == [date(2026, 10, 24), date(2026, 10, 25)]


@pytest.mark.parametrize(
    ("calendar", "day", "text"),
    [
        (CN, date(2026, 3, 2), ("2026-03-02T00:00:00+08:00", "2026-03-03T00:00:00+08:00")),
        (US, date(2026, 3, 8), ("2026-03-08T00:00:00-05:00", "2026-03-09T00:00:00-04:00")),
        (ECB, date(2026, 10, 25), ("2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00")),
    ],
)
def test_windows_are_written_with_the_banks_offset(calendar: BankCalendar, day: date, text: tuple[str, str]) -> None:
    window = calendar.day_window(day)
    assert msgspec.json.decode(msgspec.json.encode(window)) == list(text)
    assert msgspec.convert(list(text), tuple[datetime, datetime]) == window


@pytest.mark.parametrize(
    ("calendar", "day", "hours"),
    [
        (US, date(2026, 3, 8), 22),
        (US, date(2026, 11, 1), 24),
        (ECB, date(2026, 3, 29), 22),
        (ECB, date(2026, 10, 25), 24),
    ],
)
def test_working_time_of_a_long_day_spans_the_change(calendar: BankCalendar, day: date, hours: int) -> None:
    """Open from 00:00 to 23:00 on the Sunday of the change too: the rest of a span is worked on Monday."""
    bank = BankCalendar(
        msgspec.structs.replace(calendar.config, opens=time(0), closes=time(23), extra_working_days=(day,))
    )
    opens = bank.day_window(day)[0]
    assert bank.add_working_time(opens, hours * H) == opens + hours * H
    assert bank.add_working_time(opens, hours * H).astimezone(bank.zone).time() == time(23)
    monday = bank.day_window(day + timedelta(days=1))[0]
    assert bank.add_working_time(opens, (hours + 2) * H) == monday + 2 * H
    assert bank.add_working_time(opens + 20 * H, (hours - 20) * H + H) == monday + H


WORKING = [
    CN,
    US,
    ECB,
    BankCalendar(
        config("US", "America/New_York", time(0), time(23), extra_working_days=(date(2026, 3, 8), date(2026, 11, 1)))
    ),
    BankCalendar(config("CL", "America/Santiago", time(0), time(23), extra_working_days=(date(2026, 9, 6),))),
    BankCalendar(config("AE", "Asia/Dubai", time(8), time(14))),
]
SPANS = st.timedeltas(timedelta(), timedelta(hours=60))
STARTS = st.one_of(
    st.datetimes(datetime(2025, 12, 1), datetime(2027, 2, 1)),  # noqa: DTZ001
    *(
        st.datetimes(datetime(2026, month, day), datetime(2026, month, day) + timedelta(days=3))  # noqa: DTZ001
        for month, day in ((3, 7), (3, 28), (9, 5), (10, 24), (10, 31))
    ),
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(WORKING), STARTS, SPANS, SPANS)
def test_working_time_adds_up(calendar: BankCalendar, moment: datetime, one: timedelta, other: timedelta) -> None:
    start = moment.replace(tzinfo=UTC)
    due = calendar.add_working_time(start, one)
    assert calendar.add_working_time(due, other) == calendar.add_working_time(start, one + other)
    assert due - start >= one
    assert calendar.is_working_day(calendar.day_of(due))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(WORKING), STARTS, STARTS, SPANS, SPANS)
def test_working_time_never_runs_back(
    calendar: BankCalendar, moment: datetime, other: datetime, span: timedelta, more: timedelta
) -> None:
    earlier, later = sorted((moment.replace(tzinfo=UTC), other.replace(tzinfo=UTC)))
    assert calendar.add_working_time(earlier, span) <= calendar.add_working_time(later, span)
    assert calendar.add_working_time(earlier, span) <= calendar.add_working_time(earlier, span + more)
