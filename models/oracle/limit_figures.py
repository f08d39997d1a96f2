"""The figures of limits as integers, and the capital that they are held against, by the day on which they hold."""

import math
from bisect import bisect_right
from collections.abc import Iterable
from datetime import date
from fractions import Fraction
from itertools import groupby
from typing import Any, NamedTuple

import polars as pl

from models.oracle.frames import at_least, scale_of
from models.policy import LEVELS, Limit, Limits, PolicyHistory

Basis = int | Fraction  # in units of exposures


class Line(NamedTuple):
    """The smallest exposure that reaches a level, and the one that keeps it."""

    reached: int
    kept: int


class Figures(NamedTuple):
    """The figures of a limit, as parts of a common denominator: so many 1/`parts` of the basis.

    Args:
        above: 1 where a level is reached only above its line, else 0.
        reached, kept: what reaches a level and, once it is reached, keeps it, by level.
        growth: (grown, before) such that exposure × before >= grown × what it was before.
    """

    basis: str
    above: int
    parts: int
    reached: tuple[int, ...]
    kept: tuple[int, ...]
    growth: tuple[int, int] | None

    def lines(self, basis: Basis) -> tuple[Line, ...]:
        """The smallest exposures that reach each level, and that keep it, lowest level first."""
        of, parts = basis.numerator, self.parts * basis.denominator
        return tuple(
            Line(reached * of // parts + 1 if self.above else -(-reached * of // parts), -(-kept * of // parts))
            for reached, kept in zip(self.reached, self.kept, strict=True)
        )

    def unmoved(self, level: int, exposure: int) -> tuple[int, float]:
        """Above which basis, and up to which one, an exposure at a level (0 for none) stays at it."""
        rises = (exposure * self.parts - self.above) // self.reached[level] if level < len(self.reached) else -1
        return rises, exposure * self.parts // self.kept[level - 1] if level else math.inf


def _figures(limit: Limit, rule: Limits) -> Figures:
    reached = [Fraction(limit.figures[level]) for level in LEVELS]
    if limit.allowance is not None:
        reached[-1] += Fraction(limit.allowance.value)
    kept = [figure * (1 - Fraction(rule.release.value)) for figure in reached]
    parts = math.lcm(*(figure.denominator for figure in (*reached, *kept)))
    grown = 1 + Fraction(limit.growth.value) if limit.growth is not None else None
    return Figures(
        basis=limit.basis,
        above=int(limit.op == ">"),
        parts=parts,
        reached=tuple(int(figure * parts) for figure in reached),
        kept=tuple(int(figure * parts) for figure in kept),
        growth=(grown.numerator, grown.denominator) if grown is not None else None,
    )


class Judging(NamedTuple):
    """How a day judges: the smallest book that is judged, in units of exposures, and its limits by name."""

    least: int
    limits: dict[str, Figures]


class Days:
    """What judges on which day; days of the same figures have the same object, whatever rates hold on them.

    Args:
        limits: names of those that are asked for.
        unit: how many units of exposures one of `money.base` is.
    """

    def __init__(self, policies: PolicyHistory, detector: str, limits: Iterable[str], unit: int) -> None:
        names = list(limits)
        self._firsts: list[date] = []
        self._judging: list[Judging | None] = []
        before: Any = None
        for policy, first, _ in policies.spans():
            rule: Limits = getattr(policy.detectors, detector)
            if rule == before:
                continue
            before = rule
            given = {name: getattr(rule, name) for name in names}
            figures = {name: _figures(limit, rule) for name, limit in given.items() if limit is not None}
            off = rule.mode == "off"
            self._firsts.append(first)
            self._judging.append(None if off else Judging(at_least(rule.minimum_book.value, unit), figures))

    def on(self, day: date) -> Judging | None:
        """None where nothing is judged."""
        return self._judging[bisect_right(self._firsts, day) - 1]

    def limits(self, name: str) -> list[Figures]:
        """All that a limit ever is."""
        return [one.limits[name] for one in self._judging if one is not None and name in one.limits]

    def leasts(self) -> set[int]:
        """All that the smallest book ever is."""
        return {one.least for one in self._judging if one is not None}


class Positions:
    """An entity's capital by day, in units of exposures."""

    def __init__(self, rows: Iterable[tuple[date, int, int]], net_unit: Fraction, tier1_unit: Fraction) -> None:
        ordered = sorted(rows)
        self._days = [as_of for as_of, _, _ in ordered]
        self.amounts: list[dict[str, Basis]] = [
            {"net_capital": net * net_unit, "tier1_capital": tier1 * tier1_unit} for _, net, tier1 in ordered
        ]

    def on(self, day: date) -> dict[str, Basis]:
        """By basis; nothing before the first position."""
        index = bisect_right(self._days, day)
        return self.amounts[index - 1] if index else {}


def positions_by_entity(capital: pl.DataFrame, loans: pl.DataFrame) -> dict[str, Positions]:
    """Accepted capital positions in the units in which the exposures of these loans are counted."""
    net_unit, tier1_unit = (
        Fraction(10 ** scale_of(loans), 10 ** scale_of(capital, basis)) for basis in ("net_capital", "tier1_capital")
    )
    rows = capital.select("entity", "as_of", "capital", "tier1").sort("entity").iter_rows()
    return {
        entity: Positions([row[1:] for row in of_entity], net_unit, tier1_unit)
        for entity, of_entity in groupby(rows, lambda row: row[0])
    }
