"""The bank's calendar: its time zone, working days and hours. Public holidays and China's make-up working
days come from the `holidays` library; nothing here asks the machine for its zone or its clock.
"""

from calendar import isleap
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache
from itertools import accumulate
from zoneinfo import ZoneInfo

import holidays
from msgspec import Struct


class CalendarConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The `[calendar]` table of a policy.

    Args:
        country: ISO 3166-1 alpha-2, as the `holidays` library names it.
        timezone: IANA name of the bank's zone, e.g. `Asia/Shanghai`.
        opens, closes: working hours in that zone.
        closed_days: further days on which this bank is closed.
        extra_working_days: days on which it works although the country does not.
    """

    country: str
    timezone: str
    opens: time
    closes: time
    subdivision: str | None = None
    closed_days: tuple[date, ...] = ()
    extra_working_days: tuple[date, ...] = ()


class BankCalendar:
    """Answers in the bank's own time: which day an instant falls on, which days are worked, when time is up.

    >>> cn = BankCalendar(CalendarConfig("CN", "Asia/Shanghai", time(9), time(17)))
    >>> cn.is_working_day(date(2026, 2, 14)), cn.is_working_day(date(2026, 2, 17))  # make-up Saturday, New Year
    (True, False)
    """

    def __init__(self, config: CalendarConfig) -> None:
        if config.opens >= config.closes:
            raise ValueError(f"calendar.opens {config.opens} must be before calendar.closes {config.closes}")
        self.config = config
        self.zone = ZoneInfo(config.timezone)
        self._holidays = holidays.country_holidays(config.country, subdiv=config.subdivision)
        self.is_working_day = lru_cache(maxsize=20_000)(self._is_working_day)
        self.day_of = lru_cache(maxsize=4096)(self._day_of)
        self.day_window = lru_cache(maxsize=4096)(self._day_window)
        self.previous_working_day = lru_cache(maxsize=4096)(self._previous_working_day)
        self._counts = lru_cache(maxsize=64)(self._counts_of)

    @cached_property
    def hours_a_day(self) -> timedelta:
        """Length of a working day by the clock on the wall."""
        start, end = (datetime.combine(date.min, t) for t in (self.config.opens, self.config.closes))
        return end - start

    def _day_of(self, instant: datetime) -> date:
        """The calendar day an instant falls on, in the bank's zone."""
        return instant.astimezone(self.zone).date()

    def _day_window(self, day: date) -> tuple[datetime, datetime]:
        """The first instant of a day and of the next, in the bank's zone (23 or 25 hours apart on two days a year)."""
        start = datetime.combine(day, time(), self.zone)
        return start, datetime.combine(day + timedelta(days=1), time(), self.zone)

    def _is_working_day(self, day: date) -> bool:
        if day in self.config.extra_working_days:
            return True
        return day not in self.config.closed_days and bool(self._holidays.is_working_day(day))

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
        """The instant at which `span` of working time has passed since `start`, in UTC offset of the bank's zone.

        Time counts from opening to closing on working days alone; a start outside hours counts from the next
        opening. Exactly at closing is still that day.
        """
        local = start.astimezone(self.zone)
        day, left = local.date(), span
        while True:
            if self.is_working_day(day):
                opens, closes = (
                    datetime.combine(day, self.config.opens, self.zone),
                    datetime.combine(day, self.config.closes, self.zone),
                )
                begin = max(local, opens)
                # Subtract in UTC: across a daylight-saving change local subtraction would miscount.
                room = closes.astimezone(UTC) - begin.astimezone(UTC)
                if room > timedelta() or (room == timedelta() and not left):
                    if left <= room:
                        return (begin.astimezone(UTC) + left).astimezone(self.zone)
                    left -= room
            day += timedelta(days=1)
            local = datetime.combine(day, time(), self.zone)
