"""Levels of concentration: observation, warning, control, each left again only some way below its line.

All comparisons are exact: an exposure is held against figure × total, never a rounded share against a figure.
"""

from decimal import Decimal

from models.policy import LEVELS, IndustryConcentration, Level


def level_rank(level: Level | None) -> int:
    """0 for no level, then 1 observation, 2 warning, 3 control."""
    return 0 if level is None else LEVELS.index(level) + 1


def level_reached(
    exposure: Decimal, total: Decimal, net_capital: Decimal | None, rule: IndustryConcentration
) -> Level | None:
    """The highest level whose figure the share of the book, or the multiple of net capital, reaches (>=)."""
    for level in reversed(LEVELS):
        if exposure >= rule.share[level] * total:
            return level
        if net_capital is not None and exposure >= rule.net_capital[level] * net_capital:
            return level
    return None


def next_level(
    held: Level | None, exposure: Decimal, total: Decimal, net_capital: Decimal | None, rule: IndustryConcentration
) -> Level | None:
    """The level after an event: a higher one at once, a lower one only past the release margin (hysteresis)."""
    reached = level_reached(exposure, total, net_capital, rule)
    if held is None or level_rank(reached) >= level_rank(held):
        return reached
    release = rule.release.value
    by_share = exposure >= (rule.share[held] - release) * total
    by_capital = net_capital is not None and exposure >= rule.net_capital[held] * net_capital * (1 - release)
    return held if by_share or by_capital else reached
