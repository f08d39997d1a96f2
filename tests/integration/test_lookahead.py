"""`liandong lookahead` and `stress` over a real broker: the loans and the capital of the topics."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from typer.testing import CliRunner

from connectors.admin import ensure_topics
from connectors.settings import Settings
from connectors.writer import EventWriter
from models.events import CapitalPosition
from streams.cli import app
from streams.wiring import changelog_topics
from tests.data import ROOT
from tests.make import loan

if TYPE_CHECKING:
    from connectors.broker import RunningBroker

POLICY = ROOT / "deploy" / "policy" / "cn.toml"
ENTITY = "AHEAD1"


def position(day: str, net: int) -> CapitalPosition:
    return CapitalPosition(
        entity=ENTITY, as_of=date.fromisoformat(day), net_capital=Decimal(net), tier1_capital=Decimal(net) / 2
    )


def test_the_loans_and_the_capital_of_the_topics(
    kafka: "RunningBroker", monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = Settings(bootstrap=(kafka.bootstrap,), policy=POLICY)
    ensure_topics(settings, changelog_topics(settings))
    with EventWriter(settings) as writer:
        for number, section in enumerate("CFJ"):
            event = loan(f"ahead-{number}", "2026-03-02 10:00", "100", section, entity=ENTITY, borrower_id=f"A{number}")
            writer.write("loans", event)
        for one in (position("2026-01-01", 1000), position("2026-03-01", 800), position("2026-04-01", 1)):
            writer.write("capital", one)
    monkeypatch.setenv("KAFKA_BOOTSTRAP", kafka.bootstrap)
    monkeypatch.setenv("LIANDONG_POLICY", str(POLICY))
    monkeypatch.setenv("LIANDONG_DATA_DIR", str(tmp_path))

    def ask(*args: str) -> dict[str, Any]:
        common = ["--industry", "C", "--on", "2026-03-10", "--entity", ENTITY, "--format", "json"]
        result = CliRunner().invoke(app, [*args, *common])
        assert result.exit_code == 0, result.output
        answer: dict[str, Any] = msgspec.json.decode(result.stdout)
        return answer

    found = ask("lookahead", "--amount", "300")
    assert (found["net_capital"], found["tier1_capital"]) == ("800", "400")
    (industry,) = (one for one in found["answer"]["changes"] if one["dimension"] == "industry")
    assert (industry["share_before"], industry["share_after"]) == ("0.333333", "0.666667")
    limits = {one["limit"]["name"]: one for one in found["answer"]["limits"]}
    assert limits["detectors.name_concentration.single.control"]["after"]["ratio"] == "0.375000"
    hhi = limits["detectors.industry_concentration.hhi.control"]
    assert (hhi["subject"], hhi["before"]["ratio"], hhi["after"]["ratio"]) == ("book", "0.333333", "0.500000")
    growth = limits["detectors.industry_concentration.growth.control"]  # there was no book a year before
    assert (growth["subject"], growth["before"], growth["after"]) == ("C", None, None)
    lines = ask("stress", "--growth", "1")["lines"]
    assert [(one["industry"], one["loss_after"]) for one in lines if one["industry"] in ("C", "total")] == [
        ("C", "0.90"),
        ("total", "1.80"),
    ]
