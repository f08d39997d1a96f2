"""Measures of the concentration of a book over its members (industries, regions, borrowers, groups).

Every function takes the exposures of the members, all in one currency; members without exposure do not count. It
works in exact fractions and rounds once, half-even, to six places. A book without exposure gives None ("none"),
never NaN; an exposure below zero or not finite is a ValueError that names the member.

With s_i = x_i / Σx, largest first, over the n members above zero. Sources: Hirschman 1945, Herfindahl 1950 (HHI);
Gini 1912; Theil 1967; Hall & Tideman, JASA 62 (1967); BCBS WP 15 (2006) for their use on credit portfolios.
"""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

from msgspec import Struct

from models.credit.indices_exact import Ranked, Sums, amount_of, checked, ranked, six_places

Exposures = Mapping[str, Decimal]


class Indices(Struct, frozen=True, kw_only=True):
    """Every measure of a book's concentration over one dimension; Decimals of six places, `total` exact."""

    total: Decimal
    members: int
    hhi: Decimal
    hhi_normalised: Decimal
    effective_number: Decimal
    cr1: Decimal
    cr4: Decimal
    cr10: Decimal
    gini: Decimal
    theil: Decimal
    hall_tideman: Decimal


def indices(exposures: Exposures) -> Indices | None:
    """All of them from one reading of the book.

    >>> found = indices({"a": Decimal(30), "b": Decimal(30), "c": Decimal(20), "d": Decimal(20)})
    >>> str(found.hhi), str(found.gini), str(found.cr1), str(found.theil), str(found.hall_tideman)
    ('0.260000', '0.100000', '0.300000', '0.020136', '0.277778')
    """
    book = ranked(exposures)
    return None if book is None else indices_of(book)


def indices_of(book: Ranked) -> Indices:
    """All measures of a book already in order."""
    return Indices(
        total=amount_of(book.sums.total, book.places),
        members=book.sums.members,
        hhi=six_places(book.sums.hhi),
        hhi_normalised=six_places(book.sums.hhi_normalised),
        effective_number=six_places(book.sums.effective_number),
        cr1=six_places(book.cr(1)),
        cr4=six_places(book.cr(4)),
        cr10=six_places(book.cr(10)),
        gini=six_places(book.gini),
        theil=six_places(book.sums.theil),
        hall_tideman=six_places(book.hall_tideman),
    )


def share(exposures: Exposures, member: str) -> Decimal | None:
    """Part of the book that a member holds: s = x / Σx. Range 0 to 1; 0 for a member that is not in it.

    >>> str(share({"a": Decimal(1), "b": Decimal(2)}, "a"))
    '0.333333'
    """
    book = ranked(exposures)
    if book is None:
        return None
    held = checked(member, exposures.get(member, Decimal(0)))
    return six_places(_over(held, amount_of(book.sums.total, book.places)))


def hhi(exposures: Exposures) -> Decimal | None:
    """Herfindahl-Hirschman: Σ s_i². Range 1/n (all equal) to 1 (one member).

    >>> str(hhi({"a": Decimal(3), "b": Decimal(1)}))
    '0.625000'
    """
    sums = _sums(exposures)
    return None if sums is None else six_places(sums.hhi)


def hhi_normalised(exposures: Exposures) -> Decimal | None:
    """(HHI - 1/n) / (1 - 1/n). Range 0 (all equal) to 1; one member alone is 1, not NaN.

    >>> str(hhi_normalised({"a": Decimal(3), "b": Decimal(1)})), str(hhi_normalised({"a": Decimal(3)}))
    ('0.250000', '1.000000')
    """
    sums = _sums(exposures)
    return None if sums is None else six_places(sums.hhi_normalised)


def effective_number(exposures: Exposures) -> Decimal | None:
    """1 / HHI: as many members of equal size would be as concentrated. Range 1 to n, in members.

    >>> str(effective_number({"a": Decimal(3), "b": Decimal(1)}))
    '1.600000'
    """
    sums = _sums(exposures)
    return None if sums is None else six_places(sums.effective_number)


def cr(exposures: Exposures, largest: int) -> Decimal | None:
    """Concentration ratio CR_k: s_1 + ... + s_k, and 1 for a book of fewer members. Range above 0 to 1.

    Raises:
        ValueError: `largest` is below 1.

    >>> str(cr({"a": Decimal(3), "b": Decimal(1), "c": Decimal(1)}, 2))
    '0.800000'
    """
    book = ranked(exposures)
    if largest < 1:
        raise ValueError(f"a concentration ratio is over one member or more, not {largest}")
    return None if book is None else six_places(book.cr(largest))


def gini(exposures: Exposures) -> Decimal | None:
    """2 Σ i·x_(i) / (n Σx) - (n + 1) / n with x_(i) ascending. Range 0 (all equal, or one member) to 1 - 1/n.

    >>> str(gini({"a": Decimal(3), "b": Decimal(1)}))
    '0.250000'
    """
    book = ranked(exposures)
    return None if book is None else six_places(book.gini)


def theil(exposures: Exposures) -> Decimal | None:
    """Theil's entropy index Σ s_i ln(n s_i), in nats. Range 0 (all equal, or one member) to ln n.

    >>> str(theil({"a": Decimal(3), "b": Decimal(1)}))
    '0.130812'
    """
    sums = _sums(exposures)
    return None if sums is None else six_places(sums.theil)


def hall_tideman(exposures: Exposures) -> Decimal | None:
    """1 / (2 Σ i·s_i - 1) with rank 1 for the largest. Range 1/n (all equal) to 1 (one member).

    >>> str(hall_tideman({"a": Decimal(3), "b": Decimal(1)}))
    '0.666667'
    """
    book = ranked(exposures)
    return None if book is None else six_places(book.hall_tideman)


def _sums(exposures: Exposures) -> Sums | None:
    book = ranked(exposures)
    return None if book is None else book.sums


def _over(part: Decimal, whole: Decimal) -> Fraction:
    return Fraction(part) / Fraction(whole)
