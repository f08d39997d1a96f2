"""Which events count: future, late, doubled and unrated ones are set apart before any rule sees them.

The order of judgement: in_the_future, too_late, no_rate, then a repeated id is passed over in silence. A refused
event leaves no trace: it raises no watermark and occupies no id, so it can be mended and sent again.
"""

from datetime import datetime
from typing import Any, NamedTuple

import polars as pl

from models.oracle.frames import by_span, by_value, day, in_base, rate_places, scaled_rates
from models.oracle.industries import division, member
from models.policy import Policy, PolicyHistory

LOAN = ("borrower_id", "entity", "loan_id")
CLASSES = ("cash", "entity_transfer", "person_cross_border", "person_domestic")


class Accepted(NamedTuple):
    """Events that count, in arrival order, and the (event_id, reason) of those refused."""

    frame: pl.DataFrame
    refused: pl.DataFrame


class AcceptedLoans(NamedTuple):
    """Loan events that count, in arrival order: `frame` has those that move a book, `steps` all of them."""

    frame: pl.DataFrame
    refused: pl.DataFrame
    steps: pl.DataFrame


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
    columns' places; the first of an as_of counts.

    They are converted by the newest rates: what a bank owns is stated once and holds for months.
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

SIGNS = {"disbursed": 1, "repaid": -1, "written_off": -1, "reversed": -1}
_FIXED = ("currency", "rate", "group_id", "branch_id", "region", "real_estate", "industry", "day")


def accepted_loans(frame: pl.DataFrame, policies: PolicyHistory) -> AcceptedLoans:
    """Loan events that count. Refused: in_the_future, too_late, no_rate, unknown_loan, closed_loan,
    nothing_to_reverse, other_currency, repays_past_zero.

    What an event does to its loan is settled as it arrives: the first disbursement taken opens the loan, and says for
    good what it is. From when on that counts in the book is `event_time`: when it happened, but for a repayment no
    sooner than any disbursement of its loan that had arrived before it. `happened` and `happened_on` (the bank's day)
    are the event's own time.

    Adds, as scaled integers, the signed amount `own` in the loan's currency and `delta` in units of `money.base`; the
    change in the number of loans `opened`; and of the disbursement that opened the loan (its first step, where none
    did) `opened_on`, `currency`, `rate` (an integer), `member`, `division`, `region`, `real_estate`, `group_id`
    (null for none) and `branch_id`.
    """
    frame = _judged_loans(frame, policies)
    kept = frame.filter(pl.col("reason").is_null())
    awkward = _awkward(kept)
    if len(awkward):
        rows = frame.filter(pl.col("borrower_id").is_in(awkward.implode()))
        frame = _with_verdicts(frame, _fold_loans(rows))
        kept = frame.filter(pl.col("reason").is_null())
    kept = kept.unique(["borrower_id", "event_id"], keep="first", maintain_order=True)
    refused = _refused(frame.with_columns(pl.col("reason").replace("repeated", None)), "event_id")
    steps = _settled(kept, policies)
    return AcceptedLoans(steps.filter("moves"), refused, steps)


def _judged_loans(frame: pl.DataFrame, policies: PolicyHistory) -> pl.DataFrame:
    """What each event would do, and the reason against it that its time or currency gives."""
    places = rate_places(policies)
    frame = by_span(
        judged(frame, policies),
        policies,
        lambda rows, one: rows.with_columns(by_value("currency", scaled_rates(one, places)).alias("rate")),
    ).sort("arrival")
    sign = by_value("kind", SIGNS)
    frame = frame.with_columns(
        sign.is_not_null().alias("moves"),
        (pl.col("kind") == "disbursed").alias("disbursed"),
        (sign.is_null() | (pl.col("rate").is_not_null() & pl.col("amount").is_not_null())).alias("rated"),
        # What is outstanding is counted as it is owed, whatever it is worth meanwhile.
        (pl.col("amount").to_physical().cast(pl.Int128) * sign).fill_null(0).alias("own"),
        # Money asked for or granted needs nothing that came before it.
        (~pl.col("kind").is_in(["applied", "approved", "disbursed"])).alias("needs_loan"),
    )
    fit = pl.col("rated") & ~pl.col("future")
    newest = pl.when(fit).then(pl.col("event_time")).otherwise(None).cum_max().forward_fill().over("borrower_id")
    late = (pl.col("event_time") < newest - pl.col("lateness")).fill_null(False)
    return frame.with_columns(
        pl.when("future")
        .then(pl.lit("in_the_future"))
        .when(late)
        .then(pl.lit("too_late"))
        .when(~pl.col("rated"))
        .then(pl.lit("no_rate"))
        .otherwise(None)
        .alias("reason")
    )


