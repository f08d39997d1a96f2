"""silence a second time: how many events each source, branch, channel and rule gave a day, against its usual day.

The whole history stands as one grid of series and days, so that a usual day is a rolling median over the days of
one kind. The two counts in the middle are added, never halved: every comparison is between whole numbers.
"""

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

import polars as pl

from models.oracle.frames import INSTANT, as_warnings, big, by_span, by_version, day, no_warnings, real
from models.policy import Policy, PolicyHistory
from models.risk_warning import severity_rank

TOLD: dict[str, Any] = {"detector": pl.String, "event_time": INSTANT}
# Their warnings come from no customer's event: they are no series.
_NO_SERIES = (
    "industry_concentration",
    "real_estate_concentration",
    "name_concentration",
    "misclassification",
    "approval_during_suspension",
    "inspection",
    "anomaly",
    "anomaly_challenger",
    "silence",
    "missing_rate",
)
_SIDES = {-1: "below", 1: "above"}


def silence(
    transactions: pl.DataFrame, reports: pl.DataFrame, told: pl.DataFrame | None, policies: PolicyHistory
) -> pl.DataFrame:
    """The detector's warnings, severity as a rank.

    Args:
        transactions, reports: those that count, bank-made entries among them (as of `acceptance`); those of drills
            are no concern of it.
        told: (detector, event_time) of each warning that was told for the first time; None: which these were depends
            on the order of arrival and is not known, so rules are no series.
    """
    transactions, reports = real(transactions), real(reports)
    counts = _counts(transactions, reports, told, policies)
    days = closed_days(transactions, reports, policies)
    if not days.height:
        return no_warnings()
    grid = (
        counts.select("series")
        .unique()
        .join(days, how="cross")
        .join(counts, on=["series", "day"], how="left")
        .with_columns(pl.col("count").fill_null(0))
        .sort("series", "day")
    )
    parts = [_judged(grid, *version) for version in by_version(policies)]
    return _warnings(_episodes(pl.concat(parts)), policies)


def closed_days(transactions: pl.DataFrame, reports: pl.DataFrame, policies: PolicyHistory) -> pl.DataFrame:
    """The days of the history that are over, from its first one on, in order.

    The newest event says what time it is. A day is closed once that is its end and the policy's grace, and
    when the day before it is closed. Events of drills say nothing.

    Args:
        transactions, reports: those that count.

    Returns:
        day, working (its kind), end (the first instant of the next day).
    """
    times = pl.concat([real(one).select("day", "event_time") for one in (transactions, reports)])
    rows: list[tuple[date, bool, datetime]] = []
    if times.height:
        one, clock = times.select(pl.col("day").min(), pl.col("event_time").max()).row(0)
        while clock >= (end := _end(one, policies)) + _grace(one, policies):
            rows.append((one, policies.on(one).bank_calendar.is_working_day(one), end))
            one += timedelta(days=1)
    return pl.DataFrame(rows, schema={"day": pl.Date, "working": pl.Boolean, "end": INSTANT}, orient="row")


def _end(one: date, policies: PolicyHistory) -> datetime:
    return policies.on(one).bank_calendar.day_window(one)[1].astimezone(UTC)


def _grace(one: date, policies: PolicyHistory) -> timedelta:
    return timedelta(hours=policies.on(one).detectors.silence.grace.whole)


def _counts(
    transactions: pl.DataFrame, reports: pl.DataFrame, told: pl.DataFrame | None, policies: PolicyHistory
) -> pl.DataFrame:
    """series, day, count: one row where there is anything to count."""
    rules = pl.DataFrame(schema=TOLD) if told is None else told.select(pl.col(name).cast(TOLD[name]) for name in TOLD)
    rules = rules.filter(~pl.col("detector").is_in(_NO_SERIES)).with_columns(day(policies).alias("day"))
    named = (
        (transactions, pl.lit("source:transactions")),
        (_with(transactions, "branch_id"), pl.format("branch:{}", "branch_id")),
        (_with(transactions, "channel"), pl.format("channel:{}", "channel")),
        (reports, pl.lit("source:reports")),
        (_with(reports, "reporter.branch_id"), pl.format("branch:{}", "reporter.branch_id")),
        (rules, pl.format("rule:{}", "detector")),
    )
    counted = [
        rows.group_by(name.alias("series"), "day").agg(pl.len().cast(pl.Int64).alias("count")) for rows, name in named
    ]
    return pl.concat(counted).group_by("series", "day").agg(pl.col("count").sum())


