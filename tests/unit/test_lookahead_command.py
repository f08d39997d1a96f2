"""`liandong lookahead` on a file: figures worked out by hand, the pace, what is assumed, and what it cannot do."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from typer.testing import CliRunner, Result

from connectors.errors import LiandongError
from connectors.policy_file import load_policies
from connectors.sources.mapping import load_mapping
from connectors.sources.reader import read
from models.credit.lookahead_limits import Capital
from models.events import CapitalPosition
from models.oracle.book import book_at
from models.policy import PolicyHistory
from streams.book_reading import capital_on
from streams.cli import app
from streams.commands import asked_book
from streams.entity_book import COLUMNS, entity_books
from tests.data import ROOT
from tests.loan_files import TEN_MILLION, write_loans

CAPITAL = ("--net-capital", "20000000", "--tier1-capital", "16000000")
RULE = "detectors."


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KAFKA_BOOTSTRAP", raising=False)
    monkeypatch.setenv("LIANDONG_DATA_DIR", str(tmp_path / "none"))
    monkeypatch.setenv("LIANDONG_POLICY", str(ROOT / "deploy" / "policy" / "cn.toml"))


@pytest.fixture
def policies() -> PolicyHistory:
    return load_policies(ROOT / "deploy" / "policy" / "cn.toml")


@pytest.fixture
def files(tmp_path: Path) -> list[object]:
    return write_loans(tmp_path, *TEN_MILLION)


def run(*args: object, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["lookahead", *map(str, args)])
    assert result.exit_code == code, result.output
    return result


def ask(*args: object, industry: str = "C", amount: object = 2500000, on: str = "2026-03-10") -> dict[str, Any]:
    given = ("--industry", industry, "--amount", amount, "--on", on, "--format", "json")
    found: dict[str, Any] = msgspec.json.decode(run(*args, *given).stdout)
    return found


def changes(found: dict[str, Any]) -> dict[str, tuple[Any, ...]]:
    return {
        one["dimension"]: (one["member"], one["share_before"], one["share_after"], one["hhi_before"], one["hhi_after"])
        for one in found["answer"]["changes"]
    }


def limits(found: dict[str, Any]) -> dict[str, Any]:
    return {one["limit"]["name"].removeprefix(RULE): one for one in found["answer"]["limits"]}


def test_shares_indices_and_granularity(files: list[object]) -> None:
    found = ask(*files, "--borrower", "B1", "--region", "CN-43", industry="C13")
    assert (found["entity"], found["on"], found["currency"]) == ("BANK1", "2026-03-10", "CNY")
    # 2 and 4.5 of 10 and 12.5; (2² + 3² + 5²) / 10² and (4.5² + 3² + 5²) / 12.5²; the region has 5 and 7.5.
    told = changes(found)
    assert told["industry"] == ("C", "0.200000", "0.360000", "0.380000", "0.347200")
    assert told["division"] == ("13", "0.200000", "0.360000", "0.380000", "0.347200")
    assert told["borrower"] == ("B1", "0.200000", "0.360000", "0.380000", "0.347200")
    assert told["group"] == ("G1", "0.200000", "0.360000", "1.000000", "1.000000")
    assert told["region"] == ("CN-43", "0.500000", "0.600000", "0.500000", "0.520000")
    assert "real_estate" not in told
    # Of one risk: GA is 1.26602 x HHI of the borrowers.
    answer = found["answer"]
    assert float(answer["granularity_before"]) == pytest.approx(1.26602 * 0.38, rel=1e-4)
    assert float(answer["granularity_after"]) == pytest.approx(1.26602 * 0.3472, rel=1e-4)


def test_limits_that_break_and_their_headroom(files: list[object]) -> None:
    found = ask(*files, *CAPITAL, "--borrower", "B1")
    assert [one.removeprefix(RULE) for one in found["answer"]["breaks"]] == [
        "industry_concentration.share.control",
        "name_concentration.single_tier1.control",
        "name_concentration.group.observation",
        "name_concentration.group.warning",
        "name_concentration.group.control",
        "name_concentration.group_tier1.warning",
        "name_concentration.group_tier1.control",
    ]
    told = limits(found)
    control = told["industry_concentration.share.control"]
    # (0.25 x 10,000,000 - 2,000,000) / 0.75: the loan is part of the book too.
    assert (control["before"]["headroom"], control["before"]["broken"]) == ("666666.66", False)
    assert (control["after"]["headroom"], control["after"]["ratio"]) == ("-1833333.34", "0.360000")
    warning = told["industry_concentration.share.warning"]  # exactly at a fifth before
    assert (warning["before"]["broken"], warning["after"]["broken"], warning["breaks"]) == (True, True, False)
    assert told["name_concentration.top_ten.control"]["subject"] == "largest 10"
    assert told["industry_concentration.net_capital.control"]["after"]["headroom"] == "35500000.00"


def test_a_new_borrower_of_real_estate(files: list[object]) -> None:
    found = ask(*files, "--real-estate", "development", "--group", "G9", industry="K", amount=1000000)
    told = changes(found)
    assert told["real_estate"] == ("development", "0.000000", "0.090909", "1.000000", "0.625000")
    assert told["borrower"][0] == ""
    total = limits(found)["real_estate_concentration.total.control"]
    assert (total["subject"], total["before"]["ratio"], total["after"]["ratio"]) == (
        "development+mortgage", "0.300000", "0.363636"
    )  # fmt: skip
    assert limits(found)["name_concentration.group.control"]["subject"] == "G9"


def test_what_was_assumed_is_said(files: list[object]) -> None:
    said = " | ".join(ask(*files, "--borrower", "B1", "--pd", "0.5")["assumed"])
    for wanted in (
        "no net capital is known: limits on it are not judged; give --net-capital",
        "no Tier 1 capital is known",
        "B1 belongs to the group G1",
        "every borrower of the book has a PD of 0.01 and an LGD of 0.45",
        "B1 has loans and keeps the book's",
    ):
        assert wanted in said
    said = " | ".join(ask(*files, *CAPITAL, "--borrower", "B9", "--pd", "0.5", industry="D")["assumed"])
    for wanted in ("first loan to D Electricity", "B9 has no loan", "no group", "new borrower has a PD of 0.5"):
        assert wanted in said
    assert "capital" not in said


def test_another_scheme_and_a_limit_that_asks_for_growth(tmp_path: Path) -> None:
    rows = [
        "2023-01-02 09:00,e0,BANK1,L0,B0,,disbursed,531110,US-NY,4000000,USD,mortgage",
        "2026-03-02 09:00,e1,BANK1,L1,B1,,disbursed,531110,US-NY,1999000,USD,mortgage",
    ]
    us = ("--policy", ROOT / "deploy" / "policy" / "us.toml")
    args = (*write_loans(tmp_path, *rows), *us, "--real-estate", "mortgage", "--net-capital", "2000000")
    # All three levels are below six million, but count only once the four of three years ago have grown by half.
    for amount, levels in (("999.99", []), ("1000", ["observation", "warning", "control"])):
        found = ask(*args, industry="531", amount=amount)
        broken = [one.rsplit(".", 1) for one in found["answer"]["breaks"] if "real_estate_concentration.total" in one]
        assert [level for _, level in broken] == levels
    # There is no development: that is known, so that the pace of both together is as well.
    pace = limits(found)["real_estate_concentration.total.control"]["date_before"]
    assert (pace["outcome"], pace["changes"]) == ("flat_or_falling", 12)
    assert (found["currency"], changes(found)["industry"][0]) == ("USD", "53")
    assert "division" not in changes(found)
    said = run(*args, "--industry", "93", "--amount", "1", "--on", "2026-03-10", code=1).output
    assert "no industry '93' in naics" in said


def test_growth_and_hhi_of_the_industries(tmp_path: Path, policies: PolicyHistory) -> None:
    files = write_loans(
        tmp_path,
        "2025-03-03 09:00,e0,BANK1,L0,B0,,disbursed,A01,CN-43,5000000,CNY,none",
        "2025-03-31 23:30,e1,BANK1,L1,B1,,disbursed,C1391,CN-43,1000000,CNY,none",
        "2025-04-01 00:30,e2,BANK1,L2,B2,,disbursed,C1391,CN-43,100000,CNY,none",
    )
    # A million at the end of March 2025, then 1.1: 1.3 is 30 % more, and more than a twentieth of the book.
    for amount, broken, grown in (("199999.99", False, "0.300000"), ("200000", True, "0.300000")):
        found = limits(ask(*files, amount=amount))
        growth = found["industry_concentration.growth.observation"]
        assert (growth["before"]["ratio"], growth["before"]["headroom"]) == ("0.100000", "200000.00")
        assert (growth["after"]["ratio"], growth["after"]["broken"], growth["breaks"]) == (grown, broken, broken)
        assert (growth["date_before"], growth["date_after"]) == (None, None)
    hhi = found["industry_concentration.hhi.control"]
    # (5² + 1.1²) / 6.1², and (5² + 1.3²) / 6.3².
    assert (hhi["subject"], hhi["before"]["ratio"], hhi["after"]["ratio"]) == ("book", "0.704381", "0.672462")
    assert hhi["date_before"]["outcome"] == "already_reached"
    shown = run(*files, "--industry", "C", "--amount", "200000", "--on", "2026-03-10").stdout
    assert "industry.growth observation of C: ≥ 0.3 growth; up to it 200,000 CNY may be lent" in shown
    assert "not judged, as C had no loans" not in shown
    shown = run(*files, "--industry", "C", "--amount", "200000", "--on", "2025-04-10").stdout
    assert "not judged, as C had no loans at the end of the month 12 months before: industry.growth" in shown
    loans = read(Path(str(files[0])), load_mapping(Path(str(files[2])))).accepted
    # (5² + 1²) / 6², and as above.
    history = entity_books(loans, policies, date(2025, 4, 30))["BANK1"].history({"industry": "C"}, 12)
    assert history.hhi == (Decimal("0.722222222222"), Decimal("0.704380542865"))
    assert (len(history.past["C"]), history.past["C"][-2:]) == (36, (0, 1000000))


def growing(tmp_path: Path) -> list[object]:
    """C grows by 100,000 a month, to 1,600,000 in February."""
    months = ("2025-08", "2025-09", "2025-10", "2025-11", "2025-12", "2026-01", "2026-02")
    rows = [
        f"{month}-15 09:00,c{n},BANK1,C{n},B{n},,disbursed,C,CN-43,{100000 if n else 1000000},CNY,none"
        for n, month in enumerate(months)
    ]
    return write_loans(tmp_path, "2025-08-01 09:00,a,BANK1,A,BA,,disbursed,A,CN-43,7000000,CNY,none", *rows)


def test_the_day_on_which_a_limit_breaks(tmp_path: Path) -> None:
    files, net = growing(tmp_path), ("--net-capital", "2000000")
    limit = limits(ask(*files, *net, amount=200000, on="2026-02-28"))["industry_concentration.net_capital.observation"]
    # 400,000 are left, or 200,000: four months and two, of 30.4375 days.
    for name, day in (("date_before", "2026-06-30"), ("date_after", "2026-04-30")):
        found = limit[name]
        assert (found["outcome"], found["pace"], found["changes"]) == ("projected", "100000.00", 6)
        assert found["expected"] == found["earliest"] == found["latest"] == day
    # A month that is not over is none.
    found = limits(ask(*files, *net, amount=200000, on="2026-02-27"))["industry_concentration.net_capital.observation"]
    assert (found["date_before"]["outcome"], found["date_before"]["changes"]) == ("history_too_short", 5)
    shown = run(*files, *net, "--industry", "C", "--amount", "500000", "--on", "2026-02-28").stdout
    assert "came nearer by 100,000 CNY a month (mean of 6); it breaks about 2026-06-30" in shown
    assert "at once with it" in shown


def test_the_text(files: list[object]) -> None:
    args = (*files, "--industry", "C", "--amount", "2500000", "--on", "2026-03-10", "--borrower", "B1")
    shown = run(*args, *CAPITAL).stdout
    assert "A loan of 2,500,000.00 CNY to B1 in C Manufacturing 制造业" in shown
    for wanted in ("0.360000", "WOULD BREAK", "it would break 7 limits:", "up to it 666,666 CNY may be lent"):
        assert wanted in shown
    assert "not judged, as the capital is not known: industry.net_capital, name.group" in run(*args).stdout
    shown = run(*files, "--industry", "A", "--amount", "1", "--on", "2026-03-10").stdout
    assert "it would break no limit that is not broken already" in shown


def test_errors_name_their_remedy(files: list[object], tmp_path: Path) -> None:
    loan, day = ("--industry", "C", "--amount", "5"), ("--on", "2026-03-10")
    for args, wanted in (
        ([*files, "--industry", "Manufacturin", "--amount", "5", *day], "did you mean C Manufacturing 制造业?"),
        ([*files, "--industry", "98", "--amount", "5", *day], "no industry '98' in gbt4754"),
        ([*files, *loan, *day, "--entity", "BANK9"], "did you mean BANK1?"),
        ([*files, *loan, "--on", "2026-03-01"], "the first of the file"),
        ([*files, "--industry", "C", "--amount", "0", *day], "an amount above zero"),
        ([*files, *loan, *day, "--pd", "1.5"], "a share from 0 to 1"),
        ([*files, *loan, *day, "--net-capital", "0"], "leave it out"),
        ([files[0], *loan, *day], "--mapping"),
        (["--mapping", files[2], *loan, *day], "leave --mapping out"),
        ([files[0], "--mapping", ROOT / "deploy" / "mappings" / "berka.toml", *loan], "a mapping of kind loans"),
        ([*loan], "broker"),
    ):
        assert wanted in " ".join(run(*args, code=1).output.split())
    run(*files, "--industry", "C", "--amount", "much", code=2)
    run(*files, *loan, "--months", "5", code=2)
    other = "2026-03-02 09:03,e4,BANK2,L1,B1,,disbursed,A01,CN-11,90.00,CNY,none"
    two = write_loans(tmp_path, *TEN_MILLION, other)
    assert "BANK1; BANK2: name one with --entity" in " ".join(run(*two, *loan, *day, code=1).output.split())
    assert ask(*two, "--entity", "BANK2", industry="A", amount=10)["entity"] == "BANK2"
    assert "has no loan events yet" in run(*write_loans(tmp_path), *loan, code=1).output


def test_the_topics_loans_and_capital(monkeypatch: pytest.MonkeyPatch, files: list[object]) -> None:
    frame = read(Path(str(files[0])), load_mapping(Path(str(files[2])))).accepted
    monkeypatch.setattr(asked_book, "loans_of_topic", lambda *_: frame)
    monkeypatch.setattr(asked_book, "capital_of_topic", lambda *_: Capital(Decimal(900), Decimal(800)))
    found = ask()
    assert (found["net_capital"], found["tier1_capital"]) == ("900", "800")
    found = ask("--net-capital", "1000")
    assert (found["net_capital"], found["tier1_capital"]) == ("1000", "800")


def position(day: str, net: str, entity: str = "BANK1", currency: str = "CNY") -> CapitalPosition:
    return CapitalPosition(
        entity=entity,
        as_of=date.fromisoformat(day),
        net_capital=Decimal(net),
        tier1_capital=Decimal(net),
        currency=currency,
    )


def test_the_capital_that_is_valid_on_a_day(policies: PolicyHistory) -> None:
    sent = [
        position("2026-01-01", "10"),
        position("2026-03-01", "20"),
        position("2026-03-01", "21"),
        position("2026-02-01", "15"),
        position("2026-03-05", "1", entity="BANK2"),
        position("2026-04-01", "2", currency="USD"),
    ]
    found = {day: capital_on(sent, policies, "BANK1", date.fromisoformat(day)).net for day in (
        "2025-12-31", "2026-01-31", "2026-02-28", "2026-03-01", "2026-04-01"
    )}  # fmt: skip
    assert list(found.values()) == [None, 10, 15, 21, 2 * policies.latest.rates["USD"]]
    with pytest.raises(LiandongError, match="in KZT, for which there is no exchange rate"):
        capital_on([position("2026-01-01", "10", currency="KZT")], policies, "BANK1", date(2026, 1, 1))


def test_the_sums_are_those_of_the_oracles_book(tmp_path: Path, policies: PolicyHistory) -> None:
    files = write_loans(
        tmp_path,
        *TEN_MILLION,
        "2023-02-03 09:00,e4,BANK1,L4,B4,G1,disbursed,C,,100.00,USD,development",
        "2023-03-31 23:30,e5,BANK1,L4,B4,,disbursed,C,,50.00,USD,none",
        "2026-03-03 09:00,e6,BANK1,L1,B1,,repaid,,,2000000.00,CNY,none",
        "2026-03-04 09:00,e7,BANK1,L2,B2,,written_off,,,1.50,CNY,none",
        "2026-03-04 09:00,e8,BANK2,L2,B2,,disbursed,,,9.50,CNY,none",
        "2026-03-05 09:00,e9,BANK1,L1,B1,,repaid,,,1.00,CNY,none",
    )
    loans = read(Path(str(files[0])), load_mapping(Path(str(files[2])))).accepted
    for day in (date(2026, 3, 2), date(2026, 3, 3), date(2026, 3, 10)):
        whole = book_at(loans, policies, day).filter(pl.col("balance") > 0)
        books = entity_books(loans, policies, day)
        assert set(books) == set(whole["entity"])
        for name, book in books.items():
            mine = whole.filter(pl.col("entity") == name)
            assert book.total == mine["balance_base"].sum()
            for dimension, column in COLUMNS.items():
                rows = mine.filter(pl.col(column).is_not_null() & (pl.col(column) != "none"))
                sums = rows.group_by(column).agg(pl.col("balance_base").sum())
                assert book.exposures(dimension) == dict(sums.iter_rows())
        assert books["BANK1"].refused == {"closed_loan": 1}
    usd = policies.latest.rates["USD"]
    history = books["BANK1"].history({"industry": "C", "real_estate": "development"}, 12)
    # Three years before March 2026, at the end of the month.
    assert history.grown_from["industry"] == {"C": 150 * usd}
    assert history.grown_from["real_estate"]["development"] == 150 * usd
    assert history.totals == (150 * usd,) * 13
    assert history.exposures["industry"]["C"] == history.totals
    assert books["BANK1"].group_of("B4") == "G1"
    assert books["BANK1"].group_of("B2") is None
