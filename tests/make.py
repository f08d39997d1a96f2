"""Short ways to make events for tests; every field can be overridden."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from models.events import Counterparty, LoanEvent, PostReport, Reporter, Transaction

CN = ZoneInfo("Asia/Shanghai")


def at(text: str) -> datetime:
    """An instant in China: `at("2026-03-02 09:00")`."""
    return datetime.fromisoformat(text).replace(tzinfo=CN)


def transaction(event_id: str, when: str | datetime, amount: str, **fields: Any) -> Transaction:
    """A person's domestic transfer out of ¥`amount`, unless told otherwise; `payee` names the other account."""
    payee = fields.pop("payee", "P1")
    values: dict[str, Any] = {
        "event_id": event_id,
        "event_time": at(when) if isinstance(when, str) else when,
        "customer_id": "C1",
        "customer_kind": "person",
        "account_id": "A1",
        "direction": "out",
        "amount": Decimal(amount),
        "currency": "CNY",
        "method": "transfer",
        "counterparty": Counterparty(account_id=payee) if payee else None,
    }
    return Transaction(**(values | fields))


def report(report_id: str, when: str | datetime, **fields: Any) -> PostReport:
    """A teller's report of an abnormal transaction of C1, unless told otherwise."""
    values: dict[str, Any] = {
        "report_id": report_id,
        "event_time": at(when) if isinstance(when, str) else when,
        "reporter": Reporter(employee_id="T7", post="teller", branch_id="0731"),
        "kind": "abnormal_transaction",
        "customer_id": "C1",
        "narrative": "payees look odd",
    }
    return PostReport(**(values | fields))


def loan(event_id: str, when: str | datetime, amount: str, industry: str = "K70", **fields: Any) -> LoanEvent:
    """A disbursement of ¥`amount` to a borrower of its own in BANK1's book, unless told otherwise."""
    values: dict[str, Any] = {
        "event_id": event_id,
        "event_time": at(when) if isinstance(when, str) else when,
        "entity": "BANK1",
        "loan_id": f"L-{event_id}",
        "borrower_id": f"B-{event_id}",
        "kind": "disbursed",
        "industry": industry,
        "amount": Decimal(amount),
        "currency": "CNY",
    }
    return LoanEvent(**(values | fields))
