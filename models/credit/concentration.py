"""The indices of a book as doubles, for reports that print them as they are. `models.credit.indices` has the
formulas, their sources, and the same measures as Decimals of stated precision.
"""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

from msgspec import Struct

from models.credit.indices_exact import EXACT, amount_of, ranked
from models.credit.running import RunningBook

__all__ = ["EXACT", "Concentration", "RunningConcentration", "concentration"]


class Concentration(Struct, frozen=True, kw_only=True):
    """How concentrated a book is. `total` is exact; every index is computed in exact fractions and rounded
    once, to the nearest double (15 significant digits); Theil, which has logarithms, is right to 13 places."""

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
    book = ranked(exposures)
    if book is None:
        return None
    sums = book.sums
    return Concentration(
        total=amount_of(sums.total, book.places),
        members=sums.members,
        # Whole numbers are divided right to the last bit of a double, as a fraction would be.
        shares={name: value / sums.total for name, value in zip(book.names, book.values, strict=True)},
        hhi=float(sums.hhi),
        hhi_normalised=float(sums.hhi_normalised),
        effective_number=float(sums.effective_number),
        cr4=float(book.cr(4)),
        gini=float(book.gini),
        theil=float(sums.theil),
        hall_tideman=float(book.hall_tideman),
    )


class RunningConcentration:
    """A `RunningBook` read in doubles: each equals that of `concentration` on the book as it stands.

    >>> book = RunningConcentration()
    >>> for member, delta in (("a", 30), ("b", 30), ("c", 40), ("c", -20), ("d", 20)):
    ...     book.add(member, Decimal(delta))
    >>> book.total, book.hhi, book.cr(2)
    (Decimal('100'), 0.26, 0.6)
    """

    def __init__(self, exposures: Mapping[str, Decimal] | None = None) -> None:
        self._book = RunningBook(exposures)
        self.add = self._book.add

    @property
    def exposures(self) -> dict[str, Decimal]:
        """A copy of the book, members above zero alone."""
        return self._book.exposures

    @property
    def total(self) -> Decimal:
        return self._book.total

    @property
    def members(self) -> int:
        return self._book.members

    def share(self, member: str) -> Fraction | None:
        """A member's exact share, or None while the book is empty."""
        return self._book.exact_share(member)

    @property
    def hhi(self) -> float | None:
        """HHI, or None while the book is empty."""
        return float(self._book.sums.hhi) if self._book.members else None

    @property
    def hhi_normalised(self) -> float | None:
        return float(self._book.sums.hhi_normalised) if self._book.members else None

    @property
    def effective_number(self) -> float | None:
        """1 / HHI, or None while the book is empty."""
        return float(self._book.sums.effective_number) if self._book.members else None

    def cr(self, largest: int = 4) -> float | None:
        """The share of the so many largest members, or None while the book is empty."""
        return float(Fraction(self._book.largest(largest)) / Fraction(self.total)) if self._book.members else None
