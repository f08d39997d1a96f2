"""The books that industry_concentration is judged on: every event in order, and what its entity has after it."""

import polars as pl

from models.oracle.frames import at_least, big, by_span, rate_places, scale_of
from models.policy import Policy, PolicyHistory


def industry_book(loans: pl.DataFrame, capital: pl.DataFrame, policies: PolicyHistory) -> pl.DataFrame:
    """Each event in the total order, with what it changes and what there is after it.

    The order is by entity, then that of time; of one instant, what adds comes before what takes away, then by
    event_id.

    Args:
        loans: accepted loan events that move a book.
        capital: accepted capital positions.

    Returns:
        order, entity, member (the industry that moved), event_time, day and `month` (a number that grows by one a
        month); `delta` and `opened` (the change in loans with a balance); after the event, of the industry
        `exposure`, of the entity `total`, `all_loans` (with a balance), `capital` (net, of that day; null where it is
        not known) and `eligible`. An exposure is in units of capital once it is multiplied with `unit`.
    """
    places, scale = rate_places(policies), scale_of(loans)

    def judge(rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
        rule = policy.detectors.industry_concentration
        return rows.with_columns(
            big(at_least(rule.minimum_book.value, 10 ** (scale + places))).alias("least"),
            pl.lit(rule.minimum_loans.whole).alias("least_loans"),
            pl.lit(rule.mode != "off").alias("on"),
        )

    book = (
        by_span(loans, policies, judge)
        .sort("entity", "event_time", pl.col("own") < 0, "event_id", "borrower_id")
        .with_columns(
            pl.col("delta").cum_sum().over("entity").alias("total"),
            pl.col("opened").cum_sum().over("entity").alias("all_loans"),
            pl.col("delta").cum_sum().over("entity", "member").alias("exposure"),
            (pl.col("day").dt.year().cast(pl.Int32) * 12 + pl.col("day").dt.month()).alias("month"),
        )
    )
    enough = (pl.col("total") >= pl.col("least")) & (pl.col("all_loans") >= pl.col("least_loans"))
    eligible = pl.col("on") & enough & (pl.col("total") > 0)
    # Capital may be given with other decimal places than loans are.
    shift = 10 ** abs(scale - scale_of(capital, "net_capital"))
    grow = scale >= scale_of(capital, "net_capital")
    factors = (big(shift), big(1)) if grow else (big(1), big(shift))
    known = capital.select("entity", "as_of", (pl.col("capital") * factors[0]).alias("capital")).sort("as_of")
    return (
        book.with_columns(eligible.alias("eligible"), factors[1].alias("unit"))
        .with_row_index("order")
        .sort("day")
        .join_asof(known, left_on="day", right_on="as_of", by="entity", strategy="backward", check_sortedness=False)
        .sort("order")
        .select(
            *("order", "entity", "member", "event_time", "day", "month", "delta", "opened"),
            *("exposure", "total", "all_loans", "capital", "eligible", "unit"),
        )
    )
