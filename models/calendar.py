"""The bank's calendar: its time zone, working days and hours. Public holidays and China's make-up working
days come from the `holidays` library; nothing here asks the machine for its zone or its clock.
"""

import difflib
from calendar import isleap
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import holidays
from msgspec import Struct


class CalendarConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The `[calendar]` table of a policy. Whose days off count is said by `country` or by `market`, never both.

    Args:
        country: ISO 3166-1 alpha-2, as the `holidays` library names it.
        market: a financial calendar of the `holidays` library, e.g. `ECB` for the TARGET days.
        timezone: IANA name of the bank's zone, e.g. `Asia/Shanghai`.
        opens, closes: working hours in that zone.
        subdivision: part of the country with days off of its own.
        closed_days: further days on which this bank is closed.
        extra_working_days: days on which it works although the country does not.
    """

    country: str | None = None
    market: str | None = None
    timezone: str
    opens: time
    closes: time
    subdivision: str | None = None
    closed_days: tuple[date, ...] = ()
    extra_working_days: tuple[date, ...] = ()


class BankCalendar:
    """Answers in the bank's own time: which day an instant falls on, which days are worked, when time is up.

    Instants come back with the bank's offset from UTC at that moment instead of its zone: Python compares and
    subtracts times of one zone by their wall clocks, wrongly by an hour where these are changed.

    >>> cn = BankCalendar(CalendarConfig(country="CN", timezone="Asia/Shanghai", opens=time(9), closes=time(17)))
    >>> cn.is_working_day(date(2026, 2, 14)), cn.is_working_day(date(2026, 2, 17))  # make-up Saturday, New Year
    (True, False)

    Raises:
        ValueError: a country, market, subdivision or zone that is not known, or no working hours; it names the key.
    """

    def __init__(self, config: CalendarConfig) -> None:
        if config.opens >= config.closes:
            raise ValueError(f"calendar.opens {config.opens} must be before calendar.closes {config.closes}")
        self.config = config
        self.zone = _zone(config.timezone)
        self._holidays = _days_off(config)
        self.is_working_day = lru_cache(maxsize=20_000)(self._is_working_day)
        self._cached_day = lru_cache(maxsize=4096)(self._day_of)
        self.day_window = lru_cache(maxsize=4096)(self._day_window)
        self.previous_working_day = lru_cache(maxsize=4096)(self._previous_working_day)
        self._counts = lru_cache(maxsize=64)(self._counts_of)

    @cached_property
    def hours_a_day(self) -> timedelta:
        """Length of a working day by the clock on the wall."""
        start, end = (datetime.combine(date.min, t) for t in (self.config.opens, self.config.closes))
        return end - start

    def covered(self, year: int) -> bool:
        """Whether the official days off and make-up working days of a year are known.

        China and others move working days by an announcement for each year. Until the `holidays` library has it,
        a later year is judged by its weekends and fixed holidays alone, and `calendar.closed_days` with
        `calendar.extra_working_days` must say the rest; a year with such working days counts as known.
        """
        if any(day.year == year for day in self.config.extra_working_days):
            return True
        return self._holidays.start_year <= year <= min(self._holidays.end_year, self._announced_until)

    def gap(self, year: int) -> str | None:
        """What a person must be told of a year whose working days are not all known; None where they are."""
        if self.covered(year):
            return None
        return (
            f"the days off and make-up working days of {year} are not all known: enter them as calendar.closed_days "
            "and calendar.extra_working_days, or deadlines and windows of that year may be off by days"
        )

    @cached_property
    def _announced_until(self) -> int:
        """The last year with a moved working day, where these are announced."""
        if not self._holidays.has_substituted_holidays:
            return date.max.year
        # An entry is (month, day, name), several of them, or (month, day, instead of month, day, ...).
        announced: dict[int, tuple[Any, ...]] = self._holidays.special_public_holidays
        entries = ((year, one if isinstance(one[0], tuple) else (one,)) for year, one in announced.items() if one)
        return max(year for year, days in entries if any(len(day) > 3 for day in days))

    def day_of(self, instant: datetime) -> date:
        """The calendar day an instant falls on, in the bank's zone: that whose `day_window` holds it."""
        # The cache takes the two times that one wall clock shows for the same.
        return self._cached_day(instant.astimezone(UTC) if instant.fold else instant)

    def _day_of(self, instant: datetime) -> date:
        local = instant.astimezone(self.zone)
        day = local.date()
        # A clock set back over midnight (Newfoundland, until 2010) does not bring the old day back.
        if local.fold and self._first_instant(day + timedelta(days=1)) <= instant:
            day += timedelta(days=1)
        return day

    def starts_day(self, instant: datetime) -> bool:
        """Whether an instant is the very first of a day in the bank's zone."""
        instant = instant.astimezone(UTC)
        return self.day_window(self.day_of(instant))[0] == instant

    def _day_window(self, day: date) -> tuple[datetime, datetime]:
        """The first instant of a day and of the next (23 or 25 hours apart on two days a year)."""
        return self._first_instant(day), self._first_instant(day + timedelta(days=1))

    def _first_instant(self, day: date) -> datetime:
        """Midnight; where the clock skips it (Cairo, Beirut, Santiago), the instant at which the clock is changed."""
        midnight = datetime.combine(day, time(), self.zone)
        after = midnight.replace(fold=1).utcoffset() or timedelta()
        if (midnight.utcoffset() or timedelta()) >= after:
            return _with_offset(midnight)
        # Read by the new offset midnight is before the change, by the old one it is not.
        early, late = midnight.replace(fold=1).astimezone(UTC), midnight.astimezone(UTC)
        while late - early > timedelta(seconds=1):
            middle = early + (late - early) // timedelta(seconds=2) * timedelta(seconds=1)
            if middle.astimezone(self.zone).utcoffset() == after:
                late = middle
            else:
                early = middle
        return _with_offset(late.astimezone(self.zone))

    def _is_working_day(self, day: date) -> bool:
        if day in self.config.extra_working_days:
            return True
        return day not in self.config.closed_days and self._holidays.is_working_day(day)

    def next_working_day(self, day: date) -> date:
        """The first working day after `day`."""
        day += timedelta(days=1)
        while not self.is_working_day(day):
            day += timedelta(days=1)
        return day

    def _previous_working_day(self, day: date) -> date:
        """The last working day before `day`."""
        day -= timedelta(days=1)
        while not self.is_working_day(day):
            day -= timedelta(days=1)
        return day

    def add_working_days(self, day: date, count: int) -> date:
        """`count` working days after `day` (0 gives `day` itself)."""
        for _ in range(count):
            day = self.next_working_day(day)
        return day

    def working_day_of_year(self, day: date) -> int:
        """How many working days of its year have begun by `day`: 1 on the year's first one."""
        return self._counts(day.year)[day.timetuple().tm_yday]

    def _counts_of(self, year: int) -> tuple[int, ...]:
        """Working days of a year up to its n-th day, by n."""
        days = (date(year, 1, 1) + timedelta(days=n) for n in range(366 if isleap(year) else 365))
        return tuple(accumulate((int(self.is_working_day(day)) for day in days), initial=0))

    def add_working_time(self, start: datetime, span: timedelta) -> datetime:
        """The instant at which `span` of working time has passed since `start`.

        Time counts from opening to closing on working days alone; a start outside hours counts from the next
        opening. Exactly at closing is still that day.
        """
        begun, day, left = start.astimezone(UTC), self.day_of(start), span
        while True:
            if self.is_working_day(day):
                opens, closes = (
                    datetime.combine(day, hour, self.zone).astimezone(UTC)
                    for hour in (self.config.opens, self.config.closes)
                )
                begin = max(begun, opens)
                room = closes - begin
                if room > timedelta() or (room == timedelta() and not left):
                    if left <= room:
                        return _with_offset((begin + left).astimezone(self.zone))
                    left -= room
            day += timedelta(days=1)


