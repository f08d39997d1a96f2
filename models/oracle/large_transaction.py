"""large_transaction a second time: one customer, direction and day summed against the reporting threshold."""

from collections.abc import Iterable
from decimal import Context, Decimal
from fractions import Fraction

import polars as pl

from models.oracle.classified import ONE, is_times, reaches
from models.oracle.frames import as_warnings, by_span, rate_places, scale_of, trimmed, with_days, with_window_end
from models.policy import Policy, PolicyHistory


def large_transactions(events: pl.DataFrame, policies: PolicyHistory) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The detector's warnings (severity as a rank), and (warning_id, subject, day) of those above routine filing.

    Args:
        events: `classified`.
    """
    scale = scale_of(events)
    sums = (
        events.filter(~pl.col("exempt") & pl.col("reported"))
        .group_by("customer_id", "class", "direction", "bucket", "day", "threshold", "strict")
        .agg(pl.col("value").sum(), pl.col("event_time").max())
        .filter(reaches(ONE))
    )

    def judge(rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
        rule = policy.detectors.large_transaction
        if rule.mode == "off":
            rows = rows.clear()
        steps = [is_times(figure.value) for figure in (rule.medium_from, rule.high_from)]
        texts = _texts(zip(rows["bucket"], rows["value"], strict=True), scale, policy, rate_places(policies))
        frame = with_window_end(rows, policy).with_columns(
            pl.sum_horizontal(step.cast(pl.Int8) for step in steps).alias("rank"),
            pl.format("customer:{}", "customer_id").alias("subject"),
            pl.concat_str("class", "direction", "bucket", pl.col("day").dt.to_string("%Y-%m-%d"), separator="|").alias(
                "anchor"
            ),
            pl.Series("observed", texts, dtype=pl.String),
        )
        return as_warnings(frame, "large_transaction", rule).with_columns(frame["day"])

    warnings, days = with_days(by_span(sums, policies, judge))
    # A single large transaction of low severity is routine filing: it corroborates nothing.
    return warnings, days.join(warnings.filter(pl.col("rank") > 0), on="warning_id", how="semi")


def _texts(sums: Iterable[tuple[str, int]], scale: int, policy: Policy, places: int) -> list[str]:
    """Sums as plain decimals: exact where the quotient ends within the amounts' own places, else of six places."""
    foreign = policy.money.foreign
    rate = policy.rates[foreign]
    wide = Context(prec=60)
    step = Decimal(1).scaleb(-scale)
    texts = []
    for bucket, value in sums:
        if bucket != foreign:
            texts.append(format(Decimal(value).scaleb(-scale, wide), "f"))
            continue
        quotient = wide.divide(Decimal(value).scaleb(-scale - places, wide), rate)
        rounded = quotient.quantize(step, context=wide)
        # Fractions: a quotient that never ends would be rounded twice.
        sum_in_foreign = Fraction(value) / (Fraction(rate) * 10 ** (scale + places))
        texts.append(format(rounded, "f") if rounded == quotient else trimmed(sum_in_foreign))
    return texts
