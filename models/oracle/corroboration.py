"""Reports and machine warnings on one subject, close in days, raise each other by one step, once."""

import polars as pl

from models.oracle.frames import by_span
from models.policy import Policy, PolicyHistory
from models.risk_warning import SEVERITIES


def corroborated(
    warnings: pl.DataFrame, reported: pl.DataFrame, machine: pl.DataFrame, policies: PolicyHistory
) -> pl.DataFrame:
    """The warnings with the rank of each that has a partner raised.

    Args:
        warnings: every warning, with `rank`.
        reported: (warning_id, subject, day) of the teller_report warnings.
        machine: (warning_id, detector, subject, day) of the others; several days for a warning that grew by day. It
            reaches from the first of them to the last.
    """
    windows = machine.group_by("warning_id", "detector", "subject").agg(
        pl.col("day").min().alias("first"), pl.col("day").max().alias("last")
    )

    def judge(reports: pl.DataFrame, policy: Policy) -> pl.DataFrame:
        rules = policy.detectors
        live = [name for name in rules.__struct_fields__ if getattr(rules, name).mode == "live"]
        within = pl.duration(days=rules.teller_report.corroborated_within.whole)
        near = (pl.col("day") >= pl.col("first") - within) & (pl.col("day") <= pl.col("last") + within)
        told = reports if "teller_report" in live else reports.clear()
        pairs = told.join(windows, on="subject", suffix="_machine")
        return pairs.filter(near & pl.col("detector").is_in(live))

    pairs = by_span(reported, policies, judge)
    partners = pl.concat([pairs["warning_id"], pairs["warning_id_machine"]]).unique()
    raised = (pl.col("rank") + 1).clip(upper_bound=len(SEVERITIES) - 1)
    is_partner = pl.col("warning_id").is_in(partners.implode())
    return warnings.with_columns(pl.when(is_partner).then(raised).otherwise(pl.col("rank")).alias("rank"))