def _with(rows: pl.DataFrame, column: str) -> pl.DataFrame:
    return rows.filter(pl.col(column).str.len_bytes() > 0)


def _judged(grid: pl.DataFrame, policy: Policy, first: date, end: date) -> pl.DataFrame:
    """Series and days of one version that are judged: their side of the band, and the severities of their day.

    Args:
        grid: in order of series and day; the days before `first` are learned from as well.
        first, end: first day of the version, and of the next.
    """
    rule = policy.detectors.silence
    middle = [
        pl.col("count")
        .rolling_quantile(0.5, interpolation=half, window_size=rule.learn.whole)
        .shift(1)
        .over("series", "working")
        for half in ("lower", "higher")
    ]
    twice = (middle[0] + middle[1]).cast(pl.Int128)
    low, high, minimum = (Fraction(figure.value) for figure in (rule.low, rule.high, rule.minimum))
    usual = pl.col("twice") * big(minimum.denominator) >= big(2 * minimum.numerator)
    count = pl.col("count").cast(pl.Int128) * 2
    below = count * big(low.denominator) < pl.col("twice") * big(low.numerator)
    above = count * big(high.denominator) > pl.col("twice") * big(high.numerator)
    rows = (
        grid.filter(pl.col("day") < end)
        .with_columns(twice.alias("twice"))
        .filter(pl.col("day") >= first, pl.col("twice").is_not_null(), usual)
        .filter(~pl.col("series").is_in([f"rule:{name}" for name in _switched_off(policy)]))
    )
    return (rows if rule.mode != "off" else rows.clear()).select(
        "series",
        "day",
        "end",
        "count",
        pl.when(below).then(-1).when(above).then(1).otherwise(0).cast(pl.Int8).alias("side"),
        pl.lit(severity_rank(rule.severities.silent), dtype=pl.Int8).alias("silent"),
        pl.lit(severity_rank(rule.severities.outside), dtype=pl.Int8).alias("outside"),
    )


def _switched_off(policy: Policy) -> list[str]:
    """The rules from which nothing is expected."""
    rules = policy.detectors
    return [name for name in rules.__struct_fields__ if getattr(rules, name).mode == "off"]


def _episodes(judged: pl.DataFrame) -> pl.DataFrame:
    """One row a run of judged days on one side outside: subject, anchor, rank, its newest day, observed."""
    starts = pl.col("side") != pl.col("side").shift(1)
    runs = judged.sort("series", "day").with_columns(
        starts.fill_null(True).cast(pl.UInt32).cum_sum().over("series").alias("run")
    )
    # What was silent once stays so, and each day is as grave as its own figures say of the days so far.
    silent = (pl.col("count") == 0).cast(pl.Int8).cum_max().over("series", "run").cast(pl.Boolean)
    return (
        runs.filter(pl.col("side") != 0)
        .with_columns(pl.when(silent).then("silent").otherwise("outside").alias("rank"))
        .group_by("series", "run", "side")
        .agg(
            pl.col("rank").max(),
            pl.col("day").min().alias("first"),
            pl.col("day").max(),
            pl.col("end").max(),
            pl.col("count").last(),
        )
        .select(
            pl.col("series").alias("subject"),
            pl.format(
                "{}|{}",
                pl.col("side").replace_strict(_SIDES, return_dtype=pl.String),
                pl.col("first").dt.to_string("%Y-%m-%d"),
            ).alias("anchor"),
            "rank",
            "day",
            pl.col("end").alias("event_time"),
            pl.col("end").alias("window_end"),
            pl.col("count").cast(pl.String).alias("observed"),
        )
    )


def _warnings(episodes: pl.DataFrame, policies: PolicyHistory) -> pl.DataFrame:
    """Whom an episode concerns is said by the figures of its newest day."""

    def judge(rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
        return as_warnings(rows, "silence", policy.detectors.silence)

    return by_span(episodes, policies, judge)
