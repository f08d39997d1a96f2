"""The list of large transactions to be filed: one line a transaction, with the frozen due time of its report."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from models.events import Counterparty
from models.response.filing import MEASURE, filing_lines
from models.risk_warning import Reason, RiskWarning, Window
from streams.commands.filing import write_lines
from tests.make import transaction
from tests.response import HOUR, MONDAY, POLICY, Desk, action, warning

REASON = Reason(code="daily_sum", observed="620000", threshold="500000", unit="CNY", text_zh="", text_en="")


def large(**fields: object) -> RiskWarning:
    values = {
        "detector": "large_transaction",
        "measures": (MEASURE,),
        "reasons": (REASON,),
        "event_ids": ("e2", "e1"),
        "event_count": 2,
        "window": Window(MONDAY - 10 * HOUR, MONDAY + 14 * HOUR),
    }
    return warning(**values | fields)


def booked(event_id: str, hours: int, customer: str = "C42") -> tuple[tuple[str, str], object]:
    other = Counterparty(name="恒信", account_id="6222", bank="ICBC", country="CN")
    made = transaction(event_id, MONDAY + hours * HOUR, "310000", customer_id=customer, counterparty=other)
    return (customer, event_id), made


def test_a_line_says_what_the_report_asks_for_and_until_when() -> None:
    desk = Desk()
    told = large()
    desk.take(told)
    desk.take(action("acknowledge", MONDAY + HOUR), action("complete", MONDAY + 2 * HOUR))
    events = dict([booked("e1", 0), booked("e2", 1), booked("other", 1)])
    lines = list(filing_lines([told], events, desk.cases.values()))  # type: ignore[arg-type]
    assert [(one.event_id, one.amount, one.counterparty_name) for one in lines] == [
        ("e1", Decimal(310000), "恒信"),
        ("e2", Decimal(310000), "恒信"),
    ]
    first = lines[0]
    assert (first.report_id, first.sum, first.threshold, first.sum_currency) == ("w1", "620000", "500000", "CNY")
    # Five working days, to the bank's closing time: Monday 9 March 2026, 17:00 in Shanghai.
    assert first.due_at == datetime(2026, 3, 9, 9, tzinfo=UTC)
    assert first.filed_at == MONDAY + 2 * HOUR


def test_what_no_case_asks_for_has_no_time_and_drills_and_shadows_are_not_filed() -> None:
    events = dict([booked("e1", 0), booked("e2", 1)])
    (one, _) = filing_lines([large(), large(mode="shadow", warning_id="w2"), warning()], events, [])  # type: ignore[arg-type]
    assert (one.report_id, one.due_at, one.filed_at) == ("w1", None, None)


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".parquet"])
def test_the_list_is_written_with_the_banks_own_clock(tmp_path: Path, suffix: str) -> None:
    events = dict([booked("e1", 0), booked("e2", 1)])
    lines = list(filing_lines([large()], events, []))  # type: ignore[arg-type]
    path = tmp_path / f"list{suffix}"
    write_lines(lines, path, POLICY.bank_calendar)
    if suffix == ".parquet":
        frame = pl.read_parquet(path)
        assert frame["event_time"][0] == MONDAY
        assert frame["event_time"][1] - frame["event_time"][0] == timedelta(hours=1)
    elif suffix == ".csv":
        frame = pl.read_csv(path, infer_schema_length=0)
        assert frame["event_time"].to_list() == ["2026-03-02 10:00:00", "2026-03-02 11:00:00"]
    else:
        import openpyxl

        sheet = openpyxl.load_workbook(path)["filing"]
        names = [cell.value for cell in sheet[1]]
        assert sheet.cell(2, names.index("amount") + 1).value == 310000
        assert sheet.cell(2, names.index("event_time") + 1).value == "2026-03-02 10:00:00"
