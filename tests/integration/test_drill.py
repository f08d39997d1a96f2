"""`liandong drill` on a broker with a worker: played, answered, scored, and in no figure of the bank."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from typer.testing import CliRunner, Result

from connectors.settings import Settings
from streams.cli import app
from streams.playground import Playground

PEOPLE = ("--as", "ling", "--role", "supervisor")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("drill")
    made = replace(Settings.from_env({}), idle_seconds=0.2, partitions=2)
    with Playground(made, folder / "logs", folder / "broker", lambda text: None) as playground:
        playground.start_worker()
        yield playground.settings


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("KAFKA_BOOTSTRAP", ",".join(settings.bootstrap))

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments))

    return call


def told(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return msgspec.json.decode(result.stdout)


def act(run: Any, case_id: str, kind: str, department: str, *more: str) -> None:
    done = run("case", "act", case_id, "--kind", kind, "--department", department, *PEOPLE, *more)
    assert done.exit_code == 0, done.output


def test_a_teller_and_the_machine_meet_in_a_drill(run: Any) -> None:
    played = told(run("drill", "linked_teller_and_machine", "--name", "spring", "--format", "json"))
    assert played["missing"] == []
    assert {one["mode"] for one in played["warnings"]} == {"drill"}
    assert {one["subject"] for one in played["warnings"]} == {"customer:drill~spring~C1"}
    (case_id,) = {one["case_id"] for one in played["cases"]}
    before = told(run("drill", "--score", "spring", "--format", "json"))
    assert before["verdict"]["code"] == "under_way"
    for department in ("operations", "risk"):
        act(run, case_id, "acknowledge", department)
        act(run, case_id, "complete", department)
    after = told(run("drill", "--score", "spring", "--format", "json"))
    assert after["verdict"]["code"] == "passed"
    assert after["achieved"] == after["steps"] > before["achieved"]
    again = told(run("drill", "--score", "spring", "--format", "json", "--at", after["at"]))
    assert again == after
    assert "Passed" in run("drill", "--score", "spring").stdout
    assert "演练通过" in run("drill", "--score", "spring", "-l", "zh").stdout


def test_loans_are_reviewed_and_a_suspension_is_broken_in_a_drill(run: Any) -> None:
    played = told(run("drill", "industry_too_large", "--name", "book", "--format", "json"))
    (case_id,) = {one["case_id"] for one in played["cases"]}
    assert case_id == "industry:drill~book~BANK:K#1"
    act(run, case_id, "acknowledge", "credit")
    act(run, case_id, "complete", "credit", "--measure", "suspend_approvals")
    act(run, case_id, "complete", "credit", "--measure", "review_granted_loans")
    shown = told(run("case", "show", case_id, "--format", "json"))
    review = next(one for one in shown["tasks"][0]["measures"] if one["code"] == "review_granted_loans")
    assert "completed_at" not in review
    assert review["claimed"]["employee_id"] == "ling"
    followed = told(run("drill", "--next", "book", "--format", "json"))
    assert {one["detector"] for one in followed["warnings"]} >= {"approval_during_suspension"}
    shown = told(run("case", "show", case_id, "--format", "json"))
    review = next(one for one in shown["tasks"][0]["measures"] if one["code"] == "review_granted_loans")
    assert review["completed_by"] == "ling"
    kinds = [entry["kind"] for entry in shown["history"]]
    assert "claimed" in kinds
    assert "proved" in kinds


def test_a_drill_counts_in_no_figure_of_the_bank(run: Any, tmp_path: Any) -> None:
    # Nothing but drills stands on the topics.
    report = run("report", "--period", "2026-11", "--folder", str(tmp_path))
    assert report.exit_code == 1
    assert "there are no events on the topics yet" in report.stderr
    verified = run("verify")
    assert verified.exit_code == 0, verified.output
    assert "stream and oracle agree" in verified.stdout


def test_what_cannot_be_played_is_said(run: Any) -> None:
    assert "a drill spring was played already" in run("drill", "system_fault", "--name", "spring").stderr
    assert "there is no scenario nothing" in run("drill", "nothing").stderr
    assert "no drill autumn was played here" in run("drill", "--score", "autumn").stderr
    assert "is no name for a drill" in run("drill", "system_fault", "--name", "a~b").stderr
