"""The arithmetic of concentration, exact: a book as whole numbers, and each formula over its sums, once.

A book of n members with exposures x_i > 0 is held as integers of 10^-places. Everything below is a fraction of such
integers; only Theil has logarithms, which are right to 1e-13. Rounding is left to `six_places`.
"""

import math
from collections.abc import Mapping
from decimal import Context, Decimal, Inexact
from fractions import Fraction
from typing import NamedTuple

# Sums and squares must not be rounded: the trap turns a lost digit into an error. 600 digits hold any of them.
EXACT = Context(prec=600, traps=[Inexact])
_LOG_UNIT = 1 << 52  # a logarithm is held as a whole number of these parts, so that sums of them cannot drift


def six_places(value: Fraction | Decimal | int) -> Decimal:
    """Rounded half-even to six places, from the exact value: the precision in which shares and indices are told.

    >>> six_places(Fraction(1, 3)), six_places(Fraction(5, 2 * 10**6))
    (Decimal('0.333333'), Decimal('0.000002'))
    """
    exact = value if isinstance(value, Fraction) else Fraction(value)
    # What `round` does, without the fraction in lowest terms that a product of fractions would be brought to first.
    whole, rest = divmod(exact.numerator * 10**6, exact.denominator)
    if 2 * rest > exact.denominator or (2 * rest == exact.denominator and whole % 2):
        whole += 1
    return EXACT.scaleb(Decimal(whole), -6)


def checked(member: str, exposure: Decimal) -> Decimal:
    """The exposure itself.

    Raises:
        ValueError: it is below zero or not finite; the message names the member.
    """
    if not exposure.is_finite() or exposure < 0:
        raise ValueError(f"the exposure of {member!r} is {exposure}: it must be a number not below zero")
    return exposure


def places_of(amount: Decimal) -> int:
    """Decimal places that a finite amount is written with: 2 for 1.50, 0 for 1E+3."""
    exponent = amount.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def units(amount: Decimal, places: int) -> int:
    """A finite amount as a whole number of 10^-places; it has no more places than those."""
    return int(EXACT.scaleb(amount, places))


def amount_of(value: int, places: int) -> Decimal:
    """The inverse of `units`."""
    return EXACT.scaleb(Decimal(value), -places)


def _log(value: int) -> int:
    return int(math.log(value) * _LOG_UNIT)


class Sums(NamedTuple):
    """What the indices that need no order are functions of; a change of one member costs O(1).

    Args:
        members: n, those with an exposure above zero.
        total: X = Σ x_i.
        squares: Σ x_i².
        logs: Σ x_i ln x_i, in parts of 2^-52.

    The indices are undefined for an empty book: ask `total` first.
    """

    members: int = 0
    total: int = 0
    squares: int = 0
    logs: int = 0

    def moved(self, before: int, after: int) -> "Sums":
        """The sums once a member's exposure has gone from `before` to `after`, both at least zero."""
        return Sums(
            self.members + int(after > 0) - int(before > 0),
            self.total + after - before,
            self.squares + after * after - before * before,
            self.logs + (after * _log(after) if after else 0) - (before * _log(before) if before else 0),
        )

    def scaled(self, factor: int) -> "Sums":
        """The sums of the same book in units so many times finer."""
        if factor == 1:
            return self
        logs = factor * (self.logs + self.total * _log(factor))
        return Sums(self.members, self.total * factor, self.squares * factor * factor, logs)

    @property
    def hhi(self) -> Fraction:
        """Σ s_i² = Σ x_i² / X²."""
        return Fraction(self.squares, self.total**2)

    @property
    def hhi_normalised(self) -> Fraction:
        """(HHI - 1/n) / (1 - 1/n); one member alone is 1, where the formula gives 0/0."""
        if self.members == 1:
            return Fraction(1)
        return (self.members * self.hhi - 1) / (self.members - 1)

    @property
    def effective_number(self) -> Fraction:
        """1 / HHI."""
        return Fraction(self.total**2, self.squares)

    @property
    def theil(self) -> Fraction:
        """Σ s_i ln(n s_i) = Σ x_i ln x_i / X - ln X + ln n, never below zero."""
        spread = Fraction(self.logs, self.total) - _log(self.total) + _log(self.members)
        return max(Fraction(0), spread / _LOG_UNIT)


class Ranked(NamedTuple):
    """A book that is not empty, its members largest first, equal ones by name.

    Args:
        values: exposures above zero, in units of 10^-places.
        weighted: Σ i·x_i with rank 1 for the largest.
    """

    names: tuple[str, ...]
    values: tuple[int, ...]
    places: int
    sums: Sums
    weighted: int

    def cr(self, largest: int) -> Fraction:
        """s_1 + ... + s_k."""
        return Fraction(sum(self.values[:largest]), self.sums.total)

    @property
    def gini(self) -> Fraction:
        """(n + 1 - 2 Σ i·s_i) / n with rank 1 for the largest."""
        count = self.sums.members
        return (count + 1 - 2 * Fraction(self.weighted, self.sums.total)) / count

    @property
    def hall_tideman(self) -> Fraction:
        """1 / (2 Σ i·s_i - 1) with rank 1 for the largest."""
        return 1 / (2 * Fraction(self.weighted, self.sums.total) - 1)


def ranked(exposures: Mapping[str, Decimal]) -> Ranked | None:
    """A book put in order; None for one without exposure.

    Raises:
        ValueError: an exposure below zero or not finite, see `checked`.
    """
    held = [(name, value) for name, value in exposures.items() if checked(name, value)]
    if not held:
        return None
    places = max(places_of(value) for _, value in held)
    order = sorted(((units(value, places), name) for name, value in held), key=lambda one: (-one[0], one[1]))
    values = tuple(value for value, _ in order)
    sums = Sums(
        members=len(values),
        total=sum(values),
        squares=sum(value * value for value in values),
        logs=sum(value * _log(value) for value in values),
    )
    weighted = sum(rank * value for rank, value in enumerate(values, 1))
    return Ranked(tuple(name for _, name in order), values, places, sums, weighted)
