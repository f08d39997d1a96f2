"""The commands that need no broker, and the parts of the others that are pure."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner, Result

from connectors.errors import LiandongError
from connectors.references import WATCH_LIST
from models.policy import parse_policy
from streams.cli import app
from streams.commands.keeping import read_csv, unknown
from streams.commands.mutes import state_of
from streams.commands.policy_tables import Difference, differences, figures
from streams.commands.watch_list import COLUMNS
from tests.data import ROOT
from tests.unit.test_reference import DAY, NOON, PROPOSED, mute

FILE = ROOT / "deploy" / "policy" / "cn.toml"
TEXT = FILE.read_text(encoding="utf-8")
FIRST = parse_policy(TEXT)


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KAFKA_BOOTSTRAP", raising=False)
    monkeypatch.setenv("LIANDONG_DATA_DIR", str(tmp_path / "none"))
    monkeypatch.setenv("LIANDONG_POLICY", str(FILE))


def run(*args: object, code: int = 0) -> Result:
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    assert result.exit_code == code, result.output
    return result


def changed(folder: Path, *changes: tuple[str, str]) -> Path:
    text = TEXT
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    file = folder / "mine.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_policy_alone_asks_what_to_do() -> None:
    assert "propose" in run("policy", code=2).output


def test_show_prints_every_figure_and_the_text_itself() -> None:
    shown = msgspec.json.decode(run("policy", "show", "--format", "json").stdout)
    assert (shown["version"], shown["state"]) == ("cn-2026.1", "file")
    assert len(shown["figures"]) == len(list(figures(FIRST))) > 60
    assert "proposer risk-policy-officer, approver head-of-risk" in run("policy", "show").stdout
    assert run("policy", "show", "--toml").stdout == TEXT
    assert "cannot read the policy no.toml" in run("policy", "show", "no.toml", code=1).output


def test_check_names_every_mistake(tmp_path: Path) -> None:
    wrong = changed(
        tmp_path,
        ('approved_by = "head-of-risk"', 'approved_by = "risk-policy-officer"'),
        ("lateness = { value = 3,", "lateness = { value = 3.5,"),
    )
    found = msgspec.json.decode(run("policy", "check", wrong, "--offline", "--format", "json", code=1).stdout)
    assert found["problems"] == ["events.lateness must be a whole number of 0 or more, not 3.5"]
    wrong = changed(
        tmp_path,
        ('approved_by = "head-of-risk"', 'approved_by = "risk-policy-officer"'),
        ("many_payers = { value", "many_payer = { value"),
    )
    assert 'did you mean "many_payers"' in run("policy", "check", wrong, "--offline", code=1).stdout
    wrong = changed(
        tmp_path,
        ('approved_by = "head-of-risk"', 'approved_by = "risk-policy-officer"'),
        ("2026-01-01T00:00:00", "2026-01-01T01:00:00"),
    )
    problems = run("policy", "check", wrong, "--offline", code=1).stdout.splitlines()
    assert [line.removeprefix(f"{wrong}: ").split(" ")[0] for line in problems] == [
        "policy.approved_by",
        "policy.valid_from",
    ]
    assert "is well by itself" in run("policy", "check", FILE, "--offline").stdout
    assert "liandong broker" in run("policy", "check", FILE, code=1).output


def test_diff_lists_what_changed_and_nothing_else(tmp_path: Path) -> None:
    source = FIRST.money.rates["CZK"].source
    mine = changed(
        tmp_path,
        ("lateness = { value = 3,", "lateness = { value = 4,"),
        ('renotify_after = { value = 24, unit = "hours"', 'renotify_after = { value = 2, unit = "days"'),
        ('cash = { amounts = { CNY = "50000"', 'cash = { amounts = { CNY = "40000"'),
        ('high_risk_countries = ["KP", "IR", "MM"]', 'high_risk_countries = ["KP", "IR"]'),
        (f'"CNY per GBP", source = "{source}"', '"CNY per GBP", source = "read"'),
        (f'CZK = {{ value = "0.33", unit = "CNY per CZK", source = "{source}" }}\n', ""),
    )
    other = parse_policy(mine.read_text(encoding="utf-8"))
    assert differences(FIRST, FIRST) == []
    assert differences(FIRST, other) == [
        Difference("money.rates.GBP.source", source, "read", ""),
        Difference("money.rates.CZK", "0.33", None, "CNY per CZK"),
        Difference("money.rates.CZK.source", source, None, ""),
        Difference("events.lateness", "3", "4", "days behind the customer's newest event"),
        Difference("episodes.renotify_after", "24 hours", "2 days", ""),
        Difference("counterparties.high_risk_countries", "KP, IR, MM", "KP, IR", ""),
        Difference("detectors.large_transaction.cash.amounts.CNY", "50000", "40000", "CNY"),
    ]
    assert {line.figure for line in differences(other, FIRST)} == {line.figure for line in differences(FIRST, other)}
    said = msgspec.json.decode(run("policy", "diff", FILE, mine, "--format", "json").stdout)
    assert (said["old"], len(said["differences"])) == ("cn-2026.1", 7)
    assert run("policy", "diff", FILE, FILE).stdout == "no difference\n"


def test_the_state_of_a_mute() -> None:
    ends = mute().ends_at
    assert state_of(mute(**PROPOSED), NOON) == "proposed"
    assert state_of(mute(**PROPOSED), ends) == "over"
    assert state_of(mute(), mute().starts_at - DAY) == "to come"
    assert state_of(mute(), ends - timedelta(microseconds=1)) == "holds"
    assert state_of(mute(), ends) == "over"
    lifting: dict[str, Any] = {"lift_proposed_by": "wang", "lift_proposed_at": NOON}
    assert state_of(mute(**lifting), NOON) == "holds, lifting proposed"
    assert state_of(mute(**lifting, lifted_by="ling", lifted_at=NOON), NOON) == "lifted"


def test_a_name_that_is_not_known() -> None:
    assert str(unknown("rule", "structring", ["structuring"], "see the list")).endswith("did you mean structuring?")
    assert str(unknown("rule", "xyz", ["structuring"], "see the list")) == "there is no rule xyz: see the list"


HEADER = ",".join(COLUMNS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "its columns are none: they must be entry_id,"),
        ("entry_id,kind\n", "its columns are entry_id, kind: they must be"),
        (f"{HEADER}\n", "has no lines but its header"),
        (f"{HEADER}\n1,name,Ivan,UN,2026-01-01\n", "line 2: it has another number of fields than the header"),
        (f"{HEADER}\n1,name,Ivan,UN,2026-01-01,,\n", "line 2: it has another number of fields than the header"),
        (f"{HEADER}\n1,nam,Ivan,UN,2026-01-01,\n", "line 2: kind: "),
        (f"{HEADER}\n1,country,Iran,UN,2026-01-01,\n", "line 2: value: 'Iran' is no country code such as KP"),
        (f"{HEADER}\n1,name,,UN,2026-01-01,\n", "line 2: value: "),
        (f"{HEADER}\n1,name,Ivan,UN,2026-01-02,2026-01-02\n", "line 2: valid_until: 2026-01-02 is not after"),
        (f"{HEADER}\n1,name,Ivan,UN,2026-01-01,\n1,name,Petr,UN,2026-01-01,\n", "line 3: 1 stands on line 2 already"),
        (f"{HEADER}\n1,name,\"Ivan,UN,2026-01-01,\n", "is no CSV file in UTF-8"),
        ("\xff", "is no CSV file in UTF-8"),
    ],
)  # fmt: skip
def test_a_csv_file_that_must_not_be_sent(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "entries.csv"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(LiandongError) as refused:
        read_csv(WATCH_LIST, file, COLUMNS, optional=("valid_until",))
    assert message in str(refused.value)


def test_a_csv_file_as_a_spreadsheet_writes_it(tmp_path: Path) -> None:
    file = tmp_path / "rates.csv"
    file.write_bytes("\ufeffcurrency,as_of,rate,source\r\nSEK, 2026-03-02 ,0.75,bank\r\n".encode())
    (rate,) = read_csv("rates", file, ("currency", "as_of", "rate", "source"))
    assert (rate.key, rate.rate) == ("SEK@2026-03-02", Decimal("0.75"))
    with pytest.raises(LiandongError, match=r"cannot read .*: No such file"):
        read_csv("rates", tmp_path / "none.csv", ("currency",))
