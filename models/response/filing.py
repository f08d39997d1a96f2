"""The list of large transactions to be filed: a line for each transaction behind a warning, with when it is due."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal

from msgspec import Struct

from models.events import Counterparty, Transaction
from models.response.case import Case
from models.risk_warning import RiskWarning

DETECTOR, MEASURE = "large_transaction", "file_large_transaction_report"


class FilingLine(Struct, frozen=True, kw_only=True):
    """One transaction of one report.

    Args:
        report_id: the warning's id; all transactions that make up one day's sum share it.
        customer_kind: person or entity.
        sum, threshold: of the day and class, and what it was held against, both in `sum_currency`.
        transactions: how many make up the sum; a warning names the first 500 of them.
        due_at: by when the report must be filed, as frozen in its case; None where no case asks for it.
        filed_at: when the department said that it is; None: not yet.
    """

    report_id: str
    event_id: str
    event_time: datetime
    customer_id: str
    customer_kind: str
    account_id: str
    direction: str
    amount: Decimal
    currency: str
    method: str
    cross_border: bool
    counterparty_name: str | None
    counterparty_account: str | None
    counterparty_bank: str | None
    counterparty_country: str | None
    channel: str | None
    branch_id: str | None
    teller_id: str | None
    purpose: str | None
    sum: str
    threshold: str
    sum_currency: str
    transactions: int
    due_at: datetime | None
    filed_at: datetime | None


def filing_lines(
    warnings: Iterable[RiskWarning], transactions: Mapping[tuple[str, str], Transaction], cases: Iterable[Case]
) -> Iterator[FilingLine]:
    """The lines of the live large_transaction warnings, by report and time of the transaction.

    Args:
        warnings: each in its newest revision.
        transactions: by (customer_id, event_id), those that the warnings name.
        cases: each as it stands.
    """
    asked = {ref.warning_id: case for case in cases for ref in case.warnings}
    found = [one for one in warnings if one.detector == DETECTOR and one.mode == "live"]
    for warning in sorted(found, key=lambda one: (one.window.start, one.subject, one.warning_id)):
        customer = warning.subject.partition(":")[2]
        named = (transactions.get((customer, event_id)) for event_id in warning.event_ids)
        due_at, filed_at = _deadline(asked.get(warning.warning_id), warning)
        reason = warning.reasons[0]
        for event in sorted((one for one in named if one is not None), key=lambda one: (one.event_time, one.event_id)):
            other = event.counterparty or Counterparty()
            yield FilingLine(
                report_id=warning.warning_id,
                event_id=event.event_id,
                event_time=event.event_time,
                customer_id=event.customer_id,
                customer_kind=event.customer_kind,
                account_id=event.account_id,
                direction=event.direction,
                amount=event.amount,
                currency=event.currency,
                method=event.method,
                cross_border=event.cross_border,
                counterparty_name=other.name,
                counterparty_account=other.account_id,
                counterparty_bank=other.bank,
                counterparty_country=other.country,
                channel=event.channel,
                branch_id=event.branch_id,
                teller_id=event.teller_id,
                purpose=event.purpose,
                sum=reason.observed,
                threshold=reason.threshold,
                sum_currency=reason.unit,
                transactions=warning.event_count,
                due_at=due_at,
                filed_at=filed_at,
            )


def _deadline(case: Case | None, warning: RiskWarning) -> tuple[datetime | None, datetime | None]:
    """When the report is due and when it was filed: of the measure that was asked for last before the report."""
    measures = [one for task in case.tasks for one in task.measures if one.code == MEASURE] if case is not None else []
    # A measure that stands already covers what comes while it is pending: the newest asked for by then.
    known = [one for one in measures if one.asked_at <= warning.event_time] or measures
    newest = max(known, key=lambda one: one.asked_at, default=None)
    return (None, None) if newest is None else (newest.due_at, newest.completed_at)
