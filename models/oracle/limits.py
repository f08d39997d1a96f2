"""Limits on parts of a book a second time: every entity's events in order, each judged as of its own moment.

After an event, every part of its entity's book is judged. Columns find the names that reach a level at all if ever
any line is as low as the lowest, and the events that can change anything: those that move such a name, the first of a
day (whose figures, capital and month are new), those that make the book large enough or too small, and all where the
basis is the book itself. Only these are walked through; all is compared in integers.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, NamedTuple

import polars as pl

from models.oracle.exposures import Exposures, MonthEnds
from models.oracle.frames import big, rate_places, scale_of, six_places
from models.oracle.level_episodes import Rise, episode_warnings
from models.oracle.limit_figures import Basis, Days, Figures, Line, Positions, positions_by_entity
from models.policy import LEVELS, Limits, PolicyHistory
from models.risk_warning import Severity

GROWTH_MONTHS = 36


class Part(NamedTuple):
    """What a limit of a rule is about.

    Args:
        limit: its name in the rule.
        name: whose exposure a loan is; null for nobody's.
        subject: of the warnings, with places for `entity` and `name`.
        largest: where given, so many of the largest names are one exposure.
    """

    limit: str
    name: pl.Expr
    subject: str
    largest: int | None = None


class _Move(NamedTuple):
    """An event of an entity's book; amounts in units of 10^-(places of amounts and of rates) of `money.base`.

    Args:
        name: whose exposure it moves, of those that are watched; None for nobody's.
        delta: by how much.
        loans: that the name has then.
        total: of the book.
        event_time: microseconds since 1970: of a hundred thousand moves, a few give a date to be told.
        day: days since 1970.
    """

    name: str | None
    delta: int
    loans: int
    total: int
    event_time: int
    day: int


_MOVE = [pl.col(name).to_physical() if name in ("event_time", "day") else pl.col(name) for name in _Move._fields]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def limit_warnings(
    loans: pl.DataFrame, capital: pl.DataFrame, policies: PolicyHistory, detector: str, parts: Iterable[Part]
) -> pl.DataFrame:
    """A detector's warnings (severity as a rank), one an episode.

    Args:
        loans: accepted loan events that move a book.
        capital: accepted capital positions.
        parts: what the detector's limits are about.
    """
    parts = list(parts)
    unit = 10 ** (scale_of(loans) + rate_places(policies))
    days = Days(policies, detector, [part.limit for part in parts], unit)
    positions, book = positions_by_entity(capital, loans), _in_order(loans)

    def found() -> Iterator[Rise]:
        for part in parts:
            for (entity,), rows in _moves(part, book, days, positions).group_by("entity", maintain_order=True):
                watched = _Watched(str(entity), part, days, positions.get(str(entity)))
                yield from watched.rises(map(_Move._make, rows.select(_MOVE).iter_rows()))

    def severity(rule: Limits, level: int) -> Severity:
        return rule.severities[LEVELS[level - 1]]

    return episode_warnings(found(), detector, policies, severity)


# ---------------------------------------------------- which events, by columns


def _in_order(loans: pl.DataFrame) -> pl.DataFrame:
    """By entity and time; of one instant what adds comes before what takes away, then by event_id."""
    columns = ("entity", "borrower_id", "group_id", "real_estate", "delta", "opened", "event_time", "day")
    order = ("entity", "event_time", pl.col("own") < 0, "event_id", "borrower_id", "arrival")
    ordered = loans.select(*columns, "own", "event_id", "arrival").sort(*order).select(columns)
    return ordered.with_columns(pl.col("delta").cum_sum().over("entity").alias("total"))


def _moves(part: Part, book: pl.DataFrame, days: Days, positions: dict[str, Positions]) -> pl.DataFrame:
    """The events that can change what this part says, in order; names that can reach no level are null."""
    limits = days.limits(part.limit)
    rows = book.with_columns(part.name.alias("name")) if part.largest is None else _of_largest(part, book)
    if part.largest is None:
        rows = rows.with_columns(pl.col("opened").cum_sum().over("entity", "name").alias("loans"))
    rows = rows.select("entity", *_Move._fields).with_columns(
        pl.col("delta").cum_sum().over("entity", "name").alias("exposure")
    )
    lowest = pl.DataFrame(
        list(_lowest(rows, limits, days, positions)),
        schema={"entity": pl.String, "least": pl.Int128},
        orient="row",
    )
    highest = rows.filter(pl.col("name").is_not_null()).group_by("entity", "name").agg(pl.col("exposure").max())
    watched = highest.join(lowest, on="entity").filter(pl.col("exposure") >= pl.col("least"))
    known = watched.select("entity", "name", pl.col("name").alias("watched"))
    rows = (
        rows.filter(pl.col("entity").is_in(watched["entity"].unique().implode()))
        .join(known, on=["entity", "name"], how="left", maintain_order="left")
        .with_columns(pl.col("watched").alias("name"))
    )
    if any(one.basis == "book" for one in limits):
        return rows
    enough = [pl.col("total") >= big(least) for least in days.leasts()]
    new = [(one != one.shift(1).over("entity")).fill_null(True) for one in (pl.col("day"), *enough)]
    return rows.filter(pl.any_horizontal(pl.col("name").is_not_null(), *new))


def _lowest(
    rows: pl.DataFrame, limits: list[Figures], days: Days, positions: dict[str, Positions]
) -> Iterator[tuple[str, int]]:
    """By entity, no more than what reaches the lowest level of the limit at any time; entities that are never judged
    are left out.
    """
    large = rows.filter(pl.col("total") >= max(1, min(days.leasts(), default=0)))
    for entity, total in large.group_by("entity").agg(pl.col("total").min()).iter_rows():
        amounts = positions[entity].amounts if entity in positions else []
        bases: dict[str, list[Basis]] = {"book": [total]}
        for basis in ("net_capital", "tier1_capital"):
            bases[basis] = [one[basis] for one in amounts]
        lines = [one.lines(basis)[0].reached for one in limits for basis in bases[one.basis]]
        if lines:
            yield entity, min(lines)


def _of_largest(part: Part, book: pl.DataFrame) -> pl.DataFrame:
    """What the largest names have together as the exposure of a nameless one, with their number as its loans."""
    assert part.largest is not None  # noqa: S101 - the caller asks for these alone
    count, at = part.largest, ""
    changes: list[tuple[int, str, int, int]] = []
    for row, (entity, name, delta) in enumerate(book.select("entity", part.name, "delta").iter_rows()):
        if entity != at:
            at, names, together, least = entity, Exposures(), 0, 0
        if name is None:
            continue
        now = names.add(name, delta)
        if now < least and now - delta < least:
            continue
        before, together, least = together, names.largest(count), names.least_of_largest(count)
        changes.append((row, "", together - before, min(count, len(names))))
    schema: dict[str, Any] = {"row": pl.UInt32, "name": pl.String, "delta": pl.Int128, "loans": pl.Int64}
    found = pl.DataFrame(changes, schema=schema, orient="row")
    rows = book.with_row_index("row").drop("delta").join(found, on="row", how="left", maintain_order="left")
    return rows.with_columns(pl.col("delta").fill_null(0))


# ----------------------------------------------------------- one after another


class _Watched:
    """The exposures that one limit of one entity is about, and the levels they are at."""

    def __init__(self, entity: str, part: Part, days: Days, positions: Positions | None) -> None:
        self._entity = entity
        self._part = part
        self._days = days
        self._positions = positions
        self._exposures = Exposures()
        self._loans: dict[str, int] = {}
        self._month_ends = MonthEnds()
        self._levels: dict[str, int] = {}  # of names at one
        self._anchors: dict[str, str] = {}  # of the episodes they are in
        self._day: int | None = None
        self._month = 0
        self._figures: Figures | None = None  # None where nothing is judged today
        self._least_book = 0
        self._basis: Basis = 0
        self._settled = False  # whoever does not move stays at their level
        self._least = 0  # whoever moves and has less than this stays at none
        self._lines: tuple[Line, ...] = ()
        self._above = 0  # as long as the book is larger,
        self._up_to: float = 0  # and not larger than this

    def rises(self, moves: Iterable[_Move]) -> Iterator[Rise]:
        for move in moves:
            if move.day != self._day:
                self._begin(move.day)
            name, figures = move.name, self._figures
            if name is not None:
                exposure = self._exposures.add(name, move.delta)
                self._loans[name] = move.loans
                self._month_ends.note(name, self._month, exposure)
            if figures is None or move.total < self._least_book:
                self._settled = False  # levels stay as they are, and whoever moves is judged when judging begins again
                continue
            of_book = figures.basis == "book"
            if of_book:
                self._basis = move.total
                self._settled = self._settled and self._above < move.total <= self._up_to
            if of_book and move.total <= 0:
                self._settled = False
            elif not self._settled:
                yield from self._settle(move, figures)
            elif name is not None and (exposure >= self._least or name in self._levels):
                if of_book:
                    self._lines = figures.lines(self._basis)
                yield from self._judge(name, move, figures)

    def _begin(self, number: int) -> None:
        """A day begins, with its figures and capital."""
        day = _EPOCH.date() + timedelta(days=number)
        month, self._day = day.year * 12 + day.month, number
        judging = self._days.on(day)
        figures = judging.limits.get(self._part.limit) if judging is not None else None
        capital = self._positions.on(day) if self._positions is not None else {}
        if figures is not None and figures.basis != "book" and not capital:
            figures = None
        basis = capital[figures.basis] if figures is not None and figures.basis != "book" else self._basis
        # Positions are the same objects on all their days.
        same_month = figures is None or figures.growth is None or month == self._month
        self._settled = self._settled and figures is self._figures and basis is self._basis and same_month
        self._figures, self._basis, self._month = figures, basis, month
        self._least_book = judging.least if judging is not None else 0

    def _settle(self, move: _Move, figures: Figures) -> Iterator[Rise]:
        """Judge everybody; then only who moves need be judged until figures or basis change, a book's by much."""
        self._lines = figures.lines(self._basis)
        names = {*self._levels, *self._exposures.from_(self._lines[0].reached)}
        self._least = self._exposures.most_below(self._lines[0].reached)
        self._settled = True
        self._above, self._up_to = figures.unmoved(0, self._least)
        for name in names:
            yield from self._judge(name, move, figures)

    def _judge(self, name: str, move: _Move, figures: Figures) -> Iterator[Rise]:
        exposure, held = self._exposures[name], self._levels.get(name, 0)
        counts = figures.growth is None or self._has_grown(name, *figures.growth)
        level = sum(exposure >= line.reached for line in self._lines) if counts else 0
        if level > held:
            self._levels[name] = level
            day, at = _EPOCH.date() + timedelta(days=move.day), _EPOCH + timedelta(microseconds=move.event_time)
            anchor = self._anchors.setdefault(name, f"{self._part.limit}|{day}")
            subject = self._part.subject.format(entity=self._entity, name=name)
            share = six_places(Fraction(exposure) / self._basis)
            yield Rise(subject, anchor, level, self._loans[name], at, day, share)
        elif level < held and not (counts and exposure >= self._lines[held - 1].kept):
            self._levels[name] = level
            if level == 0:
                del self._levels[name], self._anchors[name]
        if figures.basis == "book":
            above, up_to = figures.unmoved(self._levels.get(name, 0), exposure)
            self._above, self._up_to = max(self._above, above), min(self._up_to, up_to)

    def _has_grown(self, name: str, grown: int, before: int) -> bool:
        then = self._month_ends.at(name, self._month - GROWTH_MONTHS)
        return then > 0 and self._exposures[name] * before >= grown * then
