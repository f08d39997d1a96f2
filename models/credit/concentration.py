"""Indices of concentration of a book over its members (industries, borrowers, regions).

With shares s_i = x_i / Σx over the n members whose exposure is above zero, largest first:

* HHI = Σ s_i², effective number = 1 / HHI; normalised HHI = (HHI - 1/n) / (1 - 1/n), and 1 for one member alone;
* CR4 = s_1 + s_2 + s_3 + s_4;
* Gini = 2 Σ i·x_(i) / (n Σx) - (n + 1) / n with x_(i) ascending;
* Hall-Tideman = 1 / (2 Σ i·s_i - 1); Theil = Σ s_i ln(n s_i).

Sources: Hirschman 1945, Herfindahl 1950; Hall & Tideman, JASA 62 (1967); Theil 1967; BCBS WP 15 (2006) for
their use on credit portfolios.
"""

import heapq
import math
from collections.abc import Mapping
from decimal import Context, Decimal, Inexact
from fractions import Fraction

from msgspec import Struct

# Sums and squares must not be rounded: the trap turns a lost digit into an error. 600 digits hold any of them.
EXACT = Context(prec=600, traps=[Inexact])


class Concentration(Struct, frozen=True, kw_only=True):
    """How concentrated a book is. `total` is exact; every index is computed in exact fractions and rounded
    once, to the nearest double (15 significant digits); Theil, which has logarithms, to about 14."""

    total: Decimal
    members: int
    shares: dict[str, float]  # largest first, equal ones by name
    hhi: float
    hhi_normalised: float
    effective_number: float
    cr4: float
    gini: float
    theil: float
    hall_tideman: float


def concentration(exposures: Mapping[str, Decimal]) -> Concentration | None:
    """The indices of a book.

    Args:
        exposures: amount of each member, all in one currency. Members without exposure do not count.

    Returns:
        The indices, or None for a book without exposure (never NaN).

    Raises:
        ValueError: an exposure below zero or not finite.

    >>> book = concentration({"a": Decimal(30), "b": Decimal(30), "c": Decimal(20), "d": Decimal(20)})
    >>> book.hhi, book.cr4, book.gini, round(book.hhi_normalised, 7)
    (0.26, 1.0, 0.1, 0.0133333)
    """
    for member, exposure in exposures.items():
        if not exposure.is_finite() or exposure < 0:
            raise ValueError(f"the exposure of {member!r} is {exposure}: it must be a number not below zero")
    ranked = sorted(((name, value) for name, value in exposures.items() if value), key=lambda item: (-item[1], item[0]))
    if not ranked:
        return None
    total = Decimal(0)
    for _, value in ranked:
        total = EXACT.add(total, value)
    shares = [Fraction(value) / Fraction(total) for _, value in ranked]
    count = len(shares)
    hhi = sum((share * share for share in shares), Fraction())
    weighted = sum((rank * share for rank, share in enumerate(shares, 1)), Fraction())
    return Concentration(
        total=total,
        members=count,
        shares={name: float(share) for (name, _), share in zip(ranked, shares, strict=True)},
        hhi=float(hhi),
        hhi_normalised=float(_normalised(hhi, count)),
        effective_number=float(1 / hhi),
        cr4=float(sum(shares[:4], Fraction())),
        # Ranks run from the largest here, so the ascending rank of the k-th is n + 1 - k.
        gini=float((count + 1 - 2 * weighted) / count),
        theil=math.fsum(float(share) * math.log(count * share) for share in shares),
        hall_tideman=float(1 / (2 * weighted - 1)),
    )


def _normalised(hhi: Fraction, count: int) -> Fraction:
    return (hhi - Fraction(1, count)) / (1 - Fraction(1, count)) if count > 1 else Fraction(1)


class RunningConcentration:
    """The same indices while a book moves: each change costs the same however many members there are.

    Total and Σx² are kept exactly, so that after any sequence of changes they equal those of the book as it
    stands; nothing drifts.

    >>> book = RunningConcentration()
    >>> for member, delta in (("a", 30), ("b", 30), ("c", 40), ("c", -20), ("d", 20)):
    ...     book.add(member, Decimal(delta))
    >>> book.total, book.hhi, book.cr(2)
    (Decimal('100'), 0.26, 0.6)
    """

    def __init__(self, exposures: Mapping[str, Decimal] | None = None) -> None:
        self._exposures: dict[str, Decimal] = {}
        self._total = Decimal(0)
        self._squares = Decimal(0)
        for member, exposure in (exposures or {}).items():
            self.add(member, exposure)

    def add(self, member: str, delta: Decimal) -> None:
        """Move a member's exposure by `delta`, which may be below zero.

        Raises:
            ValueError: the exposure would fall below zero, or `delta` is not finite. Nothing has changed then.
        """
        if not delta.is_finite():
            raise ValueError(f"{delta} is not a finite amount")
        before = self._exposures.get(member, Decimal(0))
        after = EXACT.add(before, delta)
        if after < 0:
            raise ValueError(f"the exposure of {member!r} would fall to {after}")
        self._total = EXACT.add(self._total, delta)
        grown = EXACT.multiply(delta, EXACT.add(before, after))  # after² - before²
        self._squares = EXACT.add(self._squares, grown)
        if after:
            self._exposures[member] = after
        else:
            self._exposures.pop(member, None)

    @property
    def exposures(self) -> dict[str, Decimal]:
        """A copy of the book, members above zero alone."""
        return dict(self._exposures)

    @property
    def total(self) -> Decimal:
        return self._total

    @property
    def members(self) -> int:
        return len(self._exposures)

    def share(self, member: str) -> Fraction | None:
        """A member's exact share, or None while the book is empty."""
        if not self._total:
            return None
        return Fraction(self._exposures.get(member, Decimal(0))) / Fraction(self._total)

    @property
    def hhi(self) -> float | None:
        """HHI, or None while the book is empty."""
        return float(Fraction(self._squares) / Fraction(self._total) ** 2) if self._total else None

    @property
    def hhi_normalised(self) -> float | None:
        if not self._total:
            return None
        return float(_normalised(Fraction(self._squares) / Fraction(self._total) ** 2, self.members))

    @property
    def effective_number(self) -> float | None:
        """1 / HHI, or None while the book is empty."""
        return float(Fraction(self._total) ** 2 / Fraction(self._squares)) if self._total else None

    def cr(self, largest: int = 4) -> float | None:
        """The share of the so many largest members; reads the whole book. None while the book is empty."""
        if not self._total:
            return None
        top = heapq.nlargest(largest, self._exposures.values())
        return float(sum(map(Fraction, top), Fraction()) / Fraction(self._total))
