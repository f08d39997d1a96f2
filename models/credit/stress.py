"""What-if on a book: an industry's probability of default, loss given default or exposure is shocked.

Expected loss = EAD × PD × LGD for each industry, summed over the book (Basel CRE32: one year). Capital stays as it
is: the table shows what a shock does to losses and to the use of limits before anything is decided or written off.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction

from msgspec import Struct

from models.credit.indices_exact import EXACT, six_places
from models.credit.indices_granularity import Risk
from models.credit.lookahead_limits import BookLimit, Capital, Use, use_of


class Segment(Struct, frozen=True):
    """One industry's loans: exposure at default in the base currency, and its mean PD and LGD."""

    ead: Decimal
    risk: Risk


class Shock(Struct, frozen=True, kw_only=True):
    """What happens to an industry: each figure is multiplied, then added to.

    Args:
        pd_times: and `lgd_times`: 2 doubles it. Not below zero.
        pd_plus: and `lgd_plus`: in share points; 0.05 adds five of a hundred. PD and LGD stay between 0 and 1.
        growth: of its exposure; 0.2 is a fifth more, -1 none left.

    Raises:
        ValueError: a figure that is not finite, a factor below zero, or growth below -1.
    """

    pd_times: Decimal = Decimal(1)
    pd_plus: Decimal = Decimal(0)
    lgd_times: Decimal = Decimal(1)
    lgd_plus: Decimal = Decimal(0)
    growth: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        least = {"pd_times": Decimal(0), "lgd_times": Decimal(0), "growth": Decimal(-1)}
        for name in self.__struct_fields__:
            value: Decimal = getattr(self, name)
            if not value.is_finite():
                raise ValueError(f"{name} of a shock is {value}: it must be a finite number")
            if name in least and value < least[name]:
                raise ValueError(f"{name} of a shock is {value}: it must be {least[name]} or more")

    def apply(self, segment: Segment) -> Segment:
        """The segment after the shock."""
        return Segment(
            ead=EXACT.multiply(segment.ead, EXACT.add(Decimal(1), self.growth)),
            risk=Risk(
                pd=_share(EXACT.add(EXACT.multiply(segment.risk.pd, self.pd_times), self.pd_plus)),
                lgd=_share(EXACT.add(EXACT.multiply(segment.risk.lgd, self.lgd_times), self.lgd_plus)),
            ),
        )


class LimitUse(Struct, frozen=True):
    """A limit's use before and after; None without a base, such as unknown capital."""

    limit: str
    before: Use | None
    after: Use | None


class StressLine(Struct, frozen=True, kw_only=True):
    """One industry of the table, or the whole book under the name `total`.

    Args:
        ead_before: exact; `pd` and `lgd` likewise, and None for the total.
        loss_before: expected loss, to the cent, half-even; the total is the sum before it is rounded.
        share_before: of the book, six places; None ("none") for an empty book.
        limits: of this industry; none for the total.
    """

    industry: str
    ead_before: Decimal
    ead_after: Decimal
    pd_before: Decimal | None
    pd_after: Decimal | None
    lgd_before: Decimal | None
    lgd_after: Decimal | None
    loss_before: Decimal
    loss_after: Decimal
    share_before: Decimal | None
    share_after: Decimal | None
    limits: tuple[LimitUse, ...] = ()


def stress(
    book: Mapping[str, Segment],
    shocks: Mapping[str, Shock],
    limits: Iterable[BookLimit] = (),
    capital: Capital | None = None,
) -> tuple[StressLine, ...]:
    """The table: every industry by exposure, largest first, then the total.

    Args:
        book: by industry, as the book names it.
        shocks: by industry; the others stay as they are.
        limits: those of single industries are told; others need dimensions that this table does not have.

    Raises:
        ValueError: a shock to an industry that the book does not have, or an exposure that is below zero or not finite.

    >>> book = {"C": Segment(Decimal(1000), Risk(Decimal("0.02"), Decimal("0.45")))}
    >>> line, total = stress(book, {"C": Shock(pd_times=Decimal(3), growth=Decimal("0.1"))})
    >>> str(line.loss_before), str(line.loss_after), str(total.loss_after)
    ('9.00', '29.70', '29.70')
    """
    for industry in shocks:
        if industry not in book:
            raise ValueError(f"the book has no industry {industry!r} to shock; it has {', '.join(sorted(book))}")
    for industry, segment in book.items():
        if not segment.ead.is_finite() or segment.ead < 0:
            raise ValueError(f"the exposure of {industry!r} is {segment.ead}: it must be a number not below zero")
    calm = Shock()
    after = {industry: shocks.get(industry, calm).apply(segment) for industry, segment in book.items()}
    totals = _total(book), _total(after)
    of_industry = [limit for limit in limits if limit.dimension == "industry" and limit.largest is None]
    order = sorted(book, key=lambda industry: (-book[industry].ead, industry))
    lines = [
        _line(industry, book[industry], after[industry], totals, of_industry, capital or Capital())
        for industry in order
    ]
    losses = [sum((_loss(one) for one in state.values()), Fraction()) for state in (book, after)]
    total = StressLine(
        industry="total",
        ead_before=totals[0],
        ead_after=totals[1],
        pd_before=None,
        pd_after=None,
        lgd_before=None,
        lgd_after=None,
        loss_before=_cents(losses[0]),
        loss_after=_cents(losses[1]),
        share_before=_of(totals[0], totals[0]),
        share_after=_of(totals[1], totals[1]),
    )
    return (*lines, total)


def _line(
    industry: str,
    before: Segment,
    after: Segment,
    totals: tuple[Decimal, Decimal],
    limits: Iterable[BookLimit],
    capital: Capital,
) -> StressLine:
    return StressLine(
        industry=industry,
        ead_before=before.ead,
        ead_after=after.ead,
        pd_before=before.risk.pd,
        pd_after=after.risk.pd,
        lgd_before=before.risk.lgd,
        lgd_after=after.risk.lgd,
        loss_before=_cents(_loss(before)),
        loss_after=_cents(_loss(after)),
        share_before=_of(before.ead, totals[0]),
        share_after=_of(after.ead, totals[1]),
        limits=tuple(
            LimitUse(
                limit.name,
                use_of(limit, before.ead, totals[0], capital),
                use_of(limit, after.ead, totals[1], capital),
            )
            for limit in limits
            if limit.subject(industry) == industry
        ),
    )


def _loss(segment: Segment) -> Fraction:
    return Fraction(segment.ead) * Fraction(segment.risk.pd) * Fraction(segment.risk.lgd)


def _total(book: Mapping[str, Segment]) -> Decimal:
    total = Decimal(0)
    for segment in book.values():
        total = EXACT.add(total, segment.ead)
    return total


def _of(part: Decimal, whole: Decimal) -> Decimal | None:
    return six_places(Fraction(part) / Fraction(whole)) if whole else None


def _cents(amount: Fraction) -> Decimal:
    return EXACT.scaleb(Decimal(round(amount * 100)), -2)


def _share(value: Decimal) -> Decimal:
    return min(Decimal(1), max(Decimal(0), value))
