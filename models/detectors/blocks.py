"""Blocks of working days, fixed in the calendar: what names an episode that lasts several days.

A window that slid with the first event seen would give one episode another name in another order of arrival.
"""

from datetime import date

from models.calendar import BankCalendar


def block_of(calendar: BankCalendar, day: date, within: int) -> tuple[int, int]:
    """The block of `within` working days that a day falls in: its year and the block's number in it.

    A day off belongs to the working day before it; the days off before a year's first working day to block 0.
    """
    return day.year, max(0, calendar.working_day_of_year(day) - 1) // within


def window_start(calendar: BankCalendar, day: date, within: int) -> date:
    """The first day of the window of `within` working days that ends with `day`.

    The window holds the days off among them; where `day` itself is off, it comes on top of the working days.
    """
    for _ in range(within - calendar.is_working_day(day)):
        day = calendar.previous_working_day(day)
    return day
