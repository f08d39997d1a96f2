"""`liandong reports` with a broker and a worker: what a teller sees of reports until they are worked through."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from typer.testing import CliRunner, Result

from connectors.settings import Settings
from connectors.writer import EventWriter
from streams.cli import app
from streams.playground import Playground
from tests.make import report

FILED = {"R1": "abnormal_transaction", "R2": "doubtful_document", "R3": "abnormal_transaction"}
DEPARTMENTS = ("operations", "risk")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Three reports on three customers by one teller, and one by another."""
    folder = tmp_path_factory.mktemp("reports")
    made = replace(Settings.from_env({}), idle_seconds=0.2, partitions=2)
    with Playground(made, folder / "logs", folder / "broker", lambda text: None) as playground:
        with EventWriter(playground.settings) as writer:
            at = datetime.now(UTC)
            for name, kind in FILED.items():
                writer.write("reports", report(name, at, kind=kind, customer_id=f"C-{name}"))
            other = report("R9", at, customer_id="C-R9")
            writer.write("reports", replace(other, reporter=replace(other.reporter, employee_id="T8")))
        playground.start_worker()
        yield playground.settings


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("KAFKA_BOOTSTRAP", ",".join(settings.bootstrap))

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments))

    return call


def asked(run: Callable[..., Result], *arguments: str) -> dict[str, Any]:
    told = run("reports", *arguments, "--format", "json")
    assert told.exit_code == 0, told.output
    return {one["report_id"]: one for one in msgspec.json.decode(told.stdout)}


def wait_for(run: Callable[..., Result], wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    until = time.monotonic() + 60
    while not wanted(found := asked(run, "--by", "T7")):
        assert time.monotonic() < until, found
        time.sleep(0.2)
    return found


def act(run: Callable[..., Result], name: str, kind: str, department: str, who: str, *more: str) -> None:
    done = run("case", "act", f"customer:C-{name}#1", "--kind", kind, "--department", department, "--as", who, *more)
    assert done.exit_code == 0, done.output


def test_what_became_of_each_report(run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    found = wait_for(run, lambda found: all(one["case_id"] for one in found.values()))
    assert found.keys() == FILED.keys()
    assert {name: one["kind"] for name, one in found.items()} == FILED
    assert {one["state"] for one in found.values()} == {"waiting"}
    assert all(one["waiting_for"] == list(DEPARTMENTS) and one["warning_id"] for one in found.values())

    for department in DEPARTMENTS:
        act(run, "R1", "acknowledge", department, "ling")
        act(run, "R1", "complete", department, "ling")
        act(run, "R2", "acknowledge", department, "ling")
        act(run, "R2", "dismiss", department, "ling", "--note", "同名不同人")
        act(run, "R2", "approve", department, "chen", "--role", "supervisor")
    act(run, "R3", "acknowledge", "operations", "ling")
    found = asked(run, "--by", "T7")
    assert {name: one["state"] for name, one in found.items()} == {
        "R1": "confirmed",
        "R2": "dismissed",
        "R3": "in_work",
    }
    assert found["R1"]["measures"]
    assert found["R1"]["resolved_at"]
    assert list(found["R3"]["acknowledged"]) == ["operations"]
    assert "状态: 属实：措施已完成" in run("reports", "--report", "R1", "-l", "zh").stdout
    assert "同名不同人" not in run("reports", "--report", "R2").stdout

    # Whoever does not see the case is not told what became of the action either.
    monkeypatch.setenv("LIANDONG_ROLE", "head-of-risk")
    act(run, "R3", "restrict", "risk", "wu", "--role", "head-of-risk")
    # Nor is a role that may see the case told more of it here than others are.
    hidden = asked(run, "--report", "R3")["R3"]
    assert (hidden["state"], hidden["confidential"], hidden["case_id"]) == ("handled", True, None)
    assert "C-R3#1" not in run("reports", "--report", "R3").stdout
    monkeypatch.delenv("LIANDONG_ROLE")
    assert asked(run, "--report", "R3")["R3"] == hidden
