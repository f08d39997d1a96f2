"""approval_during_suspension a second time: accepted approvals against the times in which nothing may be approved."""

from typing import Any

import polars as pl

from models.oracle.frames import INSTANT, as_warnings, by_span, day, with_window_end
from models.oracle.industries import UNKNOWN, member
from models.policy import Policy, PolicyHistory
from models.risk_warning import severity_rank

_SPANS: dict[str, Any] = {"subject": pl.String, "case_id": pl.String, "started_at": INSTANT, "lifted_at": INSTANT}


def approvals_during_suspension(
    sent: pl.DataFrame, steps: pl.DataFrame, suspensions: pl.DataFrame | None, policies: PolicyHistory
) -> pl.DataFrame:
    """The detector's warnings (severity as a rank), one for each approval and suspended subject that it is in.

    Args:
        sent: all loan events, canonical: an approval is in what it says itself, whatever its loan turned out to be.
        steps: those accepted.
        suspensions: subject, case_id, started_at, lifted_at; None for none.

    Raises:
        ValueError: times without a zone.
    """
    spans = _canonical(suspensions)
    accepted = steps.filter(pl.col("kind") == "approved")
    approvals = sent.join(accepted, on="arrival", how="semi").with_columns(day(policies).alias("day"))

    def judge(rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
        rule = policy.detectors.approval_during_suspension
        if rule.mode == "off":
            rows = rows.clear()
        found = _by_subject(rows, policy.detectors.industry_concentration.scheme).join(spans, on="subject")
        begun = pl.col("event_time") >= pl.col("started_at")
        lifted = (pl.col("event_time") >= pl.col("lifted_at")).fill_null(False)
        found = with_window_end(found.filter(begun & ~lifted), policy)
        zone = policy.bank_calendar.zone
        found = found.with_columns(
            pl.col("event_id").alias("anchor"),
            pl.lit(severity_rank(rule.severity)).alias("rank"),
            pl.Series("observed", [one.astimezone(zone).isoformat() for one in found["event_time"]], dtype=pl.String),
        )
        return as_warnings(found, "approval_during_suspension", rule)

    return by_span(approvals, policies, judge)


def _canonical(suspensions: pl.DataFrame | None) -> pl.DataFrame:
    if suspensions is None or not suspensions.height:
        return pl.DataFrame(schema=_SPANS)
    for name, dtype in suspensions.schema.items():
        if isinstance(dtype, pl.Datetime) and dtype.time_zone is None:
            raise ValueError(f"{name} has no time zone")
    if "lifted_at" not in suspensions.columns:
        suspensions = suspensions.with_columns(pl.lit(None).alias("lifted_at"))
    return suspensions.select(
        pl.col("subject").cast(pl.String).str.normalize("NFC"),
        pl.col("started_at", "lifted_at").cast(INSTANT),
    )


def _by_subject(approvals: pl.DataFrame, scheme: str) -> pl.DataFrame:
    """A row for each `subject` that an approval is part of; null where it is of no industry, estate or group."""
    estate = pl.when(pl.col("real_estate") != "none").then("real_estate")
    industry = pl.when(member("industry", scheme) != UNKNOWN).then(member("industry", scheme))
    group = pl.when(pl.col("group_id") != "").then("group_id")
    subjects = pl.concat_list(
        pl.format("industry:{}:{}", "entity", industry),
        pl.format("real_estate:{}:{}", "entity", estate),
        pl.when(estate.is_not_null()).then(pl.format("real_estate:{}:total", "entity")),
        pl.format("borrower:{}:{}", "entity", "borrower_id"),
        pl.format("group:{}:{}", "entity", group),
    )
    return approvals.with_columns(subjects.alias("subject")).explode("subject")
