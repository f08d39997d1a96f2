"""The anomaly features of a whole history at once: a second way, which shares no code with the stream's.

What each feature says, its unit and its window stand in `models.anomaly.features`. Sums are whole numbers and so the
same in both ways; of a logarithm the last place of a binary float may differ.
"""

import polars as pl

from models.anomaly.batch_days import DECADE, HABIT_DAYS, before, customer_rows, so_far
from models.anomaly.features import FEATURES
from models.policy import PolicyHistory

# What a customer is taken to have done before the first day: so many transactions, of this level and spread.
PRIOR, PRIOR_LEVEL, PRIOR_SPREAD = 5, 3000, 700
LEAST_SPREAD = 100
CHANNELS, BINS = 8, 6  # that a new customer is as likely to use
HOUR = pl.duration(hours=1)
# Money that came in, and that went out, in cents.
INS, OUTS = ~pl.col("out") * pl.col("cents"), pl.col("out") * pl.col("cents")


def feature_frame(transactions: pl.DataFrame | None, policies: PolicyHistory) -> pl.DataFrame:
    """The features of each transaction that a customer made, as of just after it.

    Args:
        transactions: canonical frame in arrival order (see `models.oracle.frames`). What a stage refuses or has
            taken before, and what the bank booked by itself, gives no row and counts in none.
        policies: rates and calendars by day.

    Returns:
        event_id, customer_id, event_time, `day` (the bank's, of the effective time), then the features as Float64;
        in arrival order.

    Raises:
        ValueError: amounts in binary floats, or times without a zone.
    """
    rows = _acquainted(customer_rows(transactions, policies))
    fans = {"payees": pl.col("payee"), "payers": pl.col("payer")}
    rows = rows.hstack(before(rows, {"n": pl.col("one"), "ins": INS, "outs": OUTS, **fans}))
    parts = [_amounts(rows), _tempo(rows), _unusual(rows), _counterparties(rows), _balance(rows)]
    features = pl.concat(parts, how="horizontal").select(pl.col(one.id).cast(pl.Float64) for one in FEATURES)
    return rows.select("event_id", "customer_id", "event_time", "day").hstack(features)


def _acquainted(rows: pl.DataFrame) -> pl.DataFrame:
    """With `new` (a counterparty not met today nor in the habit days), and 1 for the first dealing of a day with one
    whom the customer pays (`payee`), is paid by (`payer`), or pays and had not met before today (`new_payee`)."""
    named = pl.col("identity").is_not_null()
    met = pl.col("day").shift(1).over("customer", "identity")
    new = named & (met.is_null() | (met < pl.col("day") - pl.duration(days=HABIT_DAYS)))
    rows = rows.with_columns(new.alias("new"))
    first = named & pl.struct("customer", "day", "out", "identity").is_first_distinct()
    stranger = pl.col("new").first().over("customer", "day", "identity")
    return rows.with_columns(
        (first & pl.col("out")).cast(pl.Int64).alias("payee"),
        (first & ~pl.col("out")).cast(pl.Int64).alias("payer"),
        (first & pl.col("out") & stranger).cast(pl.Int64).alias("new_payee"),
    )


def _amounts(rows: pl.DataFrame) -> pl.DataFrame:
    level = pl.col("level")
    sums = {"count": pl.col("one"), "total": level, "squares": level * level, "money": pl.col("cents")}
    alike = before(rows, sums, "out", largest="level")
    weight = pl.col("count") + PRIOR
    mean = (pl.col("total") + PRIOR * PRIOR_LEVEL) / weight
    variance = (pl.col("squares") + PRIOR * (PRIOR_LEVEL**2 + PRIOR_SPREAD**2)) / weight - mean * mean
    spread = pl.max_horizontal(variance, float(LEAST_SPREAD**2)).sqrt()
    today = so_far(pl.col("cents"), "out")
    return (
        rows.select("customer", "day", "out", "level", "cents", "noughts")
        .hstack(alike)
        .select(
            ((level - mean) / spread).alias("amount_vs_habit"),
            ((level - pl.col("largest").fill_null(PRIOR_LEVEL)) / DECADE).alias("amount_vs_largest"),
            ((1 + today / 100).log10() - (1 + pl.col("money") / HABIT_DAYS / 100).log10()).alias("day_total_vs_habit"),
            pl.col("noughts").alias("roundness"),
        )
    )


