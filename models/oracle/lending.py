"""Which loan events count, in what order they were taken, and what each does to its loan and to the book."""

from typing import Any, NamedTuple

import polars as pl

from models.oracle.acceptance import judged, refused_rows, with_verdicts
from models.oracle.frames import by_span, by_value, day, rate_places, scaled_rates
from models.oracle.industries import division, member
from models.oracle.waiting import SIGNS, Sent, verdicts
from models.policy import Policy, PolicyHistory

LOAN = ("borrower_id", "entity", "loan_id")
_FIXED = ("currency", "rate", "group_id", "branch_id", "region", "real_estate", "industry", "day")


class AcceptedLoans(NamedTuple):
    """Loan events that count, in the order in which they were taken: `frame` has those that move a book, `steps` all.

    `refused` has the (arrival, event_id, reason) of those that do not count.
    """

    frame: pl.DataFrame
    refused: pl.DataFrame
    steps: pl.DataFrame


def accepted_loans(frame: pl.DataFrame, policies: PolicyHistory) -> AcceptedLoans:
    """Loan events that count. Refused: in_the_future, too_late, no_rate, unknown_loan, closed_loan,
    nothing_to_reverse, other_currency, repays_past_zero.

    What its loan does not allow yet (unknown_loan, closed_loan, nothing_to_reverse, repays_past_zero) waits, at most
    `MOST_WAITING` events of a borrower, and meanwhile only holds its id. A disbursement of the loan has what waits and
    is no older than itself tried again just after it, in order of time and event_id. What falls behind the borrower's
    newest event by more than the lateness of its own day, or still waits at the end, is refused for what stood against
    it when it was last tried.

    What an event does to its loan is settled as it is taken: the first disbursement taken opens the loan, and says for
    good what it is. From when on that counts in the book is `event_time`: when it happened, but for a repayment no
    sooner than any disbursement of its loan that had been taken before it. `happened` and `happened_on` (the bank's
    day) are the event's own time.

    Adds `taken`, the place in the order of taking; as scaled integers, the signed amount `own` in the loan's currency
    and `delta` in units of `money.base`; the change in the number of loans `opened`; and of the disbursement that
    opened the loan (its first step, where none did) `opened_on`, `currency`, `rate` (an integer), `member`,
    `division`, `region`, `real_estate`, `group_id` (null for none) and `branch_id`.
    """
    frame = _judged_loans(frame, policies)
    awkward = _awkward(frame.filter(pl.col("reason").is_null()))
    if len(awkward):
        frame = _one_by_one(frame, awkward)
    else:
        frame = frame.with_columns(pl.col("arrival").alias("taken_with"))
    kept = frame.filter(pl.col("reason").is_null())
    kept = kept.unique(["borrower_id", "event_id"], keep="first", maintain_order=True)
    refused = refused_rows(frame.with_columns(pl.col("reason").replace("repeated", None)), "event_id")
    after_it = pl.col("arrival") != pl.col("taken_with")
    kept = kept.sort("taken_with", after_it, "event_time", "event_id").with_row_index("taken")
    steps = _settled(kept.drop("taken_with"), policies)
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
    """Borrowers of whom not everything can be taken as it comes: they are judged event by event."""
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


def _one_by_one(frame: pl.DataFrame, borrowers: pl.Series) -> pl.DataFrame:
    """The `reason` of these borrowers' events, and of each that counts which event it was `taken_with`."""
    rows = frame.filter(pl.col("borrower_id").is_in(borrowers.implode())).select(Sent._fields)
    places = frame.schema["arrival"]
    schema: dict[str, Any] = {"arrival": places, "verdict": pl.String, "taken_with": places}
    found = pl.DataFrame(verdicts(rows.iter_rows()), schema=schema, orient="row")
    return with_verdicts(frame, found).with_columns(pl.coalesce("taken_with", "arrival"))


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
    return steps.drop("day").rename({"counts_on": "day"}).sort("taken")
