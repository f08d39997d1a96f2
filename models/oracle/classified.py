"""Customers' own transactions beside the thresholds of their day, in whole numbers that are never rounded."""

import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

import polars as pl

from models.oracle.acceptance import CLASSES
from models.oracle.frames import big, by_span, by_value, rate_places, scale_of, scaled_rates
from models.policy import Amounts, Policy, PolicyHistory


def classified(accepted: pl.DataFrame, policies: PolicyHistory) -> pl.DataFrame:
    """Customers' own transactions, each by the figures of its own day.

    Args:
        accepted: as of `acceptance.accepted_transactions`.

    Returns:
        The frame with `bucket` (the currency it is measured in), `value` and `threshold` (whole numbers of one unit;
        the bucket of foreign currencies is in base money), `strict` (only above the threshold counts), `reported`,
        `exempt` (by its purpose) and `identity` of the counterparty (null where nothing is known of it).
    """
    events = accepted.filter(pl.col("origin") == "customer").with_columns(_identity().alias("identity"))

    def judge(rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
        rule = policy.detectors.large_transaction
        named: dict[str, Amounts] = {name: getattr(rule, name) for name in CLASSES}
        parts = []
        for name, amounts in named.items():
            mine = _measured(rows.filter(pl.col("class") == name), amounts, policy, policies, scale_of(accepted))
            parts.append(mine.with_columns(pl.lit(amounts.reported).alias("reported")))
        exempt = pl.col("purpose").is_in(list(rule.exempt_purposes)).fill_null(False)
        return pl.concat(parts).with_columns(exempt.alias("exempt"))

    return by_span(events, policies, judge).sort("arrival")


def against(
    events: pl.DataFrame, amounts_of: Callable[[Policy], Amounts | None], policies: PolicyHistory, prefix: str
) -> pl.DataFrame:
    """The events with `<prefix>_bucket`, `_value`, `_threshold` and `_strict` for another threshold of the policy.

    Args:
        amounts_of: the threshold in a policy; where it is None the value and the threshold are null.
    """

    def judge(rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
        amounts = amounts_of(policy)
        if amounts is None:
            none = pl.lit(None, dtype=pl.Int128)
            return rows.with_columns(
                pl.lit(None, dtype=pl.String).alias(f"{prefix}_bucket"),
                none.alias(f"{prefix}_value"),
                none.alias(f"{prefix}_threshold"),
                pl.lit(False).alias(f"{prefix}_strict"),
            )
        names = ("bucket", "value", "threshold", "strict")
        beside = _measured(rows.select("arrival", "currency", "amount"), amounts, policy, policies, scale_of(events))
        renamed = beside.select("arrival", *(pl.col(name).alias(f"{prefix}_{name}") for name in names))
        return rows.join(renamed, on="arrival")

    return by_span(events, policies, judge).sort("arrival")


def reaches(times: Decimal, value: str = "value") -> pl.Expr:
    """Whether a whole number in a column reaches so many times the threshold of its row."""
    ratio = Fraction(times)
    mine, theirs = pl.col(value) * big(ratio.denominator), pl.col("threshold") * big(ratio.numerator)
    return pl.when("strict").then(mine > theirs).otherwise(mine >= theirs).fill_null(False)


def _measured(
    rows: pl.DataFrame, amounts: Amounts, policy: Policy, policies: PolicyHistory, scale: int
) -> pl.DataFrame:
    foreign, places = policy.money.foreign, rate_places(policies)
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
