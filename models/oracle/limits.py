"""Limits on parts of a book a second time: every entity's events in order, each judged as of its own moment.

After an event, every part of its entity's book is judged. Only those can have changed that moved, that are at a level
or that have enough for the first one; the rest is left alone.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from fractions import Fraction
from itertools import chain, groupby
from typing import Literal, NamedTuple

import polars as pl

from models.oracle.exposures import Exposures, MonthEnds
from models.oracle.frames import at_least, rate_places, scale_of, six_places
from models.oracle.level_episodes import Rise, episode_warnings
from models.policy import LEVELS, Limit, Limits, PolicyHistory
from models.risk_warning import Severity

GROWTH_MONTHS = 36
_CAPITALS = {"net_capital": "capital", "tier1_capital": "tier1"}  # a basis, and the column of accepted_capital


class Move(NamedTuple):
    """A change of an entity's book; `delta` in units of 10^-(places of amounts and of rates) of `money.base`."""

    entity: str
    borrower_id: str
    group_id: str | None
    real_estate: str
    delta: int
    opened: int  # change in the number of loans with a balance
    event_time: datetime
    day: date


class Part(NamedTuple):
    """What a limit of a rule is about.

    Args:
        limit: its name in the rule.
        name_of: whose exposure a move changes; None for nobody's.
        subject: of the warnings on a name of an entity.
        largest: where given, so many of the largest names are one exposure.
    """

    limit: str
    name_of: Callable[[Move], str | None]
    subject: Callable[[str, str], str]
    largest: int | None = None


class _Bounds(NamedTuple):
    """From which exposures on each level is reached and, once reached, kept."""

    reached: tuple[int, ...]
    kept: tuple[int, ...]


class _Positions:
    """An entity's capital by day, in units of exposures."""

    def __init__(self, rows: Iterable[tuple[date, int, int]], net_unit: Fraction, tier1_unit: Fraction) -> None:
        ordered = sorted(rows)
        self._days = [as_of for as_of, _, _ in ordered]
        self._amounts = {
            "net_capital": [net * net_unit for _, net, _ in ordered],
            "tier1_capital": [tier1 * tier1_unit for _, _, tier1 in ordered],
        }

    def on(self, day: date, basis: Literal["net_capital", "tier1_capital"]) -> Fraction | None:
        index = bisect_right(self._days, day)
        return self._amounts[basis][index - 1] if index else None


def limit_warnings(
    loans: pl.DataFrame, capital: pl.DataFrame, policies: PolicyHistory, detector: str, parts: Iterable[Part]
) -> pl.DataFrame:
    """A detector's warnings (severity as a rank), one an episode.

    Args:
        loans: accepted loan events that move a book.
        capital: accepted capital positions.
        parts: what the detector's limits are about.
    """
    parts, unit = list(parts), 10 ** (scale_of(loans) + rate_places(policies))
    positions = _positions(capital, loans)
    found = chain.from_iterable(
        _entity(entity, moves, positions.get(entity), policies, detector, parts, unit)
        for entity, moves in groupby(_in_order(loans), lambda move: move.entity)
    )

    def severity(rule: Limits, level: int) -> Severity:
        return rule.severities[LEVELS[level - 1]]

    return episode_warnings(found, detector, policies, severity)


def _in_order(loans: pl.DataFrame) -> Iterator[Move]:
    """By entity and time; of one instant what adds comes before what takes away, then by event_id."""
    ordered = loans.sort("entity", "event_time", pl.col("own") < 0, "event_id", "borrower_id", "arrival")
    return (Move(*row) for row in ordered.select(Move._fields).iter_rows())


def _positions(capital: pl.DataFrame, loans: pl.DataFrame) -> dict[str, _Positions]:
    net_unit, tier1_unit = (
        Fraction(10 ** scale_of(loans), 10 ** scale_of(capital, basis)) for basis in ("net_capital", "tier1_capital")
    )
    rows = capital.select("entity", "as_of", "capital", "tier1").sort("entity").iter_rows()
    return {
        entity: _Positions([row[1:] for row in of_entity], net_unit, tier1_unit)
        for entity, of_entity in groupby(rows, lambda row: row[0])
    }


