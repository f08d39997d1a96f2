"""The loan book of a past day: every loan as the events that counted until then leave it."""

from collections.abc import Iterable
from datetime import UTC, date
from decimal import Context, Decimal
from typing import Any

import polars as pl

from models.oracle.frames import canonical, rate_places, scale_of
from models.oracle.lending import LOAN, accepted_loans
from models.policy import PolicyHistory

_FIXED = ("group_id", "currency", "member", "division", "region", "real_estate", "branch_id")
_EXACT = Context(prec=80)  # an Int128 has 39 digits


def book_at(loans: pl.DataFrame, policies: PolicyHistory, day: date) -> pl.DataFrame:
    """The loans that were known by the end of a day in the bank's zone, closed ones and mere applications too.

    Which events count is settled by the order in which they arrived, those after the day among them; the book of the
    day has those whose time lies before its end. A repayment that was taken from a later disbursement counts from that
    on, so that no balance is ever below zero.

    Args:
        loans: LoanEvents as a frame in arrival order (see `frames`).
        policies: versions and rates by day.

    Returns:
        Sorted by entity, borrower_id and loan_id: entity, loan_id, borrower_id, group_id, currency, rate (units of
        `money.base` for one of the currency), member, division, region, real_estate, branch_id, balance (in the
        loan's currency), balance_base (at the loan's rate), classification, days_past_due, opened (the day of the
        disbursement that opened it) and stage: applied, approved, disbursed, closed or written_off (what brought the
        balance to zero). Before a loan is drawn, rate and opened are null and the rest is what its first step says.

    Raises:
        ValueError: amounts in binary floats, or times without a zone.
    """
    frame = canonical(loans, "loans")
    places, scale = rate_places(policies), scale_of(frame)
    end = policies.latest.bank_calendar.day_window(day)[1].astimezone(UTC)
    steps = accepted_loans(frame, policies).steps.filter(pl.col("event_time") < end)
    in_time = steps.sort("event_time", pl.col("own") < 0, "event_id")
    drawn = pl.col("disbursed").any()
    book = in_time.group_by(LOAN).agg(
        *(pl.col(name).first() for name in _FIXED),
        pl.when(drawn).then(pl.col("rate").first()).otherwise(None).alias("rate"),
        pl.col("own").sum().alias("balance"),
        pl.col("delta").sum().alias("balance_base"),
        _last_said("classification", "reclassified").fill_null("normal"),
        _last_said("days_past_due", "overdue").fill_null(0),
        pl.when(drawn).then(pl.col("opened_on").first()).otherwise(None).alias("opened"),
        _stage(drawn).alias("stage"),
    )
    return book.with_columns(
        _decimals(book["rate"], places),
        _decimals(book["balance"], scale),
        _decimals(book["balance_base"], scale + places),
    ).select(
        *("entity", "loan_id", "borrower_id", "group_id", "currency", "rate", "member", "division", "region"),
        *("real_estate", "branch_id", "balance", "balance_base", "classification", "days_past_due", "opened", "stage"),
    ).sort("entity", "borrower_id", "loan_id")  # fmt: skip


def _last_said(column: str, kind: str) -> pl.Expr:
    """The newest value that steps of a kind give; rows are in the order of time, then event_id."""
    return pl.col(column).filter((pl.col("kind") == kind) & pl.col(column).is_not_null()).last()


def _stage(drawn: pl.Expr) -> pl.Expr:
    last_move = pl.col("kind").filter("moves").last()
    at_zero = pl.when(last_move == "written_off").then(pl.lit("written_off")).otherwise(pl.lit("closed"))
    asked = pl.col("kind").filter(pl.col("kind").is_in(["applied", "approved"])).last()
    return (
        pl.when(~drawn).then(asked).when(pl.col("own").sum() > 0).then(pl.lit("disbursed")).otherwise(at_zero)
    )  # fmt: skip


def _decimals(column: pl.Series, places: int) -> pl.Series:
    """Scaled integers as decimals of so many places."""
    values: Iterable[Any] = column.to_list()
    exact = [None if value is None else _EXACT.scaleb(Decimal(value), -places) for value in values]
    return pl.Series(column.name, exact, dtype=pl.Decimal(38, places))
