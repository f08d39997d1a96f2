"""Customers' own transactions beside the thresholds of their day, in whole numbers that are never rounded."""

import math
from collections.abc import Callable, Iterable
from decimal import Decimal
from fractions import Fraction

import polars as pl

from models.events import Counterparty
from models.oracle.acceptance import CLASSES
from models.oracle.frames import big, by_span, by_value, rate_places, scale_of, scaled_rates, settled, trimmed
from models.policy import Amounts, Policy, PolicyHistory

ONE = Decimal(1)
_PARTY = ("account_id", "name", "bank", "country")


def classified(accepted: pl.DataFrame, policies: PolicyHistory) -> pl.DataFrame:
    """Customers' own transactions, each by the figures of its own day.

    Args:
        accepted: as of `acceptance.accepted_transactions`.

    Returns:
        The frame with `bucket` (the currency it is measured in), `value` and `threshold` (whole numbers of one unit;
        the bucket of foreign currencies is in base money), `strict` (only above the threshold counts), `reported`,
        `exempt` (by its purpose) and `identity` of the counterparty (null where nothing is known of it); `heightened`
        is for `models.oracle.heightened` to say, false until then.
    """
    events = accepted.filter(pl.col("origin") == "customer").with_columns(_identity().alias("identity"))
    scale, places = scale_of(accepted), rate_places(policies)

    def judge(rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
        rule = policy.detectors.large_transaction
        named: dict[str, Amounts] = {name: getattr(rule, name) for name in CLASSES}
        parts = []
        for name, amounts in named.items():
            mine = _measured(rows.filter(pl.col("class") == name), amounts, policy, scale, places)
            parts.append(mine.with_columns(pl.lit(amounts.reported).alias("reported")))
        exempt = pl.col("purpose").is_in(list(rule.exempt_purposes)).fill_null(False)
        return pl.concat(parts).with_columns(exempt.alias("exempt"), pl.lit(False).alias("heightened"))

    return by_span(events, policies, judge).sort("arrival")


def against(
    events: pl.DataFrame, amounts_of: Callable[[Policy], Amounts], policies: PolicyHistory, prefix: str
) -> pl.DataFrame:
    """The events with `<prefix>_bucket`, `_value`, `_threshold` and `_strict` for another threshold of the policy.

    Args:
        amounts_of: the threshold in a policy.
    """

    scale, places = scale_of(events), rate_places(policies)

    def judge(rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
        beside = _measured(rows.select("arrival", "currency", "amount"), amounts_of(policy), policy, scale, places)
        names = ("bucket", "value", "threshold", "strict")
        renamed = beside.select("arrival", *(pl.col(name).alias(f"{prefix}_{name}") for name in names))
        return rows.join(renamed, on="arrival")

    return by_span(events, policies, judge).sort("arrival")


def reaches(times: Decimal, value: str = "value", prefix: str = "") -> pl.Expr:
    """Whether a whole number in a column reaches so many times the threshold of its row.

    Args:
        prefix: of the columns that `against` made of another threshold, with its underscore.
    """
    mine, theirs = _times(value, times, prefix)
    return pl.when(f"{prefix}strict").then(mine > theirs).otherwise(mine >= theirs).fill_null(False)


def is_times(times: Decimal) -> pl.Expr:
    """Whether `value` is so many times the threshold or more, whatever the threshold's own operator."""
    mine, theirs = _times("value", times, "")
    return mine >= theirs


def _times(value: str, times: Decimal, prefix: str) -> tuple[pl.Expr, pl.Expr]:
    ratio = Fraction(times)
    return pl.col(value) * big(ratio.denominator), pl.col(f"{prefix}threshold") * big(ratio.numerator)


def in_bucket(sums: Iterable[tuple[str, int]], policy: Policy, scale: int, places: int) -> list[str]:
    """Sums of `value` (by bucket) in the money of their bucket at the rate of a day, as text of at most six places.

    Args:
        scale: decimal places of the amounts.
        places: further ones of the bucket of foreign currencies, which is kept in base money.
    """
    foreign = policy.money.foreign
    base = Fraction(policy.rates[foreign]) * 10 ** (scale + places)
    return [trimmed(Fraction(value) / (base if bucket == foreign else 10**scale)) for bucket, value in sums]


def with_entries(rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """The rows with the `entry` of the watch list that their counterparty stands on; null where on none."""
    columns = [f"counterparty.{part}" for part in _PARTY]
    parties = rows.select(columns).unique()
    found = [
        policy.watch_list.match(Counterparty(**dict(zip(_PARTY, one, strict=True)))) for one in parties.iter_rows()
    ]
    entries = pl.Series("entry", [None if one is None else one.entry_id for one in found], dtype=pl.String)
    return rows.join(parties.with_columns(entries), on=columns, how="left", nulls_equal=True)


def with_novelty(pairs: pl.DataFrame, events: pl.DataFrame, policy: Policy, policies: PolicyHistory) -> pl.DataFrame:
    """Customers, days and counterparties, and whether each two are strangers: `new`.

    They are where the customer is known for `new_after` days and had no dealing with this one for as long.

    Args:
        pairs: customer_id, day and identity, each once.
        events: `classified`.
        policy: whose figure it is.
    """
    after = pl.duration(days=policy.counterparties.new_after.whole)
    days = pairs["day"].unique().to_list()
    # Later dealings may come behind the payment: what is said of it must not wait for them.
    until = [settled(one, policies) for one in days]
    certain = pl.DataFrame({"day": days, "until": until}, schema={"day": pl.Date, "until": pl.Date})
    known = events.group_by("customer_id").agg(pl.col("day").min().alias("since"))
    dealings = events.select("customer_id", "identity", pl.col("day").alias("dealt")).drop_nulls("identity").unique()
    met = (
        pairs.join(certain, on="day")
        .join(dealings, on=["customer_id", "identity"])
        .filter((pl.col("dealt") >= pl.col("day") - after) & (pl.col("dealt") < pl.col("until")))
        .select("customer_id", "day", "identity", pl.lit(True).alias("met"))
        .unique()
    )
    return (
        pairs.join(known, on="customer_id")
        .join(met, on=["customer_id", "day", "identity"], how="left")
        .with_columns((pl.col("met").is_null() & (pl.col("since") <= pl.col("day") - after)).alias("new"))
    )


def _measured(rows: pl.DataFrame, amounts: Amounts, policy: Policy, scale: int, places: int) -> pl.DataFrame:
    foreign = policy.money.foreign
    own = [code for code in amounts.amounts if code != foreign]
    amount = pl.col("amount").to_physical().cast(pl.Int128)
    # The foreign bucket is kept in base money: amount times rate is exact, a division by the rate is not.
    rates = scaled_rates(policy, places)
    in_own = pl.col("currency").is_in(own)
    # In whole units: a threshold with more places than amounts have is reached at the next amount above it, whether
    # that is `>=` its next unit or `>` the unit below.
    whole = math.floor if amounts.op == ">" else math.ceil
    thresholds = {code: whole(Fraction(amounts.amounts[code]) * 10**scale) for code in own}
    in_base = whole(Fraction(amounts.amounts[foreign]) * Fraction(policy.rates[foreign]) * 10 ** (scale + places))
    return rows.with_columns(
        pl.when(in_own).then(pl.col("currency")).otherwise(pl.lit(foreign)).alias("bucket"),
        pl.when(in_own).then(amount).otherwise(amount * by_value("currency", rates)).alias("value"),
        pl.when(in_own).then(by_value("currency", thresholds)).otherwise(big(in_base)).alias("threshold"),
        pl.lit(amounts.op == ">").alias("strict"),
    )


def _identity() -> pl.Expr:
    """What tells one counterparty from another: the account with its bank, else the name."""
    account, name, bank = (pl.col(f"counterparty.{part}") for part in ("account_id", "name", "bank"))
    return (
        pl.when(account.str.len_bytes() > 0)
        .then(pl.when(bank.str.len_bytes() > 0).then(pl.format("{}/{}", bank, account)).otherwise(account))
        .when(name.str.len_bytes() > 0)
        .then(name)
    )
