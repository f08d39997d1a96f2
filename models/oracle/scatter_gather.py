"""scatter_gather a second time: for every active day, who was new in the days up to it, and where the money went."""

import math
from fractions import Fraction

import polars as pl

from models.oracle.frames import (
    as_warnings,
    big,
    by_span,
    by_version,
    in_base,
    no_days,
    no_warnings,
    rate_places,
    scale_of,
    with_window_end,
)
from models.policy import Policy, PolicyHistory
from models.risk_warning import severity_rank

SHAPES = (("gather", "in", "out"), ("scatter", "out", "in"))
AT = ("customer_id", "closing")


def scatter_gather(events: pl.DataFrame, policies: PolicyHistory) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The detector's warnings (severity as a rank), and (warning_id, subject, day) for each day of their windows.

    Args:
        events: `classified`.
    """
    places = rate_places(policies)
    worth = by_span(
        events, policies, lambda rows, one: rows.with_columns(in_base("amount", one, places).alias("worth"))
    )
    flows = (
        worth.filter(~pl.col("exempt"))
        .group_by("customer_id", "day", "direction", "identity")
        .agg(pl.col("worth").sum(), pl.col("event_time").max())
    )
    dealt = events.select("customer_id", "identity", "day").drop_nulls().unique()
    unit = 10 ** (scale_of(events) + places)
    warnings = [no_warnings()]
    days = [no_days()]
    for policy, first, end in by_version(policies):
        rule = policy.detectors.scatter_gather
        if rule.mode == "off":
            continue
        for shape, many, few in SHAPES:
            needed = rule.many_payers.whole if shape == "gather" else rule.many_payees.whole
            closings = _candidates(flows, many, needed)
            closings = closings.filter((pl.col("closing") >= first) & (pl.col("closing") < end))
            held = _held(closings, flows, dealt, (shape, many, few), needed, policy, unit)
            block = (pl.col("closing") - pl.date(1970, 1, 1)).dt.total_days() // rule.within.whole
            found = held.with_columns(
                pl.format("customer:{}", "customer_id").alias("subject"),
                pl.format(f"{shape}|{{}}", block).alias("anchor"),
            )
            frame = found.group_by("subject", "anchor").agg(
                pl.col("closing").max().alias("day"),
                pl.col("event_time").max(),
                pl.col("new").max().cast(pl.String).alias("observed"),
                pl.lit(severity_rank(rule.severity)).alias("rank"),
            )
            made = as_warnings(with_window_end(frame, policy), "scatter_gather", rule)
            window = pl.DataFrame({"back": range(rule.within.whole)}, schema={"back": pl.Int64})
            of_days = found.join(window, how="cross").select(
                "subject", "anchor", (pl.col("closing") - pl.duration(days=pl.col("back"))).alias("day")
            )
            warnings.append(made)
            joined = made.join(of_days.unique(), on=["subject", "anchor"])
            days.append(joined.select("warning_id", "subject", "day"))
    return pl.concat(warnings), pl.concat(days)


def _candidates(flows: pl.DataFrame, many: str, needed: int) -> pl.DataFrame:
    """The active days of customers who ever have enough counterparties on one side and any on the other."""
    enough = (
        flows.group_by("customer_id")
        .agg(
            pl.col("identity").filter(pl.col("direction") == many).drop_nulls().n_unique().alias("number"),
            (pl.col("direction") != many).any().alias("both"),
        )
        .filter((pl.col("number") >= needed) & pl.col("both"))
    )
    return (
        flows.join(enough, on="customer_id", how="semi").select("customer_id", pl.col("day").alias("closing")).unique()
    )


def _held(
    closings: pl.DataFrame,
    flows: pl.DataFrame,
    dealt: pl.DataFrame,
    shape: tuple[str, str, str],
    needed: int,
    policy: Policy,
    unit: int,
) -> pl.DataFrame:
    """The (customer_id, closing) on which the shape holds, with `new` counterparties and the newest `event_time`."""
    (name, many, few), rule = shape, policy.detectors.scatter_gather
    within, back = pl.duration(days=rule.within.whole), policy.counterparties.new_after.whole
    begin = pl.col("closing") - within
    inside = closings.join(flows, on="customer_id").filter(
        (pl.col("day") > begin) & (pl.col("day") <= pl.col("closing"))
    )
    look_back = (pl.col("day") > begin - pl.duration(days=back)) & (pl.col("day") <= begin)
    known = closings.join(dealt, on="customer_id").filter(look_back).select(*AT, "identity").unique()
    named = flows.filter((pl.col("direction") == many) & pl.col("identity").is_not_null())
    usual = (
        closings.join(named, on="customer_id")
        .filter(look_back)
        .group_by(AT)
        .agg(pl.len().cast(pl.Int128).alias("usual"))
    )
    wide = (
        inside.filter((pl.col("direction") == many) & pl.col("identity").is_not_null())
        .join(known, on=[*AT, "identity"], how="anti")
        .group_by(AT)
        .agg(
            pl.col("identity").n_unique().cast(pl.Int128).alias("new"),
            pl.col("worth").sum().alias("wide"),
            pl.col("event_time").max(),
        )
    )
    narrow = (
        inside.filter(pl.col("direction") == few)
        .group_by(*AT, "identity")
        .agg(pl.col("worth").sum(), pl.col("event_time").max())
        .group_by(AT)
        .agg(
            pl.col("worth").top_k(rule.few.whole).sum().alias("narrow"), pl.col("event_time").max().alias("other_time")
        )
    )
    least_in = least_out = 0
    if rule.passed_on is not None:
        amount = Fraction(rule.passed_on.amounts[policy.money.base]) * unit
        # Sums are whole: what is above a figure is at or above the next whole number.
        above = rule.passed_on.op == ">"
        least_in, least_out = (
            math.floor(one) + 1 if above else math.ceil(one) for one in (amount, amount * Fraction(rule.share.value))
        )
    least_wide, least_narrow = (least_in, least_out) if name == "gather" else (least_out, least_in)
    times = Fraction(rule.times_usual.value)
    unusual = pl.col("new") * big(back * times.denominator) >= pl.col("usual") * big(
        times.numerator * rule.within.whole
    )
    return (
        wide.join(narrow, on=AT)
        .join(usual, on=AT, how="left")
        .with_columns(pl.col("usual").fill_null(0), pl.max_horizontal("event_time", "other_time").alias("event_time"))
        .filter(
            (pl.col("new") >= needed)
            & unusual
            & (pl.col("wide") >= big(least_wide))
            & (pl.col("narrow") >= big(least_narrow))
        )
    )
