"""`liandong book` over a real broker: the events of the topic, as they were taken."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from typer.testing import CliRunner

from connectors.admin import ensure_topics
from connectors.settings import Settings
from connectors.writer import EventWriter
from streams.cli import app
from streams.wiring import changelog_topics
from tests.data import ROOT
from tests.make import loan

if TYPE_CHECKING:
    from connectors.broker import RunningBroker

POLICY = ROOT / "deploy" / "policy" / "cn.toml"


def test_the_book_of_the_topic(kafka: "RunningBroker", monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = Settings(bootstrap=(kafka.bootstrap,), policy=POLICY)
    ensure_topics(settings, changelog_topics(settings))
    mine: dict[str, Any] = {"entity": "BOOK1", "loan_id": "L", "borrower_id": "BOOK-B"}
    other: dict[str, Any] = {"entity": "BOOK2", "loan_id": "M", "borrower_id": "BOOK-C"}
    sent = [
        loan("book-1", "2026-03-02 10:00", "500", region="CN-43", **mine),
        loan("book-3", "2026-03-04 10:00", "200", kind="repaid", **mine),
        loan("book-2", "2026-03-03 10:00", "1", kind="overdue", days_past_due=3, **mine),  # comes late, within reason
        loan("book-4", "2026-03-04 11:00", "300.01", kind="repaid", **mine),
        loan("book-5", "2026-02-01 11:00", "10", **mine),  # comes too late
        # A loan whose repayment comes before its disbursement.
        loan("book-7", "2026-03-03 12:00", "50", kind="repaid", **other),
        loan("book-6", "2026-03-03 11:00", "80", **other),
    ]
    with EventWriter(settings) as writer:
        for event in sent:
            writer.write("loans", event)
    monkeypatch.setenv("KAFKA_BOOTSTRAP", kafka.bootstrap)
    monkeypatch.setenv("LIANDONG_POLICY", str(POLICY))
    monkeypatch.setenv("LIANDONG_DATA_DIR", str(tmp_path))

    def book(day: str, entity: str = "BOOK1") -> dict[str, Any]:
        args = ["book", "--on", day, "--entity", entity, "--format", "json"]
        result = CliRunner().invoke(app, args)
        assert result.exit_code == 0, result.output
        answer: dict[str, Any] = msgspec.json.decode(result.stdout)
        return answer

    (line,) = book("2026-03-04")["lines"]
    assert (line["balance"], line["days_past_due"], line["region"], line["stage"]) == (
        "300.00",
        3,
        "CN-43",
        "disbursed",
    )
    (line,) = book("2026-03-02")["lines"]
    assert (line["balance"], line["days_past_due"]) == ("500.00", 0)
    refused = book("2026-03-04")["refused"]
    assert refused["repays_past_zero"] >= 1
    assert refused["too_late"] >= 1
    (line,) = book("2026-03-04", "BOOK2")["lines"]
    assert (line["loan_id"], line["balance"]) == ("M", "30.00")
