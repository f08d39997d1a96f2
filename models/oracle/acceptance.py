"""Which events count: future, late, doubled and unrated ones are set apart before any rule sees them.

The order of judgement: in_the_future, too_late, no_rate, then a repeated id is passed over in silence. A refused
event leaves no trace: it raises no watermark and occupies no id, so it can be mended and sent again.
"""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

import polars as pl

from models.oracle.frames import by_value, in_base
from models.policy import Amounts, Policy

CLASSES = ("cash", "entity_transfer", "person_cross_border", "person_domestic")
LOAN = ("borrower_id", "entity", "loan_id")


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


def thresholds(policy: Policy) -> dict[str, Amounts]:
    return {name: getattr(policy.detectors.large_transaction, name) for name in CLASSES}


def has_own_threshold(policy: Policy) -> pl.Expr:
    """Whether the class in column `class` gives a threshold in the transaction's own currency."""
    return pl.any_horizontal(
        (pl.col("class") == name) & pl.col("currency").is_in(list(amounts.amounts))
        for name, amounts in thresholds(policy).items()
    )


def accepted_transactions(frame: pl.DataFrame, policy: Policy) -> Accepted:
    """Transactions that count (bank-made ones among them), with their `class`; too_late, no_rate, in_the_future."""
    frame = frame.with_columns(class_of().alias("class"))
    rated = pl.col("currency").is_in(list(policy.rates)) & pl.lit(policy.money.foreign in policy.rates)
    unrated = (pl.col("origin") == "customer") & ~has_own_threshold(policy) & ~rated
    return _by_watermark(frame, "customer_id", "event_id", unrated, policy)


def accepted_reports(frame: pl.DataFrame, policy: Policy) -> Accepted:
    """Reports that count, whatever their kind; too_late, in_the_future."""
    frame = frame.with_columns(pl.coalesce("customer_id", "reporter.branch_id").alias("key"))
    return _by_watermark(frame, "key", "report_id", pl.lit(False), policy)


def accepted_capital(frame: pl.DataFrame, policy: Policy) -> Accepted:
    """Capital positions with `capital` in units of `money.base` (scaled integers); the first of an as_of counts."""
    frame = frame.with_columns(
        pl.format("{}@{}", "entity", "as_of").alias("event_id"), in_base("net_capital", policy).alias("capital")
    )
    refused = pl.when(pl.col("capital").is_null()).then(pl.lit("no_rate")).otherwise(None)
    frame = frame.with_columns(refused.alias("reason"))
    kept = frame.filter(pl.col("reason").is_null())
    return Accepted(kept.unique(["entity", "as_of"], keep="first", maintain_order=True), _refused(frame, "event_id"))


def _future(frame: pl.DataFrame, policy: Policy) -> pl.Expr:
    if "ingest_time" not in frame.columns:
        return pl.lit(False)
    return (pl.col("event_time") > pl.col("ingest_time") + policy.future_tolerance).fill_null(False)


def _refused(frame: pl.DataFrame, id_column: str) -> pl.DataFrame:
    rows = frame.filter(pl.col("reason").is_not_null())
    return rows.select("arrival", pl.col(id_column).alias("event_id"), "reason")


def _by_watermark(frame: pl.DataFrame, key: str, id_column: str, unrated: pl.Expr, policy: Policy) -> Accepted:
    """Judge rows against the newest event time their key had so far, then drop repeated ids.

    A running maximum over all rows equals one over accepted rows as long as a repeated id repeats its time too;
    the few keys where it does not are judged row by row.
    """
    frame = frame.with_columns(_future(frame, policy).alias("future"), unrated.alias("unrated"))
    fit = ~pl.col("future") & ~pl.col("unrated")
    newest = pl.when(fit).then(pl.col("event_time")).otherwise(None).cum_max().forward_fill().over(key)
    late = (pl.col("event_time") < newest - policy.lateness).fill_null(False)
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
        return Accepted(frame.filter(pl.col("reason").is_null()), _refused(frame, id_column))
    several = pl.col("event_time").n_unique() > 1
    awkward = candidates.group_by(key, id_column).agg(several.alias("several")).filter("several")
    if awkward.height:
        frame = _fold(frame, awkward[key].unique(), key, id_column, policy.lateness)
    kept = frame.filter(pl.col("reason").is_null())
    refused = frame.with_columns(pl.col("reason").replace("repeated", None))
    return Accepted(kept.unique([key, id_column], keep="first", maintain_order=True), _refused(refused, id_column))


