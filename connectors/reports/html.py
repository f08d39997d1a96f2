"""A pack as one page: for the screen and for A4, without scripts, pictures or anything from outside."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from msgspec import Struct

from connectors.reports import charts, texts
from connectors.reports.page import template
from connectors.reports.texts import WORDS
from models.response.kpi import Key, Kpi, Ratio, Spread
from models.response.pack import Line, Pack, Section, amounts
from models.response.pack_text import (
    NAMES,
    Language,
    count_text,
    difference_text,
    figure_texts,
    period_text,
    span_text,
)

MOST_IDS = 200  # of a list
MOST_ROWS = 30  # branches in a table: the workbook has all
_CHARTS = {"joint_work": "department", "timeliness": "department", "false_positives": "detector"}


class Cell(Struct, frozen=True):
    """A figure as it is read: its values, empty where there is nothing to count, and from how many."""

    values: tuple[str, ...]
    count: str


class Row(Struct, frozen=True):
    name: str
    main: bool
    key: Key
    now: Cell
    before: Cell
    differences: tuple[str, ...]


class Group(Struct, frozen=True):
    title: str
    rows: tuple[Row, ...]
    more: int


class Part(Struct, frozen=True):
    """A section as it is shown."""

    section: Section
    clock: bool
    groups: tuple[Group, ...]
    chart: charts.Bars | None


class IdList(Struct, frozen=True):
    """Ids of one kind behind a figure, the first of them; how many there are, and how many are not shown."""

    title: str
    ids: tuple[tuple[str, str], ...]
    count: int
    more: int


class IdLists(Struct, frozen=True):
    key: Key
    name: str
    lists: tuple[IdList, ...]
    note: str


def render(pack: Pack, title: str, version: str, language: Language) -> str:
    """The page.

    Args:
        title, version: of the bank's policy.
    """
    parts = tuple(_part(section, language) for section in pack.sections)
    summary = tuple(_row(line, NAMES[language][line.key.kpi], language) for line in pack.summary)
    shown = [row.key for row in summary] + [row.key for part in parts for group in part.groups for row in group.rows]
    lists = tuple(_id_lists(key, figure, language) for key in dict.fromkeys(shown) if (figure := pack.figures.get(key)))
    monthly: tuple[Kpi, ...] = ("completion", "timeliness")
    then = period_text(pack.period.before(), language)
    words = {name: _filled(text, pack, then, language) for name, text in WORDS[language].items()}
    return template("pack.html.j2").render(
        pack=pack,
        language=language,
        words=words,
        texts=texts,
        heading=texts.heading(pack, language),
        days=texts.span_of(pack, language),
        now=period_text(pack.period, language),
        then=then,
        policy_title=title,
        policy_version=version,
        summary=summary,
        changes=[getattr(change, language) for change in pack.changes],
        parts=parts,
        months=charts.by_month(pack, monthly, tuple(NAMES[language][one] for one in monthly), language),
        lists=lists,
        anchors={one.key: f"ids-{number}" for number, one in enumerate(lists, 1)},
        box=charts,
    )


def _filled(text: str, pack: Pack, then: str, language: Language) -> str:
    """The word with what is the same everywhere in a pack; `{count}` stays, to be filled where it is shown."""
    day = texts.day_text(pack.as_far_as, language) if pack.as_far_as else ""
    return text.format(then=then, day=day, most=MOST_IDS, period=pack.period.name, count="{count}")


def _part(section: Section, language: Language) -> Part:
    charted = _CHARTS.get(section.topic)
    lines = [
        (texts.member_text(line.key, language), line)
        for line in section.lines
        if line.key.by == charted and line.key.kpi != "joint_completion"
    ]
    chart = charts.bars(lines, WORDS[language]["none"])
    return Part(section, section.topic in ("clocks", "faults"), tuple(_groups(section, language)), chart)


def _groups(section: Section, language: Language) -> Iterator[Group]:
    """Rows of one indicator and one kind of member, with a title over those that need one."""
    for (_, by), members in groupby(section.lines, lambda line: (line.key.kpi, line.key.by)):
        lines = list(members)
        most = MOST_ROWS if by == "branch" else len(lines)
        titled = by != "all" and section.topic not in ("clocks", "faults")
        rows = tuple(_row(line, _name(line.key, section, language), language) for line in lines[:most])
        yield Group(texts.GROUPS[language][by] if titled else "", rows, len(lines) - len(rows))


def _name(key: Key, section: Section, language: Language) -> str:
    if key.by == "all":
        return NAMES[language][key.kpi]
    return texts.figure_text(key, language) if section.topic == "faults" else texts.member_text(key, language)


def _row(line: Line, name: str, language: Language) -> Row:
    figure = line.now or line.before
    pairs = zip(amounts(line.now), amounts(line.before), strict=False)
    differences = tuple(difference_text(figure, now, before, language) for now, before in pairs)
    return Row(
        name, line.key.by == "all", line.key, _cell(line.now, language), _cell(line.before, language), differences
    )


def _cell(figure: Ratio | Spread | None, language: Language) -> Cell:
    if isinstance(figure, Ratio):
        return Cell(figure_texts(figure, language), count_text(figure, language) if figure.count or figure.part else "")
    return Cell(figure_texts(figure, language), f"{len(figure.spans):,}" if figure is not None else "")


def _id_lists(key: Key, figure: Ratio | Spread, language: Language) -> IdLists:
    name, note = texts.figure_text(key, language), ""
    if isinstance(figure, Spread):
        # The longest first: they are what somebody will ask about.
        spans = sorted(figure.spans.items(), key=lambda one: (-one[1], one[0]))
        return IdLists(key, name, (_cut("", [(one, span_text(span, language)) for one, span in spans]),), note)
    above, below = texts.PARTS[language][key.kpi]
    lists = [_cut(above, _plain(figure.part))]
    if isinstance(figure.whole, int):
        note = texts.whole_text(key, figure, language)
    else:
        lists.append(_cut(below, _plain(figure.whole - figure.part)))
    return IdLists(key, name, tuple(lists), note)


def _plain(ids: Iterable[str]) -> list[tuple[str, str]]:
    return [(one, "") for one in sorted(ids)]


def _cut(title: str, ids: list[tuple[str, str]]) -> IdList:
    return IdList(title, tuple(ids[:MOST_IDS]), len(ids), max(0, len(ids) - MOST_IDS))
