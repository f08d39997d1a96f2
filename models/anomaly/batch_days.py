"""Customers' transactions as narrow rows with their effective day, and what the days before it sum up to.

The effective time of a transaction is the greatest event time of its customer's so far. It never goes back, so rows
in order of arrival are in order of effective days too, and a window of days is a stretch of them.
"""

from collections.abc import Mapping
from datetime import date

import polars as pl

from models.oracle.acceptance import accepted_transactions
from models.oracle.classified import classified
from models.oracle.frames import by_span, canonical, in_base, rate_places, scale_of
from models.policy import Policy, PolicyHistory

HABIT_DAYS = 30
BIN_HOURS = 4
DECADE = 1000  # levels
MOST_NOUGHTS = 6
_DETAILS = ("counterparty.account_id", "counterparty.name", "counterparty.bank", "cross_border", "channel", "purpose")
_FIELDS = ("arrival", "event_id", "customer_id", "event_time", "day", "direction", "amount", "currency", "method")
_TAKEN = [*_FIELDS, *_DETAILS, "origin", "class"]


def customer_rows(transactions: pl.DataFrame | None, policies: PolicyHistory) -> pl.DataFrame:
    """The accepted transactions that customers made themselves, in order of arrival.

    Args:
        transactions: canonical, in arrival order; what a stage refuses, or has taken before, is left out here.

    Returns:
        event_id, customer_id, event_time; `moment` (effective time), `day` (effective, the bank's); `out`, `cash`,
        `cross_border`; `cents` (hundredths of base money), `level` (milli-decades of base money); `bin` (four hours
        of its own time), `rest` (its own day is no working day), `noughts` (at the end of its amount); `customer`,
        `channel` and `identity` (null without one), numbers that stand in for the names; `one` to count by.

    Raises:
        ValueError: amounts in binary floats, or times without a zone.
    """
    accepted = accepted_transactions(canonical(transactions, "transactions"), policies).frame.select(_TAKEN)
    zone, unit = policies.latest.calendar.timezone, 10 ** scale_of(accepted)
    amount = pl.col("amount").to_physical().cast(pl.Int128)
    # An amount with decimals is a multiple of none of these.
    noughts = [amount % (unit * 10**places) == 0 for places in range(1, MOST_NOUGHTS + 1)]
    rows = _measured(classified(accepted, policies), policies).select(
        "event_id",
        "customer_id",
        "event_time",
        "cross_border",
        "cents",
        "level",
        "rest",
        (pl.col("direction") == "out").alias("out"),
        (pl.col("method") == "cash").alias("cash"),
        (pl.col("event_time").dt.convert_time_zone(zone).dt.hour() // BIN_HOURS).alias("bin"),
        pl.sum_horizontal(noughts).alias("noughts"),
        # Names are compared many times, and numbers faster.
        pl.col("customer_id").rank("dense").alias("customer"),
        pl.col("channel").fill_null("").rank("dense").alias("channel"),
        pl.col("identity").rank("dense").alias("identity"),
        pl.lit(1, dtype=pl.Int64).alias("one"),
    )
    rows = rows.with_columns(pl.col("event_time").cum_max().over("customer").alias("moment"))
    return rows.with_columns(pl.col("moment").dt.convert_time_zone(zone).dt.date().alias("day"))


def before(
    rows: pl.DataFrame, sums: Mapping[str, pl.Expr], *same: str, days: int = HABIT_DAYS, largest: str | None = None
) -> pl.DataFrame:
    """What the customer's rows of the days before each row's own day sum up to.

    Args:
        rows: of `customer_rows`.
        sums: what is summed, by the name of its sum.
        same: columns in which a row must be like this one to count.
        days: calendar days before the row's day; that day itself never counts.
        largest: a column whose greatest value is wanted as well, null where nothing counts.

    Returns:
        The sums, and the greatest value as `largest`, row by row.
    """
    keys = ["customer", *same]
    at = [*keys, "day"]
    # A sum and the greatest of a window are those of its days' sums and greatest.
    daily = [one.sum().alias(name) for name, one in sums.items()]
    windows = [pl.col(name).sum() for name in sums]
    if largest is not None:
        daily.append(pl.col(largest).max().alias("largest"))
        windows.append(pl.col("largest").max())
    days_of = rows.group_by(at).agg(daily).sort(at)
    found = days_of.rolling("day", period=f"{days}d", closed="left", group_by=keys).agg(windows)
    return rows.select(at).join(found, on=at, how="left", maintain_order="left").drop(at)


def so_far(figure: pl.Expr, *same: str) -> pl.Expr:
    """The sum of a figure over the customer's rows of the same day up to each row, itself included."""
    return figure.cum_sum().over("customer", "day", *same)


def _measured(events: pl.DataFrame, policies: PolicyHistory) -> pl.DataFrame:
    """The events with `cents`, `level` and `rest`, by the figures of their own days."""
    places = rate_places(policies)
    scale = scale_of(events) + places

    def judge(rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
        days: list[date] = rows["day"].unique().to_list()
        rest = pl.Series([one for one in days if not policy.bank_calendar.is_working_day(one)], dtype=pl.Date)
        worth = in_base("amount", policy, places)
        return rows.with_columns(worth.alias("worth"), pl.col("day").is_in(rest.implode()).alias("rest"))

    money = pl.col("worth").cast(pl.Float64) / float(10**scale)
    level = ((1 + money).log10() * DECADE).round(0, mode="half_to_even").cast(pl.Int64)
    worths = by_span(events, policies, judge).sort("arrival")
    return worths.with_columns(_cents(scale).alias("cents"), level.alias("level"))


def _cents(scale: int) -> pl.Expr:
    """`worth`, whole numbers of 10^-`scale` of base money, in whole hundredths; a half goes to the even one."""
    finer: int = 10 ** max(0, 2 - scale)
    coarser: int = 10 ** max(0, scale - 2)
    whole, twice = pl.col("worth") * finer // coarser, pl.col("worth") * finer % coarser * 2
    return whole + ((twice > coarser) | ((twice == coarser) & (whole % 2 == 1))).cast(pl.Int128)
