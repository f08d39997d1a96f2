"""The indices of a book as doubles, for reports that print them as they are. `models.credit.indices` has the
formulas, their sources, and the same measures as Decimals of stated precision.
"""

from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct

from models.credit.indices_exact import amount_of, ranked


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
