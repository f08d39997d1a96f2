"""missing_control a second time: transactions that needed an identity check or an approval and had none, by day."""

from decimal import Decimal
from fractions import Fraction

import polars as pl

from models.oracle.classified import ONE, against, reaches
from models.oracle.frames import as_warnings, by_span, trimmed, with_days, with_window_end
from models.policy import Policy, PolicyHistory, Rule
from models.risk_warning import SEVERITIES, severity_rank

DETECTOR = "missing_control"
CUSTOMER_DAY = ("customer_id", "day")


def missing_control(events: pl.DataFrame, policies: PolicyHistory) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The detector's warnings (severity as a rank), and (warning_id, subject, day) of each.

    Args:
        events: `classified`.
    """

    def judge(rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
        rule = policy.detectors.missing_control
        found = []
        for name in ("identity", "approval"):
            without = rows.filter(f"no_{name}")
            steps = pl.col("no_identity").any().cast(pl.Int64) if name == "approval" else pl.lit(0)
            days = without.group_by(CUSTOMER_DAY).agg(pl.col("event_time").max(), steps.alias("steps"))
            days = days.join(largest(without, name, policy), on=CUSTOMER_DAY)
            rank = (pl.col("steps") + severity_rank(rule.severity)).clip(upper_bound=len(SEVERITIES) - 1)
            found.append(day_warnings(days.with_columns(rank.alias("rank")), name, DETECTOR, policy))
        return pl.concat(found)

    return with_days(by_span(lacking(events, policies), policies, judge))


def lacking(events: pl.DataFrame, policies: PolicyHistory) -> pl.DataFrame:
    """The transactions that needed a control and had none: `no_identity`, `no_approval`. Whether the rule is on or off
    is not asked.

    Args:
        events: `classified`.
    """
    checked = against(events, lambda one: one.detectors.missing_control.identity_from, policies, "identity")
    checked = against(checked, lambda one: one.detectors.missing_control.approval_from, policies, "approval")
    verified = pl.col("controls.identity_verified").fill_null(False)
    others = pl.col("controls.approved_by").list.set_difference(pl.concat_list("teller_id"))
    approved = (others.list.len() > 0).fill_null(False)
    checked = checked.with_columns(
        (reaches(ONE, "identity_value", "identity_") & ~verified).alias("no_identity"),
        (reaches(ONE, "approval_value", "approval_") & ~approved).alias("no_approval"),
    ).filter(pl.col("no_identity") | pl.col("no_approval"))

    def where_posts_check(rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
        channels = policy.detectors.missing_control.channels
        return rows.filter(pl.col("channel").is_in(list(channels)).fill_null(False)) if channels else rows

    return by_span(checked, policies, where_posts_check)


# ----------------------------------------- what every rule about a customer's day needs


def largest(rows: pl.DataFrame, prefix: str, policy: Policy) -> pl.DataFrame:
    """Of each customer's day the amount farthest beyond its threshold, as text in the threshold's currency."""
    bucket, value = f"{prefix}_bucket", pl.col(f"{prefix}_value")
    tops = rows.group_by(*CUSTOMER_DAY, bucket).agg(
        pl.col("amount", "currency", f"{prefix}_value", f"{prefix}_threshold").sort_by(value).last()
    )
    best: dict[tuple[str, object], tuple[Fraction, str, str]] = {}
    for customer, day, name, amount, currency, top, threshold in tops.iter_rows():
        one = (Fraction(top, threshold), name, _in(name, amount, currency, policy))
        best[customer, day] = max(one, best.get((customer, day), one))
    return pl.DataFrame(
        [(customer, day, text) for (customer, day), (_, _, text) in best.items()],
        schema={"customer_id": pl.String, "day": pl.Date, "observed": pl.String},
        orient="row",
    )


def _in(bucket: str, amount: Decimal, currency: str, policy: Policy) -> str:
    exact = Fraction(amount)
    if currency != bucket:
        exact = exact * Fraction(policy.rates[currency]) / Fraction(policy.rates[bucket])
    return trimmed(exact)


def day_warnings(days: pl.DataFrame, name: str, detector: str, policy: Policy) -> pl.DataFrame:
    """Warnings `<name>|<day>` of customers, with their `day`, from customer_id, day, event_time, rank, observed.

    None where the rule is off.
    """
    rule: Rule = getattr(policy.detectors, detector)
    frame = with_window_end(days if rule.mode != "off" else days.clear(), policy).with_columns(
        pl.format("customer:{}", "customer_id").alias("subject"),
        pl.format(f"{name}|{{}}", pl.col("day").dt.to_string("%Y-%m-%d")).alias("anchor"),
    )
    return as_warnings(frame, detector, rule).with_columns(frame["day"])