def _awkward(kept: pl.DataFrame) -> pl.Series:
    """Borrowers of whom not everything can be taken: they are judged event by event."""
    several = pl.col("event_time").n_unique().over("borrower_id", "event_id") > 1
    firsts = kept.with_columns(several.alias("several")).unique(
        ["borrower_id", "event_id"], keep="first", maintain_order=True
    )
    firsts = firsts.with_columns(
        pl.col("own").cum_sum().over(LOAN).alias("balance"),
        pl.col("disbursed").cast(pl.Int64).cum_sum().over(LOAN).alias("disbursements"),
        pl.col("currency").filter("moves").n_unique().over(LOAN).alias("currencies"),
    )
    nothing_left = pl.col("needs_loan") & (pl.col("balance") - pl.col("own") == 0)
    unfit = pl.col("moves") & ((pl.col("balance") < 0) | (pl.col("currencies") > 1))
    unknown = pl.col("needs_loan") & (pl.col("disbursements") == 0)
    return firsts.filter(nothing_left | unfit | unknown | pl.col("several"))["borrower_id"].unique()


def _fold_loans(rows: pl.DataFrame) -> list[tuple[int, str | None]]:
    newest: dict[str, datetime] = {}
    loans: dict[tuple[str, ...], tuple[str, int]] = {}  # currency and balance
    seen: set[tuple[str, str]] = set()
    verdicts: list[tuple[int, str | None]] = []
    columns = ("arrival", "event_id", "event_time", "lateness", "future", "rated", "kind", "currency", "own", *LOAN)
    for arrival, event_id, moment, lateness, future, rated, kind, currency, own, *name in rows.select(
        columns
    ).iter_rows():
        borrower, loan = name[0], loans.get(tuple(name))
        if future:
            verdict: str | None = "in_the_future"
        elif borrower in newest and moment < newest[borrower] - lateness:
            verdict = "too_late"
        elif not rated:
            verdict = "no_rate"
        elif (borrower, event_id) in seen:
            verdict = "repeated"
        else:
            verdict = _verdict(kind, own, currency, loan)
        if verdict is None:
            seen.add((borrower, event_id))
            newest[borrower] = max(moment, newest.get(borrower, moment))
            if kind in SIGNS:
                loans[tuple(name)] = (currency, loan[1] + own if loan else own)
        verdicts.append((arrival, verdict))
    return verdicts


def _verdict(kind: str, own: int, currency: str, loan: tuple[str, int] | None) -> str | None:
    """Why a loan does not allow a step, or None; `loan` is its currency and balance, None before it was opened."""
    if kind in ("applied", "approved"):
        return None
    if loan is None:
        return None if kind == "disbursed" else "unknown_loan"
    if loan[1] == 0 and kind != "disbursed":
        return "nothing_to_reverse" if kind == "reversed" else "closed_loan"
    if kind in SIGNS and currency != loan[0]:
        return "other_currency"
    return "repays_past_zero" if loan[1] + own < 0 else None


def _settled(steps: pl.DataFrame, policies: PolicyHistory) -> pl.DataFrame:
    """What accepted_loans says of each accepted event."""
    latest = pl.when("disbursed").then(pl.col("event_time")).otherwise(None).cum_max().forward_fill().over(LOAN)
    running = (pl.col("own").cum_sum().over(LOAN) > 0).cast(pl.Int64)
    steps = steps.with_columns(
        latest.alias("latest"),
        running.alias("running"),
        pl.col("event_time").alias("happened"),
        pl.col("day").alias("happened_on"),
        pl.col("disbursed").any().over(LOAN).alias("drawn"),
    )
    opening = [
        pl.when("drawn")
        .then(pl.col(name).filter("disbursed").first().over(LOAN))
        .otherwise(pl.col(name).first().over(LOAN))
        .alias({"day": "opened_on"}.get(name, name))
        for name in _FIXED
    ]
    counts_from = pl.when(pl.col("own") < 0).then(pl.max_horizontal("event_time", "latest")).otherwise("event_time")
    steps = steps.with_columns(
        *opening,
        (pl.col("running") - pl.col("running").shift(1, fill_value=0).over(LOAN)).alias("opened"),
        counts_from.alias("event_time"),
    ).with_columns(
        (pl.col("own") * pl.col("rate")).fill_null(0).alias("delta"),
        pl.col("region").fill_null("unknown"),
        pl.col("real_estate").fill_null("none"),
        pl.col("group_id").replace("", None),
        day(policies).alias("counts_on"),
    )

    def named(rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
        scheme = policy.detectors.industry_concentration.scheme
        return rows.with_columns(
            member("industry", scheme).alias("member"), division("industry", scheme).alias("division")
        )

    # A loan stays in the industry that the scheme of the day of its opening gave it.
    steps = by_span(steps.drop("day").with_columns(pl.col("opened_on").alias("day")), policies, named)
    return steps.drop("day").rename({"counts_on": "day"}).sort("arrival")