def _tempo(rows: pl.DataFrame) -> pl.DataFrame:
    # The number of the last transaction an hour ago or earlier: those that came since are in the hour.
    number = pl.col("one").cum_sum().over("customer")
    numbered = rows.select("customer", "moment", number.alias("number"))
    earlier = numbered.rename({"number": "earlier", "moment": "then"})
    since = numbered.with_columns((pl.col("moment") - HOUR).alias("since"))
    hour = since.join_asof(
        earlier, left_on="since", right_on="then", by="customer", strategy="backward", check_sortedness=False
    ).select((pl.col("number") - pl.col("earlier").fill_null(0)).alias("hour"))
    today = so_far(pl.col("one"))
    gap = (pl.col("day") - pl.col("day").shift(1).over("customer")).dt.total_days().fill_null(0).clip(0, HABIT_DAYS)
    return (
        rows.select("customer", "day", "one", "n")
        .hstack(hour)
        .select(
            ((1 + today) / (1 + pl.col("n") / HABIT_DAYS)).log10().alias("tempo_day"),
            (1 + pl.col("hour")).log(2).alias("tempo_hour"),
            (1 + gap).log(2).alias("since_last"),
        )
    )


def _unusual(rows: pl.DataFrame) -> pl.DataFrame:
    """Bits: how little of the habit was like this one, as if each kind had been seen once before it."""
    kinds = {"hour": ("bin", BINS), "channel": ("channel", CHANNELS)}
    kinds |= {"cash": ("cash", 2), "cross_border": ("cross_border", 2)}
    parts = []
    for name, (column, number) in kinds.items():
        alike = before(rows, {"like": pl.col("one")}, column).with_columns(rows["n"])
        share = (pl.col("like") + 1) / (pl.col("n") + number)
        parts.append(alike.select((-share.log(2)).alias(f"{name}_unusual")))
    return pl.concat([rows.select(pl.col("rest").alias("rest_day")), *parts], how="horizontal")


def _counterparties(rows: pl.DataFrame) -> pl.DataFrame:
    def fan(daily: str, first: str) -> pl.Expr:
        return ((1 + so_far(pl.col(first))) / (1 + pl.col(daily) / HABIT_DAYS)).log(2)

    return rows.select(
        pl.col("new").alias("new_counterparty"),
        (1 + so_far(pl.col("new_payee"))).log(2).alias("new_payees"),
        fan("payees", "payee").alias("payees_fan"),
        fan("payers", "payer").alias("payers_fan"),
    )


def _balance(rows: pl.DataFrame) -> pl.DataFrame:
    def balance(ins: pl.Expr, outs: pl.Expr) -> pl.Expr:
        return pl.when(ins + outs > 0).then((ins - outs) / (ins + outs)).otherwise(0)

    today = rows.select(so_far(INS).alias("ins_today"), so_far(OUTS).alias("outs_today"))
    flows = rows.select("ins", "outs").hstack(today).hstack(before(rows, {"came": INS, "went": OUTS}, days=1))
    ins, outs = pl.col("ins_today"), pl.col("outs_today")
    came, went = ins + pl.col("came"), outs + pl.col("went")
    less, more = pl.min_horizontal(came, went), pl.max_horizontal(came, went)
    return flows.select(
        (balance(ins, outs) - balance(pl.col("ins"), pl.col("outs"))).alias("balance_shift"),
        pl.when(more > 0).then(less / more).otherwise(0).alias("pass_through"),
    )
