"""The canonical frame: every wire field a column, exact amounts, and what it refuses."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from msgspec import Struct

from models import oracle
from models.events import CapitalPosition, Controls, Counterparty, LoanEvent, PostReport, Reporter, Transaction
from models.oracle.frames import SCHEMAS, WARNINGS, canonical
from models.policy import Policy, PolicyHistory
from tests.make import loan, report, transaction

NESTED: dict[str, Any] = {"counterparty": Counterparty, "controls": Controls, "reporter": Reporter}


@pytest.mark.parametrize(
    ("kind", "struct"),
    [("transactions", Transaction), ("reports", PostReport), ("loans", LoanEvent), ("capital", CapitalPosition)],
)
def test_every_wire_field_is_a_column(kind: Any, struct: type[Struct]) -> None:
    fields = []
    for name in struct.__struct_fields__:
        parts = NESTED[name].__struct_fields__ if name in NESTED else None
        fields += [f"{name}.{part}" for part in parts] if parts else [name]
    assert sorted(SCHEMAS[kind]) == sorted(fields)
    assert canonical(None, kind).columns == ["arrival", *SCHEMAS[kind]]


def test_events_become_rows_in_their_order_with_exact_amounts() -> None:
    events = [
        transaction("e2", "2026-03-02 10:00", "0.1", controls=Controls(approved_by=("M1", "M2"))),
        transaction("e1", "2026-03-02 09:00", "99999999999999.99", payee=None),
        transaction("e3", "2026-03-02 09:00", "1.234", currency="KWD"),
    ]
    frame = canonical(oracle.from_events(events), "transactions")
    assert frame["event_id"].to_list() == ["e2", "e1", "e3"]
    assert frame["amount"].to_list() == [Decimal("0.1"), Decimal("99999999999999.99"), Decimal("1.234")]
    assert frame["event_time"][0] == datetime(2026, 3, 2, 2, tzinfo=UTC)
    assert frame["counterparty.account_id"].to_list() == ["P1", None, "P1"]
    assert frame["controls.approved_by"].to_list() == [["M1", "M2"], None, None]
    assert frame["origin"].to_list() == ["customer"] * 3


def test_absent_columns_mean_null_and_texts_are_nfc() -> None:
    frame = pl.DataFrame({"event_id": ["e1"], "counterparty.name": ["Jose\u0301"], "row": [1]})
    row = canonical(frame, "transactions").row(0, named=True)
    assert row["counterparty.name"] == "Jos\u00e9"
    assert (row["cross_border"], row["origin"], row["purpose"]) == (False, "customer", None)
    assert "row" not in row


def test_floats_and_naive_times_are_refused() -> None:
    with pytest.raises(ValueError, match="amount is a binary float"):
        canonical(pl.DataFrame({"amount": [1.5]}), "transactions")
    with pytest.raises(ValueError, match="event_time has no time zone"):
        canonical(pl.DataFrame({"event_time": [datetime(2026, 3, 2)]}), "transactions")  # noqa: DTZ001


def test_events_of_one_type_are_needed() -> None:
    with pytest.raises(ValueError, match="one type of event"):
        oracle.from_events([loan("l1", "2026-03-02 10:00", "1"), report("r1", "2026-03-02 10:00")])
    position = CapitalPosition(entity="B", as_of=date(2026, 1, 1), net_capital=Decimal(5), tier1_capital=Decimal(4))
    assert oracle.from_events([position])["as_of"].to_list() == [date(2026, 1, 1)]


def test_no_events_give_no_warnings_in_the_same_columns(policy: Policy) -> None:
    for frames in ({}, {"transactions": oracle.from_events([]), "loans": pl.DataFrame()}):
        found = oracle.warnings(**frames, policies=PolicyHistory(policy))
        assert (found.height, dict(found.schema)) == (0, WARNINGS)
        assert oracle.refusals(**frames, policies=PolicyHistory(policy)).shape == (0, 2)


def test_reports_and_loans_from_the_future_are_refused_too(policy: Policy) -> None:
    arrival = [datetime(2026, 3, 2, 2, tzinfo=UTC)]
    reports = oracle.from_events([report("r1", "2026-03-02 10:05:00.001")], ingest_times=arrival)
    loans = oracle.from_events([loan("l1", "2026-03-02 10:05:00.001", "1")], ingest_times=arrival)
    found = oracle.refusals(reports=reports, loans=loans, policies=PolicyHistory(policy))
    assert found.rows() == [("r1", "in_the_future"), ("l1", "in_the_future")]
    assert oracle.warnings(reports=reports, policies=PolicyHistory(policy)).height == 0
