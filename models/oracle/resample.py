"""The sample after a rectification a second time: a branch's large transactions of the days after the claim.

All that is of these days takes part here, whenever it came; the stream passes over what comes once they are closed.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any

import polars as pl

from models.oracle.acceptance import accepted_reports, accepted_transactions
from models.oracle.classified import ONE, classified, reaches
from models.oracle.frames import INSTANT, TEXTS, canonical, real
from models.oracle.missing_control import lacking
from models.oracle.silence import closed_days
from models.policy import PolicyHistory

RESAMPLES: dict[str, Any] = {
    "case_id": pl.String,
    "measure": pl.String,
    "since": INSTANT,
    "done_at": INSTANT,
    "failed": TEXTS,
    "drawn": TEXTS,
}


def resamples(
    transactions: pl.DataFrame | None,
    asks: pl.DataFrame,
    policies: PolicyHistory,
    *,
    reports: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """What the large transactions after a rectification say of it, for each ask whose days are over.

    Args:
        transactions, reports: canonical frames in arrival order; reports only say what time it is.
        asks: case_id, subject (`branch:0731`), measure and since of those that wait for a clean sample.
        policies: versions, rates and watch list by day; the figures are those of the claim's day.

    Returns:
        case_id, measure, since; done_at, the first instant after the days, null where a transaction that was drawn
        lacks a control; the ids of those that do, and of all that were drawn, both in order of time. Days on which
        nothing large was done are clean.
    """
    counted = accepted_transactions(canonical(transactions, "transactions"), policies).frame
    filed = accepted_reports(canonical(reports, "reports"), policies).frame
    over: date | None = closed_days(counted, filed, policies)["day"].max()  # type: ignore[assignment]
    bookings = _large(classified(counted, policies), policies)
    rows = []
    for case_id, measure, subject, since in asks.select("case_id", "measure", "subject", "since").iter_rows():
        policy = policies.at(since)
        rule, claimed = policy.detectors.inspection, policy.bank_calendar.day_of(since)
        last = claimed + timedelta(days=rule.resample_days.whole)
        if over is None or last > over:
            continue
        mine = bookings.filter(pl.col("subject") == subject, pl.col("day") > claimed, pl.col("day") <= last)
        numbers = _numbers(f"{rule.seed}|{case_id}|{_utc(since)}", mine["event_id"])
        drawn = mine.with_columns(numbers).sort("draw").head(rule.resample.whole).sort("event_time", "event_id")
        failed = drawn.filter("lacks")["event_id"].to_list()
        done_at = None if failed else policy.bank_calendar.day_window(last)[1].astimezone(UTC)
        rows.append((case_id, measure, since, done_at, failed, drawn["event_id"].to_list()))
    return pl.DataFrame(rows, schema=RESAMPLES, orient="row")


def _large(customers: pl.DataFrame, policies: PolicyHistory) -> pl.DataFrame:
    """event_id, event_time, day, subject (the branch) of what is large by itself, and whether it lacks a control."""
    large = real(customers).filter(~pl.col("exempt") & pl.col("branch_id").is_not_null() & reaches(ONE))
    lacks = lacking(large, policies).select("arrival", pl.lit(True).alias("lacks"))
    return large.join(lacks, on="arrival", how="left").select(
        "event_id",
        "event_time",
        "day",
        pl.format("branch:{}", "branch_id").alias("subject"),
        pl.col("lacks").fill_null(False),
    )


def _numbers(name: str, event_ids: Iterable[str]) -> pl.Series:
    """The column `draw`: of each event its place in the draw, as hexadecimal digits that sort like numbers."""
    digests = [sha256(f"{name}|{event_id}".encode()).hexdigest() for event_id in event_ids]
    return pl.Series("draw", digests, dtype=pl.String)


def _utc(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat()
