"""The indicators of a month a second time, as queries over frames of cases, warnings and events.

They are counted from the definitions alone, which `models.response.indicators` and `models.response.kpi` give, each by
a query of its own. Drills are in none of them.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import polars as pl

from models.oracle.frames import INSTANT, TEXTS, canonical, real

_MILLION = 10**6
_PER_TRANSACTIONS = 10_000
_KEY = ("kpi", "by", "member")
_SPANS = pl.List(pl.Struct({"id": pl.String, "span": pl.Duration("us")}))

CASES: dict[str, Any] = {
    "case_id": pl.String,
    "subject": pl.String,
    "mode": pl.String,
    "warnings": pl.List(pl.Struct({"warning_id": pl.String, "detector": pl.String})),
    "tasks": pl.List(
        pl.Struct(
            {"department": pl.String, "round": pl.Int64}
            | dict.fromkeys(("created_at", "acknowledge_due_at", "due_at"), INSTANT)
            | dict.fromkeys(("acknowledged_at", "completed_at", "dismissed_at", "reopened_at"), INSTANT)
        )
    ),
    "history": pl.List(pl.Struct({"at": INSTANT, "kind": pl.String})),
}
TOLD: dict[str, Any] = {
    "warning_id": pl.String,
    "revision": pl.Int64,
    "mode": pl.String,
    "detector": pl.String,
    "event_ids": TEXTS,
    "detected_at": INSTANT,
}
# Of a share or rate `spans` is null, of a clock all but that; `whole` is null too where only its number is known.
_COUNTED: dict[str, Any] = {
    **dict.fromkeys(_KEY, pl.String),
    "part": TEXTS,
    "whole": TEXTS,
    "count": pl.Int64,
    "per": pl.Int64,
    "spans": _SPANS,
}


def indicators(
    cases: pl.DataFrame,
    warnings: pl.DataFrame,
    transactions: pl.DataFrame | None,
    reports: pl.DataFrame | None,
    loans: pl.DataFrame | None,
    month_start: datetime,
    month_end: datetime,
    zone: str,
) -> pl.DataFrame:
    """All figures of a month.

    Args:
        cases: as they stand, with the columns of `CASES`.
        warnings: in any revisions, with the columns of `TOLD`.
        transactions, reports, loans: frames of events with `ingest_time` (see `frames`).
        month_start, month_end: the first instants of its first day, and of the day after its last.
        zone: the bank's, in which ids tell the times of decisions and the days of joint work.

    Returns:
        one row a figure, sorted by kpi, by and member. Of a share or rate: the ids of `part` and `whole`, sorted
        (`whole` is null where only its `count` is known), how many of the whole make one (`per`), and the `value` to
        six places as text. Of a clock: the `spans` by id, and their `p50` and `p95`.
    """
    held = _Month(month_start, month_end, zone)
    events = _events(transactions, reports, loans)
    moves = events.filter(held.has("event_time"))
    told = warnings.select(TOLD.keys()).filter(pl.col("mode") == "live")
    told = told.sort("revision").unique("warning_id", keep="first", maintain_order=True)
    played = cases.select(CASES.keys()).filter(pl.col("mode") != "drill")
    belongs = pl.concat([_detectors(played), _branches(played, told, events)])
    tasks = _tasks(played)
    done = tasks.filter(held.has("done_at"))
    decided = _decided(played, tasks, zone).filter(held.has("at"))
    answered = tasks.filter(held.has("acknowledged_at"))
    return _finished(
        [
            _share("completion", tasks.filter(held.has("due_at")), _by("done_at", "due_at"), belongs),
            _share(
                "timeliness",
                tasks.filter(held.has("acknowledge_due_at")),
                _by("acknowledged_at", "acknowledge_due_at"),
                belongs,
            ),
            _joint(tasks, held),
            _share("false_positives", decided, pl.col("false"), belongs),
            _risk_events(decided.filter(~pl.col("false")), tasks, belongs, moves),
            _complaints(moves),
            *_ways_of_warnings(told, events, held),
            _clock("acknowledgement", answered, pl.col("acknowledged_at") - pl.col("created_at"), belongs),
            _clock("handling", done, pl.col("done_at") - pl.col("acknowledged_at"), belongs),
            _clock("resolution", done, pl.col("done_at") - pl.col("created_at"), belongs),
        ]
    )


def together(months: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """A quarter or a year from the figures of its months: ids once, numbers added up."""
    rows = pl.concat([month.select(_COUNTED.keys()) for month in months])
    lists = ("part", "whole", "spans")
    joined = rows.group_by(_KEY).agg(
        *(pl.col(name).list.explode(keep_nulls=False, empty_as_null=False).unique().sort() for name in lists),
        *(pl.col(name).is_null().any().alias(f"no_{name}") for name in lists),
        pl.col("count").sum(),
        pl.col("per").first(),
    )
    kept = [pl.when(f"no_{name}").then(None).otherwise(pl.col(name)).alias(name) for name in lists]
    return _finished([joined.with_columns(kept).select(_COUNTED.keys())])


class _Month:
    def __init__(self, start: datetime, end: datetime, zone: str) -> None:
        self._start, self._end, self.zone = start, end, zone

    def has(self, column: str) -> pl.Expr:
        return (pl.col(column) >= self._start) & (pl.col(column) < self._end)

    def over(self, column: str) -> pl.Expr:
        """What is no longer to come when it ends."""
        return pl.col(column) < self._end


# ------------------------------------------------------------- what there is


def _events(*frames: pl.DataFrame | None) -> pl.DataFrame:
    """id, event_time, ingest_time, branch, kind, origin, loan of every event, as it arrived first."""
    columns = (
        ("transactions", "event_id", "branch_id", "origin"),
        ("reports", "report_id", "reporter.branch_id", "kind"),
        ("loans", "event_id", "branch_id", "loan"),
    )
    parts = []
    for frame, (topic, name, branch, what) in zip(frames, columns, strict=True):
        rows = real(canonical(frame, topic))  # type: ignore[arg-type]
        if topic == "loans":  # a loan's id is of its entity's making
            rows = rows.with_columns(pl.format("{}\x1f{}", "entity", "loan_id").alias("loan"))
        if "ingest_time" not in rows.columns:
            rows = rows.with_columns(pl.lit(None, dtype=INSTANT).alias("ingest_time"))
        parts.append(
            rows.sort("ingest_time", "arrival")
            .unique(name, keep="first", maintain_order=True)
            .select(
                pl.lit(topic).alias("topic"),
                pl.col(name).alias("event_id"),
                "event_time",
                "ingest_time",
                pl.col(branch).fill_null("unknown").alias("branch"),
                pl.col(what).alias("what"),
            )
        )
    return pl.concat(parts)


def _each(cases: pl.DataFrame, what: str) -> pl.DataFrame:
    """What the cases have several of, one a row."""
    return cases.select("case_id", what).explode(what, empty_as_null=False).unnest(what)


def _tasks(cases: pl.DataFrame) -> pl.DataFrame:
    """Every task with its `id`, its case and when it was done."""
    tasks = _each(cases, "tasks")
    again = pl.when(pl.col("round") > 1).then(pl.format("/{}", "round")).otherwise(pl.lit(""))
    return tasks.with_columns(
        pl.format("{}/{}{}", "case_id", "department", again).alias("id"),
        pl.coalesce("completed_at", "dismissed_at").alias("done_at"),
    )


def _detectors(cases: pl.DataFrame) -> pl.DataFrame:
    """(case_id, by, member) of the detectors that warned."""
    rows = _each(cases, "warnings")
    return rows.select("case_id", pl.lit("detector").alias("by"), pl.col("detector").alias("member")).unique()


def _branches(cases: pl.DataFrame, told: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """(case_id, by, member) of the branch where each case happened."""
    behind = (
        _each(cases, "warnings")
        .join(told.select("warning_id", pl.col("event_ids").alias("event_id")), on="warning_id")
        .explode("event_id", empty_as_null=False)
        .unique(["case_id", "event_id"])
        .join(events.filter(pl.col("branch") != "unknown").select("event_id", "branch"), on="event_id")
        .group_by("case_id", "branch")
        .len()
        .sort(pl.col("len"), pl.col("branch"), descending=[True, False])
        .unique("case_id", keep="first", maintain_order=True)
    )
    named = pl.when(pl.col("subject").str.starts_with("branch:")).then(pl.col("subject").str.strip_prefix("branch:"))
    return (
        cases.select("case_id", "subject")
        .join(behind, on="case_id", how="left")
        .select(
            "case_id",
            pl.lit("branch").alias("by"),
            pl.coalesce(named, "branch", pl.lit("unknown")).alias("member"),
        )
    )


def _decided(cases: pl.DataFrame, tasks: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Each time that a case was decided: `id`, case_id, `at`, and whether it was found to be `false`."""
    times = _each(cases, "history")
    times = times.filter(pl.col("kind") == "resolved").select("case_id", "at").unique()
    judged = (
        times.join(tasks, on="case_id")
        .filter(pl.col("done_at") <= pl.col("at"))
        .group_by("case_id", "at")
        .agg(pl.col("dismissed_at").is_not_null().all().alias("false"))
    )
    return judged.with_columns(pl.format("{}@{}", "case_id", _text("at", zone)).alias("id"))


