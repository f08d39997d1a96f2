"""What is still owed on each loan, from the whole history of a frame of loan events (canonical columns).

The stream's book does this event by event; here it is one query, for a file as a whole.
"""

from decimal import Decimal
from typing import NamedTuple

import polars as pl

ADDS = ("disbursed",)
SUBTRACTS = ("repaid", "written_off", "reversed")
_LOAN = ["entity", "borrower_id", "loan_id"]


class Balances(NamedTuple):
    """Loans with a balance above zero.

    Args:
        loans: one line a loan: every column of its first disbursement, `amount` being what is owed now.
        refused: events that a book cannot take: `row`, `event_id`, `reason` (`unknown_loan`, `repays_past_zero`).
        duplicates: events left out because their id had come before.
    """

    loans: pl.DataFrame
    refused: pl.DataFrame
    duplicates: int


def balances(events: pl.DataFrame) -> Balances:
    """Work out the balance of every loan.

    Args:
        events: accepted loan events with `row` (one event a row), all in one currency. The first of an event
            id counts (by row); a loan's events are taken in the order of (event_time, event_id). A disbursement
            adds; a repayment, write-off or reversal subtracts; other kinds move nothing. What would leave a
            loan below zero is refused, and the rest of the loan goes on without it.
    """
    distinct = events.sort("row", maintain_order=True).unique(["borrower_id", "event_id"], keep="first")
    moves = distinct.filter(pl.col("kind").is_in([*ADDS, *SUBTRACTS])).sort("event_time", "event_id", "row")
    signed = pl.when(pl.col("kind").is_in(ADDS)).then(pl.col("amount")).otherwise(-pl.col("amount"))
    moves = moves.with_columns(move=signed).with_columns(running=pl.col("move").cum_sum().over(_LOAN))
    doubtful = moves.filter((pl.col("running").min() < 0).over(_LOAN))
    refused = _refusals(doubtful)
    good = moves.filter(~pl.col("row").is_in(refused["row"].implode()))
    owed = good.group_by(_LOAN, maintain_order=True).agg(pl.col("move").sum().alias("owed"))
    first = good.filter(pl.col("move") > 0).unique(_LOAN, keep="first", maintain_order=True)
    loans = first.join(owed, on=_LOAN, maintain_order="left").filter(pl.col("owed") > 0)
    loans = loans.with_columns(amount=pl.col("owed")).select(events.columns)
    return Balances(loans, refused, events.height - distinct.height)


def _refusals(moves: pl.DataFrame) -> pl.DataFrame:
    """Walk the loans that fall below zero at some point, event by event: few, if any."""
    owed: dict[tuple[str, ...], Decimal] = {}
    out: list[tuple[int, str, str]] = []
    for *loan, row, event_id, move in moves.select(*_LOAN, "row", "event_id", "move").iter_rows():
        key = tuple(loan)
        if key not in owed and move < 0:
            out.append((row, event_id, "unknown_loan"))
        elif owed.get(key, Decimal(0)) + move < 0:
            out.append((row, event_id, "repays_past_zero"))
        else:
            owed[key] = owed.get(key, Decimal(0)) + move
    return pl.DataFrame(out, schema={"row": pl.Int64, "event_id": pl.String, "reason": pl.String}, orient="row")
