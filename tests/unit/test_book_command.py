"""`liandong book` on a file: the book of a day by every grouping, its exports, and what it says when it cannot."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from typer.testing import CliRunner, Result

from streams.cli import app
from streams.commands.book import By
from tests.data import ROOT

MAPPING = """
name = "mine"
kind = "loans"
description = "a test"
format = "csv"
timezone = "Asia/Shanghai"
key = { column = "borrower_id" }

[fields]
"""
FIELDS = (
    "event_id",
    "entity",
    "loan_id",
    "group_id",
    "kind",
    "industry",
    "region",
    "amount",
    "currency",
    "classification",
    "days_past_due",
    "real_estate",
    "branch_id",
)
# Two entities; of BANK1 two borrowers in one group, one foreign loan, a closed one, an application, and a refusal.
EVENTS = """\
event_time,event_id,entity,loan_id,borrower_id,group_id,kind,industry,region,amount,currency,classification,days_past_due,real_estate,branch_id
2026-03-02 09:00,e01,BANK1,L1,B1,G1,disbursed,C1391,CN-43,600.00,CNY,,,none,0731
2026-03-02 09:01,e02,BANK1,L2,B2,G1,disbursed,K70,CN-43,100.00,USD,,,mortgage,
2026-03-02 09:02,e03,BANK1,L3,B1,,disbursed,K,,50.00,CNY,,,development,
2026-03-02 09:03,e04,BANK2,L1,B1,,disbursed,A01,CN-11,90.00,CNY,,,none,
2026-03-03 09:00,e05,BANK1,L1,B1,,repaid,,,100.00,CNY,,,none,
2026-03-03 23:59,e06,BANK1,L2,B2,,overdue,,,,USD,,95,none,
2026-03-04 00:00,e07,BANK1,L2,B2,,reclassified,,,,USD,substandard,,none,
2026-03-05 09:00,e08,BANK1,L3,B1,,repaid,,,50.00,CNY,,,none,
2026-03-05 09:01,e09,BANK1,L3,B1,,repaid,,,1.00,CNY,,,none,
2026-03-06 09:00,e10,BANK1,L4,B3,,applied,C,CN-43,70.00,CNY,,,none,
"""


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KAFKA_BOOTSTRAP", raising=False)
    monkeypatch.setenv("LIANDONG_DATA_DIR", str(tmp_path / "none"))
    monkeypatch.setenv("LIANDONG_POLICY", str(ROOT / "deploy" / "policy" / "cn.toml"))


@pytest.fixture
def files(tmp_path: Path) -> list[object]:
    (tmp_path / "loans.csv").write_text(EVENTS)
    fields = ['event_time = { column = "event_time", format = "%Y-%m-%d %H:%M" }']
    fields += [f'{name} = {{ column = "{name}" }}' for name in FIELDS]
    (tmp_path / "mine.toml").write_text(MAPPING + "\n".join(fields) + "\n")
    return [tmp_path / "loans.csv", "--mapping", tmp_path / "mine.toml"]


def run(*args: object, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["book", *map(str, args)])
    assert result.exit_code == code, result.output
    return result


def answer(*args: object) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(run(*args, "--format", "json").stdout)
    return found


def lines(files: list[object], by: str, *args: object, column: str = "exposure") -> list[tuple[str, ...]]:
    name = {"industry": "member", "class": "classification", "borrower": "borrower_id", "group": "group_id"}.get(by, by)
    return [(one["entity"], one[name], one[column]) for one in answer(*files, "--by", by, *args)["lines"]]


def test_the_book_by_loan(files: list[object]) -> None:
    found = answer(*files, "--on", "2026-03-10")
    assert (found["on"], found["by"], found["currency"], found["events"]) == ("2026-03-10", "loan", "CNY", 10)
    assert found["refused"] == {"closed_loan": 1}
    first, second, third = found["lines"]
    assert (first["loan_id"], first["balance"], first["balance_base"]) == ("L2", "100.00", "710.00000")
    assert (first["classification"], first["days_past_due"], first["stage"]) == ("substandard", 95, "disbursed")
    assert (first["member"], first["division"], first["region"], first["group_id"]) == ("K", "70", "CN-43", "G1")
    assert (second["loan_id"], second["balance"], second["branch_id"]) == ("L1", "500.00", "0731")
    assert (third["entity"], third["balance"], third["opened"]) == ("BANK2", "90.00", "2026-03-02")
    stages = {one["loan_id"]: one["stage"] for one in answer(*files, "--on", "2026-03-10", "--all")["lines"]}
    assert stages == {"L1": "disbursed", "L2": "disbursed", "L3": "closed", "L4": "applied"}


def test_totals(files: list[object]) -> None:
    one, two = answer(*files, "--on", "2026-03-10")["totals"]
    assert one == {
        "entity": "BANK1",
        "loans": 2,
        "borrowers": 2,
        "exposure": "1210.00000",
        "share": "1.000000",
        "bad": "710.00000",
        "bad_share": "0.586777",
        "past_due": "710.00000",
    }
    assert (two["entity"], two["loans"], two["exposure"], two["bad"], two["bad_share"]) == (
        "BANK2", 1, "90.00000", "0.00000", "0.000000"
    )  # fmt: skip


def test_a_day_ends_at_midnight_in_the_banks_zone(files: list[object]) -> None:
    def status(day: str) -> list[tuple[Any, ...]]:
        found = answer(*files, "--on", day, "--entity", "BANK1")["lines"]
        return [(one["loan_id"], one["balance"], one["days_past_due"], one["classification"]) for one in found]

    assert status("2026-03-02") == [
        ("L2", "100.00", 0, "normal"), ("L1", "600.00", 0, "normal"), ("L3", "50.00", 0, "normal")
    ]  # fmt: skip
    assert status("2026-03-03")[:2] == [("L2", "100.00", 95, "normal"), ("L1", "500.00", 0, "normal")]
    assert status("2026-03-04")[0] == ("L2", "100.00", 95, "substandard")
    assert len(status("2026-03-05")) == 2


@pytest.mark.parametrize(
    ("by", "wanted"),
    [
        ("borrower", [("BANK1", "B2", "710.00000"), ("BANK1", "B1", "550.00000"), ("BANK2", "B1", "90.00000")]),
        ("group", [("BANK1", "G1", "1210.00000"), ("BANK1", None, "50.00000"), ("BANK2", None, "90.00000")]),
        ("industry", [("BANK1", "K", "760.00000"), ("BANK1", "C", "500.00000"), ("BANK2", "A", "90.00000")]),
        (
            "division",
            [("BANK1", "70", "710.00000"), ("BANK1", "13", "500.00000"), ("BANK1", "unknown", "50.00000"),
             ("BANK2", "01", "90.00000")],
        ),
        (
            "region",
            [("BANK1", "CN-43", "1210.00000"), ("BANK1", "unknown", "50.00000"), ("BANK2", "CN-11", "90.00000")],
        ),
        (
            "class",
            [("BANK1", "substandard", "710.00000"), ("BANK1", "normal", "550.00000"), ("BANK2", "normal", "90.00000")],
        ),
        (
            "real_estate",
            [("BANK1", "mortgage", "710.00000"), ("BANK1", "none", "500.00000"), ("BANK1", "development", "50.00000"),
             ("BANK2", "none", "90.00000")],
        ),
    ],
)  # fmt: skip
def test_each_grouping(files: list[object], by: str, wanted: list[tuple[str, ...]]) -> None:
    assert lines(files, by, "--on", "2026-03-04") == wanted
    shares = lines(files, by, "--on", "2026-03-04", "--entity", "BANK1", column="share")
    assert abs(sum(float(one[2]) for one in shares) - 1) < 3e-6


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
@pytest.mark.parametrize("by", [By.LOAN, By.CLASS])
def test_the_export_holds_every_line(files: list[object], tmp_path: Path, by: By, suffix: str) -> None:
    target = tmp_path / f"book{suffix}"
    said = answer(*files, "--on", "2026-03-04", "--by", by.value, "--out", target)
    assert said["written"] == str(target)
    assert "lines" not in said
    wanted = answer(*files, "--on", "2026-03-04", "--by", by.value)["lines"]
    frame = pl.read_parquet(target) if suffix == ".parquet" else pl.read_csv(target, infer_schema=False)
    found = msgspec.json.decode(msgspec.json.encode(frame.to_dicts()))
    told = [{key: None if value is None else str(value) for key, value in one.items()} for one in wanted]
    assert [{key: None if value is None else str(value) for key, value in one.items()} for one in found] == told


def test_the_text(files: list[object]) -> None:
    shown = run(*files, "--on", "2026-03-10").stdout
    assert "Loans on 2026-03-10" in shown
    assert "Totals in CNY" in shown
    assert "1,210.00" in shown
    assert "events refused: closed_loan 1" in shown
    assert "0.586777" in run(*files, "--on", "2026-03-10", "--by", "industry").stdout


def test_many_lines_are_not_all_shown(files: list[object], tmp_path: Path) -> None:
    head = EVENTS.splitlines()[0]
    rows = [f"2026-03-02 09:00,x{n},BANK1,X{n},B{n},,disbursed,C,,5.00,CNY,,,none," for n in range(45)]
    (tmp_path / "loans.csv").write_text("\n".join([head, *rows]) + "\n")
    result = run(*files, "--on", "2026-03-10")
    assert "and 5 more" in result.output
    assert len(answer(*files, "--on", "2026-03-10")["lines"]) == 45


def test_today_is_the_default(files: list[object]) -> None:
    found = answer(*files)
    assert abs(date.fromisoformat(found["on"]) - date.today()) <= timedelta(days=1)  # noqa: DTZ011 - of two zones


def test_an_empty_book_says_why(files: list[object], tmp_path: Path) -> None:
    shown = run(*files, "--on", "2026-03-01").stdout
    assert "no loans on 2026-03-01: the first of the 10 events of the file is of 2026-03-02" in shown
    assert answer(*files, "--on", "2026-03-01")["lines"] == []
    (tmp_path / "loans.csv").write_text(EVENTS.splitlines()[0] + "\n")
    assert "has no loan events yet" in run(*files).stdout
    assert run(*files, "--out", tmp_path / "book.csv").exit_code == 0
    assert (tmp_path / "book.csv").read_text().startswith("entity,loan_id")


def test_what_does_not_go_together(files: list[object], tmp_path: Path) -> None:
    file, _, mapping = files
    for args, wanted in (
        ([file], "--mapping"),
        (["--mapping", mapping], "leave --mapping out"),
        ([*files, "--all", "--by", "class"], "take --by loan"),
        ([*files, "--out", "book.xlsx"], "book.parquet or book.csv"),
        ([*files, "--out", tmp_path / "nowhere" / "book.csv"], "a folder that you may write to"),
        ([*files, "--entity", "BANK9"], "there are BANK1, BANK2"),
        ([file, "--mapping", ROOT / "deploy" / "mappings" / "berka.toml"], "a mapping of kind loans"),
        ([], "broker"),
    ):
        assert wanted in " ".join(run(*args, code=1).output.split())
    run(*files, "--on", "yesterday", code=2)
    run(*files, "--by", "colour", code=2)
