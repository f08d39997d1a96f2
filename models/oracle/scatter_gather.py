"""scatter_gather a second time: for every day on which such money moved, who was new, and where the money went."""

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
PAIR = ("customer_id", "identity")


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
    dealt = events.select(*PAIR, "day").drop_nulls().unique()
    # A number for the two stands in for their names where many rows are compared.
    pairs = dealt.select(PAIR).unique().with_row_index("pair")
    dealt = dealt.join(pairs, on=PAIR).select("pair", pl.col("day").alias("dealt")).sort("dealt")
    flows = flows.join(pairs, on=PAIR, how="left")
    unit = 10 ** (scale_of(events) + places)
    held = []
    at_first = policies.versions[0].detectors.scatter_gather.within.whole
    for policy, first, end in by_version(policies):
        rule = policy.detectors.scatter_gather
        if rule.mode == "off":
            continue
        # The same number of a block of another length would be other days.
        mark = f"/{rule.within.whole}" if rule.within.whole != at_first else ""
        for shape, many, few in SHAPES:
            needed = rule.many_payers.whole if shape == "gather" else rule.many_payees.whole
            closings = _candidates(flows, many, needed)
            closings = closings.filter((pl.col("closing") >= first) & (pl.col("closing") < end))
            block = (pl.col("closing") - pl.date(1970, 1, 1)).dt.total_days() // rule.within.whole
            found = _held(closings, flows, dealt, (shape, many, few), needed, policy, unit)
            held.append(
                found.select(
                    pl.format("customer:{}", "customer_id").alias("subject"),
                    pl.format(f"{shape}|{{}}{mark}", block).alias("anchor"),
                    pl.lit(policy.version).alias("version"),
                    "closing",
                    "event_time",
                    "new",
                    pl.lit(severity_rank(rule.severity)).alias("rank"),
                    pl.lit(rule.within.whole, dtype=pl.Int64).alias("within"),
                )
            )
    if not held:
        return no_warnings(), no_days()
    windows = pl.concat(held).sort("closing")
    # As grave as any version says whose days closed a window; told by the last of them.
    episodes = windows.group_by("subject", "anchor", maintain_order=True).agg(
        pl.col("closing", "version").last(),
        pl.col("event_time", "rank").max(),
        pl.col("new").max().cast(pl.String).alias("observed"),
    )
    warnings = [no_warnings()]
    for policy in policies.versions:
        mine = episodes.filter(pl.col("version") == policy.version)
        rule = policy.detectors.scatter_gather
        warnings.append(as_warnings(with_window_end(mine, policy, "closing"), "scatter_gather", rule))
    made = pl.concat(warnings)
    back = pl.int_ranges(0, "within").alias("back")
    of_days = windows.select("subject", "anchor", "closing", back).explode("back")
    of_days = of_days.select("subject", "anchor", (pl.col("closing") - pl.duration(days=pl.col("back"))).alias("day"))
    return made, made.join(of_days.unique(), on=["subject", "anchor"]).select("warning_id", "subject", "day")


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
    within, back = rule.within.whole, policy.counterparties.new_after.whole
    begin = pl.col("closing") - pl.duration(days=within)
    before = begin - pl.duration(days=back)
    named = flows.filter((pl.col("direction") == many) & pl.col("identity").is_not_null())
    closings = _counted(closings.with_columns(begin.alias("begin"), before.alias("before")), named)
    # As many rows as are needed, or more, before anything that takes longer is asked.
    closings = closings.filter(pl.col("until_closing") - pl.col("until_begin") >= needed).select(
        *AT, "begin", (pl.col("until_begin") - pl.col("until_before")).cast(pl.Int128).alias("usual")
    )
    wide = (
        _inside(closings, named, within)
        .sort("begin")
        .join_asof(
            dealt,
            left_on="begin",
            right_on="dealt",
            by="pair",
            strategy="backward",
            check_sortedness=False,
        )
        .filter(pl.col("dealt").is_null() | (pl.col("dealt") <= before))
        .group_by(AT)
        .agg(
            pl.col("pair").n_unique().cast(pl.Int128).alias("new"),
            pl.col("worth").sum().alias("wide"),
            pl.col("event_time").max(),
            (pl.col("back") == 0).any().alias("wide_today"),
        )
        .filter(pl.col("new") >= needed)
    )
    closings = closings.join(wide, on=AT, how="semi")
    narrow = (
        _inside(closings, flows.filter(pl.col("direction") == few), within)
        .group_by(*AT, "identity")
        .agg(pl.col("worth").sum(), pl.col("event_time").max(), pl.col("back").min())
        .group_by(AT)
        .agg(
            pl.col("worth").top_k(rule.few.whole).sum().alias("narrow"),
            pl.col("event_time").max().alias("other_time"),
            (pl.col("back") == 0).any().alias("narrow_today"),
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
    unusual = pl.col("new") * big(back * times.denominator) >= pl.col("usual") * big(times.numerator * within)
    return (
        wide.join(narrow, on=AT)
        .join(closings, on=AT)
        .with_columns(pl.max_horizontal("event_time", "other_time").alias("event_time"))
        # Money of the shape must have moved on the closing day itself: other business proves nothing more.
        .filter(pl.col("wide_today") | pl.col("narrow_today"))
        .filter(unusual & (pl.col("wide") >= big(least_wide)) & (pl.col("narrow") >= big(least_narrow)))
    )


def _inside(closings: pl.DataFrame, flows: pl.DataFrame, within: int) -> pl.DataFrame:
    """The flows of the days up to each closing.

    A day after the other is laid upon the closings: all days of a customer at once would be squares of busy ones.
    """
    mine = flows.join(closings.select("customer_id").unique(), on="customer_id", how="semi")
    closing = pl.col("day") + pl.duration(days=pl.col("back"))
    steps = (mine.with_columns(pl.lit(back).alias("back")) for back in range(within))
    return pl.concat([step.with_columns(closing.alias("closing")).join(closings, on=AT) for step in steps])


def _counted(closings: pl.DataFrame, named: pl.DataFrame) -> pl.DataFrame:
    """With `until_closing`, `until_begin` and `until_before`: the customer's rows up to that day inclusive."""
    days = named.group_by("customer_id", "day").agg(pl.len().cast(pl.Int64).alias("rows")).sort("day")
    days = days.with_columns(pl.col("rows").cum_sum().over("customer_id"))
    for name in ("closing", "begin", "before"):
        counted = days.rename({"day": name, "rows": f"until_{name}"})
        closings = closings.sort(name).join_asof(
            counted, on=name, by="customer_id", strategy="backward", check_sortedness=False
        )
    return closings.with_columns(pl.col("^until_.*$").fill_null(0))
