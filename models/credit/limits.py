"""Levels of concentration: observation, warning, control, each left again only some way below its line.

All comparisons are exact: an exposure is held against figure × basis, never a rounded share against a figure.
"""

from collections.abc import Callable
from decimal import Decimal

from models.credit.indices_exact import EXACT
from models.policy import LEVELS, IndustryConcentration, Level, Limit


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


# --- an industry: its share of the book, or its multiple of net capital ---


def level_reached(
    exposure: Decimal, total: Decimal, net_capital: Decimal | None, rule: IndustryConcentration
) -> Level | None:
    """The highest level whose figure the share of the book, or the multiple of net capital, reaches (>=)."""

    def reached(level: Level) -> bool:
        if exposure >= EXACT.multiply(rule.share[level], total):
            return True
        return net_capital is not None and exposure >= EXACT.multiply(rule.net_capital[level], net_capital)

    return highest_level(reached)


def next_level(
    held: Level | None, exposure: Decimal, total: Decimal, net_capital: Decimal | None, rule: IndustryConcentration
) -> Level | None:
    """An industry's level after an event, see `settled_level`."""
    release = rule.release.value

    def keeps(level: Level) -> bool:
        if exposure >= EXACT.multiply(rule.share[level] - release, total):
            return True
        kept = rule.net_capital[level] * (1 - release)
        return net_capital is not None and exposure >= EXACT.multiply(kept, net_capital)

    return settled_level(held, level_reached(exposure, total, net_capital, rule), keeps)


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
