"""The oracle: the rules of the stream a second time, as whole-history Polars queries that share no code with it.

What the stream says is checked against this. It sees all events at once, so it knows no revisions: one row a
warning, in the state that the whole history gives it.
"""

from datetime import datetime

import polars as pl

from models.oracle.acceptance import accepted_capital, accepted_reports, accepted_transactions
from models.oracle.anomaly import anomalies
from models.oracle.approval_during_suspension import approvals_during_suspension
from models.oracle.classified import classified
from models.oracle.corroboration import corroborated
from models.oracle.dormant_reactivation import dormant_reactivation
from models.oracle.frames import canonical, finished, from_events, no_warnings
from models.oracle.frequent_large_transfers import frequent_large_transfers
from models.oracle.heightened import with_heightened
from models.oracle.industry_concentration import industry_concentrations
from models.oracle.inspection import inspections, large_bookings
from models.oracle.large_transaction import large_transactions
from models.oracle.lending import accepted_loans
from models.oracle.misclassification import misclassifications
from models.oracle.missing_control import missing_control
from models.oracle.missing_rate import Judged, missing_rates
from models.oracle.name_concentration import name_concentrations
from models.oracle.posted_reports import posted_reports
from models.oracle.real_estate_concentration import real_estate_concentrations
from models.oracle.resample import resamples
from models.oracle.scatter_gather import scatter_gather
from models.oracle.silence import closed_days, silence
from models.oracle.structuring import structuring
from models.oracle.suspicious_counterparty import suspicious_counterparty
from models.oracle.teller_report import teller_reports
from models.policy import PolicyHistory

__all__ = ["closed_until", "from_events", "refusals", "resamples", "warnings"]

# Rules over customers' transactions, each giving its warnings and the days on which a report may corroborate them.
_CUSTOMER_RULES = {
    "large_transaction": large_transactions,
    "frequent_large_transfers": frequent_large_transfers,
    "structuring": structuring,
    "scatter_gather": scatter_gather,
    "dormant_reactivation": dormant_reactivation,
    "missing_control": missing_control,
    "suspicious_counterparty": suspicious_counterparty,
}
# Rules over the entities' loan books and their capital.
_BOOK_RULES = {
    "industry_concentration": industry_concentrations,
    "real_estate_concentration": real_estate_concentrations,
    "name_concentration": name_concentrations,
}


def warnings(
    *,
    transactions: pl.DataFrame | None = None,
    reports: pl.DataFrame | None = None,
    loans: pl.DataFrame | None = None,
    capital: pl.DataFrame | None = None,
    told: pl.DataFrame | None = None,
    suspensions: pl.DataFrame | None = None,
    policies: PolicyHistory,
) -> pl.DataFrame:
    """Every warning that the events give, live and shadow rules alike, each by the figures of its own days.

    Args:
        transactions, reports, loans, capital: canonical frames in arrival order (see `frames`); columns that are
            absent are null, None is no events.
        told: (detector, event_time) of each warning that was told for the first time, in which `silence` looks for
            a rule that tells less or more than usual. Events say nothing of when a warning was first told, which
            depends on their arrival; None leaves these series out.
        suspensions: in what (`subject`) nothing may be approved from `started_at` on until before `lifted_at`, which
            is null while it is in force, and by which case (`case_id`); None for none.
        policies: versions, rates and watch list by day.

    Returns:
        warning_id, detector, subject, anchor, severity, departments, event_time (of the last evidence),
        window_end, observed (of the first reason, as text); one row a warning, sorted by warning_id.

    Raises:
        ValueError: amounts in binary floats, or times without a zone.
    """
    booked, lent = canonical(transactions, "transactions"), canonical(loans, "loans")
    counted, refused = accepted_transactions(booked, policies)
    filed = accepted_reports(canonical(reports, "reports"), policies).frame
    customers = with_heightened(classified(counted, policies), filed, policies)
    found, days = [no_warnings()], []
    for name, rule in _CUSTOMER_RULES.items():
        if _is_on(name, policies):
            made, of_days = rule(customers, policies)
            found.append(made)
            days.append(of_days.with_columns(pl.lit(name).alias("detector")))
    if _is_on("anomaly", policies):
        for name, (made, of_days) in anomalies(transactions, policies).items():
            found.append(made)
            days.append(of_days.with_columns(pl.lit(name).alias("detector")))
    by_posts, reported = teller_reports(filed, policies)
    found += [by_posts, posted_reports(filed, policies)]
    book = accepted_loans(lent, policies)
    positions = accepted_capital(canonical(capital, "capital"), policies).frame
    for name, rule_of_books in _BOOK_RULES.items():
        if _is_on(name, policies):
            found.append(rule_of_books(book.frame, positions, policies))
    if _is_on("misclassification", policies):
        found.append(misclassifications(book.steps, policies))
    if _is_on("approval_during_suspension", policies):
        found.append(approvals_during_suspension(lent, book.steps, suspensions, policies))
    if _is_on("inspection", policies):
        large = large_bookings(customers)
        found.append(inspections(large, closed_days(counted, filed, policies), policies))
    if _is_on("silence", policies):
        found.append(silence(counted, filed, told, policies))
    if _is_on("missing_rate", policies):
        unrated = (Judged(booked, refused), Judged(lent, book.refused))
        found.append(missing_rates(unrated, policies))
    everything = pl.concat(found)
    if days and reported.height:
        everything = corroborated(everything, reported, pl.concat(days), policies)
    return finished(everything)


def _is_on(detector: str, policies: PolicyHistory) -> bool:
    """Whether any version would judge by it."""
    return any(getattr(policy.detectors, detector).mode != "off" for policy in policies.versions)


def closed_until(
    *, transactions: pl.DataFrame | None = None, reports: pl.DataFrame | None = None, policies: PolicyHistory
) -> datetime | None:
    """The first instant after the last day that is closed for `silence`; None where none is.

    Args:
        transactions, reports, policies: as for `warnings`.
    """
    counted = accepted_transactions(canonical(transactions, "transactions"), policies).frame
    filed = accepted_reports(canonical(reports, "reports"), policies).frame
    last: datetime | None = closed_days(counted, filed, policies)["end"].max()  # type: ignore[assignment]
    return last


def refusals(
    *,
    transactions: pl.DataFrame | None = None,
    reports: pl.DataFrame | None = None,
    loans: pl.DataFrame | None = None,
    capital: pl.DataFrame | None = None,
    policies: PolicyHistory,
) -> pl.DataFrame:
    """The events that a stage refuses, topic after topic in arrival order, one row each time one was sent.

    Args:
        transactions, reports, loans, capital, policies: as for `warnings`.

    Returns:
        event_id (a report's report_id, a capital position's entity@as_of) and reason: too_late, in_the_future,
        no_rate, unknown_loan, closed_loan, nothing_to_reverse, other_currency or repays_past_zero.
    """
    judged = (
        accepted_transactions(canonical(transactions, "transactions"), policies),
        accepted_reports(canonical(reports, "reports"), policies),
        accepted_loans(canonical(loans, "loans"), policies),
        accepted_capital(canonical(capital, "capital"), policies),
    )
    return pl.concat([one.refused.sort("arrival").select("event_id", "reason") for one in judged])
