"""`liandong report` over a real broker: from the topics alone, and the same bytes each time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from openpyxl import load_workbook
from typer.testing import CliRunner

from connectors.admin import ensure_topics
from connectors.settings import Settings
from connectors.writer import EventWriter
from streams.cli import app
from streams.wiring import changelog_topics
from tests.data import ROOT
from tests.make import loan, report, transaction
from tests.response import DAY, HOUR, Desk, action, warning

if TYPE_CHECKING:
    from connectors.broker import RunningBroker

POLICY = ROOT / "deploy" / "policy" / "cn.toml"
# A month in which no other test on this broker plays.
START = datetime(2021, 5, 10, 2, 0, tzinfo=UTC)
SUBJECTS = ("customer:PACK-1", "customer:PACK-2")


def test_the_same_topics_give_the_same_files(
    kafka: "RunningBroker", monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = Settings(bootstrap=(kafka.bootstrap,), policy=POLICY)
    ensure_topics(settings, changelog_topics(settings))
    desk = Desk()
    told = [
        warning(START, warning_id=f"pack-w{n}", subject=subject, event_ids=(f"pack-e{n}",), detected_at=START + HOUR)
        for n, subject in enumerate(SUBJECTS)
    ]
    with EventWriter(settings) as writer:

        def keep() -> None:
            for case in desk.cases.values():
                writer.write("cases", case)

        desk.take(*told)
        keep()
        done = {"case_id": f"{SUBJECTS[0]}#1"}
        desk.take(action("acknowledge", START + HOUR, **done), action("complete", START + 5 * HOUR, **done))
        keep()
        desk.tick(START + 20 * DAY)
        assert not desk.refused
        keep()
        for one in told:
            writer.write("warnings", one)
        for number in range(40):
            at = START + timedelta(minutes=number)
            writer.write("transactions", transaction(f"pack-e{number}", at, "10", customer_id="PACK-1", branch_id="P1"))
        writer.write("reports", report("pack-r1", START, kind="complaint", customer_id="PACK-1"))
        writer.write("loans", loan("pack-l1", START + 40 * DAY, "100", entity="PACK", borrower_id="PACK-B"))
    monkeypatch.setenv("KAFKA_BOOTSTRAP", kafka.bootstrap)
    monkeypatch.setenv("LIANDONG_POLICY", str(POLICY))
    monkeypatch.setenv("LIANDONG_DATA_DIR", str(tmp_path))

    def made(folder: str) -> dict[str, Any]:
        args = ["report", "--period", "2021-05", "--folder", str(tmp_path / folder), "--format", "json"]
        result = CliRunner().invoke(app, args)
        assert result.exit_code == 0, result.output
        found: dict[str, Any] = msgspec.json.decode(result.stdout)
        return found

    one, other = made("one"), made("other")
    assert one["figures"] == other["figures"]
    figures = {(line["kpi"], line["by"], line["member"]): line["now"] for line in one["figures"]}
    assert figures["completion", "all", ""]["part"] == ["customer:PACK-1#1/operations"]
    assert figures["completion", "all", ""]["value"] == "0.500000"
    assert figures["risk_events", "all", ""]["whole"] == 40
    assert figures["complaints", "all", ""]["part"] == ["pack-r1"]
    assert figures["resolution", "department", "operations"]["p50"] == 5 * 3600.0
    assert one["as_far_as"] is None
    for suffix in ("html", "xlsx"):
        name = f"liandong-2021-05.{suffix}"
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()
    page = (tmp_path / "one" / "liandong-2021-05.html").read_text(encoding="utf-8")
    assert "customer:PACK-2#1/operations" in page
    assert "Joint work" in load_workbook(tmp_path / "one" / "liandong-2021-05.xlsx").sheetnames
