"""Limits on how an industry grows and on the HHI of the book over its industries, and how much may still be lent.

Both are limits of the policy's industry_concentration, and neither is a part of the book held against one base: what an
industry has grown from lies in the past, and HHI moves with the square of what is lent. All comparisons are exact.
"""

import math
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Literal, NamedTuple, Self

from msgspec import Struct

from models.credit.indices_exact import six_places
from models.credit.industry import UNKNOWN
from models.credit.lookahead_limits import BookLimit, Use, cents, checked_figure, policy_limits
from models.credit.running import RunningBook
from models.policy import LEVELS, IndustryConcentration, Level, Policy


class GrowthLimit(Struct, frozen=True, kw_only=True):
    """How much more an industry may be than it was; reached (>=) only from a share of the book on.

    Args:
        name: the key of the policy that it comes from.
        figure: 0.5 is half as much again.
        months: it is held against its exposure at the end of the month so many before that of "now".
        share_from: share of the book that it must reach as well.
        level: of the policy's three levels.

    Raises:
        ValueError: a figure that is not a finite number above zero, a share that is not from 0 to below 1, or no month.
    """

    name: str
    figure: Decimal
    months: int
    share_from: Decimal
    level: Level | None = None
    dimension: Literal["industry"] = "industry"
    base: Literal["then"] = "then"
    op: Literal[">="] = ">="

    def __post_init__(self) -> None:
        checked_figure(self.name, self.figure)
        if self.months < 1:
            raise ValueError(f"{self.name} looks back {self.months} months: it must be one or more")
        if not (self.share_from.is_finite() and 0 <= self.share_from < 1):
            raise ValueError(f"{self.name} counts from a share of {self.share_from}: it must be from 0 to below 1")

    def subject(self, member: str) -> str | None:
        """The industry itself; None for loans of which it is not known."""
        return None if member == UNKNOWN else member


class HhiLimit(Struct, frozen=True, kw_only=True):
    """How concentrated the book may be over its industries, that not known among them; reached at the figure (>=).

    Args:
        name: the key of the policy that it comes from.
        figure: an HHI; one of 1 or more is reached by no loan to a book of several industries.
        level: of the policy's three levels.

    Raises:
        ValueError: a figure that is not a finite number above zero.
    """

    name: str
    figure: Decimal
    level: Level | None = None
    dimension: Literal["industry"] = "industry"
    base: Literal["hhi"] = "hhi"
    op: Literal[">="] = ">="

    def __post_init__(self) -> None:
        checked_figure(self.name, self.figure)

    def subject(self, member: str) -> str:
        """The book, whichever industry the loan is to."""
        return "book"


AnyLimit = BookLimit | GrowthLimit | HhiLimit


def growth_use(limit: GrowthLimit, exposure: Decimal, book: Decimal, then: Decimal | None) -> Use | None:
    """How far a limit on growth is used; its ratio is the growth, below zero where the industry has shrunk.

    Args:
        exposure: of the industry now; a loan adds to it and to the `book`.
        then: what it has grown from.

    Returns:
        None ("none") where `then` is not known, or was nothing.

    >>> half = GrowthLimit(name="growth", figure=Decimal("0.5"), months=12, share_from=Decimal("0.05"))
    >>> use = growth_use(half, Decimal(120), Decimal(1000), Decimal(100))
    >>> str(use.ratio), str(use.used), str(use.headroom), use.broken
    ('0.200000', '0.400000', '30.00', False)
    """
    if then is None or then <= 0:
        return None
    now, past, share = Fraction(exposure), Fraction(then), Fraction(limit.share_from)
    figure = Fraction(limit.figure)
    # Both must be reached: what has grown enough, x + a = (1 + f)·then, and what is large enough, x + a = s·(X + a).
    free = max((1 + figure) * past - now, (share * Fraction(book) - now) / (1 - share))
    growth = now / past - 1
    return Use(ratio=six_places(growth), used=six_places(growth / figure), headroom=cents(free), broken=free <= 0)


