"""`liandong report` on topics that a test keeps: what it writes, what it says, and what it says when it cannot."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from msgspec.structs import replace
from openpyxl import load_workbook
from typer.testing import CliRunner, Result

from streams.cli import app
from streams.commands import report as command
from tests.data import ROOT
from tests.make import loan, report, transaction
from tests.response import DAY, HOUR, MONDAY, Desk, action, warning


class Arrived(NamedTuple):
    """As a record of the broker, as far as the command looks."""

    timestamp: int


class Topics:
    """Stands in for the reader of topics."""

    def __init__(self) -> None:
        self.held: dict[str, list[tuple[datetime, Any]]] = {
            name: [] for name in ("cases", "warnings", "transactions", "reports", "loans")
        }

    def __call__(self, _: object) -> "Topics":
        return self

    def __enter__(self) -> "Topics":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def ends(self, topic: str) -> dict[int, int]:
        return {0: len(self.held[topic])}

    def events(self, topic: str) -> Iterator[tuple[Arrived, Any]]:
        for at, event in self.held[topic]:
            yield Arrived(int(at.timestamp() * 1000)), event

    def put(self, topic: str, *events: Any, late: timedelta = timedelta(seconds=2)) -> None:
        self.held[topic] += [(getattr(one, "event_time", MONDAY) + late, one) for one in events]


@pytest.fixture
def topics(monkeypatch: pytest.MonkeyPatch) -> Topics:
    """A case of February done in time, one of March that nobody answered, and what customers did."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "127.0.0.1:9")
    monkeypatch.setenv("LIANDONG_POLICY", str(ROOT / "deploy" / "policy" / "cn.toml"))
    desk, earlier = Desk(), MONDAY - 28 * DAY
    told = [
        warning(earlier, warning_id="w0", event_ids=("e0",), detected_at=earlier + timedelta(seconds=3)),
        warning(subject="customer:C43", event_ids=("e1",), detected_at=MONDAY + timedelta(seconds=3)),
        warning(warning_id="w2", subject="customer:C44", event_ids=("e9",), mode="drill"),
    ]
    desk.take(told[0])
    desk.take(action("acknowledge", earlier + HOUR), action("complete", earlier + 3 * HOUR))
    desk.take(*told[1:])
    desk.tick(MONDAY + 10 * DAY)
    held = Topics()
    cases = list(desk.cases.values())
    held.put("cases", *[replace(case, revision=0, tasks=(), history=()) for case in cases], *cases)
    held.put("warnings", *told)
    held.put("transactions", transaction("e0", earlier, "10", branch_id="B1"))
    held.put("transactions", *[transaction(f"e{number}", MONDAY, "10", branch_id="B1") for number in (1, 2, 2)])
    held.put("reports", report("r1", MONDAY, kind="complaint"))
    held.put("loans", loan("l1", MONDAY + 9 * DAY, "100"))
    monkeypatch.setattr(command, "TopicReader", held)
    monkeypatch.setattr(command, "load_references", lambda *_: None)
    return held


def run(*args: object, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["report", *map(str, args)])
    assert result.exit_code == code, result.output
    return result


def answer(folder: Path, *args: object) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(run("--folder", folder, "--format", "json", *args).stdout)
    return found


def figure(found: dict[str, Any], kpi: str, by: str = "all", member: str = "") -> dict[str, Any]:
    (line,) = [one for one in found["figures"] if (one["kpi"], one["by"], one["member"]) == (kpi, by, member)]
    return dict(line)


@pytest.mark.usefixtures("topics")
def test_the_month_beside_the_month_before(tmp_path: Path) -> None:
    found = answer(tmp_path, "--period", "2026-03")
    assert (found["period"], found["before"], found["first"], found["last"]) == (
        "2026-03", "2026-02", "2026-03-01", "2026-03-31"
    )  # fmt: skip
    done = figure(found, "completion")
    assert done["before"]["part"] == ["customer:C42#1/operations"]
    assert (done["now"]["value"], done["now"]["whole"]) == ("0.000000", ["customer:C43#1/operations"])  # no drill
    assert done["differences"] == ["-1.000000"]
    complaints = figure(found, "complaints")
    assert (complaints["now"]["part"], complaints["now"]["whole"], complaints["now"]["per"]) == (["r1"], 2, 10_000)
    assert figure(found, "arrival")["now"] == {"p50": 2.0, "p95": 2.0, "spans": {"w1": 2.0}}
    assert figure(found, "resolution")["before"]["spans"] == {"customer:C42#1/operations": 3 * 3600.0}
    assert [one["key"]["kpi"] for one in found["changes"]] == ["completion", "timeliness", "risk_events", "complaints"]
    # The newest that happened is the case's deadline or the loan, not the end of the month.
    assert found["as_far_as"] == "2026-03-11"
    assert (found["policy"], found["title"]) == ("cn-2026.1", "Default policy for a bank in mainland China")


