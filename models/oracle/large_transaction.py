"""large_transaction a second time: one customer, direction and day summed against the reporting threshold."""

from collections.abc import Iterable
from decimal import Context, Decimal
from fractions import Fraction

import polars as pl

from models.oracle.acceptance import has_own_threshold, thresholds
from models.oracle.frames import (
    as_warnings,
    at_least,
    big,
    by_value,
    day,
    scale_of,
    scaled_rates,
    with_window_end,
)
from models.policy import Policy

KEEP = ("event_id", "event_time", "day", "customer_id", "direction", "method", "class", "bucket", "value", "exempt")
PARTIES = ("counterparty.account_id", "counterparty.name", "counterparty.country", "identity")


def classified(accepted: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """Customers' own transactions with their day, bucket (the currency they are measured in), `value` (an integer,
    `unit_of` the bucket), whether their purpose is exempt, and the counterparty's identity.
    """
    exempt = list(policy.detectors.large_transaction.exempt_purposes)
    rates, _ = scaled_rates(policy)
    foreign = policy.money.foreign
    amount = pl.col("amount").to_physical().cast(pl.Int128)
    own = pl.when(has_own_threshold(policy)).then(pl.col("currency")).otherwise(pl.lit(foreign))
    # The foreign bucket is kept in base money: amount times rate is exact, a division by the rate is not.
    through_base = (pl.col("bucket") == foreign) & pl.lit(foreign in rates)
    account, name, bank = (pl.col(f"counterparty.{part}") for part in ("account_id", "name", "bank"))
    identity = (
        pl.when(account.str.len_bytes() > 0)
        .then(pl.when(bank.str.len_bytes() > 0).then(pl.format("{}/{}", bank, account)).otherwise(account))
        .when(name.str.len_bytes() > 0)
        .then(name)
    )
    return (
        accepted.filter(pl.col("origin") == "customer")
        .with_columns(own.alias("bucket"), day(policy).alias("day"))
        .with_columns(
            pl.when(through_base).then(amount * by_value("currency", rates)).otherwise(amount).alias("value"),
            pl.col("purpose").is_in(exempt).fill_null(False).alias("exempt"),
            identity.alias("identity"),
        )
        .select(*KEEP, *PARTIES)
    )


def unit_of(bucket: str, scale: int, policy: Policy) -> Fraction:
    """How many integers of `value` make one unit of the bucket's currency."""
    rates, places = scaled_rates(policy)
    if bucket == policy.money.foreign and bucket in rates:
        return Fraction(policy.rates[bucket]) * int(10 ** (scale + places))
    return Fraction(10**scale)


def reaches(column: str, times: Decimal, scale: int, policy: Policy) -> pl.Expr:
    """Whether an integer in `column` is at least so many times the threshold of its class and bucket."""
    return pl.any_horizontal(
        (pl.col("class") == name)
        & (pl.col("bucket") == bucket)
        & (pl.col(column) >= big(at_least(amount * times, unit_of(bucket, scale, policy))))
        for name, amounts in thresholds(policy).items()
        for bucket, amount in amounts.amounts.items()
    )


def large_transactions(accepted: pl.DataFrame, transactions: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """The detector's warnings (severity as a rank), with the `day` they are about.

    Args:
        accepted: the frame that gives the scale of amounts.
        transactions: the same, `classified`.
    """
    rule, scale = policy.detectors.large_transaction, scale_of(accepted)
    sums = (
        transactions.filter(~pl.col("exempt"))
        .group_by("customer_id", "class", "direction", "bucket", "day")
        .agg(pl.col("value").sum(), pl.col("event_time").max())
        .filter(reaches("value", Decimal(1), scale, policy))
    )
    steps = [reaches("value", figure.value, scale, policy) for figure in (rule.medium_from, rule.high_from)]
    frame = with_window_end(sums, policy).with_columns(
        pl.sum_horizontal(step.cast(pl.Int8) for step in steps).alias("rank"),
        pl.format("customer:{}", "customer_id").alias("subject"),
        pl.concat_str("class", "direction", "bucket", pl.col("day").dt.to_string("%Y-%m-%d"), separator="|").alias(
            "anchor"
        ),
        pl.Series("observed", _texts(zip(sums["bucket"], sums["value"], strict=True), scale, policy), dtype=pl.String),
    )
    return as_warnings(frame, "large_transaction", rule).with_columns(frame["day"])


def _texts(sums: Iterable[tuple[str, int]], scale: int, policy: Policy) -> list[str]:
    """Sums as plain decimals: exact where the quotient ends within the amounts' own places, else 28 digits."""
    places = scaled_rates(policy)[1]
    foreign = policy.money.foreign
    rate = policy.rates.get(foreign)
    wide, narrow = Context(prec=60), Context(prec=28)
    step = Decimal(1).scaleb(-scale)
    texts = []
    for bucket, value in sums:
        if rate is None or bucket != foreign:
            texts.append(format(Decimal(value).scaleb(-scale, wide), "f"))
            continue
        quotient = wide.divide(Decimal(value).scaleb(-scale - places, wide), rate)
        rounded = quotient.quantize(step, context=wide)
        texts.append(format(rounded if rounded == quotient else narrow.plus(quotient), "f"))
    return texts
