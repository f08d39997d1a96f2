"""Ask: book."""

import enum
from collections import Counter
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.table import Table

from connectors.errors import LiandongError
from connectors.policy_file import load_policies
from models import oracle
from models.credit.indices_exact import six_places
from models.oracle.book import book_at
from streams.book_reading import check_source
from streams.commands.asked_book import read_loans
from streams.commands.keeping import DAY, Day, FormatOption, readable, today
from streams.commands.output import Format, command, notes, out, print_json, progress, read_settings
from streams.commands.running import PolicyOption

MOST_SHOWN = 40  # lines of a table; --format json and --out have all
BAD = ("substandard", "doubtful", "loss")
ZERO = Decimal(0)
LOAN_COLUMNS = (
    "entity",
    "loan_id",
    "borrower_id",
    "member",
    "region",
    "balance",
    "currency",
    "classification",
    "stage",
)


class By(enum.StrEnum):
    """What `--by` takes."""

    LOAN = "loan"
    BORROWER = "borrower"
    GROUP = "group"
    INDUSTRY = "industry"
    DIVISION = "division"
    REGION = "region"
    CLASS = "class"
    REAL_ESTATE = "real_estate"


# The column of the book that each of them is.
COLUMNS = {
    By.BORROWER: "borrower_id",
    By.GROUP: "group_id",
    By.INDUSTRY: "member",
    By.DIVISION: "division",
    By.REGION: "region",
    By.CLASS: "classification",
    By.REAL_ESTATE: "real_estate",
}


