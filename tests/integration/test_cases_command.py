"""`liandong case` and `liandong audit` with a broker and a worker: a warning becomes a case that people act on."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from typer.testing import CliRunner, Result

from connectors.cases import read_cases
from connectors.codec import Codec
from connectors.settings import Settings
from connectors.writer import EventWriter
from streams.cli import app
from streams.playground import Playground
from tests.make import transaction
from tests.response import POLICY, warning

SUBJECTS = ("customer:C1", "customer:C2")


def wait_for_cases(settings: Settings, *case_ids: str) -> None:
    until = time.monotonic() + 60
    while not set(case_ids) <= read_cases(settings).keys():
        assert time.monotonic() < until
        time.sleep(0.2)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Two cases, each of one warning, on a broker of their own."""
    folder = tmp_path_factory.mktemp("cases")
    made = replace(Settings.from_env({}), idle_seconds=0.2, partitions=2)
    with Playground(made, folder / "logs", folder / "broker", lambda text: None) as playground:
        with EventWriter(playground.settings) as writer:
            for number, subject in enumerate(SUBJECTS):
                at = datetime.now(UTC)
                writer.write("warnings", warning(at, warning_id=f"w{number}", subject=subject))
        playground.start_worker()
        wait_for_cases(playground.settings, *(f"{subject}#1" for subject in SUBJECTS))
        yield playground.settings


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("KAFKA_BOOTSTRAP", ",".join(settings.bootstrap))

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments))

    return call


def test_many_cases_are_acted_on_at_once_and_each_says_what_became_of_it(run: Any) -> None:
    who = ("--department", "operations", "--as", "ling")
    listed = msgspec.json.decode(run("case", "list", "--format", "json").stdout)
    assert [row["case_id"] for row in listed["rows"]] == ["customer:C1#1", "customer:C2#1"]

    taken = run("case", "act", "customer:C1#1", "customer:C2#1", "--kind", "acknowledge", *who)
    assert taken.exit_code == 0, taken.output
    assert taken.stdout.splitlines() == [f"{name}#1: taken; open, task acknowledged" for name in SUBJECTS]

    again = run("case", "act", "customer:C1#1", "--kind", "acknowledge", *who)
    assert again.exit_code == 1
    assert "customer:C1#1: refused, illegal_move (kind)" in again.stdout

    done = run("case", "act", "customer:C1#1", "--kind", "complete", *who, "--note", "客户已说明")
    assert done.stdout.startswith("customer:C1#1: taken; resolved, task completed")
    assert "customer:C1#1" not in run("case", "list").stdout
    everything = msgspec.json.decode(run("case", "list", "--all", "--format", "json").stdout)
    assert [row["state"] for row in everything["rows"]] == ["resolved", "open"]

    shown = run("case", "show", "customer:C1#1", "-l", "zh").stdout
    assert "客户已说明" in shown
    assert "已办结" in shown


def test_an_audit_follows_the_chain_to_its_head(run: Any, settings: Settings) -> None:
    case = read_cases(settings)["customer:C2#1"]
    whole = run("audit", "customer:C2#1", "--head", case.history[0].hash)
    assert whole.exit_code == 0, whole.output
    assert f"the history of customer:C2#1 is whole; its head is {case.head}" in whole.stdout

    other = run("audit", "customer:C2#1", "--head", "0" * 32, "--format", "json")
    assert other.exit_code == 1
    assert "written anew" in msgspec.json.decode(other.stdout)["fault"]

    changed = replace(case, revision=case.revision + 1, history=(replace(case.history[0], note="x"), *case.history[1:]))
    with EventWriter(settings) as writer:
        value, headers = Codec().encode("cases", changed)
        writer.write_bytes("cases", changed.case_id.encode(), value, headers)
    forged = run("audit", "customer:C2#1")
    assert forged.exit_code == 1
    assert "entry 1 does not follow" in forged.stdout


def test_a_large_transaction_is_listed_for_filing_until_it_is_filed(
    run: Any, settings: Settings, tmp_path: Path
) -> None:
    at = datetime.now(UTC)
    with EventWriter(settings) as writer:
        writer.write("transactions", transaction("big", at, "600000", customer_id="C3"))
    wait_for_cases(settings, "customer:C3#1")
    day = f"{POLICY.bank_calendar.day_of(at)}"
    days = ("--from", day, "--to", day, "--open", "--format", "json")
    (line,) = msgspec.json.decode(run("filing", *days).stdout)["rows"]
    assert (line["event_id"], line["amount"], line["sum_currency"]) == ("big", "600000", "CNY")
    assert line["due_at"] > f"{at:%Y-%m-%d}"
    assert line["filed_at"] == ""
    who = ("--department", "operations", "--as", "ling")
    for kind in ("acknowledge", "complete"):
        assert run("case", "act", "customer:C3#1", "--kind", kind, *who).exit_code == 0
    assert msgspec.json.decode(run("filing", *days).stdout)["rows"] == []

    assert run("case", "file", "customer:C3#1", "--folder", str(tmp_path)).exit_code == 0
    text = (tmp_path / "case-customer-C3-1.json").read_text(encoding="utf-8")
    assert [one["event_id"] for one in msgspec.json.decode(text)["evidence"]["transactions"]] == ["big"]
    assert "600,000 CNY" in (tmp_path / "case-customer-C3-1.html").read_text(encoding="utf-8")


def test_a_case_that_is_not_there_is_named_with_the_remedy(run: Any) -> None:
    result = run("case", "show", "customer:C9#1")
    assert result.exit_code == 1
    assert "there is no case customer:C9#1" in result.stderr
    result = run("case", "act", "customer:C9", "--kind", "start", "--department", "it", "--as", "x")
    assert "is not like customer:C42#1" in result.stderr
    result = run("case", "act", "customer:C9#1", "--kind", "jump", "--department", "it", "--as", "x")
    assert "there is no action jump" in result.stderr
