"""The oracle: the rules of the stream a second time, as whole-history Polars queries that share no code with it.

What the stream says is checked against this. It sees all events at once, so it knows no revisions: one row a
warning, in the state that the whole history gives it.
"""

import polars as pl

from models.oracle.acceptance import accepted_capital, accepted_loans, accepted_reports, accepted_transactions
from models.oracle.corroboration import corroborated
from models.oracle.frames import canonical, finished, from_events, no_warnings
from models.oracle.frequent_large_transfers import frequent_large_transfers
from models.oracle.industry_concentration import industry_concentrations
from models.oracle.large_transaction import classified, large_transactions
from models.oracle.teller_report import teller_reports
from models.policy import Policy

__all__ = ["from_events", "refusals", "warnings"]

_DAYS = ("warning_id", "subject", "day")


def warnings(
    *,
    transactions: pl.DataFrame | None = None,
    reports: pl.DataFrame | None = None,
    loans: pl.DataFrame | None = None,
    capital: pl.DataFrame | None = None,
    policy: Policy,
) -> pl.DataFrame:
    """Every warning that the events give under one policy, live and shadow rules alike.

    Args:
        transactions, reports, loans, capital: canonical frames in arrival order (see `frames`); columns that are
            absent are null, None is no events.
        policy: the one version all events are judged by.

    Returns:
        warning_id, detector, subject, anchor, severity, departments, event_time (of the last evidence),
        window_end, observed (of the first reason, as text); one row a warning, sorted by warning_id.

    Raises:
        ValueError: amounts in binary floats, or times without a zone.
    """
    rules = policy.detectors
    found, machine_days, reported = [no_warnings()], [], no_warnings()
    if rules.large_transaction.mode != "off" or rules.frequent_large_transfers.mode != "off":
        accepted = accepted_transactions(canonical(transactions, "transactions"), policy).frame
        customers = classified(accepted, policy)
        if rules.large_transaction.mode != "off":
            large = large_transactions(accepted, customers, policy)
            found.append(large.drop("day"))
            # A single large transaction of low severity is routine filing: it corroborates nothing.
            machine_days.append(large.filter(pl.col("rank") > 0).select(_DAYS))
        if rules.frequent_large_transfers.mode != "off":
            frequent, days = frequent_large_transfers(accepted, customers, policy)
            found.append(frequent)
            machine_days.append(days)
    if rules.teller_report.mode != "off":
        reported = teller_reports(accepted_reports(canonical(reports, "reports"), policy).frame, policy)
        found.append(reported.drop("day"))
    if rules.industry_concentration.mode != "off":
        book = accepted_loans(canonical(loans, "loans"), policy).frame
        positions = accepted_capital(canonical(capital, "capital"), policy).frame
        found.append(industry_concentrations(book, positions, policy))
    everything = pl.concat(found)
    if machine_days and reported.height:
        everything = corroborated(everything, reported.select(_DAYS), pl.concat(machine_days), policy)
    return finished(everything)


def refusals(
    *,
    transactions: pl.DataFrame | None = None,
    reports: pl.DataFrame | None = None,
    loans: pl.DataFrame | None = None,
    capital: pl.DataFrame | None = None,
    policy: Policy,
) -> pl.DataFrame:
    """The events that a stage refuses, topic after topic in arrival order, one row each time one was sent.

    Args:
        transactions, reports, loans, capital, policy: as for `warnings`.

    Returns:
        event_id (a report's report_id, a capital position's entity@as_of) and reason: too_late, in_the_future,
        no_rate, unknown_loan or repays_past_zero.
    """
    judged = (
        accepted_transactions(canonical(transactions, "transactions"), policy),
        accepted_reports(canonical(reports, "reports"), policy),
        accepted_loans(canonical(loans, "loans"), policy),
        accepted_capital(canonical(capital, "capital"), policy),
    )
    return pl.concat([one.refused.sort("arrival").select("event_id", "reason") for one in judged])