@command
def book(
    file: Annotated[
        Path | None, typer.Argument(help="CSV, JSON lines or Parquet with loan events; default: the topic loans.")
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option("--mapping", "-m", help="How the file's columns become events (TOML).")
    ] = None,
    on: Annotated[
        Day | None, typer.Option(formats=DAY, help="The end of this day at the bank; default: today.")
    ] = None,
    by: Annotated[By, typer.Option(help="A line for each of these.")] = By.LOAN,
    entity: Annotated[str | None, typer.Option(help="The book of this legal entity alone.")] = None,
    every: Annotated[
        bool, typer.Option("--all", help="By loan: also those without a balance: applied for, approved, closed.")
    ] = False,
    output: Annotated[Path | None, typer.Option("--out", help="Write all lines there: .parquet or .csv.")] = None,
    policy: PolicyOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Say what is lent on a day, past or present: each loan's balance, class and days past due, with totals."""
    _check_options(file, mapping, by, every, output)
    settings = read_settings()
    policies = load_policies(policy or settings.policy_path())
    events = read_loans(file, mapping, settings, policies, entity)
    day = on.date() if on is not None else today(policies.latest)
    with progress() as bar:
        bar.add_task(f"the book of {day}", total=None)
        refused = Counter(oracle.refusals(loans=events, policies=policies)["reason"])
        loans = book_at(events, policies, day)
    if entity is not None:
        loans = _of(loans, entity)
    owed = loans.filter(pl.col("balance") > 0)
    lines = _in_order(loans if every else owed) if by is By.LOAN else _sums(owed, ["entity", COLUMNS[by]])
    totals = _sums(owed, ["entity"])
    if output is not None:
        _write(lines, output)
    answer = {
        "on": day,
        "by": by.value,
        "currency": policies.latest.money.base,
        "events": events.height,
        "refused": dict(sorted(refused.items())),
        "totals": totals.to_dicts(),
    }
    if format is Format.JSON:
        print_json(answer | ({"lines": lines.to_dicts()} if output is None else {"written": str(output)}))
        return
    if not lines.height:
        out.print(_nothing(events, day, "the file" if file else "the topic loans"), markup=False)
    elif output is None:
        title = f"Loans on {day}" if by is By.LOAN else f"Loans by {by.value} on {day}"
        _print(lines, title, "--out book.csv writes all")
    if totals.height:
        _print(totals, f"Totals in {policies.latest.money.base}", "--format json has all")
    for reason, count in sorted(refused.items()):
        out.print(f"events refused: {reason} {count:,}", markup=False)
    if output is not None:
        out.print(f"lines written to {output}: {lines.height:,}", markup=False)


def _check_options(file: Path | None, mapping: Path | None, by: By, every: bool, output: Path | None) -> None:
    """Refuse what does not go together, before anything is read."""
    check_source(file, mapping)
    if every and by is not By.LOAN:
        raise LiandongError("--all is for single loans", "leave it out, or take --by loan")
    if output is not None and output.suffix not in (".parquet", ".csv"):
        raise LiandongError(f"--out {output} ends neither in .parquet nor in .csv", "name it book.parquet or book.csv")


def _of(loans: pl.DataFrame, entity: str) -> pl.DataFrame:
    known = sorted(set(loans["entity"]))
    if loans.height and entity not in known:
        raise LiandongError(f"there is no entity {entity} in the book", f"there are {', '.join(known)}")
    return loans.filter(pl.col("entity") == entity)


def _in_order(loans: pl.DataFrame) -> pl.DataFrame:
    """The largest first."""
    return loans.sort(
        "entity", "balance_base", "borrower_id", "loan_id", descending=[False, True, False, False], maintain_order=True
    )


def _sums(owed: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """Loans with a balance, added up in the base currency: a line for each value of the keys, the largest first.

    Returns:
        The keys; loans, borrowers (how many); exposure; share of the entity's book (six places); bad (substandard or
        worse) and past_due, both exposures; bad_share of the line's exposure (six places).
    """
    exposure, bad = pl.col("balance_base"), pl.col("classification").is_in(BAD)
    sums = owed.group_by(keys).agg(
        pl.len().alias("loans"),
        pl.col("borrower_id").n_unique().alias("borrowers"),
        exposure.sum().alias("exposure"),
        exposure.filter(bad).sum().alias("bad"),
        exposure.filter(pl.col("days_past_due") > 0).sum().alias("past_due"),
    )
    sums = sums.sort("entity", "exposure", *keys[1:], descending=[False, True, *[False] * len(keys[1:])])
    books = dict(owed.group_by("entity").agg(exposure.sum()).iter_rows())
    pairs = zip(sums["entity"], sums["exposure"], sums["bad"], strict=True)
    shares = [(_share(part, books[name]), _share(worse, part)) for name, part, worse in pairs]
    return sums.with_columns(
        pl.Series("share", [of_book for of_book, _ in shares], dtype=pl.Decimal(18, 6)),
        pl.Series("bad_share", [of_line for _, of_line in shares], dtype=pl.Decimal(18, 6)),
    ).select(*keys, "loans", "borrowers", "exposure", "share", "bad", "bad_share", "past_due")


def _share(part: Decimal, whole: Decimal) -> Decimal:
    return six_places(Fraction(part) / Fraction(whole)) if whole else ZERO


def _write(lines: pl.DataFrame, output: Path) -> None:
    try:
        if output.suffix == ".parquet":
            lines.write_parquet(output)
        else:
            lines.write_csv(output)
    except OSError as error:
        remedy = "name a file in a folder that you may write to"
        raise LiandongError(f"cannot write {output}: {error.strerror or error}", remedy) from error


def _print(lines: pl.DataFrame, title: str, rest: str) -> None:
    table = Table(title=title)
    single = "loan_id" in lines.columns
    names = [name for name in LOAN_COLUMNS if name in lines.columns] if single else lines.columns
    if single:
        names.insert(-1, "days_past_due")
    for name in names:
        kind = lines.schema[name]
        table.add_column(name.replace("_", " "), justify="right" if kind.is_numeric() else "left", overflow="fold")
    for row in lines.head(MOST_SHOWN).select(names).iter_rows():
        table.add_row(*map(_shown, row))
    out.print(table)
    if lines.height > MOST_SHOWN:
        notes.print(f"… and {lines.height - MOST_SHOWN:,} more; {rest}")


def _shown(value: Any) -> str:
    if isinstance(value, Decimal):
        # Money to the cent; what is finer comes of exchange rates, and stands in the export.
        places = max(2, -int(value.normalize().as_tuple().exponent))
        return f"{value:,.{min(places, 6)}f}"
    return f"{value:,}" if isinstance(value, int) else readable(value)


def _nothing(events: pl.DataFrame, day: date, where: str) -> str:
    """Why the book is empty, and what to do."""
    if not events.height:
        return f"no loans: {where} has no loan events yet; send some with liandong replay"
    first = events["event_time"].min()
    return f"no loans on {day}: the first of the {events.height:,} events of {where} is of {readable(first)}"
