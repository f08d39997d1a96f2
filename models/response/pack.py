"""The pack of a month, a quarter or a year: its indicators beside those of the period before, and what changed.

Everything in it follows from the figures, so that a pack made again from the same events is the same.
"""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal, get_args

from msgspec import Struct

from models.response.kpi import By, Figures, Key, Kpi, Ratio, Spread, together
from models.response.pack_text import Language, change_text, figure_texts
from models.response.period import Period
from models.risk_warning import Department

Topic = Literal[
    "joint_work", "timeliness", "clocks", "risk_events", "false_positives", "complaints", "faults"
]  # a section each, in this order
TOPICS: tuple[Topic, ...] = get_args(Topic)
FAULT_DEPARTMENTS = ("it", "clearing")
_DEPARTMENTS: tuple[str, ...] = get_args(Department)
_IN_TOPIC: Mapping[Topic, tuple[tuple[Kpi, tuple[By, ...]], ...]] = {
    "joint_work": (("joint_completion", ("all",)), ("completion", ("all", "department"))),
    "timeliness": (("timeliness", ("all", "department")),),
    "clocks": (
        ("arrival", ("all",)),
        ("detection", ("all",)),
        ("acknowledgement", ("all", "department")),
        ("handling", ("all", "department")),
        ("resolution", ("all", "department")),
    ),
    "risk_events": (("risk_events", ("all", "department", "branch")),),
    "false_positives": (("false_positives", ("all", "detector", "branch")),),
    "complaints": (("complaints", ("all", "branch")),),
}
SUMMARY: tuple[Key, ...] = tuple(
    Key(kpi)
    for kpi in (
        "completion",
        "joint_completion",
        "timeliness",
        "risk_events",
        "false_positives",
        "complaints",
        "acknowledgement",
        "resolution",
    )
)
# What the sentences are about: one each where it changed.
_TOLD: tuple[Key, ...] = (*SUMMARY, Key("arrival"), Key("detection"), Key("handling"))


class Line(Struct, frozen=True):
    """One figure, with that of the period before. None: it had nothing to count, in either sense of its month."""

    key: Key
    now: Ratio | Spread | None
    before: Ratio | Spread | None

    @property
    def differences(self) -> tuple[Decimal | timedelta, ...]:
        """Now less before, of each of its `amounts`; empty where either period has nothing to count."""
        pairs = zip(amounts(self.now), amounts(self.before), strict=False)
        return tuple(_less(now, before) for now, before in pairs)

    @property
    def size(self) -> int:
        """How much is behind it, in both periods: the largest lines come first."""
        return counted(self.now) + counted(self.before)


class Section(Struct, frozen=True):
    """A part of the pack."""

    topic: Topic
    lines: tuple[Line, ...]

    @property
    def empty(self) -> bool:
        """There was nothing to count, in this period nor in the one before."""
        return not any(amounts(line.now) or amounts(line.before) or line.size for line in self.lines)


class Change(Struct, frozen=True):
    """A figure that is not what it was, in a sentence."""

    key: Key
    zh: str
    en: str


class Pack(Struct, frozen=True):
    """A period's figures beside those of the period before.

    Args:
        period: what it is about.
        months: the period's own months, each with its figures.
        figures, before: of the period, and of the one before.
        as_far_as: day of the newest event, where the period is not over yet.
    """

    period: Period
    months: tuple[tuple[Period, Figures], ...]
    figures: Figures
    before: Figures
    as_far_as: date | None = None

    def line(self, key: Key) -> Line:
        return Line(key, self.figures.get(key), self.before.get(key))

    @property
    def summary(self) -> tuple[Line, ...]:
        """The key figures, in their order; also those without anything to count."""
        return tuple(map(self.line, SUMMARY))

    @property
    def sections(self) -> tuple[Section, ...]:
        """All sections in their order; departments in the bank's order, other members by how much is behind them."""
        return tuple(Section(topic, tuple(self._lines(topic))) for topic in TOPICS)

    @property
    def changes(self) -> tuple[Change, ...]:
        """What changed, where both periods have something to count; no judgement on whether that is good.

        What is the same as it is written is left out: nobody would see what the sentence is about.
        """
        return tuple(self._change(line) for line in map(self.line, _TOLD) if _changed(line))

    def _change(self, line: Line) -> Change:
        def told(language: Language) -> str:
            return change_text(line.key.kpi, line.now, line.before, self.period.before(), language)

        return Change(line.key, told("zh"), told("en"))

    def _lines(self, topic: Topic) -> Iterator[Line]:
        if topic == "faults":
            for department in FAULT_DEPARTMENTS:
                for kpi in ("acknowledgement", "resolution"):
                    yield self.line(Key(kpi, "department", department))
            return
        for kpi, kinds in _IN_TOPIC[topic]:
            for by in kinds:
                yield from self._members(kpi, by)

    def _members(self, kpi: Kpi, by: By) -> list[Line]:
        if by == "all":
            return [self.line(Key(kpi))]
        keys = {key for key in (*self.figures, *self.before) if (key.kpi, key.by) == (kpi, by)}
        lines = [self.line(key) for key in sorted(keys)]
        if by == "department":
            known = {name: place for place, name in enumerate(_DEPARTMENTS)}
            return sorted(lines, key=lambda line: known.get(line.key.member, len(known)))
        return sorted(lines, key=lambda line: (-line.size, line.key.member))


def packed(period: Period, figures: Mapping[Period, Figures], as_far_as: date | None = None) -> Pack:
    """The pack of a period.

    Args:
        figures: of each month of the period and of the one before (`models.response.indicators`).
        as_far_as: as in `Pack`.

    Raises:
        KeyError: a month is missing.
    """
    months = tuple((month, figures[month]) for month in period.each_month())
    before = together(figures[month] for month in period.before().each_month())
    return Pack(period, months, together(own for _, own in months), before, as_far_as)


def amounts(figure: Ratio | Spread | None) -> tuple[Decimal | timedelta, ...]:
    """A share or rate, or the 50th and 95th percentile of a clock; empty where there is nothing to count."""
    if isinstance(figure, Ratio):
        return () if figure.value is None else (figure.value,)
    if figure is None or figure.p50 is None or figure.p95 is None:
        return ()
    return figure.p50, figure.p95


def counted(figure: Ratio | Spread | None) -> int:
    """How many ids are behind a figure."""
    if isinstance(figure, Ratio):
        return len(figure.part) if isinstance(figure.whole, int) else len(figure.whole)
    return 0 if figure is None else len(figure.spans)


def _changed(line: Line) -> bool:
    return bool(line.differences) and figure_texts(line.now, "en") != figure_texts(line.before, "en")


def _less(now: Decimal | timedelta, before: Decimal | timedelta) -> Decimal | timedelta:
    if isinstance(now, Decimal) and isinstance(before, Decimal):
        return now - before
    if isinstance(now, timedelta) and isinstance(before, timedelta):
        return now - before
    raise TypeError("a rate and a clock are not one figure")