@lru_cache(maxsize=64)
def calendar_of(config: CalendarConfig) -> BankCalendar:
    """The one calendar of a configuration: what it has worked out serves every policy version that has it.

    Raises:
        ValueError: as BankCalendar.
    """
    return BankCalendar(config)


def _with_offset(instant: datetime) -> datetime:
    """The same instant and wall clock, with the zone's offset of that moment in place of the zone."""
    return instant.replace(tzinfo=timezone(instant.utcoffset() or timedelta()), fold=0)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(_unknown("timezone", name, available_timezones())) from error


def _days_off(config: CalendarConfig) -> holidays.HolidayBase:
    if (config.country is None) == (config.market is None):
        raise ValueError("calendar needs either country or market, and not both")
    if config.country is None:
        if config.subdivision is not None:
            raise ValueError("calendar.subdivision is a part of calendar.country, which is not given")
        known = holidays.list_supported_financial()
        if config.market not in known:
            raise ValueError(_unknown("market", str(config.market), known))
        return holidays.financial_holidays(config.market)
    countries = holidays.list_supported_countries(include_aliases=False)
    if config.country not in countries:
        raise ValueError(_unknown("country", config.country, countries))
    parts = countries[config.country]
    if config.subdivision is not None and config.subdivision not in parts:
        raise ValueError(_unknown("subdivision", config.subdivision, parts))
    return holidays.country_holidays(config.country, subdiv=config.subdivision)


def _unknown(key: str, value: str, known: Iterable[str]) -> str:
    by_capitals = {one.upper(): one for one in sorted(known)}
    close = difflib.get_close_matches(value.upper(), by_capitals, n=1, cutoff=0.5)
    return f"calendar.{key} {value!r} is not known" + (f" (did you mean {by_capitals[close[0]]!r}?)" if close else "")
