"""A limit on a book, how near an exposure is to it, and how much may still be lent.

All comparisons are exact: an exposure is held against figure x base, never a rounded ratio against a figure.
"""

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

from msgspec import Struct

from models.credit.indices_exact import EXACT, six_places
from models.credit.industry import UNKNOWN
from models.credit.limits import line_of
from models.policy import LEVELS, IndustryConcentration, Level, LevelFigures, Limit, Policy

Dimension = Literal["industry", "division", "region", "borrower", "group", "real_estate"]
Base = Literal["book", "net_capital", "tier1_capital"]


class Capital(Struct, frozen=True):
    """The bank's capital in the base currency, None where it is not known."""

    net: Decimal | None = None
    tier1: Decimal | None = None


def checked_figure(name: str, figure: Decimal) -> Decimal:
    """The figure itself.

    Raises:
        ValueError: it is not a finite number above zero; the message names the limit.
    """
    if not figure.is_finite() or figure <= 0:
        raise ValueError(f"the figure of {name} is {figure}: it must be a finite number above zero")
    return figure


class BookLimit(Struct, frozen=True, kw_only=True):
    """One limit of the policy on a part of the book, as a multiple of one base.

    What it sets on growth and HHI is of `models.credit.lookahead_industry`.

    Args:
        name: the key of the policy that it comes from.
        dimension: of the members that it holds for.
        base: what the figure is a multiple of.
        figure: for example 0.25 of the book, or 2 times net capital.
        op: whether it is broken at the figure (`>=`) or only above it (`>`).
        members: the members whose exposures count together, such as all real estate; None for each by itself.
        largest: with a number, the largest so many of the dimension together (the ten largest groups).
        growth: over 36 months, that must be reached as well for the limit to count.
        level: of the policy's three levels, where it has them.

    Raises:
        ValueError: a figure that is not a finite number above zero.
    """

    name: str
    dimension: Dimension
    base: Base
    figure: Decimal
    op: Literal[">=", ">"] = ">="
    members: tuple[str, ...] | None = None
    largest: int | None = None
    growth: Decimal | None = None
    level: Level | None = None

    def __post_init__(self) -> None:
        checked_figure(self.name, self.figure)

    def subject(self, member: str) -> str | None:
        """What the limit would be judged on for a loan to this member; None when it does not concern it."""
        if self.largest is not None:
            return f"largest {self.largest}"
        if self.members is None:
            return None if member == UNKNOWN else member
        return "+".join(self.members) if member in self.members else None


class Use(Struct, frozen=True, kw_only=True):
    """A limit at one state of the book.

    Args:
        ratio: exposure over the base, six places; of a limit on growth the growth, of one on HHI the HHI.
        used: the ratio over the figure, six places: 1 is the limit itself.
        headroom: what may still be lent until the limit is reached, to the cent, rounded down: a loan of a cent more
            reaches it, and a loan of just so much only where that is the limit itself (and `op` is `>=`). Below zero,
            what must first be repaid. None when no amount reaches it (a share of the book of 1 or more), or where it
            asks for a growth that is not known; of HHI see `models.credit.lookahead_industry.hhi_use`.
        broken: whether the limit is broken, by the growth or the share of the book that it asks for as well.
    """

    ratio: Decimal
    used: Decimal
    headroom: Decimal | None
    broken: bool


def base_amount(limit: BookLimit, book: Decimal, capital: Capital) -> Decimal | None:
    """What the limit's figure is a multiple of; None when it is unknown or not above zero."""
    base = {"book": book, "net_capital": capital.net, "tier1_capital": capital.tier1}[limit.base]
    return base if base is not None and base > 0 else None


