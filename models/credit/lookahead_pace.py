"""When a limit breaks at the current pace, and how sure that is.

Method: mean monthly net change, as a random walk with drift. Of the monthly closings, take what is left up to the
limit, g = figure × base - exposure; month by month it is used up by d_1 ... d_n, of mean m and standard deviation s.
After h months g - h·m is left, with a prediction interval of ± t·s·√(h + h²/n): h months of new changes, and a mean
known from n. The limit breaks where that line meets zero, and its interval from where its lower edge does to where
its upper edge does.

Assumptions, each of which the reader should question: monthly changes are independent, alike in mean and spread, and
roughly normal; policy figures and capital stay as they are; nothing else is decided meanwhile. Seasons are not seen.
Source: Hyndman & Athanasopoulos, Forecasting: Principles and Practice, 5.5 (drift method); Student 1908.
"""

import math
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from msgspec import Struct

from models.credit.indices_exact import EXACT

METHOD = "mean monthly net change, random walk with drift"
CONFIDENCE = Decimal("0.80")
FEWEST_CHANGES = 6
HORIZON_MONTHS = 120
DAYS_A_MONTH = Fraction(1461, 48)

Outcome = Literal["projected", "already_reached", "flat_or_falling", "history_too_short", "beyond_horizon"]


class Projection(Struct, frozen=True, kw_only=True):
    """The day on which a limit breaks if things go on as they did.

    Args:
        outcome: `projected`, or why there is no day: the limit is reached already, the pace does not lead to it, there
            are fewer than six monthly changes, or the day is more than ten years off.
        expected: the day at the mean pace.
        earliest: from this day on the prediction interval holds the limit; with an `outcome` other than `projected`
            there is none.
        latest: from this day on the interval is past the limit; None when it may well never get there.
        pace: by how much exposure came nearer to the limit in a mean month, to the cent, or HHI, to six places (below
            zero: went away from it); None without enough history.
        changes: how many monthly changes the pace is the mean of.
        confidence: of the interval from `earliest` to `latest`, both sides together.
    """

    outcome: Outcome
    expected: date | None = None
    earliest: date | None = None
    latest: date | None = None
    pace: Decimal | None = None
    changes: int = 0
    confidence: Decimal = CONFIDENCE
    method: str = METHOD


def project(
    left: Fraction | Decimal,
    history: Sequence[Fraction | Decimal],
    as_of: date,
    confidence: Decimal = CONFIDENCE,
    *,
    places: int = 2,
) -> Projection:
    """When nothing is left.

    Args:
        left: how far the exposure is from the limit now, in money, or an HHI from its own; zero or less when it is
            reached.
        history: the same at the close of each month, oldest first, without gaps.
        as_of: the day that is "now".
        places: decimal places in which the pace is told.

    >>> steady = [Fraction(60 - 5 * month) for month in range(7)]
    >>> found = project(Fraction(30), steady, date(2026, 6, 30))
    >>> found.outcome, found.expected.isoformat(), str(found.pace), found.earliest == found.expected
    ('projected', '2026-12-30', '5.00', True)
    """
    changes, unit = _changes(history)
    count, used = len(changes), sum(changes)
    pace = Fraction(used, count * unit) if count >= FEWEST_CHANGES else None
    told = None if pace is None else EXACT.scaleb(Decimal(round(pace * 10**places)), -places)

    def none(outcome: Outcome) -> Projection:
        return Projection(outcome=outcome, pace=told, changes=count, confidence=confidence)

    if left <= 0:
        return none("already_reached")
    if pace is None:
        return none("history_too_short")
    if pace <= 0:
        return none("flat_or_falling")
    months = Fraction(left) / pace
    if months > HORIZON_MONTHS:
        return none("beyond_horizon")
    squares = sum(change * change for change in changes)
    variance = Fraction(count * squares - used * used, count * (count - 1) * unit * unit)
    early, late = _interval(float(left), float(pace), float(variance), count, float(confidence))
    return Projection(
        outcome="projected",
        expected=_after(as_of, months),
        earliest=_after(as_of, Fraction(early)),
        latest=None if late is None or late > HORIZON_MONTHS else _after(as_of, Fraction(late)),
        pace=told,
        changes=count,
        confidence=confidence,
    )


def _changes(history: Sequence[Fraction | Decimal]) -> tuple[list[int], int]:
    """What was used up month by month, as whole numbers of 1/unit, and the unit: sums of them are quick and exact."""
    ratios = [one.as_integer_ratio() for one in history]
    unit = math.lcm(*(denominator for _, denominator in ratios))
    whole = [numerator * (unit // denominator) for numerator, denominator in ratios]
    return [before - after for before, after in pairwise(whole)], unit


def _interval(left: float, pace: float, variance: float, count: int, confidence: float) -> tuple[float, float | None]:
    """Both h with (g - h·m)² = t²s²(h + h²/n); the later one only where the mean is surely above zero."""
    if not variance:
        return left / pace, left / pace
    width = student(confidence, count - 1) ** 2 * variance
    straight = 2 * left * pace + width
    root = math.sqrt(max(0.0, straight * straight - 4 * (pace * pace - width / count) * left * left))
    late = (straight + root) / (2 * (pace * pace - width / count)) if pace * pace > width / count else None
    return 2 * left * left / (straight + root), late


def _after(day: date, months: Fraction) -> date:
    return day + timedelta(days=math.ceil(months * DAYS_A_MONTH))


@lru_cache(maxsize=256)
def student(confidence: float, freedom: int) -> float:
    """The t that a Student variable of so many degrees of freedom stays within, with this probability.

    The probability has a finite form for whole degrees (Abramowitz & Stegun 26.7.3, 26.7.4), halved in on here.

    >>> round(student(0.95, 10), 3), round(student(0.80, 5), 3)
    (2.228, 1.476)
    """
    low, high = 0.0, math.pi / 2
    for _ in range(80):
        angle = (low + high) / 2
        low, high = (angle, high) if _within(angle, freedom) < confidence else (low, angle)
    return math.tan(low) * math.sqrt(freedom)


def _within(angle: float, freedom: int) -> float:
    sine, square = math.sin(angle), math.cos(angle) ** 2
    odd = freedom % 2
    term, total = math.cos(angle) if odd else 1.0, 0.0
    for power in range(freedom // 2):
        total += term
        term *= square * (2 * power + 1 + odd) / (2 * power + 2 + odd)
    return 2 / math.pi * (angle + sine * total) if odd else sine * total