def _entity(
    entity: str,
    moves: Iterable[Move],
    positions: _Positions | None,
    policies: PolicyHistory,
    detector: str,
    parts: Iterable[Part],
    unit: int,
) -> Iterator[Rise]:
    total, watched = 0, [_Watched(entity, part) for part in parts]
    for move in moves:
        total += move.delta
        rule: Limits = getattr(policies.on(move.day).detectors, detector)
        judged = rule.mode != "off" and total >= at_least(rule.minimum_book.value, unit)
        for one in watched:
            one.take(move)
            limit: Limit | None = getattr(rule, one.part.limit)
            basis: Fraction | None = None
            if judged and limit is not None:
                basis = _basis(limit, total, positions, move.day)
            if limit is None or basis is None:
                one.unjudged()
            else:
                one.judge(move, limit, rule, basis)
    for one in watched:
        yield from one.found


def _basis(limit: Limit, total: int, positions: _Positions | None, day: date) -> Fraction | None:
    """What the figures are a share of; None where it is not known, or there is nothing."""
    if limit.basis == "book":
        return Fraction(total) if total > 0 else None
    return positions.on(day, limit.basis) if positions else None


class _Watched:
    """The exposures that one limit of one entity is about, and the levels they are at."""

    def __init__(self, entity: str, part: Part) -> None:
        self.part = part
        self.found: list[Rise] = []
        self._entity = entity
        self._members = Exposures()
        self._exposures = Exposures() if part.largest else self._members
        self._month_ends = MonthEnds()
        self._moved: str | None = None
        self._levels: dict[str, int] = {}  # of names at one
        self._anchors: dict[str, str] = {}  # of the episodes they are in
        self._loans: dict[str, int] = {}
        self._judged_by: tuple[object, ...] = ()
        self._bounds = _Bounds((), ())

    def take(self, move: Move) -> None:
        name = self.part.name_of(move)
        if name is not None:
            self._members.add(name, move.delta)
            self._loans[name] = self._loans.get(name, 0) + move.opened
            if self.part.largest:
                name = ""
                self._loans[name] = min(self.part.largest, len(self._members))
                self._exposures.add(name, self._members.largest(self.part.largest) - self._exposures[name])
            self._month_ends.note(name, _month(move.day), self._exposures[name])
        self._moved = name

    def unjudged(self) -> None:
        """Levels stay as they are; whoever moved meanwhile is judged when judging begins again."""
        self._judged_by = ()

    def judge(self, move: Move, limit: Limit, rule: Limits, basis: Fraction) -> None:
        judged_by = (limit, rule.release, basis, _month(move.day) if limit.growth else None)
        names = set() if self._moved is None else {self._moved}
        if judged_by != self._judged_by:
            self._judged_by, self._bounds = judged_by, _bounds(limit, rule, basis)
            names |= {*self._levels, *self._exposures.from_(self._bounds.reached[0])}
        for name in names:
            self._judge(name, move, limit, basis)

    def _judge(self, name: str, move: Move, limit: Limit, basis: Fraction) -> None:
        exposure, held = self._exposures[name], self._levels.get(name, 0)
        counts = limit.growth is None or self._has_grown(name, move.day, Fraction(limit.growth.value))
        level = sum(exposure >= least for least in self._bounds.reached) if counts else 0
        if level > held:
            self._levels[name] = level
            anchor = self._anchors.setdefault(name, f"{self.part.limit}|{move.day.isoformat()}")
            subject, share = self.part.subject(self._entity, name), six_places(Fraction(exposure) / basis)
            self.found.append(Rise(subject, anchor, level, self._loans[name], move.event_time, move.day, share))
        elif level < held and not (counts and exposure >= self._bounds.kept[held - 1]):
            self._levels[name] = level
            if level == 0:
                del self._levels[name], self._anchors[name]

    def _has_grown(self, name: str, day: date, by: Fraction) -> bool:
        then = self._month_ends.at(name, _month(day) - GROWTH_MONTHS)
        return then > 0 and self._exposures[name] >= (1 + by) * then


def _bounds(limit: Limit, rule: Limits, basis: Fraction) -> _Bounds:
    figures = [Fraction(limit.figures[level]) for level in LEVELS]
    if limit.allowance is not None:
        figures[-1] += Fraction(limit.allowance.value)
    keep = 1 - Fraction(rule.release.value)
    return _Bounds(
        tuple(_above(figure * basis) if limit.op == ">" else at_least(figure * basis, 1) for figure in figures),
        tuple(at_least(figure * keep * basis, 1) for figure in figures),
    )


def _above(amount: Fraction) -> int:
    """The smallest integer above an amount."""
    return amount.numerator // amount.denominator + 1


def _month(day: date) -> int:
    return day.year * 12 + day.month