def use_of(
    limit: BookLimit, exposure: Decimal, book: Decimal, capital: Capital, grown_from: Decimal | None = None
) -> Use | None:
    """How far a limit is used.

    Args:
        exposure: that the limit is about.
        book: the whole book; a loan adds to it as well as to the exposure.
        grown_from: the exposure 36 months before, for a limit that asks for growth; where it is unknown, or was
            nothing, such a limit does not count.

    Returns:
        None ("none") without a base: an empty book, or capital unknown or not above zero.

    >>> half = BookLimit(name="share", dimension="industry", base="book", figure=Decimal("0.5"))
    >>> use = use_of(half, Decimal(30), Decimal(100), Capital())
    >>> str(use.ratio), str(use.used), str(use.headroom), use.broken
    ('0.300000', '0.600000', '40.00', False)
    """
    base = base_amount(limit, book, capital)
    if base is None:
        return None
    line = EXACT.multiply(limit.figure, base)
    ratio = Fraction(exposure) / Fraction(base)
    free: Fraction | None = Fraction(line) - Fraction(exposure)
    if limit.base == "book":
        # The loan is part of the book too: x + a = f·(X + a).
        rest = 1 - Fraction(limit.figure)
        free = free / rest if free is not None and rest > 0 else None
    broken = exposure > line or (limit.op == ">=" and exposure == line)
    if limit.growth is not None:
        ahead = Fraction(grown_from) * (1 + Fraction(limit.growth)) - Fraction(exposure) if grown_from else None
        broken = broken and ahead is not None and ahead <= 0
        free = max(free, ahead) if free is not None and ahead is not None else None
    return Use(
        ratio=six_places(ratio),
        used=six_places(ratio / Fraction(limit.figure)),
        headroom=None if free is None else cents(free),
        broken=broken,
    )


def policy_limits(policy: Policy) -> tuple[BookLimit, ...]:
    """Every level of every limit that the policy sets on a part of the book, named by its key.

    Rules that are switched off set none. `minimum_book` and `minimum_loans`, below which no warning is given, are not
    looked at: a proposal to a small bank is held against its limits too.
    """
    rules = policy.detectors
    found: list[BookLimit] = []
    if rules.industry_concentration.mode != "off":
        found += industry_limits(rules.industry_concentration)
    for table, names in _PARTS.items():
        rule = getattr(rules, table)
        for name, part in names.items():
            limit: Limit | None = getattr(rule, name)
            if limit is not None and rule.mode != "off":
                found += _levels(f"detectors.{table}.{name}", limit, part)
    return tuple(found)


# What each limit of the policy is about: the dimension, and what of it counts together.
_PARTS: dict[str, dict[str, dict[str, Any]]] = {
    "real_estate_concentration": {
        "total": {"dimension": "real_estate", "members": ("development", "mortgage")},
        "development": {"dimension": "real_estate", "members": ("development",)},
        "mortgage": {"dimension": "real_estate", "members": ("mortgage",)},
    },
    "name_concentration": {
        "single": {"dimension": "borrower"},
        "single_tier1": {"dimension": "borrower"},
        "group": {"dimension": "group"},
        "group_tier1": {"dimension": "group"},
        "top_ten": {"dimension": "borrower", "largest": 10},
    },
}


def _levels(key: str, limit: Limit, part: dict[str, Any]) -> Iterator[BookLimit]:
    growth = None if limit.growth is None else limit.growth.value
    for level in LEVELS:
        yield BookLimit(
            name=f"{key}.{level}",
            base=limit.basis,
            figure=line_of(limit, level),
            op=limit.op,
            growth=growth,
            level=level,
            **part,
        )


_TABLES: tuple[tuple[str, Base], ...] = (("share", "book"), ("net_capital", "net_capital"))


def industry_limits(rule: IndustryConcentration) -> Iterator[BookLimit]:
    """The levels of the policy's industry_concentration: of the book, and in multiples of net capital."""
    for level in LEVELS:
        for table, base in _TABLES:
            figures: LevelFigures = getattr(rule, table)
            yield BookLimit(
                name=f"detectors.industry_concentration.{table}.{level}",
                dimension="industry",
                base=base,
                figure=figures[level],
                level=level,
            )


def cents(amount: Fraction) -> Decimal:
    """Rounded down to the cent, below zero too: never more than there is."""
    return EXACT.scaleb(Decimal(amount.numerator * 100 // amount.denominator), -2)
