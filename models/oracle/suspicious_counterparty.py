"""suspicious_counterparty a second time: whom a customer dealt with on a day, by list, country, number and novelty."""

import polars as pl

from models.oracle.classified import ONE, against, reaches, with_entries, with_novelty
from models.oracle.frames import by_span, with_days
from models.oracle.missing_control import CUSTOMER_DAY, day_warnings, largest
from models.policy import Policy, PolicyHistory
from models.risk_warning import SEVERITIES, severity_rank

DETECTOR = "suspicious_counterparty"


def suspicious_counterparty(events: pl.DataFrame, policies: PolicyHistory) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The detector's warnings (severity as a rank), and (warning_id, subject, day) of each.

    Args:
        events: `classified`.
    """
    measured = against(events, lambda one: one.detectors.suspicious_counterparty.country_from, policies, "country")
    measured = against(measured, lambda one: one.detectors.suspicious_counterparty.payee_from, policies, "payee")

    def judge(rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
        return pl.concat([_listed(rows, policy), _countries(rows, policy), _payees(rows, events, policy, policies)])

    return with_days(by_span(measured, policies, judge))


def _listed(rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """Days with anyone on the list; observed is how many transactions were with the entry that is named first."""
    hits = with_entries(rows, policy).drop_nulls("entry")
    days = hits.group_by(CUSTOMER_DAY).agg(
        pl.col("event_time").max(), (pl.col("entry") == pl.col("entry").min()).sum().cast(pl.String).alias("observed")
    )
    rank = pl.lit(severity_rank(policy.detectors.suspicious_counterparty.listed_severity))
    return day_warnings(days.with_columns(rank.alias("rank")), "listed", DETECTOR, policy)


def _countries(rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    risky = pl.col("counterparty.country").is_in(list(policy.counterparties.high_risk_countries)).fill_null(False)
    hits = rows.filter(risky & reaches(ONE, "country_value", "country_"))
    days = hits.group_by(CUSTOMER_DAY).agg(pl.col("event_time").max())
    days = days.join(largest(hits, "country", policy), on=CUSTOMER_DAY)
    rank = pl.lit(severity_rank(policy.detectors.suspicious_counterparty.severity))
    return day_warnings(days.with_columns(rank.alias("rank")), "country", DETECTOR, policy)


def _payees(rows: pl.DataFrame, events: pl.DataFrame, policy: Policy, policies: PolicyHistory) -> pl.DataFrame:
    rule = policy.detectors.suspicious_counterparty
    paid = rows.filter(
        (pl.col("direction") == "out")
        & (pl.col("method") == "transfer")
        & pl.col("identity").is_not_null()
        & reaches(ONE, "payee_value", "payee_")
    )
    pairs = with_novelty(paid.select(*CUSTOMER_DAY, "identity").unique(), events, policy, policies)
    numbers = pairs.group_by(CUSTOMER_DAY).agg(pl.len().alias("payees"), pl.col("new").sum().alias("fresh"))
    many, new = pl.col("payees") >= rule.many_payees.whole, pl.col("fresh") >= rule.new_payees.whole
    days = paid.group_by(CUSTOMER_DAY).agg(pl.col("event_time").max()).join(numbers, on=CUSTOMER_DAY)
    rank = (pl.lit(severity_rank(rule.severity)) + (many & new).cast(pl.Int64)).clip(upper_bound=len(SEVERITIES) - 1)
    days = days.filter(many | new).with_columns(
        rank.alias("rank"),
        pl.when(many).then(pl.col("payees")).otherwise(pl.col("fresh")).cast(pl.String).alias("observed"),
    )
    return day_warnings(days, "payees", DETECTOR, policy)
