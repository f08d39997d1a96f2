"""The HHI of an entity's book over its industries, after every event of it."""

from collections.abc import Iterator
from datetime import date
from fractions import Fraction
from functools import cache
from typing import NamedTuple

import polars as pl

from models.oracle.level_walk import Change
from models.policy import LEVELS, PolicyHistory

_COLUMNS = ("entity", "event_time", "day", "delta", "exposure", "total", "all_loans", "eligible")


class _Lines(NamedTuple):
    """The figures (as numerators and denominators) from which on levels are reached and kept."""

    reached: tuple[tuple[int, int], ...]
    kept: tuple[tuple[int, int], ...]


def hhi_changes(book: pl.DataFrame, policies: PolicyHistory) -> Iterator[Change]:
    """What the HHI of each entity's book says where that changes; days whose figures have none are passed over.

    Python's integers hold any sum of squares: those of a large book are beyond 128 bits.

    Args:
        book: of `industry_book`; the unknown industry is one of its industries.
    """
    lines_on = cache(lambda day: _lines(policies, day))
    at, squares, said = None, 0, (0, 0)
    for entity, moment, day, delta, exposure, total, loans, eligible in book.select(_COLUMNS).iter_rows():
        if entity != at:
            at, squares, said = entity, 0, (0, 0)
        squares += exposure**2 - (exposure - delta) ** 2
        lines = lines_on(day) if eligible else None
        if lines is None:
            continue
        whole = total * total
        level, stays = _count(squares, whole, lines.reached), _count(squares, whole, lines.kept)
        if (level, stays) != said:
            said = level, stays
            yield Change(f"book:{entity}", "hhi|", moment, day, level, stays, loans, Fraction(squares, whole))


def _lines(policies: PolicyHistory, day: date) -> _Lines | None:
    rule = policies.on(day).detectors.industry_concentration
    if rule.hhi is None:
        return None
    figures = [Fraction(rule.hhi[level]) for level in LEVELS]
    keep = 1 - Fraction(rule.release.value)
    return _Lines(
        tuple(figure.as_integer_ratio() for figure in figures),
        tuple((figure * keep).as_integer_ratio() for figure in figures),
    )


def _count(squares: int, whole: int, lines: tuple[tuple[int, int], ...]) -> int:
    return len([1 for above, below in lines if squares * below >= above * whole])
