"""Keep: the watch list."""

import hashlib
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from msgspec.structs import asdict

from connectors.errors import LiandongError
from connectors.references import WATCH_LIST, amended, made, newest, publish, reading, said
from connectors.settings import Settings
from models.events import Counterparty
from models.names import normal_form, similarity
from models.watch_list import WatchEntry
from streams.commands.keeping import (
    DAY,
    Day,
    FormatOption,
    broker_settings,
    first_policy,
    in_use,
    now,
    read_csv,
    readable,
    show,
    tell,
    today,
    unknown,
)
from streams.commands.output import Format, command, out, print_json

app = typer.Typer(help="Say whose dealings somebody must look at, from day to day.", no_args_is_help=True)

COLUMNS = ("entry_id", "kind", "value", "source", "valid_from", "valid_until")
CLOSEST = 5


@app.command("add")
@command
def add(
    kind: Annotated[Literal["account", "name", "country"], typer.Option(help="What the value is.")],
    value: Annotated[str, typer.Option(help="An account, a name, or a country such as KP.")],
    source: Annotated[str, typer.Option(help="Which list it stands on.")],
    since: Annotated[Day, typer.Option("--from", formats=DAY, help="The first day on which it holds.")],
    until: Annotated[Day | None, typer.Option(formats=DAY, help="The first day on which it does not.")] = None,
    entry_id: Annotated[str | None, typer.Option("--id", help="Its name; default: made of the other three.")] = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Put somebody on the list, or write an entry of the same id anew."""
    settings = broker_settings()
    item: WatchEntry = made(
        WATCH_LIST,
        {
            "entry_id": entry_id or _id_of(kind, value, source),
            "kind": kind,
            "value": value,
            "source": source,
            "valid_from": since.date(),
            "valid_until": until and until.date(),
        },
    )
    _publish(settings, item, _entries(settings).get(item.key), format)


@app.command("import")
@command
def import_entries(
    file: Annotated[Path, typer.Argument(help=f"CSV in UTF-8 with the columns {','.join(COLUMNS)}.")],
    format: FormatOption = Format.TEXT,
) -> None:
    """Put many on the list at once: all of a file, or none if one line is wrong. `valid_until` may be empty."""
    settings = broker_settings()
    items: list[WatchEntry] = read_csv(WATCH_LIST, file, COLUMNS, optional=("valid_until",))
    before = _entries(settings)
    changed = [item for item in items if before.get(item.key) != item]
    publish(settings, WATCH_LIST, changed)
    if format is Format.JSON:
        print_json({"written": len(changed), "unchanged": len(items) - len(changed)})
    else:
        out.print(f"entries written: {len(changed):,}; as they stood already: {len(items) - len(changed):,}")


@app.command("end")
@command
def end(
    entry_id: Annotated[str, typer.Argument(metavar="ID", help="As listed.")],
    on: Annotated[Day, typer.Option(formats=DAY, help="The first day on which it holds no more.")],
    format: FormatOption = Format.TEXT,
) -> None:
    """Let an entry end. It stays on the list for the days before."""
    settings = broker_settings()
    entries = _entries(settings)
    if entry_id not in entries:
        raise unknown("watch-list entry", entry_id, entries, "see liandong watch-list list")
    before = entries[entry_id]
    if on.date() <= before.valid_from:
        raise LiandongError(
            f"{entry_id} holds from {before.valid_from}; it cannot end on {on.date()}",
            f"end it on {date.fromordinal(before.valid_from.toordinal() + 1)} or later",
        )
    _publish(settings, amended(WATCH_LIST, before, valid_until=on.date()), before, format)


@app.command("list")
@command
def list_entries(
    on: Annotated[Day | None, typer.Option(formats=DAY, help="Only those that hold on this day.")] = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """List the entries."""
    entries = sorted(_entries(broker_settings()).values(), key=lambda one: one.entry_id)
    rows = [asdict(one) for one in entries if on is None or one.holds_on(on.date())]
    when = f" on {on.date()}" if on else ""
    show(format, f"Watch list{when}", COLUMNS, rows, f"nobody is on the list{when}")


@app.command("try")
@command
def try_name(
    name: Annotated[str, typer.Argument(help="As a payment might write it.")],
    format: FormatOption = Format.TEXT,
) -> None:
    """Would a counterparty of this name be taken for one on the list today? With the closest entries."""
    policies, _ = in_use(broker_settings())
    policy = policies.at(now())
    found = policy.watch_list.match(Counterparty(name=name))
    names = [one for one in policy.watch_list.entries if one.kind == "name"]
    likeness = sorted(((similarity(name, one.value), one) for one in names), key=lambda pair: (-pair[0], pair[1].key))
    closest: list[dict[str, Any]] = [
        {"likeness": score, "entry_id": one.entry_id, "value": one.value, "source": one.source}
        for score, one in likeness[:CLOSEST]
    ]
    least = policy.counterparties.name_similarity.whole
    form = normal_form(name)
    if format is Format.JSON:
        print_json({"name": name, "read_as": form, "match": found, "needed": least, "closest": closest})
        return
    if not form:
        out.print(f"{name} cannot be read in Latin letters and matches nothing", markup=False)
        return
    verdict = f"matches {found.entry_id} ({found.value}, {found.source})" if found else "matches nobody"
    out.print(f"{name}, read as {form!r}, {verdict}; a match needs {least} of 100", markup=False)
    for line in closest:
        out.print("  ".join(readable(value) for value in line.values()), markup=False)


def _entries(settings: Settings) -> dict[str, WatchEntry]:
    with reading(settings) as reader:
        return newest(reader, WATCH_LIST)


def _publish(settings: Settings, item: WatchEntry, before: WatchEntry | None, format: Format) -> None:
    policy = first_policy(settings)
    publish(settings, WATCH_LIST, [item])
    lines = [said(item, today(policy), policy.bank_calendar, before)]
    if before is not None:
        until = f" until {before.valid_until}" if before.valid_until else ""
        lines.append(f"until now it was: {before.kind} {before.value} from {before.valid_from}{until}")
    tell(format, item, *lines)


def _id_of(kind: str, value: str, source: str) -> str:
    """The same dealing of the same list is one entry, however often it is added."""
    return f"{kind}-{hashlib.sha256(chr(31).join((kind, value, source)).encode()).hexdigest()[:12]}"
