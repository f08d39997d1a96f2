"""missing_rate a second time: what was refused because its currency had no rate, by currency and day."""

from typing import NamedTuple

import polars as pl

from models.oracle.frames import as_warnings, by_span, day, real, with_window_end
from models.policy import Policy, PolicyHistory
from models.risk_warning import severity_rank


class Judged(NamedTuple):
    """All events of a topic that were sent, and the (arrival, event_id, reason) of those refused."""

    frame: pl.DataFrame
    refused: pl.DataFrame


def missing_rates(topics: tuple[Judged, ...], policies: PolicyHistory) -> pl.DataFrame:
    """The detector's warnings, severity as a rank. Each record that was refused counts, one sent twice as two; none of
    a drill does.

    Args:
        topics: transactions and loans.
    """
    unrated = [
        real(one.frame)
        .join(one.refused.filter(pl.col("reason") == "no_rate"), on="arrival", how="semi")
        .select("currency", "event_time", day(policies).alias("day"))
        for one in topics
    ]
    found = (
        pl.concat(unrated)
        .group_by("currency", "day")
        .agg(pl.len().cast(pl.String).alias("observed"), pl.col("event_time").max())
        .with_columns(
            pl.format("currency:{}", "currency").alias("subject"),
            pl.col("day").dt.to_string("%Y-%m-%d").alias("anchor"),
        )
    )

    def judge(rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
        rule = policy.detectors.missing_rate
        frame = with_window_end(rows if rule.mode != "off" else rows.clear(), policy)
        return as_warnings(frame.with_columns(pl.lit(severity_rank(rule.severity)).alias("rank")), "missing_rate", rule)

    return by_span(found, policies, judge)
