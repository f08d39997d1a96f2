"""`liandong stress` on a file: figures worked out by hand, the picture, and what it cannot do."""

import struct
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner, Result

from models.credit.stress import Shock
from streams.cli import app
from streams.commands.stress_text import shock_text
from tests.data import ROOT
from tests.loan_files import TEN_MILLION, write_loans

SHOCK = ("--industry", "K", "--pd", "2.0x", "--lgd", "+0.10", "--growth", "0.2", "--on", "2026-03-10")


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KAFKA_BOOTSTRAP", raising=False)
    monkeypatch.setenv("LIANDONG_DATA_DIR", str(tmp_path / "none"))
    monkeypatch.setenv("LIANDONG_POLICY", str(ROOT / "deploy" / "policy" / "cn.toml"))


@pytest.fixture
def files(tmp_path: Path) -> list[object]:
    return write_loans(tmp_path, *TEN_MILLION)


def run(*args: object, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["stress", *map(str, args)])
    assert result.exit_code == code, result.output
    return result


def ask(*args: object) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(run(*args, "--format", "json").stdout)
    return found


def test_expected_loss_before_and_after(files: list[object]) -> None:
    found = ask(*files, *SHOCK)
    assert (found["entity"], found["shocked"], found["plot"]) == ("BANK1", ["K"], None)
    f, k, c, total = found["lines"]
    assert [one["industry"] for one in found["lines"]] == ["F", "K", "C", "total"]
    # 3,000,000 x 0.01 x 0.45, then 3,600,000 x 0.02 x 0.55
    assert (k["loss_before"], k["loss_after"]) == ("13500.00", "39600.00")
    assert (Decimal(k["ead_before"]), Decimal(k["ead_after"])) == (Decimal(3_000_000), Decimal(3_600_000))
    assert (k["share_before"], k["share_after"]) == ("0.300000", "0.339623")
    assert (c["loss_before"], c["loss_after"]) == ("9000.00", "9000.00")
    assert (total["loss_before"], total["loss_after"]) == ("45000.00", "71100.00")
    assert f["share_after"] == "0.471698"
    assert "every industry has a PD of 0.01 and an LGD of 0.45" in found["assumed"]


def test_the_use_of_limits(files: list[object]) -> None:
    found = ask(*files, "--industry", "c", "--growth", "0.5", "--on", "2026-03-10", "--net-capital", "2000000")
    (c,) = (one for one in found["lines"] if one["industry"] == "C")
    told = {one["limit"].removeprefix("detectors.industry_concentration."): one for one in c["limits"]}
    # 2 of 10 and 3 of 11 million; a capital of two million.
    control = told["share.control"]
    assert (control["before"]["broken"], control["after"]["broken"]) == (False, True)
    assert (control["before"]["used"], control["after"]["used"]) == ("0.800000", "1.090909")
    assert (told["net_capital.warning"]["before"]["used"], told["net_capital.warning"]["after"]["broken"]) == (
        "0.666667", True
    )  # fmt: skip
    shown = run(*files, "--industry", "C", "--growth", "0.5", "--on", "2026-03-10").stdout
    assert "WOULD BREAK" in shown
    assert "C Manufacturing 制造业" in shown
    assert "no net capital is known: limits on it are not judged" in shown


def test_risks_from_a_file(files: list[object], tmp_path: Path) -> None:
    risks = tmp_path / "risk.csv"
    risks.write_text("industry,pd,lgd\nK,0.03,0.40\n51,0.02,0.50\n")
    found = ask(*files, "--industry", "K", "--pd", "+0.01", "--on", "2026-03-10", "--risk", risks)
    lines = {one["industry"]: one for one in found["lines"]}
    assert (lines["K"]["loss_before"], lines["K"]["loss_after"]) == ("36000.00", "48000.00")
    assert lines["F"]["loss_before"] == "50000.00"
    assert "C has a PD of 0.01 and an LGD of 0.45" in found["assumed"]
    for text, wanted in (
        ("industry,pd\nK,0.1\n", "they must be industry,pd,lgd"),
        ("industry,pd,lgd\nK,2,0.4\nZ,0.1,0.4\nK,x,1\nC,1\n", "line 2: the probability of default is 2"),
        ("industry,pd,lgd\nK,0.1,0.4\nK70,0.1,0.4\n", "line 3: K stands on an earlier line already"),
    ):
        risks.write_text(text)
        said = " ".join(run(*files, *SHOCK, "--risk", risks, code=1).output.split())
        assert wanted in said
    assert "cannot read" in run(*files, *SHOCK, "--risk", tmp_path / "none.csv", code=1).output


def test_the_text(files: list[object]) -> None:
    shown = run(*files, *SHOCK).stdout
    for wanted in ("K Real estate 房地产业 shocked: PD × 2.0, LGD + 0.10, exposure +20 %", "13,500", "39,600"):
        assert wanted in shown
    assert shock_text(Shock(pd_plus=Decimal("-0.01"), lgd_times=Decimal("0.5"))) == "PD - 0.01, LGD × 0.5"
    assert shock_text(Shock()) == "nothing changes"


def test_the_picture(files: list[object], tmp_path: Path) -> None:
    target = tmp_path / "stress.png"
    assert "drawn" in run(*files, *SHOCK, "--plot", target).stdout
    data = target.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", data[16:24])
    assert (1500 < width < 1900, 400 < height < 900) == (True, True)
    assert 10_000 < len(data) < 500_000
    assert run(*files, *SHOCK, "--plot", tmp_path / "stress.svg").exit_code == 0
    assert "<svg" in (tmp_path / "stress.svg").read_text(encoding="utf-8")


def test_errors_name_their_remedy(files: list[object], tmp_path: Path) -> None:
    day = ("--on", "2026-03-10")
    for args, wanted in (
        ((*files, "--industry", "K", *day), "nothing is shocked"),
        ((*files, "--industry", "K", "--pd", "2", *day), "say 2x for times, or +2 for more"),
        ((*files, "--industry", "K", "--pd", "ax", *day), "say 2x, or +0.10"),
        ((*files, "--industry", "K", "--pd", "-1x", *day), "pd of a shock is -1"),
        ((*files, "--industry", "K", "--growth", "-1.5", *day), "growth of a shock is -1.5: it must be -1 or more"),
        ((*files, "--industry", "D", "--pd", "2x", *day), "the book has C, F, K"),
        ((*files, "--industry", "Real estat", "--pd", "2x", *day), "did you mean K Real estate"),
        ((*files, *SHOCK, "--plot", "stress.gif"), "name it stress.png"),
        ((*files, *SHOCK, "--plot", tmp_path / "nowhere" / "stress.png"), "a folder that you may write to"),
        ((*files, *SHOCK, "--default-pd", "2"), "a share from 0 to 1"),
        (SHOCK, "broker"),
    ):
        assert wanted in " ".join(run(*args, code=1).output.split())
    run(*files, "--pd", "2x", code=2)
