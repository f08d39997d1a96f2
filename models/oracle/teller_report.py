"""teller_report a second time: a post's report of an abnormal transaction or a doubtful document."""

import polars as pl

from models.oracle.frames import as_warnings, day, with_window_end
from models.policy import Policy
from models.risk_warning import severity_rank

FIRING = ("abnormal_transaction", "doubtful_document")


def teller_reports(accepted: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """The detector's warnings (severity as a rank), with the `day` of the report."""
    rule = policy.detectors.teller_report
    subject = (
        pl.when(pl.col("customer_id").is_not_null())
        .then(pl.format("customer:{}", "customer_id"))
        .otherwise(pl.format("branch:{}", "reporter.branch_id"))
    )
    frame = accepted.filter(pl.col("kind").is_in(FIRING)).with_columns(
        subject.alias("subject"),
        pl.col("report_id").alias("anchor"),
        pl.lit(severity_rank(rule.severity)).alias("rank"),
        pl.lit("1").alias("observed"),
        day(policy).alias("day"),
    )
    frame = with_window_end(frame, policy)
    return as_warnings(frame, "teller_report", rule).with_columns(frame["day"])
