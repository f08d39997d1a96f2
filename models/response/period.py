"""The periods that are reported on: a month, a quarter or a year of the bank's calendar."""

import calendar
import re
from datetime import date, datetime, timedelta

from msgspec import Struct

from models.calendar import BankCalendar

_TEXT = re.compile(r"(\d{4})(?:-(?:Q([1-4])|(0[1-9]|1[0-2])))?")


class Period(Struct, frozen=True):
    """So many whole months from a first one on.

    Args:
        year, month: the first month.
        months: 1, 3 or 12.
    """

    year: int
    month: int
    months: int

    @property
    def name(self) -> str:
        """As a person writes it: `2026-07`, `2026-Q3` or `2026`."""
        if self.months == 1:
            return f"{self.year}-{self.month:02d}"
        return f"{self.year}-Q{(self.month + 2) // 3}" if self.months == 3 else f"{self.year}"

    @property
    def first(self) -> date:
        """Its first day."""
        return date(self.year, self.month, 1)

    @property
    def last(self) -> date:
        """Its last day."""
        end = self.each_month()[-1]
        return date(end.year, end.month, calendar.monthrange(end.year, end.month)[1])

    def bounds(self, bank: BankCalendar) -> tuple[datetime, datetime]:
        """The first instant of its first day, and that of the day after its last, in the bank's zone."""
        return bank.day_window(self.first)[0], bank.day_window(self.last + timedelta(days=1))[0]

    def each_month(self) -> tuple["Period", ...]:
        """Its months, one by one."""
        return tuple(_from(self.year * 12 + self.month - 1 + number, 1) for number in range(self.months))

    def before(self) -> "Period":
        """The period of the same length that ends where this one begins.

        >>> parse_period("2026-Q1").before().name
        '2025-Q4'
        """
        return _from(self.year * 12 + self.month - 1 - self.months, self.months)


def parse_period(text: str) -> Period:
    """A period from its name.

    Raises:
        ValueError: not the name of a month, quarter or year.

    >>> parse_period("2026-Q3").first, parse_period("2026-02").last
    (datetime.date(2026, 7, 1), datetime.date(2026, 2, 28))
    """
    found = _TEXT.fullmatch(text.strip())
    if found is None or not int(found[1]):
        raise ValueError(f"{text!r} is no period: write a month as 2026-07, a quarter as 2026-Q3, a year as 2026")
    year, quarter, month = int(found[1]), found[2], found[3]
    if quarter:
        return Period(year, 3 * int(quarter) - 2, 3)
    return Period(year, int(month), 1) if month else Period(year, 1, 12)


def _from(index: int, months: int) -> Period:
    """Of a first month given as months since the year 0."""
    year, month = divmod(index, 12)
    return Period(year, month + 1, months)
