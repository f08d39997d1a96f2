"""dormant_reactivation a second time: silences of a year between active days, and the sums after them."""

from datetime import timedelta

import polars as pl

from models.oracle.classified import in_bucket, reaches
from models.oracle.frames import as_warnings, by_span, no_warnings, rate_places, scale_of, settled, with_window_end
from models.policy import Policy, PolicyHistory
from models.risk_warning import severity_rank

SERIES = ("class", "direction", "bucket")
EPISODE = ("customer_id", "since")


def dormant_reactivation(events: pl.DataFrame, policies: PolicyHistory) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The detector's warnings (severity as a rank), and (warning_id, subject, day) for each day of their evidence.

    Args:
        events: `classified`.
    """
    awake = _awakenings(events.select("customer_id", "day").unique(), policies)
    flows = (
        events.filter(~pl.col("exempt"))
        .join(awake, on="customer_id", how="semi")
        .group_by("customer_id", *SERIES, "day", "threshold", "strict")
        .agg(pl.col("value").sum(), pl.col("event_time").max())
    )
    watched = (
        flows.join(awake, on="customer_id")
        .filter(pl.col("day").is_between(pl.col("awakening"), pl.col("until")))
        .drop("awakening", "until")
        .unique()
        .sort("day")
        .with_columns(pl.col("value").cum_sum().over(*EPISODE, *SERIES, order_by="day").alias("sum"))
    )
    reached = by_span(watched, policies, _reached)
    last = reached.group_by(*EPISODE, *SERIES).agg(pl.col("day").max().alias("last"), pl.col("rank").max())
    evidence = (
        watched.join(last, on=[*EPISODE, *SERIES])
        .filter(pl.col("day") <= pl.col("last"))
        .with_columns(
            pl.format("customer:{}", "customer_id").alias("subject"),
            pl.format("dormant|{}", pl.col("since").dt.to_string("%Y-%m-%d")).alias("anchor"),
        )
    )
    # The reason that is told first is that of the first series by name, at the rate of its own last day.
    first = (
        evidence.sort(*SERIES, "day")
        .group_by("subject", "anchor", maintain_order=True)
        .agg(pl.col("bucket").first(), pl.struct(*SERIES).first().alias("series"))
    )
    texts = (
        evidence.with_columns(pl.struct(*SERIES).alias("series"))
        .join(first, on=["subject", "anchor", "series"])
        .filter(pl.col("day") == pl.col("last"))
    )
    scale, places = scale_of(events), rate_places(policies)

    def told(rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
        observed = in_bucket(rows.select("bucket", "sum").iter_rows(), policy, scale, places)
        return rows.select("subject", "anchor", pl.Series("observed", observed, dtype=pl.String))

    found = (
        evidence.group_by("subject", "anchor")
        .agg(pl.col("day", "event_time", "rank").max())
        .join(by_span(texts, policies, told), on=["subject", "anchor"])
    )

    def judge(rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
        return as_warnings(with_window_end(rows, policy), "dormant_reactivation", policy.detectors.dormant_reactivation)

    warnings = by_span(found, policies, judge) if found.height else no_warnings()
    of_days = evidence.select("subject", "anchor", "day").unique()
    return warnings, warnings.join(of_days, on=["subject", "anchor"]).select("warning_id", "subject", "day")


def _reached(rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """The days up to which so much has moved that it reaches the day's own figure."""
    rule = policy.detectors.dormant_reactivation
    found = rows.filter(reaches(rule.flow_from.value, "sum")) if rule.mode != "off" else rows.clear()
    return found.with_columns(pl.lit(severity_rank(rule.severity)).alias("rank"))


def _awakenings(active: pl.DataFrame, policies: PolicyHistory) -> pl.DataFrame:
    """(customer_id, since, awakening, until): active days without any other in the `dormant_after` days before.

    The days just before, on which events may still have been under way when it came, are not looked at.
    """
    rows = []
    for day in active["day"].unique():
        rule = policies.on(day).detectors.dormant_reactivation
        silent_from = day - timedelta(days=rule.dormant_after.whole)
        rows.append(
            (day, settled(day, policies) - timedelta(days=1), silent_from, day + timedelta(days=rule.watch.whole))
        )
    schema = {"day": pl.Date, "seen": pl.Date, "silent_from": pl.Date, "until": pl.Date}
    before = active.select("customer_id", pl.col("day").alias("since"), pl.col("day").alias("seen")).sort("seen")
    return (
        active.join(pl.DataFrame(rows, schema=schema, orient="row"), on="day")
        .sort("seen")
        .join_asof(before, on="seen", by="customer_id", strategy="backward", check_sortedness=False)
        .filter(pl.col("since") < pl.col("silent_from"))
        .select("customer_id", "since", pl.col("day").alias("awakening"), "until")
    )
