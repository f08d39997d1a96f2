"""teller_report a second time: a post's report of an abnormal transaction or a doubtful document."""

import polars as pl

from models.oracle.frames import as_warnings, by_span, with_days, with_window_end
from models.policy import Policy, PolicyHistory
from models.risk_warning import severity_rank

FIRING = ("abnormal_transaction", "doubtful_document")


def teller_reports(accepted: pl.DataFrame, policies: PolicyHistory) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The detector's warnings (severity as a rank), and (warning_id, subject, day) of each report."""
    subject = (
        pl.when(pl.col("customer_id").is_not_null())
        .then(pl.format("customer:{}", "customer_id"))
        .otherwise(pl.format("branch:{}", "reporter.branch_id"))
    )
    firing = accepted.filter(pl.col("kind").is_in(FIRING)).with_columns(
        subject.alias("subject"), pl.col("report_id").alias("anchor"), pl.lit("1").alias("observed")
    )

    def judge(rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
        rule = policy.detectors.teller_report
        if rule.mode == "off":
            rows = rows.clear()
        frame = with_window_end(rows, policy).with_columns(pl.lit(severity_rank(rule.severity)).alias("rank"))
        return as_warnings(frame, "teller_report", rule).with_columns(frame["day"])

    return with_days(by_span(firing, policies, judge))
