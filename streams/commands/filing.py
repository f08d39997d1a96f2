"""Keep: filing, the list of large transactions that must be reported."""

from datetime import date
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from msgspec.structs import asdict

from connectors.cases import read_cases
from connectors.errors import LiandongError
from connectors.records import TopicReader
from connectors.settings import Settings
from models.calendar import BankCalendar
from models.events import Transaction
from models.response.filing import DETECTOR, FilingLine, filing_lines
from models.revisions import newest
from models.risk_warning import RiskWarning
from streams.commands.keeping import DAY, Day, FormatOption, broker_settings, first_policy, show
from streams.commands.output import Format, command, notes

COLUMNS = ("report_id", "event_time", "customer_id", "direction", "amount", "currency", "sum", "due_at", "filed_at")
SUFFIXES = (".csv", ".parquet", ".xlsx")


@command
def filing(
    first: Annotated[Day, typer.Option("--from", formats=DAY, help="The first day of the transactions.")],
    last: Annotated[Day, typer.Option("--to", formats=DAY, help="The last day.")],
    open_: Annotated[bool, typer.Option("--open", help="Only what is not filed yet.")] = False,
    output: Annotated[Path | None, typer.Option("--out", help="Write all columns: .csv, .parquet or .xlsx.")] = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """List the large transactions to be filed, with when each report is due and whether it was filed."""
    settings = broker_settings()
    if output is not None and output.suffix not in SUFFIXES:
        raise LiandongError(f"{output} is of no known format", f"end it in {', '.join(SUFFIXES)}")
    if last < first:
        raise LiandongError(f"--to {last.date()} is before --from {first.date()}", "give the earlier day first")
    calendar = first_policy(settings).bank_calendar
    lines = [one for one in _lines(settings, calendar, first.date(), last.date()) if not (open_ and one.filed_at)]
    if output is not None:
        write_lines(lines, output, calendar)
        notes.print(f"{len(lines):,} lines in {output}")
    rows = [{name: _text(value, calendar) for name, value in asdict(one).items()} for one in lines]
    show(format, "large transactions to be filed", COLUMNS, rows, "nothing is to be filed for these days")


def _lines(settings: Settings, calendar: BankCalendar, first: date, last: date) -> list[FilingLine]:
    def concerned(warning: RiskWarning) -> bool:
        return warning.detector == DETECTOR and first <= calendar.day_of(warning.window.start) <= last

    with TopicReader(settings) as reader:
        warnings = (one for _, one in reader.events("warnings") if concerned(one))
        told = newest(warnings, lambda one: one.warning_id).values()
        wanted = {(one.subject.partition(":")[2], event_id) for one in told for event_id in one.event_ids}
        found: dict[tuple[str, str], Transaction] = {}
        for _, event in reader.events("transactions") if wanted else ():
            if (event.customer_id, event.event_id) in wanted:
                found.setdefault((event.customer_id, event.event_id), event)
    subjects = {one.subject for one in told}
    cases = read_cases(settings, lambda case: case.subject in subjects)
    return list(filing_lines(told, found, cases.values()))


def _text(value: Any, calendar: BankCalendar) -> str:
    if hasattr(value, "astimezone"):
        return f"{value.astimezone(calendar.zone):%Y-%m-%d %H:%M}"
    return "" if value is None else str(value)


def write_lines(lines: list[FilingLine], output: Path, calendar: BankCalendar) -> None:
    """Write all columns to a .csv, .parquet or .xlsx file."""
    zone = calendar.config.timezone
    times = {name: pl.Datetime("us", "UTC") for name in ("event_time", "due_at", "filed_at")}
    schema: dict[str, Any] = dict.fromkeys(FilingLine.__struct_fields__, pl.String()) | times
    schema |= {"amount": pl.Decimal(38, 4), "cross_border": pl.Boolean(), "transactions": pl.Int64()}
    frame = pl.DataFrame([asdict(one) for one in lines], schema=schema, orient="row")
    frame = frame.with_columns(pl.col(list(times)).dt.convert_time_zone(zone))
    if output.suffix == ".parquet":
        frame.write_parquet(output)
        return
    # Neither a table of text nor Excel knows zones: the bank's own clock is what is read.
    frame = frame.with_columns(pl.col(list(times)).dt.strftime("%Y-%m-%d %H:%M:%S"))
    if output.suffix == ".csv":
        frame.write_csv(output)
    else:
        frame.write_excel(output, worksheet="filing", autofit=True, freeze_panes=(1, 0))