def _text(column: str, zone: str) -> pl.Expr:
    """An instant as ISO 8601 in a zone, without a fraction where that is nought."""
    text = pl.col(column).dt.convert_time_zone(zone).dt.to_string("%Y-%m-%dT%H:%M:%S%.6f%:z")
    return text.str.replace(".000000", "", literal=True)


# ------------------------------------------------------------ how it is counted


def _by(deed: str, due: str) -> pl.Expr:
    return (pl.col(deed) <= pl.col(due)).fill_null(False)


def _over(rows: pl.DataFrame, belongs: pl.DataFrame) -> pl.DataFrame:
    """The rows once for everything and once for each key they belong to, as `by` and `member`."""
    keyed = [rows.with_columns(pl.lit("all").alias("by"), pl.lit("").alias("member"))]
    if "department" in rows.columns:
        keyed.append(rows.with_columns(pl.lit("department").alias("by"), pl.col("department").alias("member")))
    keyed.append(rows.join(belongs, on="case_id"))
    return pl.concat(keyed, how="diagonal")


def _share(kpi: str, rows: pl.DataFrame, good: pl.Expr, belongs: pl.DataFrame) -> pl.DataFrame:
    ids = pl.col("id").unique().sort()
    return _counted(
        kpi,
        _over(rows.with_columns(good.alias("good")), belongs)
        .group_by("by", "member")
        .agg(pl.col("id").filter("good").unique().sort().alias("part"), ids.alias("whole"), pl.lit(1).alias("per")),
    )