@pytest.mark.usefixtures("topics")
@pytest.mark.parametrize("period", ["2026-03", "2026-Q1", "2026"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_both_files_are_the_same_again(tmp_path: Path, period: str, language: str) -> None:
    names = [f"liandong-{period}.html", f"liandong-{period}.xlsx"]
    for folder in ("one", "two/deeper"):
        run("--period", period, "--folder", tmp_path / folder, "--language", language)
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two/deeper" / name).read_bytes()
    shown = (tmp_path / "one" / names[0]).read_text(encoding="utf-8")
    assert ("境内银行默认政策" if language == "zh" else "Default policy for a bank in mainland China") in shown
    assert load_workbook(tmp_path / "one" / names[1]).properties.created.year == (2027 if period == "2026" else 2026)


@pytest.mark.usefixtures("topics")
def test_the_text(tmp_path: Path) -> None:
    shown = " ".join(run("--period", "2026-03", "--folder", tmp_path).stdout.split())
    assert "Risk linkage report 2026-03" in shown
    assert "the newest event is of 11 March 2026" in shown
    assert "Tasks finished in time: 0.0% (0 of 1), down 100.0 pp from 100.0% (1 of 1) in 2026-02." in shown
    assert "written to" in shown
    chinese = run("--period", "2026-03", "--folder", tmp_path, "-l", "zh").stdout
    assert "任务按期完成率" in chinese
    assert "下降100.0个百分点" in chinese


def test_a_period_is_over_when_something_happened_after_it(topics: Topics, tmp_path: Path) -> None:
    # Its own time alone shows nothing: it arrived in March.
    ahead = transaction("x1", datetime.fromisoformat("2026-05-01T00:00:00+08:00"), "10")
    topics.put("transactions", ahead, late=-50 * DAY)
    assert answer(tmp_path, "--period", "2026-03")["as_far_as"] == "2026-03-12"
    topics.put("transactions", transaction("x2", datetime.fromisoformat("2026-03-31T23:59:59+08:00"), "10"))
    assert answer(tmp_path, "--period", "2026-03")["as_far_as"] == "2026-03-31"
    topics.put("transactions", transaction("x3", datetime.fromisoformat("2026-04-01T00:00:00+08:00"), "10"))
    assert answer(tmp_path, "--period", "2026-03")["as_far_as"] is None


def test_a_period_without_anything_is_told_in_words(topics: Topics, tmp_path: Path) -> None:
    run("--period", "2020-Q2", "--folder", tmp_path)
    shown = (tmp_path / "liandong-2020-Q2.html").read_text(encoding="utf-8")
    assert "Nothing was due." in shown
    assert "not over" not in shown
    for held in topics.held.values():
        held.clear()
    assert "no events on the topics yet" in run("--period", "2020-Q2", "--folder", tmp_path, code=1).output


@pytest.mark.usefixtures("topics")
def test_errors_name_their_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    for args, wanted in (
        (("--period", "2026-13"), "write a month as 2026-07, a quarter as 2026-Q3, a year as 2026"),
        (("--period", "2026-03", "--folder", tmp_path / "file"), "a folder that you may write to"),
    ):
        assert wanted in " ".join(run(*args, code=1).output.split())
    run(code=2)
    run("--period", "2026", "--language", "fr", code=2)
    monkeypatch.delenv("KAFKA_BOOTSTRAP")
    monkeypatch.setenv("LIANDONG_DATA_DIR", str(tmp_path / "none"))
    assert "there is no broker" in run("--period", "2026", code=1).output
