"""What is usual for a series on a kind of day, and on which side of it a day lies."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from msgspec import Struct

from models.messages import ActivityLabel
from models.policy import PolicyHistory, Silence

Side = Literal["below", "above"]


def series_of(topic: str, label: ActivityLabel) -> Iterable[str]:
    """The series for which an event counts: its source, branch and channel."""
    yield f"source:{topic}"
    if label.branch:
        yield f"branch:{label.branch}"
    if label.channel:
        yield f"channel:{label.channel}"


class Judged(Struct, frozen=True):
    """A day of a series beside its band. `usual` is the median of the days learned from; exact."""

    count: int
    usual: Fraction
    low: Fraction
    high: Fraction

    @property
    def side(self) -> Side | None:
        """On which side it lies outside the band; exactly on the line is inside."""
        if self.count < self.low:
            return "below"
        return "above" if self.count > self.high else None


def judge(count: int, learned: Sequence[int], rule: Silence) -> Judged | None:
    """A day's count beside what is usual; None where the series is usually too small to judge."""
    ordered, middle = sorted(learned), len(learned) // 2
    # Both are the same element where the number of days is odd.
    usual = Fraction(ordered[middle] + ordered[len(ordered) - 1 - middle], 2)
    if usual < Fraction(rule.minimum.value):
        return None
    return Judged(count, usual, Fraction(rule.low.value) * usual, Fraction(rule.high.value) * usual)


def works(day: date, policies: PolicyHistory) -> bool:
    """The kind of a day: whether the bank works on it."""
    return policies.on(day).bank_calendar.is_working_day(day)


def same_kind_before(day: date, start: date, number: int, policies: PolicyHistory) -> list[date]:
    """The last days of the kind of `day` before it, newest first: at most `number`, none before `start`."""
    kind, found, one = works(day, policies), list[date](), day
    while len(found) < number and one > start:
        one -= timedelta(days=1)
        if works(one, policies) == kind:
            found.append(one)
    return found


def shown(value: Fraction) -> str:
    """A number of events as text: six places at most, half-even, without noughts at the end.

    >>> shown(Fraction(41, 8)), shown(Fraction(20))
    ('5.125', '20')
    """
    text = f"{Decimal(round(value * 10**6)).scaleb(-6):f}"
    return text.rstrip("0").rstrip(".")
