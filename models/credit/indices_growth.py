"""A book beside the bank's capital, and beside itself some months ago."""

import calendar
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction

from msgspec import Struct

from models.credit.indices_exact import six_places


def to_capital(exposure: Decimal, capital: Decimal | None) -> Decimal | None:
    """An exposure in multiples of net or Tier 1 capital, six places half-even.

    Args:
        exposure: and `capital` in one currency.
        capital: None when it is not known.

    Returns:
        None ("none") for capital that is unknown or not above zero: there is nothing to compare with.

    >>> str(to_capital(Decimal(150), Decimal(400))), to_capital(Decimal(150), None)
    ('0.375000', None)
    """
    if capital is None or capital <= 0:
        return None
    return six_places(Fraction(exposure) / Fraction(capital))


def growth(now: Decimal, before: Decimal | None) -> Decimal | None:
    """(now - before) / before, six places half-even. Range -1 and up: 0.5 is half as much again.

    Returns:
        None ("none") when nothing is known of then, or there was nothing to grow from.

    >>> str(growth(Decimal(150), Decimal(100))), growth(Decimal(150), Decimal(0))
    ('0.500000', None)
    """
    if before is None or before <= 0:
        return None
    return six_places(Fraction(now) / Fraction(before) - 1)


def months_before(day: date, months: int) -> date:
    """The same day of the month so many months earlier, or that month's last day when it has no such day; a month's
    last day stays the last of its month.

    >>> months_before(date(2026, 5, 31), 3), months_before(date(2026, 2, 28), 12 * 2)
    (datetime.date(2026, 2, 28), datetime.date(2024, 2, 29))
    """
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    at_end = day.day == calendar.monthrange(day.year, day.month)[1]
    return date(year, month + 1, last if at_end else min(day.day, last))


class Growths(Struct, frozen=True):
    """Growth over 3, 12 and 36 months; None where the history does not reach that far, or there was nothing."""

    months_3: Decimal | None
    months_12: Decimal | None
    months_36: Decimal | None


def growths(history: Mapping[date, Decimal], as_of: date) -> Growths:
    """Growth of an exposure over 3, 12 and 36 months.

    Args:
        history: the exposure at the close of some days. It holds until the next of them; before the first of them
            nothing is known.
        as_of: the day that is "now".

    >>> growths({date(2025, 12, 31): Decimal(80), date(2026, 3, 31): Decimal(100)}, date(2026, 3, 31))
    Growths(months_3=Decimal('0.250000'), months_12=None, months_36=None)
    """
    now = _on(history, as_of)
    if now is None:
        return Growths(None, None, None)
    return Growths(*(growth(now, _on(history, months_before(as_of, months))) for months in (3, 12, 36)))


def _on(history: Mapping[date, Decimal], day: date) -> Decimal | None:
    known = max((one for one in history if one <= day), default=None)
    return None if known is None else history[known]
