"""`liandong train` and `liandong models`: from a file to a model with its card, and what is said when it cannot be."""

from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from connectors.model_file import load_model
from streams.cli import app
from tests.anomaly import write_history
from tests.data import ROOT


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIANDONG_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("LIANDONG_POLICY", str(ROOT / "deploy" / "policy" / "cn.toml"))
    monkeypatch.setenv("LIANDONG_DATA_DIR", str(tmp_path / "data"))
    return tmp_path


def ask(*args: object) -> Result:
    return CliRunner().invoke(app, [str(one) for one in args])


def trained(folder: Path, *args: object, days: int = 20, customers: int = 60) -> Result:
    file = write_history(folder, days, customers)
    return ask("train", file, "--mapping", folder / "mapping.toml", *args)


def test_the_same_history_is_kept_under_the_same_hash(folder: Path) -> None:
    first, second = (trained(folder, "--format", "json", "--budget", "2") for _ in range(2))
    assert (first.exit_code, first.stdout) == (0, second.stdout)
    told = msgspec.json.decode(first.stdout)
    model = load_model(told["hash"], folder / "models")
    assert told["threshold"] == model.card.threshold(2)
    assert (model.card.rows, model.card.customers, model.card.kind) == (1200, 60, "hbos")
    page = Path(told["file"]).with_suffix(".md").read_text("utf-8")
    assert f"# Model {told['hash']}" in page
    assert "| amount_vs_habit: amount away from the customer's usual level | standard deviations |" in page


def test_models_are_listed_and_shown_by_their_first_digits(folder: Path) -> None:
    assert "train one with `liandong train`" in ask("models", "list").stdout
    name = msgspec.json.decode(trained(folder, "--format", "json").stdout)["hash"]
    assert name[:16] in ask("models", "list").stdout
    assert name in ask("models", "show", name[:6]).stdout
    assert msgspec.json.decode(ask("models", "list", "--format", "json").stdout)[0]["hash"] == name
    assert "no model begins with zz" in ask("models", "show", "zz").stderr


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (("--kind", "magic"), "there is no detector magic"),
        (("--budget", "0"), "--budget is above 0"),
        (("--param", "bins"), "not like n_estimators=200"),
        (("--param", "trees=5"), "unexpected keyword argument 'trees'"),
    ],
)
def test_what_cannot_be_is_said(folder: Path, args: tuple[str, ...], why: str) -> None:
    result = trained(folder, *args)
    assert result.exit_code == 1
    assert why in result.stderr
    assert not (folder / "models").exists()


def test_a_short_history_says_what_would_be_enough(folder: Path) -> None:
    result = trained(folder, days=5)
    assert result.exit_code == 1
    assert "300 transactions of customers on 5 days: a model needs 1,000 on at least 10 days" in result.stderr


def test_parameters_reach_the_detector_and_the_card(folder: Path) -> None:
    args = ("--kind", "isolation_forest", "--param", "n_estimators=7", "--format", "json")
    told = msgspec.json.decode(trained(folder, *args).stdout)
    model = load_model(told["hash"], folder / "models")
    assert len(model.pipeline.named_steps["detect"].estimators_) == 7
    assert told["card"]["params"] == {"n_estimators": 7.0}