class Squares(NamedTuple):
    """What the HHI of a book is made of, seen from one of its industries, in the base currency.

    Args:
        exposure: x, of this industry.
        squares: Σ x_i² over all industries.
        total: X = Σ x_i.
    """

    exposure: Fraction
    squares: Fraction
    total: Fraction

    @classmethod
    def of(cls, book: RunningBook, member: str) -> Self:
        """Those of a book by industry."""
        total = Fraction(book.total)
        hhi = book.sums.hhi if total else Fraction(0)
        return cls(Fraction(book.exposure(member)), hhi * total * total, total)

    def with_loan(self, amount: Decimal) -> "Squares":
        """Those after a loan to this industry."""
        lent = Fraction(amount)
        squares = self.squares + 2 * self.exposure * lent + lent * lent
        return Squares(self.exposure + lent, squares, self.total + lent)

    @property
    def hhi(self) -> Fraction | None:
        """Unrounded; None while the book is empty."""
        return self.squares / self.total**2 if self.total else None


def hhi_use(limit: HhiLimit, book: Squares) -> Use | None:
    """How far a limit on HHI is used; its ratio is the HHI, its headroom what may be lent to this industry.

    Lending to a small industry spreads the book, so that the headroom of a limit that is broken may be above zero: so
    much may be lent at most for it to be kept. It is None where no loan reaches the limit, and where it is broken and
    neither lending to this industry nor repaying it all would mend that.

    Returns:
        None ("none") for an empty book.

    >>> half = HhiLimit(name="hhi", figure=Decimal("0.5"))
    >>> use = hhi_use(half, Squares.of(RunningBook({"C": Decimal(20), "K": Decimal(20), "F": Decimal(20)}), "C"))
    >>> str(use.ratio), str(use.used), str(use.headroom), use.broken
    ('0.333333', '0.666667', '60.00', False)
    """
    hhi, figure = book.hhi, Fraction(limit.figure)
    if hhi is None:
        return None
    return Use(
        ratio=six_places(hhi),
        used=six_places(hhi / figure),
        headroom=_largest(figure, book),
        broken=hhi >= figure,
    )


def _largest(figure: Fraction, book: Squares) -> Decimal | None:
    """The larger root a of Σ x_i² + 2xa + a² = f·(X + a)², to the cent, rounded down."""
    if figure >= 1:
        return None
    # In cents: p·c² + 2·q·c + r = 0, all made whole numbers, so that the root's whole part is that of whole numbers.
    parts = (
        (1 - figure) / 10**4,
        (book.exposure - figure * book.total) / 100,
        book.squares - figure * book.total**2,
    )
    unit = math.lcm(*(part.denominator for part in parts))
    p, q, r = (part.numerator * (unit // part.denominator) for part in parts)
    inner = q * q - p * r
    if inner <= 0:
        return None  # at no amount is it below the limit
    whole = (math.isqrt(inner) - q) // p
    # Two roots may lie within a cent; and no more can be repaid than there is.
    if p * whole * whole + 2 * q * whole + r > 0 or Fraction(whole, 100) < -book.exposure:
        return None
    return cents(Fraction(whole, 100))


def all_limits(policy: Policy) -> tuple[AnyLimit, ...]:
    """Those of `policy_limits`, and what the policy sets on the growth of industries and on HHI."""
    rule = policy.detectors.industry_concentration
    return (*policy_limits(policy), *(growth_and_hhi_limits(rule) if rule.mode != "off" else ()))


def growth_and_hhi_limits(rule: IndustryConcentration) -> Iterator[GrowthLimit | HhiLimit]:
    """The levels of the policy's industry_concentration on growth and HHI, as far as it has any."""
    key = "detectors.industry_concentration"
    for level in LEVELS:
        if rule.growth is not None:
            yield GrowthLimit(
                name=f"{key}.growth.{level}",
                figure=rule.growth.figures[level],
                months=rule.growth.months.whole,
                share_from=rule.growth.share_from.value,
                level=level,
            )
        if rule.hhi is not None:
            yield HhiLimit(name=f"{key}.hhi.{level}", figure=rule.hhi[level], level=level)