def _joint(tasks: pl.DataFrame, month: _Month) -> pl.DataFrame:
    """Of cases of several departments, by what had been asked for when the month ended."""
    last = pl.col("due_at").max()
    cases = (
        tasks.filter(month.over("created_at"))
        .group_by("case_id")
        .agg(last, _by("done_at", "due_at").all().alias("good"), pl.col("department").n_unique().alias("departments"))
        .filter(month.has("due_at") & (pl.col("departments") > 1))
    )
    day = pl.col("due_at").dt.convert_time_zone(month.zone).dt.date()
    named = cases.with_columns(pl.format("{}@{}", "case_id", day).alias("id"))
    nothing = pl.DataFrame(schema={"case_id": pl.String, "by": pl.String, "member": pl.String})
    return _share("joint_completion", named, pl.col("good"), nothing)


def _customers(moves: pl.DataFrame) -> pl.DataFrame:
    """How many transactions of their own customers made: by, member, count."""
    own = moves.filter((pl.col("topic") == "transactions") & (pl.col("what") == "customer"))
    by_branch = own.group_by(pl.lit("branch").alias("by"), pl.col("branch").alias("member")).agg(
        pl.len().alias("count")
    )
    everywhere = own.group_by(pl.lit("all").alias("by"), pl.lit("").alias("member")).agg(pl.len().alias("count"))
    return pl.concat([everywhere, by_branch])


def _rate(kpi: str, ids: pl.DataFrame, counts: pl.DataFrame, per: int) -> pl.DataFrame:
    """Of ids by key, held against counts by key; without a count there is no value, but what happened is told."""
    parts = ids.group_by("by", "member").agg(pl.col("id").unique().sort().alias("part"))
    rows = counts.join(parts, on=["by", "member"], how="full", coalesce=True).with_columns(
        pl.col("part").fill_null(pl.lit([], dtype=TEXTS)), pl.col("count").fill_null(0), pl.lit(per).alias("per")
    )
    return _counted(kpi, rows)


