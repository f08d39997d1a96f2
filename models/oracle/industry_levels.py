"""What an industry's figures reach by its share of the book, by capital and by growth, in whole numbers.

Nothing is divided but to find the largest total of which an exposure is still a given share.
"""

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

from models.policy import LEVELS, IndustryConcentration, LevelFigures

Ratio = tuple[int, int]  # numerator and denominator


class Verdict(NamedTuple):
    """The level that is reached and the highest at which the industry would be kept; 0 for none.

    Args:
        by_share, by_capital: the levels that these two reach by themselves.
        least, most: the totals of the book between which all this holds, with everything else as it is.
    """

    level: int
    stays: int
    by_share: int
    by_capital: int
    least: float
    most: float


class _Lines(NamedTuple):
    """From which figures on levels are reached, or kept."""

    share: tuple[Ratio, ...]
    capital: tuple[Ratio, ...]
    growth: tuple[Ratio, ...]  # of what there was then
    share_from: Ratio  # of the book, for growth


class IndustryLevels:
    """The figures of one version of the rule."""

    def __init__(self, rule: IndustryConcentration) -> None:
        self.months = rule.growth.months.whole if rule.growth else None
        self._reached = _lines(rule, Fraction(0))
        self._kept = _lines(rule, Fraction(rule.release.value))

    def judge(self, exposure: int, total: int, capital: Ratio, then: int) -> Verdict:
        """Judge an industry.

        Args:
            exposure: of the industry.
            total: of the entity's book; above zero.
            capital: in units of exposures; nothing where it is not known.
            then: what the industry had at the end of the month from which growth counts; 0 for nothing.
        """
        reached, kept = self._reached, self._kept
        shares = [_most(exposure, line) for line in reached.share]
        kept_shares = [_most(exposure, line) for line in kept.share]
        growing, still_growing = _most(exposure, reached.share_from), _most(exposure, kept.share_from)
        by_share, by_capital = _count(total, shares), _times(exposure, capital, reached.capital)
        by_growth = _times(exposure, (then, 1), reached.growth) if total <= growing else 0
        kept_growth = _times(exposure, (then, 1), kept.growth) if total <= still_growing else 0
        stays = max(_count(total, kept_shares), _times(exposure, capital, kept.capital), kept_growth)
        turns = [*shares, *kept_shares, growing, still_growing]
        least = max([turn + 1 for turn in turns if turn < total], default=0)
        most = min([turn for turn in turns if turn >= total], default=math.inf)
        return Verdict(max(by_share, by_capital, by_growth), stays, by_share, by_capital, least, most)


def observed(verdict: Verdict, exposure: int, total: int, capital: Ratio, then: int) -> Fraction:
    """The figure by which a level is reached: of several the share, else the multiple of capital, else growth."""
    if not verdict.level or verdict.by_share == verdict.level:
        return Fraction(exposure, total)
    return (
        Fraction(exposure) / Fraction(*capital) if verdict.by_capital == verdict.level else Fraction(exposure, then) - 1
    )


def _lines(rule: IndustryConcentration, release: Fraction) -> _Lines:
    keep, growth = 1 - release, rule.growth
    grown = [(1 + figure) * keep for figure in _figures(growth.figures)] if growth else []
    share_from = Fraction(growth.share_from.value) - release if growth else Fraction(0)
    return _Lines(
        _ratios(figure - release for figure in _figures(rule.share)),
        _ratios(figure * keep for figure in _figures(rule.net_capital)),
        _ratios(grown),
        share_from.as_integer_ratio(),
    )


def _figures(of: LevelFigures) -> list[Fraction]:
    return [Fraction(of[level]) for level in LEVELS]


def _ratios(figures: Iterable[Fraction]) -> tuple[Ratio, ...]:
    return tuple(figure.as_integer_ratio() for figure in figures)


def _most(exposure: int, share: Ratio) -> float:
    """The largest total of which an exposure is at least so much: an integer, or any at all."""
    above, below = share
    return exposure * below // above if above > 0 else math.inf


def _count(total: int, most: list[float]) -> int:
    """How many levels a share has; they rise, so the number is that of the highest."""
    return len([one for one in most if total <= one])


def _times(exposure: int, of: Ratio, lines: tuple[Ratio, ...]) -> int:
    """How many levels a multiple has; none of nothing."""
    whole, parts = of
    if not whole:
        return 0
    return len([1 for above, below in lines if exposure * parts * below >= above * whole])
