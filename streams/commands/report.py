"""Ask: report, the pack of a month, a quarter or a year."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress
from rich.table import Table

from connectors.address import with_broker
from connectors.cases import CONFIDENTIAL, sees_confidential
from connectors.errors import LiandongError
from connectors.policy_file import load_policies
from connectors.records import TopicReader
from connectors.reports import html, texts, xlsx
from connectors.settings import Settings
from models.drill import drill_of
from models.policy import Policy
from models.response.case import Case
from models.response.confidential import is_stub
from models.response.happenings import Happenings
from models.response.indicators import indicators
from models.response.kpi import Figures, Key, Ratio, Spread
from models.response.pack import Line, Pack, amounts, packed
from models.response.pack_text import Language, count_text, difference_text, figure_texts, period_text
from models.response.period import Period, parse_period
from models.revisions import newest
from models.risk_warning import RiskWarning
from streams.commands.asking import FormatOption, PolicyOption
from streams.commands.output import Format, command, notes, out, print_json, progress, read_settings
from streams.reference import load_references


@command
def report(
    period: Annotated[str, typer.Option(help="A month as 2026-07, a quarter as 2026-Q3, a year as 2026.")],
    folder: Annotated[Path, typer.Option(help="Where the page and the workbook go.")] = Path("."),
    language: Annotated[Language, typer.Option("--language", "-l", help="Of the page, the workbook, the text.")] = "en",
    policy: PolicyOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Write the report of a period, as a page to print and a workbook: how well departments acted together."""
    try:
        asked = parse_period(period)
    except ValueError as error:
        raise LiandongError(str(error)) from error
    settings = with_broker(read_settings())
    policies = load_policies(policy or settings.policy_path(), settings.models)
    load_references(settings, policies)
    with progress() as bar:
        pack, hidden = read_pack(settings, asked, policies.latest, bar)
    if hidden:
        cases = "confidential case is" if hidden == 1 else "confidential cases are"
        notes.print(f"note: {hidden} {cases} not in it: LIANDONG_ROLE is none that sees them", markup=False)
    head = policies.on(min(asked.last, pack.as_far_as or asked.last)).policy
    title = head.title_zh if language == "zh" else head.title_en
    files = {
        folder / f"liandong-{asked.name}.html": html.render(pack, title, head.version, language).encode(),
        folder / f"liandong-{asked.name}.xlsx": xlsx.workbook(pack, title, head.version, language),
    }
    _write(files)
    if format is Format.JSON:
        print_json(_answer(pack, title, head.version) | {"written": [str(one) for one in files]})
        return
    _print(pack, title, language)
    for file in files:
        out.print(f"written to {file}", markup=False)


def read_pack(settings: Settings, period: Period, policy: Policy, bar: Progress) -> tuple[Pack, int]:
    """Read the topics once, and make the pack of a period from them.

    Args:
        policy: for the bank's calendar, and who sees confidential cases.

    Returns:
        the pack, and how many confidential cases are not in it.

    Raises:
        LiandongError: a topic could not be read to its end, or nothing has happened yet.
    """
    months, calendar = (*period.before().each_month(), *period.each_month()), policy.bank_calendar
    topics = ("cases", CONFIDENTIAL) if sees_confidential(settings, policy) else ("cases",)
    with TopicReader(settings) as reader:
        told = [case for topic in topics for _, case in _read(reader, topic, bar)]
        standing = newest(sorted(told, key=lambda one: not is_stub(one)), lambda one: one.case_id)
        cases: dict[str, Case] = {name: one for name, one in standing.items() if not is_stub(one)}
        warnings = [warning for _, warning in _read(reader, "warnings", bar)]
        happened = Happenings(cases.values(), warnings, months, calendar)
        reached = _newest_deed(cases.values(), warnings)
        for topic in ("transactions", "reports", "loans"):
            for arrived, event in _read(reader, topic, bar):
                if drill_of(event.key) is not None:
                    continue
                happened.take(event, arrived)
                # One with a time ahead of its arrival does not show that this time has come.
                reached = max(reached, min(event.event_time, arrived))
    if reached == _NEVER:
        raise LiandongError("there are no events on the topics yet", "send some with liandong replay or simulate")
    task = bar.add_task("counting", total=len(months))
    figures: dict[Period, Figures] = {}
    for month in months:
        figures[month] = indicators(happened, month, reached)
        bar.advance(task)
    over = reached >= period.bounds(calendar)[1]
    return packed(period, figures, None if over else calendar.day_of(reached)), len(standing) - len(cases)


