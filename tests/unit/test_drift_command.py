"""`liandong drift`: a history against a model, as a table, as JSON and as a page."""

from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from streams.cli import app
from tests.anomaly import NAMES, write_history
from tests.data import ROOT


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIANDONG_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("LIANDONG_POLICY", str(ROOT / "deploy" / "policy" / "cn.toml"))
    monkeypatch.setenv("LIANDONG_DATA_DIR", str(tmp_path / "data"))
    return tmp_path


def ask(*args: object) -> Result:
    return CliRunner().invoke(app, [str(one) for one in args])


def held_against(folder: Path, amount: int, *args: object) -> Result:
    """A model of payments of about 100, held against a history of others."""
    file = write_history(folder, days=20, customers=60)
    mapped = ("--mapping", folder / "mapping.toml")
    name = msgspec.json.decode(ask("train", file, *mapped, "--format", "json").stdout)["hash"]
    other = write_history(folder, days=20, customers=60, amount=amount)
    return ask("drift", other, *mapped, "--model", name[:9], "--folder", folder, *args)


def test_a_history_like_that_of_training_is_stable(folder: Path) -> None:
    result = held_against(folder, 100, "--format", "json")
    assert result.exit_code == 0, result.output
    told = msgspec.json.decode(result.stdout)
    assert [one["name"] for one in told["drift"]] == [*NAMES, "score"]
    # What grows with a customer's history, such as bits, has gone on since the days of training.
    stable = {one["name"] for one in told["drift"] if one["stability"] == "stable"}
    assert {"pass_through", "since_last", "tempo_hour", "new_payees"} <= stable
    assert (told["rows"], told["refused"]) == (1200, 0)


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ["Drift of the anomaly model", "PSI by week", "drifted"]),
        ("zh", ["异常模型漂移报告", "按周PSI", "已漂移"]),
    ],
)
def test_what_has_moved_is_on_the_page(folder: Path, language: str, words: list[str]) -> None:
    result = held_against(folder, 900_000, "--language", language)
    assert result.exit_code == 0, result.output
    assert "amount_vs_largest" in result.stdout
    assert "drifted" in result.stdout
    (page,) = folder.glob("liandong-drift-*.html")
    text = page.read_text("utf-8")
    assert all(word in text for word in words)
    assert text.count("<tr>") == len(NAMES) + 2  # a head, and the score
    assert "http" not in text  # nothing from outside


def test_a_history_without_customers_is_said(folder: Path) -> None:
    result = held_against(folder, 100)
    assert result.exit_code == 0
    (folder / "history.csv").write_text("id,time,customer,amount\n", encoding="utf-8")
    name = next((folder / "models").glob("*.skops")).stem
    empty = ask("drift", folder / "history.csv", "--mapping", folder / "mapping.toml", "--model", name)
    assert empty.exit_code == 1
    assert "no transaction of a customer" in empty.stderr
