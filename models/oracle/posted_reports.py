"""What posts report beside odd transactions, a second time: each report of these kinds is one warning by itself."""

from functools import partial

import polars as pl

from models.oracle.frames import as_warnings, by_span, with_window_end
from models.policy import Policy, PolicyHistory, PostedReport
from models.risk_warning import severity_rank

KINDS = ("system_fault", "clearing_exception", "complaint", "referral", "financing_need")


def posted_reports(accepted: pl.DataFrame, policies: PolicyHistory) -> pl.DataFrame:
    """The warnings of the five detectors that are called as their kinds of report (severity as a rank).

    Args:
        accepted: reports that count.
    """
    about = (
        pl.when(pl.col("customer_id").is_null())
        .then(pl.format("branch:{}", "reporter.branch_id"))
        .otherwise(pl.format("customer:{}", "customer_id"))
    )
    rows = accepted.with_columns(
        about.alias("subject"), pl.col("report_id").alias("anchor"), pl.lit("1").alias("observed")
    )
    found = [by_span(rows.filter(pl.col("kind") == kind), policies, partial(_judged, kind=kind)) for kind in KINDS]
    return pl.concat(found)


def _judged(rows: pl.DataFrame, policy: Policy, kind: str) -> pl.DataFrame:
    rule: PostedReport = getattr(policy.detectors, kind)
    told = rows.clear() if rule.mode == "off" else rows
    frame = with_window_end(told, policy).with_columns(pl.lit(severity_rank(rule.severity)).alias("rank"))
    return as_warnings(frame, kind, rule)
