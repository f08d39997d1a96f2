"""Which events count: future, late, doubled and unrated ones are set apart before any rule sees them.

The order of judgement: in_the_future, too_late, no_rate, then a repeated id is passed over in silence. A refused
event leaves no trace: it raises no watermark and occupies no id, so it can be mended and sent again. What else is
asked of loan events is in `lending`.
"""

from datetime import datetime
from typing import Any, NamedTuple

import polars as pl

from models.oracle.frames import by_span, day, in_base, rate_places
from models.policy import Policy, PolicyHistory

CLASSES = ("cash", "entity_transfer", "person_cross_border", "person_domestic")


class Accepted(NamedTuple):
    """Events that count, in arrival order, and the (event_id, reason) of those refused."""

    frame: pl.DataFrame
    refused: pl.DataFrame


def class_of() -> pl.Expr:
    """Which reporting threshold a transaction is measured by."""
    return (
        pl.when(pl.col("method") == "cash")
        .then(pl.lit("cash"))
        .when(pl.col("customer_kind") == "entity")
        .then(pl.lit("entity_transfer"))
        .when(pl.col("cross_border"))
        .then(pl.lit("person_cross_border"))
        .otherwise(pl.lit("person_domestic"))
    )


def judged(frame: pl.DataFrame, policies: PolicyHistory) -> pl.DataFrame:
    """The events with their `day` and what their own day's policy says: `lateness`, `future`, `rated`."""
    frame = frame.with_columns(day(policies).alias("day"))

    def judge(rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
        rated = pl.col("currency").is_in(list(policy.rates)) if "currency" in rows.columns else pl.lit(True)
        return rows.with_columns(
            pl.lit(policy.lateness).alias("lateness"),
            _future(rows, policy).alias("future"),
            rated.alias("rated"),
        )

    return by_span(frame, policies, judge).sort("arrival")


def accepted_transactions(frame: pl.DataFrame, policies: PolicyHistory) -> Accepted:
    """Transactions that count (bank-made ones among them), with their `class`; too_late, no_rate, in_the_future."""
    frame = judged(frame, policies).with_columns(class_of().alias("class"))
    return _by_watermark(frame, "customer_id", "event_id", (pl.col("origin") == "customer") & ~pl.col("rated"))


def accepted_reports(frame: pl.DataFrame, policies: PolicyHistory) -> Accepted:
    """Reports that count, whatever their kind; too_late, in_the_future."""
    frame = judged(frame, policies).with_columns(pl.coalesce("customer_id", "reporter.branch_id").alias("key"))
    return _by_watermark(frame, "key", "report_id", pl.lit(False))


def accepted_capital(frame: pl.DataFrame, policies: PolicyHistory) -> Accepted:
    """Capital positions with `capital` (net) and `tier1` in units of `money.base`, as integers scaled by their own
    columns' places; of several of one as_of the last that arrived counts, as a correction of those before it.

    They are converted by the newest rates: what a bank owns is stated once and holds for months.

    A stream that has judged events of an as_of's day, or later ones, before its correction came says something else
    of them than this: it judges the book as it stands then, so an episode that it begins has the day up to which the
    book was judged for its anchor (the same id only where that is the day on which the line was passed first); it
    takes back nothing that the corrected position made it tell; and where a newer position holds by then, it says
    nothing of the days between.
    """
    places = rate_places(policies)
    frame = frame.with_columns(
        pl.format("{}@{}", "entity", "as_of").alias("event_id"),
        in_base("net_capital", policies.latest, places).alias("capital"),
        in_base("tier1_capital", policies.latest, places).alias("tier1"),
    )
    refused = pl.when(pl.col("capital").is_null()).then(pl.lit("no_rate")).otherwise(None)
    frame = frame.with_columns(refused.alias("reason"))
    kept = frame.filter(pl.col("reason").is_null())
    return Accepted(kept.unique(["entity", "as_of"], keep="last", maintain_order=True), refused_rows(frame, "event_id"))


def _future(frame: pl.DataFrame, policy: Policy) -> pl.Expr:
    if "ingest_time" not in frame.columns:
        return pl.lit(False)
    return (pl.col("event_time") > pl.col("ingest_time") + policy.future_tolerance).fill_null(False)


def refused_rows(frame: pl.DataFrame, id_column: str) -> pl.DataFrame:
    """(arrival, event_id, reason) of the rows that have a `reason`."""
    rows = frame.filter(pl.col("reason").is_not_null())
    return rows.select("arrival", pl.col(id_column).alias("event_id"), "reason")


def _by_watermark(frame: pl.DataFrame, key: str, id_column: str, unrated: pl.Expr) -> Accepted:
    """Judge rows against the newest event time their key had so far, then drop repeated ids.

    A running maximum over all rows equals one over accepted rows as long as a repeated id repeats its time too;
    the few keys where it does not are judged row by row.
    """
    frame = frame.with_columns(unrated.alias("unrated"))
    fit = ~pl.col("future") & ~pl.col("unrated")
    newest = pl.when(fit).then(pl.col("event_time")).otherwise(None).cum_max().forward_fill().over(key)
    late = (pl.col("event_time") < newest - pl.col("lateness")).fill_null(False)
    frame = frame.with_columns(
        pl.when("future")
        .then(pl.lit("in_the_future"))
        .when(late)
        .then(pl.lit("too_late"))
        .when("unrated")
        .then(pl.lit("no_rate"))
        .otherwise(None)
        .alias("reason")
    )
    candidates = frame.filter(fit)
    firsts = candidates.unique([key, id_column], keep="any")
    if firsts.height == candidates.height:
        return Accepted(frame.filter(pl.col("reason").is_null()), refused_rows(frame, id_column))
    several = pl.col("event_time").n_unique() > 1
    awkward = candidates.group_by(key, id_column).agg(several.alias("several")).filter("several")
    if awkward.height:
        frame = _fold(frame, awkward[key].unique(), key, id_column)
    kept = frame.filter(pl.col("reason").is_null())
    refused = frame.with_columns(pl.col("reason").replace("repeated", None))
    return Accepted(kept.unique([key, id_column], keep="first", maintain_order=True), refused_rows(refused, id_column))


def _fold(frame: pl.DataFrame, keys: pl.Series, key: str, id_column: str) -> pl.DataFrame:
    newest: dict[str, datetime] = {}
    seen: set[tuple[str, str]] = set()
    verdicts: list[tuple[int, str | None]] = []
    rows = frame.filter(pl.col(key).is_in(keys.implode()))
    for arrival, owner, event_id, moment, future, unrated, lateness in rows.select(
        "arrival", key, id_column, "event_time", "future", "unrated", "lateness"
    ).iter_rows():
        if future:
            verdict: str | None = "in_the_future"
        elif owner in newest and moment < newest[owner] - lateness:
            verdict = "too_late"
        elif unrated:
            verdict = "no_rate"
        elif (owner, event_id) in seen:
            verdict = "repeated"
        else:
            verdict = None
            seen.add((owner, event_id))
            newest[owner] = max(moment, newest.get(owner, moment))
        verdicts.append((arrival, verdict))
    schema: dict[str, Any] = {"arrival": frame.schema["arrival"], "verdict": pl.String}
    return with_verdicts(frame, pl.DataFrame(verdicts, schema=schema, orient="row"))


def with_verdicts(frame: pl.DataFrame, verdicts: pl.DataFrame) -> pl.DataFrame:
    """The frame with the `reason` of rows that were judged one by one, and what else is known of them.

    Args:
        verdicts: by `arrival`, the `verdict` (null for none against it) and further columns, null for other rows.
    """
    table = verdicts.with_columns(pl.lit(True).alias("judged"))
    joined = frame.join(table, on="arrival", how="left", maintain_order="left")
    reason = pl.when("judged").then(pl.col("verdict")).otherwise(pl.col("reason"))
    return joined.with_columns(reason.alias("reason")).drop("verdict", "judged")
