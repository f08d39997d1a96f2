"""Reports and machine warnings on one subject, close in days, raise each other by one step, once."""

import polars as pl

from models.policy import Policy
from models.risk_warning import SEVERITIES


def corroborated(warnings: pl.DataFrame, reported: pl.DataFrame, machine: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """The warnings with the rank of each that has a partner raised.

    Args:
        warnings: every warning, with `rank`.
        reported: (warning_id, subject, day) of the teller_report warnings.
        machine: (warning_id, subject, day) of the others; several days for a warning that grew by day, so that
            the result is that of every moment at which it was judged, whatever it grew to afterwards.
    """
    within = policy.detectors.teller_report.corroborated_within.whole
    pairs = reported.join(machine, on="subject", suffix="_machine").filter(
        (pl.col("day") - pl.col("day_machine")).dt.total_days().abs() <= within
    )
    partners = pl.concat([pairs["warning_id"], pairs["warning_id_machine"]]).unique()
    raised = (pl.col("rank") + 1).clip(upper_bound=len(SEVERITIES) - 1)
    is_partner = pl.col("warning_id").is_in(partners.implode())
    return warnings.with_columns(pl.when(is_partner).then(raised).otherwise(pl.col("rank")).alias("rank"))
