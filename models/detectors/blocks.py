"""Blocks of working days, fixed in the calendar: what names an episode that lasts several days.

A window that slid with the first event seen would give one episode another name in another order of arrival.
"""

from collections.abc import Callable
from datetime import date

from models.calendar import BankCalendar
from models.policy import Policy, PolicyHistory


def block_of(calendar: BankCalendar, day: date, within: int) -> tuple[int, int]:
    """The block of `within` working days that a day falls in: its year and the block's number in it.

    A day off belongs to the working day before it; the days off before a year's first working day to block 0.
    """
    return day.year, max(0, calendar.working_day_of_year(day) - 1) // within


def length_mark(within: Callable[[Policy], int], policy: Policy, policies: PolicyHistory) -> str:
    """What the name of a block says of its length: nothing, or for versions with another than the first one's, that.

    Block 2 of ten days and block 2 of twenty are not the same episode; a bank that keeps its length has plain names.

    Example:
        "" for ten days where the first version has ten as well; "/20" for twenty.
    """
    length = within(policy)
    return "" if length == within(policies.versions[0]) else f"/{length}"


def window_start(calendar: BankCalendar, day: date, within: int) -> date:
    """The first day of the window of `within` working days that ends with `day`.

    The window holds the days off among them; where `day` itself is off, it comes on top of the working days.
    """
    for _ in range(within - calendar.is_working_day(day)):
        day = calendar.previous_working_day(day)
    return day
