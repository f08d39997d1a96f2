"""`liandong concentration`: the indices of the loan book that a file describes."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import polars as pl

from connectors.sources.errors import SourceError, nearest
from connectors.sources.reader import MappedFrame
from models.credit.balances import Balances, balances
from models.credit.concentration import concentration
from models.credit.industry import UNKNOWN
from models.drill import drill_of
from models.money import currency_places

_LARGEST = 10
_INDICES = ("hhi", "hhi_normalised", "effective_number", "cr4", "gini", "theil", "hall_tideman")


def concentration_report(
    mapped: MappedFrame, by: str, within: str | None = None, known_only: bool = False
) -> dict[str, Any] | list[dict[str, Any]]:
    """The concentration of what is owed, ready to print as JSON. Books of drills are left out.

    Args:
        mapped: a file of loans, as `read` gives it.
        by: the members: a column of the accepted frame, or a short name (`borrower` for `borrower_id`).
        within: a report of its own for every value of this column.
        known_only: leave the member `unknown` (an empty cell) out of members and shares.

    Returns:
        One report, or with `within` a list of them with `member`, by its name. A report holds `rows`,
        `accepted`, `rejected` (file rows), `rejections` (problems by reason), `duplicates`, `refused` (events
        that the book cannot take), `loans` (with a balance), `currency`, `total` (exact, as text), `members`,
        the indices (null for an empty book), and the `largest` ten members. Rows that could not even be split
        or that a filter left out belong to no `member`.

    Raises:
        SourceError: no file of loans, no such column, or several currencies.
    """
    if mapped.kind != "loans":
        raise SourceError(f"concentration needs a mapping of kind loans, this one gives {mapped.kind}")
    by = _column(mapped, by, "--by")
    mapped = _real(mapped)
    currencies = mapped.accepted["currency"].unique().sort().to_list()
    if len(currencies) > 1:
        raise SourceError(f"amounts in {', '.join(currencies)} cannot be added up; filter the file to one currency")
    book = balances(mapped.accepted)
    if within is None:
        return _report(mapped.accepted, mapped.rejected, mapped.rows, book, by, known_only)
    within = _column(mapped, within, "--within")
    accepted = _parts(mapped.accepted, within)
    refused = _parts(mapped.refused, within)
    loans = _parts(book.loans, within)
    nothing = mapped.accepted.clear()
    out = []
    for name in sorted(accepted.keys() | refused.keys()):
        mine = accepted.get(name, nothing)
        lost = refused[name]["row"].unique() if name in refused else pl.Series([], dtype=pl.Int64)
        part = Balances(
            loans.get(name, book.loans.clear()),
            book.refused.filter(pl.col("row").is_in(mine["row"].implode())),
            mine.height - mine.select("borrower_id", "event_id").n_unique() if mine.height else 0,
        )
        rejected = mapped.rejected.filter(pl.col("row").is_in(lost.implode()))
        out.append({"member": name} | _report(mine, rejected, mine["row"].n_unique() + len(lost), part, by, known_only))
    return out


def without_drills(loans: pl.DataFrame) -> pl.DataFrame:
    """Loan events of the books of real entities.

    Args:
        loans: with a column `entity`; one without any event may lack it.
    """
    if not loans.height:
        return loans
    drilled = [name for name in loans["entity"].unique() if drill_of(name) is not None]
    return loans.filter(~pl.col("entity").is_in(drilled)) if drilled else loans


def _real(mapped: MappedFrame) -> MappedFrame:
    """The file as if the rows of drills were not in it."""
    kept = without_drills(mapped.accepted)
    if kept.height == mapped.accepted.height:
        return mapped
    drilled = mapped.accepted["row"].n_unique() - kept["row"].n_unique()
    return replace(mapped, accepted=kept, rows=mapped.rows - drilled)


def _parts(frame: pl.DataFrame, column: str) -> dict[str, pl.DataFrame]:
    """A frame by the values of a column, empty ones as `unknown`."""
    named = frame.with_columns(pl.col(column).fill_null("").replace("", UNKNOWN))
    return {str(name): part for (name,), part in named.partition_by(column, as_dict=True).items()}


def _column(mapped: MappedFrame, name: str, option: str) -> str:
    """The accepted frame's column for what a user typed."""
    known = [column for column, dtype in mapped.accepted.schema.items() if dtype == pl.String]
    for candidate in (name, f"{name}_id"):
        if candidate in known:
            return candidate
    raise SourceError(f'{option}: no column "{name}"{nearest(name, known)}; there are {", ".join(known)}')


def _report(
    accepted: pl.DataFrame, rejected: pl.DataFrame, rows: int, book: Balances, by: str, known_only: bool
) -> dict[str, Any]:
    member = pl.col(by).fill_null("").replace("", UNKNOWN).alias("of")
    sums = book.loans.group_by(member).agg(pl.col("amount").sum())
    exposures: dict[str, Decimal] = dict(sums.iter_rows())
    if known_only:
        exposures.pop(UNKNOWN, None)
    indices = concentration(exposures)
    currency = accepted["currency"][0] if accepted.height else None
    lost = rejected["row"].n_unique()
    total = round(indices.total, currency_places(currency)) if indices and currency else Decimal(0)
    reasons = rejected.group_by("reason").agg(pl.len()).sort("reason")
    return {
        "rows": rows,
        "accepted": rows - lost,
        "rejected": lost,
        "rejections": dict(reasons.iter_rows()),
        "duplicates": book.duplicates,
        "refused": book.refused.height,
        "loans": book.loans.height,
        "currency": currency,
        "by": by,
        "total": format(total, "f"),
        "members": indices.members if indices else 0,
        **{name: getattr(indices, name) if indices else None for name in _INDICES},
        "largest": [
            {"member": name, "exposure": format(exposures[name], "f"), "share": share}
            for name, share in list(indices.shares.items() if indices else ())[:_LARGEST]
        ],
    }
