"""Levels of concentration: observation, warning, control, each left again only some way below its line.

All comparisons are exact: an exposure is held against figure × basis, never a rounded share against a figure.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

from models.credit.indices_exact import EXACT
from models.policy import LEVELS, IndustryConcentration, Level, LevelFigures, Limit


def level_rank(level: Level | None) -> int:
    """0 for no level, then 1 observation, 2 warning, 3 control."""
    return 0 if level is None else LEVELS.index(level) + 1


def highest_level(reached: Callable[[Level], bool]) -> Level | None:
    """The highest level that is reached, or None."""
    return next((level for level in reversed(LEVELS) if reached(level)), None)


def settled_level(held: Level | None, reached: Level | None, keeps: Callable[[Level], bool]) -> Level | None:
    """The level after an event: a higher one at once, a lower one only when the one held is kept no longer."""
    if held is None or level_rank(reached) >= level_rank(held):
        return reached
    return held if keeps(held) else reached


# --- an industry: its share of the book, its multiple of net capital, or its growth ---


class IndustryLine(NamedTuple):
    """From which exposure on an industry is at a level, in the base currency.

    Args:
        share: by its share of the book.
        net_capital: by its multiple of net capital; None where that is not known.
        growth: as many times what it was is too much; None where growth is not judged.
        growth_from: the exposure from which its growth counts.
    """

    share: Decimal
    net_capital: Decimal | None
    growth: Decimal | None
    growth_from: Decimal

    def by_share(self, exposure: Decimal) -> bool:
        return exposure >= self.share

    def by_capital(self, exposure: Decimal) -> bool:
        return self.net_capital is not None and exposure >= self.net_capital

    def by_growth(self, exposure: Decimal, then: Decimal | None) -> bool:
        """Whether it has grown so much from what it was `then`; not from nothing, or from what is not known."""
        if self.growth is None or not then or exposure < self.growth_from:
            return False
        return exposure >= EXACT.multiply(self.growth, then)

    def passed(self, exposure: Decimal, then: Decimal | None) -> bool:
        """Whether any of the three says so."""
        return self.by_share(exposure) or self.by_capital(exposure) or self.by_growth(exposure, then)


class IndustryLines(NamedTuple):
    """Where levels are reached (>=), and where one that is held is kept."""

    reached: dict[Level, IndustryLine]
    kept: dict[Level, IndustryLine]


def industry_lines(rule: IndustryConcentration, total: Decimal, net_capital: Decimal | None) -> IndustryLines:
    """The lines that every industry of a book is held against.

    Args:
        total: of the book, and `net_capital` (None where not known), in the base currency.
    """

    def line(level: Level, release: Decimal) -> IndustryLine:
        kept, growth = EXACT.subtract(Decimal(1), release), rule.growth
        factor = EXACT.multiply(EXACT.add(Decimal(1), growth.figures[level]), kept) if growth is not None else None
        share_from = EXACT.subtract(growth.share_from.value, release) if growth is not None else Decimal(0)
        return IndustryLine(
            share=EXACT.multiply(EXACT.subtract(rule.share[level], release), total),
            net_capital=_times(EXACT.multiply(rule.net_capital[level], kept), net_capital),
            growth=factor,
            growth_from=EXACT.multiply(share_from, total),
        )

    return IndustryLines(
        {level: line(level, Decimal(0)) for level in LEVELS},
        {level: line(level, rule.release.value) for level in LEVELS},
    )


def _times(figure: Decimal, net_capital: Decimal | None) -> Decimal | None:
    return None if net_capital is None else EXACT.multiply(figure, net_capital)


def next_level(held: Level | None, exposure: Decimal, then: Decimal | None, lines: IndustryLines) -> Level | None:
    """An industry's level after an event, see `settled_level`.

    Args:
        then: what it has grown from; None where that is not known.
    """
    if held is None and not lines.reached["observation"].passed(exposure, then):
        return None  # what is below the lowest level is below all, and few industries are at any
    reached = highest_level(lambda level: lines.reached[level].passed(exposure, then))
    return settled_level(held, reached, lambda level: lines.kept[level].passed(exposure, then))


# --- the whole book over its industries ---


def next_book_level(
    figures: LevelFigures, held: Level | None, squares: Decimal, total: Decimal, release: Decimal
) -> Level | None:
    """The level of a book's HHI after an event, see `settled_level`.

    Args:
        figures: of HHI, reached at the figure (>=).
        squares: sum of the squared exposures, so that HHI is squares / total².
        total: above zero.
        release: share of a level's figure below which it is left again.
    """
    whole = EXACT.multiply(total, total)

    def keeps(level: Level) -> bool:
        return squares >= EXACT.multiply(EXACT.multiply(figures[level], EXACT.subtract(Decimal(1), release)), whole)

    return settled_level(held, highest_level(lambda level: squares >= EXACT.multiply(figures[level], whole)), keeps)


# --- a limit of the policy: one part of the book against one basis ---


def line_of(limit: Limit, level: Level) -> Decimal:
    """A level's figure, that of control with the allowance of the region."""
    figure = limit.figures[level]
    return EXACT.add(figure, limit.allowance.value) if level == "control" and limit.allowance else figure


def basis_of(
    limit: Limit, total: Decimal, net_capital: Decimal | None, tier1_capital: Decimal | None
) -> Decimal | None:
    """What the limit's figures are a share of, in the base currency; None where it is not known, or not above zero."""
    basis = {"book": total, "net_capital": net_capital, "tier1_capital": tier1_capital}[limit.basis]
    return basis if basis is not None and basis > 0 else None


def next_limit_level(
    limit: Limit, held: Level | None, exposure: Decimal, basis: Decimal, release: Decimal, *, grown: bool = True
) -> Level | None:
    """A limit's level after an event, see `settled_level`.

    Args:
        basis: above zero, see `basis_of`.
        release: share of a level's figure below which it is left again.
        grown: whether the exposure has grown as the limit asks; without that no level counts.
    """
    if not grown:
        return None

    def reached(level: Level) -> bool:
        line = EXACT.multiply(line_of(limit, level), basis)
        return exposure > line if limit.op == ">" else exposure >= line

    def keeps(level: Level) -> bool:
        return exposure >= EXACT.multiply(EXACT.multiply(line_of(limit, level), 1 - release), basis)

    return settled_level(held, highest_level(reached), keeps)
