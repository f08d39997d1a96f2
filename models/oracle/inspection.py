"""inspection a second time: each branch's large transactions of a month, the lowest hashes of each class."""

import calendar
from datetime import date, datetime
from hashlib import sha256

import polars as pl

from models.oracle.classified import ONE, reaches
from models.oracle.frames import as_warnings, by_span, no_warnings, real, with_window_end
from models.policy import Policy, PolicyHistory
from models.risk_warning import severity_rank

DETECTOR = "inspection"


def large_bookings(events: pl.DataFrame) -> pl.DataFrame:
    """What samples are drawn from: event_id, event_time, branch_id, class, and as `day` the last one of the month.

    Args:
        events: `classified`; those of drills are left out.
    """
    large = real(events).filter(reaches(ONE) & ~pl.col("exempt") & pl.col("branch_id").is_not_null())
    return large.select("event_id", "event_time", "branch_id", "class", pl.col("day").dt.month_end().alias("day"))


def inspections(large: pl.DataFrame, days: pl.DataFrame, policies: PolicyHistory) -> pl.DataFrame:
    """The detector's warnings, severity as a rank.

    Args:
        large: as of `large_bookings`.
        days: those that are closed, as of `silence.closed_days`.
    """
    if not days.height:
        return no_warnings()
    last_closed: date = days["day"].max()  # type: ignore[assignment]
    # Figures are those of the month's last day.
    return by_span(large.filter(pl.col("day") <= last_closed), policies, _drawn)


def _drawn(rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    rule = policy.detectors.inspection
    if rule.mode == "off" or not rows.height:
        return no_warnings()
    hashes = [_hash(rule.seed, day, name) for day, name in rows.select("day", "event_id").iter_rows()]
    stratum = ["branch_id", "day", "class"]
    picked = (
        rows.with_columns(pl.Series("hash", hashes, dtype=pl.String))
        .sort("hash")
        .group_by(stratum, maintain_order=True)
        .head(rule.each.whole)
    )
    counts = picked.group_by(stratum).len().sort("class")
    samples = counts.group_by("branch_id", "day", maintain_order=True).agg(
        pl.col("len").first().cast(pl.String).alias("observed")
    )
    frame = with_window_end(samples, policy).with_columns(
        pl.format("branch:{}", "branch_id").alias("subject"),
        pl.col("day").dt.to_string("%Y-%m").alias("anchor"),
        pl.lit(severity_rank(rule.severity)).alias("rank"),
        pl.col("window_end").alias("event_time"),
    )
    return as_warnings(frame, DETECTOR, rule)


def _hash(seed: str, day: date, event_id: str) -> str:
    return sha256(f"{seed}|{day.year}-{day.month:02}|{event_id}".encode()).hexdigest()


def sampled(large: pl.DataFrame, month: date, branch: str, policies: PolicyHistory) -> list[str]:
    """The ids that a branch's sample of a month must have, in order of time.

    Args:
        large: as of `large_bookings`.
        month: any day of it.
    """
    last = month.replace(day=calendar.monthrange(month.year, month.month)[1])
    rule = policies.on(last).detectors.inspection
    mine = large.filter(pl.col("branch_id") == branch, pl.col("day") == last)
    found: list[tuple[datetime, str]] = []
    for _, rows in mine.group_by("class"):
        names = sorted(rows["event_id"].to_list(), key=lambda name: _hash(rule.seed, last, name))[: rule.each.whole]
        found += rows.filter(pl.col("event_id").is_in(names)).select("event_time", "event_id").rows()
    return [name for _, name in sorted(found)]
