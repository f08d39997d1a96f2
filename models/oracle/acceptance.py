"""Which events count: future, late, doubled and unrated ones are set apart before any rule sees them.

The order of judgement: in_the_future, too_late, no_rate, then a repeated id is passed over in silence. A refused
event leaves no trace: it raises no watermark and occupies no id, so it can be mended and sent again.
"""

from datetime import datetime
from typing import Any, NamedTuple

import polars as pl

from models.oracle.frames import by_span, by_value, day, in_base, rate_places, scaled_rates
from models.policy import Policy, PolicyHistory

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
    """Capital positions with `capital` in units of `money.base` (scaled integers); the first of an as_of counts.

    They are converted by the newest rates: what a bank owns is stated once and holds for months.
    """
    frame = frame.with_columns(
        pl.format("{}@{}", "entity", "as_of").alias("event_id"),
        in_base("net_capital", policies.latest, rate_places(policies)).alias("capital"),
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
        return Accepted(frame.filter(pl.col("reason").is_null()), _refused(frame, id_column))
    several = pl.col("event_time").n_unique() > 1
    awkward = candidates.group_by(key, id_column).agg(several.alias("several")).filter("several")
    if awkward.height:
        frame = _fold(frame, awkward[key].unique(), key, id_column)
    kept = frame.filter(pl.col("reason").is_null())
    refused = frame.with_columns(pl.col("reason").replace("repeated", None))
    return Accepted(kept.unique([key, id_column], keep="first", maintain_order=True), _refused(refused, id_column))


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
    return _with_verdicts(frame, verdicts)


def _with_verdicts(frame: pl.DataFrame, verdicts: list[tuple[int, str | None]]) -> pl.DataFrame:
    schema: dict[str, Any] = {"arrival": frame.schema["arrival"], "verdict": pl.String}
    table = pl.DataFrame(verdicts, schema=schema, orient="row").with_columns(pl.lit(True).alias("judged"))
    joined = frame.join(table, on="arrival", how="left", maintain_order="left")
    reason = pl.when("judged").then(pl.col("verdict")).otherwise(pl.col("reason"))
    return joined.with_columns(reason.alias("reason")).drop("verdict", "judged")


# ------------------------------------------------------------------------ loans


def accepted_loans(frame: pl.DataFrame, policies: PolicyHistory) -> Accepted:
    """Loan events that move a book, in arrival order. Refused: in_the_future, too_late, no_rate, unknown_loan,
    other_currency, repays_past_zero.

    What an event does to its loan is settled as it arrives: the first disbursement taken opens the loan, and says for
    good at which rate it is carried and in which industry. From when on that counts in the book is `event_time`: when
    it happened, but for a repayment no sooner than any disbursement of its loan that had arrived before it.

    Adds, as scaled integers, the signed amount `own` in the loan's currency and `delta` in units of `money.base`; the
    change in the number of loans `opened`; the loan's `code`, and `opened_on`, the day whose scheme reads it.
    """
    sign = by_value("kind", {"disbursed": 1, "repaid": -1, "written_off": -1, "reversed": -1})
    places = rate_places(policies)
    frame = by_span(
        judged(frame, policies),
        policies,
        lambda rows, one: rows.with_columns(by_value("currency", scaled_rates(one, places)).alias("rate")),
    ).sort("arrival")
    frame = frame.with_columns(sign.alias("sign")).with_columns(
        (pl.col("sign").is_null() | (pl.col("rate").is_not_null() & pl.col("amount").is_not_null())).alias("rated"),
        # What is outstanding is counted as it is owed, whatever it is worth meanwhile.
        (pl.col("amount").to_physical().cast(pl.Int128) * pl.col("sign")).fill_null(0).alias("own"),
        pl.col("sign").is_not_null().alias("moves"),
        (pl.col("kind") == "disbursed").alias("disbursed"),
    )
    reason = pl.when("future").then(pl.lit("in_the_future"))
    fit = pl.col("rated") & ~pl.col("future")
    newest = pl.when(fit).then(pl.col("event_time")).otherwise(None).cum_max().forward_fill().over("borrower_id")
    late = (pl.col("event_time") < newest - pl.col("lateness")).fill_null(False)
    frame = frame.with_columns(
        reason.when(late)
        .then(pl.lit("too_late"))
        .when(~pl.col("rated"))
        .then(pl.lit("no_rate"))
        .otherwise(None)
        .alias("reason"),
        fit.alias("fit"),
    )
    kept = frame.filter(pl.col("reason").is_null())
    kept = kept.unique(["borrower_id", "event_id"], keep="first", maintain_order=True).with_columns(
        pl.col("own").cum_sum().over(LOAN).alias("balance"),
        pl.col("disbursed").cast(pl.Int64).cum_sum().over(LOAN).alias("disbursements"),
        pl.col("currency").filter("moves").n_unique().over(LOAN).alias("currencies"),
    )
    trouble = pl.col("moves") & ((pl.col("balance") < 0) | (pl.col("disbursements") == 0) | (pl.col("currencies") > 1))
    awkward = kept.filter(trouble)["borrower_id"].unique()
    if len(awkward):
        frame = _with_verdicts(frame, _fold_loans(frame.filter("fit", pl.col("borrower_id").is_in(awkward.implode()))))
        kept = frame.filter(pl.col("reason").is_null()).unique(
            ["borrower_id", "event_id"], keep="first", maintain_order=True
        )
    refused = _refused(frame.with_columns(pl.col("reason").replace("repeated", None)), "event_id")
    return Accepted(_settled(kept.filter("moves"), policies), refused)


def _settled(moves: pl.DataFrame, policies: PolicyHistory) -> pl.DataFrame:
    """What accepted_loans says of each accepted event; the first of each loan is the disbursement that opened it."""
    latest = pl.when("disbursed").then(pl.col("event_time")).otherwise(None).cum_max().forward_fill().over(LOAN)
    running = (pl.col("own").cum_sum().over(LOAN) > 0).cast(pl.Int64)
    moves = moves.with_columns(latest.alias("latest"), running.alias("running"))
    counts_from = pl.when(pl.col("own") < 0).then(pl.max_horizontal("event_time", "latest")).otherwise("event_time")
    return moves.with_columns(
        (pl.col("own") * pl.col("rate").first().over(LOAN)).alias("delta"),
        (pl.col("running") - pl.col("running").shift(1, fill_value=0).over(LOAN)).alias("opened"),
        pl.col("industry").first().over(LOAN).fill_null("").alias("code"),
        pl.col("day").first().over(LOAN).alias("opened_on"),
        counts_from.alias("event_time"),
    ).with_columns(day(policies).alias("day"))


def _fold_loans(rows: pl.DataFrame) -> list[tuple[int, str | None]]:
    newest: dict[str, datetime] = {}
    currencies: dict[tuple[str, ...], str] = {}
    balances: dict[tuple[str, ...], int] = {}
    seen: set[tuple[str, str]] = set()
    verdicts: list[tuple[int, str | None]] = []
    columns = ("arrival", "event_id", "event_time", "lateness", "currency", *LOAN, "moves", "disbursed", "own")
    for arrival, event_id, moment, lateness, currency, borrower, entity, loan, moves, disbursed, own in rows.select(
        columns
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
        elif moves and balances.get(name, 0) + own < 0:
            verdict = "repays_past_zero"
        else:
            seen.add((borrower, event_id))
            newest[borrower] = max(moment, newest.get(borrower, moment))
            if moves:
                currencies.setdefault(name, currency)
                balances[name] = balances.get(name, 0) + own
        verdicts.append((arrival, verdict))
    return verdicts
