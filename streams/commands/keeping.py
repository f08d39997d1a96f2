"""What the commands share that keep policy, rates, watch list and mutes."""

import csv
import difflib
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from connectors.address import with_broker
from connectors.errors import LiandongError
from connectors.policy_file import load_policies, load_policy
from connectors.references import Loaded, Reference, load_references, made
from connectors.settings import Settings
from models.policy import Policy, PolicyHistory
from streams.commands.output import Format, out, print_json, read_settings

FormatOption = Annotated[Format, typer.Option("--format", help="Text for people or one JSON object.")]
EmployeeOption = Annotated[str, typer.Option("--as", help="Who does it: an employee's id; noted.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Day = datetime  # what typer reads a date as
DAY = ["%Y-%m-%d"]


def now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def broker_settings() -> Settings:
    """The settings, with a broker."""
    return with_broker(read_settings())


def in_use(settings: Settings) -> tuple[PolicyHistory, Loaded]:
    """The history that the workers judge by: LIANDONG_POLICY and what was published since."""
    policies = load_policies(settings.policy_path(), settings.models)
    return policies, load_references(settings, policies)


def first_policy(settings: Settings) -> Policy:
    """The policy file in LIANDONG_POLICY: whatever follows has its zone and its base currency."""
    return load_policy(settings.policy_path())


def today(policy: Policy) -> date:
    """The day that it is in the bank's zone."""
    return policy.bank_calendar.day_of(now())


def unknown(what: str, name: str, known: Iterable[str], remedy: str) -> LiandongError:
    """The error for a name that is not known, with the nearest one that is."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return LiandongError(f"there is no {what} {name}", f"did you mean {near[0]}?" if near else remedy)


def tell(format: Format, item: Reference, *lines: str) -> None:
    """Say what was done: lines for people, or the record as it was written."""
    if format is Format.JSON:
        print_json(item)
    else:
        for line in lines:
            out.print(line, markup=False)


def show(format: Format, title: str, columns: Sequence[str], rows: list[dict[str, Any]], empty: str) -> None:
    """A table of these columns, or a JSON object with all that the rows hold."""
    if format is Format.JSON:
        print_json({"count": len(rows), "rows": rows})
        return
    if not rows:
        out.print(empty, markup=False)
        return
    table = Table(title=title)
    for name in columns:
        table.add_column(name.replace("_", " "), overflow="fold", no_wrap=name == columns[0])  # to be copied whole
    for row in rows:
        table.add_row(*(readable(row[name]) for name in columns))
    out.print(table)


def readable(value: Any) -> str:
    """A value as it stands in a table."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value.isoformat(" ", "minutes") if isinstance(value, datetime) else str(value)


def read_csv(
    topic: str,
    file: Path,
    columns: Sequence[str],
    optional: Sequence[str] = (),
    check: Callable[[Any], str | None] = lambda _: None,
) -> list[Any]:
    """The items in a CSV file, each checked as the workers will check it.

    Args:
        columns: those that the file must have.
        optional: those of them whose fields may be empty.
        check: says what else is wrong with an item.

    Raises:
        LiandongError: the file cannot be read, or some lines are wrong: all of them are named, none is returned.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as source:
            reader = csv.DictReader(source, strict=True)
            if reader.fieldnames is None or sorted(reader.fieldnames) != sorted(columns):
                raise LiandongError(
                    f"{file}: its columns are {', '.join(reader.fieldnames or ()) or 'none'}",
                    f"they must be {','.join(columns)}",
                )
            items, wrong, seen = [], [], dict[str, int]()
            for row in reader:
                line = reader.line_num
                try:
                    item = _read_row(topic, row, optional)
                    if seen.setdefault(item.key, line) != line:
                        raise LiandongError(f"{item.key} stands on line {seen[item.key]} already")
                    if problem := check(item):
                        raise LiandongError(problem)
                except LiandongError as error:
                    wrong.append(f"line {line}: {error}")
                else:
                    items.append(item)
    except OSError as error:
        raise LiandongError(f"cannot read {file}: {error.strerror}", "give a CSV file") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise LiandongError(f"{file} is no CSV file in UTF-8: {error}", "save it as such") from error
    if wrong:
        raise LiandongError("\n".join([f"{file}: nothing was sent; wrong lines: {len(wrong):,}", *wrong]))
    if not items:
        raise LiandongError(f"{file} has no lines but its header", "nothing was sent")
    return items


def _read_row(topic: str, row: dict[str | None, Any], optional: Sequence[str]) -> Any:
    if None in row or None in row.values():
        raise LiandongError("it has another number of fields than the header")
    fields = {str(name): value.strip() for name, value in row.items()}
    return made(topic, {name: value for name, value in fields.items() if value or name not in optional})