def _fold(frame: pl.DataFrame, keys: pl.Series, key: str, id_column: str, lateness: timedelta) -> pl.DataFrame:
    newest: dict[str, datetime] = {}
    seen: set[tuple[str, str]] = set()
    verdicts: list[tuple[int, str | None]] = []
    rows = frame.filter(pl.col(key).is_in(keys.implode()))
    for arrival, owner, event_id, moment, future, unrated in rows.select(
        "arrival", key, id_column, "event_time", "future", "unrated"
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
    return _with_verdicts(frame, verdicts)


def _with_verdicts(frame: pl.DataFrame, verdicts: list[tuple[int, str | None]]) -> pl.DataFrame:
    schema: dict[str, Any] = {"arrival": frame.schema["arrival"], "verdict": pl.String}
    table = pl.DataFrame(verdicts, schema=schema, orient="row").with_columns(pl.lit(True).alias("judged"))
    joined = frame.join(table, on="arrival", how="left", maintain_order="left")
    reason = pl.when("judged").then(pl.col("verdict")).otherwise(pl.col("reason"))
    return joined.with_columns(reason.alias("reason")).drop("verdict", "judged")


# ------------------------------------------------------------------------ loans


def accepted_loans(frame: pl.DataFrame, policy: Policy) -> Accepted:
    """Loan events that move a book, with `delta` in units of `money.base` (scaled integers, signed) and the loan's
    `code`: the industry it was first disbursed under. Refused: in_the_future, too_late, no_rate, unknown_loan,
    other_currency, repays_past_zero.
    """
    sign = by_value("kind", {"disbursed": 1, "repaid": -1, "written_off": -1, "reversed": -1})
    frame = frame.with_columns(sign.alias("sign")).with_columns(
        pl.when(pl.col("sign").is_null()).then(0).otherwise(in_base("amount", policy) * pl.col("sign")).alias("delta"),
        pl.col("sign").is_not_null().alias("moves"),
        (pl.col("kind") == "disbursed").alias("disbursed"),
    )
    reason = pl.when(_future(frame, policy)).then(pl.lit("in_the_future"))
    rated = pl.col("delta").is_not_null() & _future(frame, policy).not_()
    newest = pl.when(rated).then(pl.col("event_time")).otherwise(None).cum_max().forward_fill().over("borrower_id")
    late = (pl.col("event_time") < newest - policy.lateness).fill_null(False)
    frame = frame.with_columns(
        reason.when(late)
        .then(pl.lit("too_late"))
        .when(pl.col("delta").is_null())
        .then(pl.lit("no_rate"))
        .otherwise(None)
        .alias("reason"),
        rated.alias("rated"),
    )
    fit = frame.filter(pl.col("reason").is_null())
    kept = fit.unique(["borrower_id", "event_id"], keep="first", maintain_order=True).with_columns(
        pl.col("delta").cum_sum().over(LOAN).alias("balance"),
        pl.col("disbursed").cast(pl.Int64).cum_sum().over(LOAN).alias("disbursements"),
        pl.col("currency").filter("moves").n_unique().over(LOAN).alias("currencies"),
    )
    trouble = pl.col("moves") & ((pl.col("balance") < 0) | (pl.col("disbursements") == 0) | (pl.col("currencies") > 1))
    awkward = kept.filter(trouble)["borrower_id"].unique()
    if len(awkward):
        frame = _with_verdicts(
            frame, _fold_loans(frame.filter("rated", pl.col("borrower_id").is_in(awkward.implode())), policy.lateness)
        )
        kept = frame.filter(pl.col("reason").is_null()).unique(
            ["borrower_id", "event_id"], keep="first", maintain_order=True
        )
    refused = _refused(frame.with_columns(pl.col("reason").replace("repeated", None)), "event_id")
    code = pl.col("industry").filter(pl.col("disbursed")).first().over(LOAN).fill_null("")
    return Accepted(kept.filter("moves").with_columns(code.alias("code")), refused)


def _fold_loans(rows: pl.DataFrame, lateness: timedelta) -> list[tuple[int, str | None]]:
    newest: dict[str, datetime] = {}
    currencies: dict[tuple[str, ...], str] = {}
    balances: dict[tuple[str, ...], int] = {}
    seen: set[tuple[str, str]] = set()
    verdicts: list[tuple[int, str | None]] = []
    for arrival, event_id, moment, currency, borrower, entity, loan, moves, disbursed, delta in rows.select(
        "arrival", "event_id", "event_time", "currency", *LOAN, "moves", "disbursed", "delta"
    ).iter_rows():
        name = (borrower, entity, loan)
        verdict: str | None = None
        if borrower in newest and moment < newest[borrower] - lateness:
            verdict = "too_late"
        elif (borrower, event_id) in seen:
            verdict = "repeated"
        elif moves and not disbursed and name not in balances:
            verdict = "unknown_loan"
        elif moves and currencies.get(name, currency) != currency:
            verdict = "other_currency"
        elif moves and balances.get(name, 0) + delta < 0:
            verdict = "repays_past_zero"
        else:
            seen.add((borrower, event_id))
            newest[borrower] = max(moment, newest.get(borrower, moment))
            if moves:
                currencies.setdefault(name, currency)
                balances[name] = balances.get(name, 0) + delta
        verdicts.append((arrival, verdict))
    return verdicts