def _risk_events(
    confirmed: pl.DataFrame, tasks: pl.DataFrame, belongs: pl.DataFrame, moves: pl.DataFrame
) -> pl.DataFrame:
    over = _over(confirmed, belongs.filter(pl.col("by") == "branch"))
    general = _rate("risk_events", over, _customers(moves), _PER_TRANSACTIONS)
    credit = pl.lit("department").alias("by"), pl.lit("credit").alias("member")
    owed = tasks.filter(pl.col("department") == "credit")
    of_credit = confirmed.join(owed, on="case_id", how="semi").with_columns(*credit)
    loans = moves.filter(pl.col("topic") == "loans").group_by(*credit).agg(pl.col("what").n_unique().alias("count"))
    return pl.concat([general, _rate("risk_events", of_credit, loans, 1)])


def _complaints(moves: pl.DataFrame) -> pl.DataFrame:
    filed = moves.filter((pl.col("topic") == "reports") & (pl.col("what") == "complaint"))
    ids = pl.concat(
        [
            filed.select(pl.lit("all").alias("by"), pl.lit("").alias("member"), pl.col("event_id").alias("id")),
            filed.select(
                pl.lit("branch").alias("by"), pl.col("branch").alias("member"), pl.col("event_id").alias("id")
            ),
        ]
    )
    return _rate("complaints", ids, _customers(moves), _PER_TRANSACTIONS)


def _ways_of_warnings(told: pl.DataFrame, events: pl.DataFrame, month: _Month) -> list[pl.DataFrame]:
    """From the newest event behind each warning to when all behind it had arrived, and from there to the warning."""
    newest = (
        told.explode("event_ids", empty_as_null=False)
        .join(events, left_on="event_ids", right_on="event_id")
        .group_by(pl.col("warning_id").alias("id"), "detector", "detected_at")
        .agg(pl.col("event_time").max(), pl.col("ingest_time").max())
        .filter(month.has("event_time"))
    )
    rows = newest.with_columns(pl.col("id").alias("case_id"))
    belongs = rows.select("case_id", pl.lit("detector").alias("by"), pl.col("detector").alias("member"))
    return [
        _clock("arrival", rows, pl.col("ingest_time") - pl.col("event_time"), belongs),
        _clock("detection", rows, pl.col("detected_at") - pl.col("ingest_time"), belongs),
    ]


def _clock(kpi: str, rows: pl.DataFrame, span: pl.Expr, belongs: pl.DataFrame) -> pl.DataFrame:
    timed = rows.with_columns(span.cast(pl.Duration("us")).alias("span")).filter(pl.col("span").is_not_null())
    one = pl.struct("id", "span").unique().sort().alias("spans")
    return _counted(kpi, _over(timed, belongs).group_by("by", "member").agg(one))


def _counted(kpi: str, rows: pl.DataFrame) -> pl.DataFrame:
    given = {"kpi": pl.lit(kpi), **{name: pl.col(name) for name in rows.columns}}
    columns: Sequence[pl.Expr] = [
        given.get(name, pl.lit(None)).cast(dtype).alias(name) for name, dtype in _COUNTED.items()
    ]
    return rows.select(columns)


def _finished(figures: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Counts, values and percentiles of what was counted."""
    rows = pl.concat(figures).with_columns(
        pl.coalesce(pl.col("whole").list.len(), "count").cast(pl.Int64).alias("count")
    )
    above, below = pl.col("part").list.len().cast(pl.Int64) * pl.col("per") * _MILLION, pl.col("count")
    quotient, rest = above // below, above % below
    up = (rest * 2 > below) | ((rest * 2 == below) & (quotient % 2 == 1))
    millionths = quotient + up.cast(pl.Int64)
    value = pl.format("{}.{}", millionths // _MILLION, (millionths % _MILLION).cast(pl.String).str.zfill(6))
    return rows.with_columns(
        pl.when(below > 0).then(value).alias("value"), _percentile(50).alias("p50"), _percentile(95).alias("p95")
    ).sort(_KEY)


def _percentile(share: int) -> pl.Expr:
    """Nearest rank: the least span that so many of a hundred do not exceed."""
    ordered = pl.col("spans").list.eval(pl.element().struct.field("span").sort())
    rank = (ordered.list.len().cast(pl.Int64) * share + 99) // 100
    return ordered.list.get((rank - 1).clip(lower_bound=0), null_on_oob=True)