_NEVER = datetime.min.replace(tzinfo=UTC)


def _read(reader: TopicReader, topic: str, bar: Progress) -> Iterator[tuple[datetime, Any]]:
    """(arrival, event) of every record of a topic."""
    task = bar.add_task(f"reading {topic}", total=sum(reader.ends(topic).values()))
    for number, (record, event) in enumerate(reader.events(topic), 1):
        yield datetime.fromtimestamp(record.timestamp / 1000, UTC), event
        if number % 1000 == 0:
            bar.update(task, completed=number)


def _newest_deed(cases: Iterable[Case], warnings: list[RiskWarning]) -> datetime:
    """The newest time of which a case or warning shows that it has come; drills show nothing."""
    real = [case for case in cases if case.mode != "drill"]
    deeds = [min(entry.at, entry.recorded_at) for case in real for entry in case.history]
    told = [warning.event_time for warning in warnings if warning.mode != "drill"]
    return max((*deeds, *told), default=_NEVER)


def _write(files: dict[Path, bytes]) -> None:
    for file, content in files.items():
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        except OSError as error:
            remedy = "name a folder that you may write to"
            raise LiandongError(f"cannot write {file}: {error.strerror or error}", remedy) from error


def _answer(pack: Pack, title: str, version: str) -> dict[str, Any]:
    """All figures of both periods with every id behind them; spans in seconds."""
    keys = sorted({*pack.figures, *pack.before})
    return {
        "period": pack.period.name,
        "first": pack.period.first,
        "last": pack.period.last,
        "as_far_as": pack.as_far_as,
        "before": pack.period.before().name,
        "policy": version,
        "title": title,
        "changes": pack.changes,
        "figures": [_figure(pack.line(key)) for key in keys],
    }


def _figure(line: Line) -> dict[str, Any]:
    key: Key = line.key
    differences = [one.total_seconds() if isinstance(one, timedelta) else one for one in line.differences]
    told = {"kpi": key.kpi, "by": key.by, "member": key.member}
    return told | {"now": _told(line.now), "before": _told(line.before), "differences": differences}


def _told(figure: Ratio | Spread | None) -> dict[str, Any] | None:
    if isinstance(figure, Ratio):
        whole = figure.whole if isinstance(figure.whole, int) else sorted(figure.whole)
        counts = {"per": figure.per, "count": figure.count, "part": sorted(figure.part), "whole": whole}
        return {"value": figure.value} | counts
    if figure is None:
        return None
    spans = {one: span.total_seconds() for one, span in sorted(figure.spans.items())}
    p50, p95 = (one.total_seconds() for one in amounts(figure) if isinstance(one, timedelta))
    return {"p50": p50, "p95": p95, "spans": spans}


def _print(pack: Pack, title: str, language: Language) -> None:
    words = texts.WORDS[language]
    now, then = (period_text(one, language) for one in (pack.period, pack.period.before()))
    out.print(f"{texts.heading(pack, language)} · {title}", markup=False, style="bold")
    if pack.as_far_as is not None:
        out.print(words["not_over"].format(day=texts.day_text(pack.as_far_as, language)), markup=False)
    for topic, lines in ((None, pack.summary), *((one.topic, one.lines) for one in pack.sections)):
        if topic is not None and not lines:
            continue
        table = Table(title=words["summary"] if topic is None else texts.TITLES[language][topic], title_justify="left")
        for number, name in enumerate((words["figure"], now, words["counted"], then, words["difference"])):
            table.add_column(name, justify="right" if number else "left", overflow="fold")
        for line in lines:
            table.add_row(*_cells(line, language))
        out.print(table)
    for change in pack.changes:
        out.print(change.zh if language == "zh" else change.en, markup=False)


def _cells(line: Line, language: Language) -> tuple[str, ...]:
    none = texts.WORDS[language]["none"]
    count = count_text(line.now, language) if isinstance(line.now, Ratio) else ""
    if isinstance(line.now, Spread):
        count = f"{len(line.now.spans):,}"
    pairs = zip(amounts(line.now), amounts(line.before), strict=False)
    differences = (difference_text(line.now, now, before, language) for now, before in pairs)
    now, before = (" · ".join(figure_texts(one, language)) or none for one in (line.now, line.before))
    return texts.figure_text(line.key, language), now, count, before, " · ".join(differences)
