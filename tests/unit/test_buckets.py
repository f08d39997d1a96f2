"""A history judged bucket by bucket, from disk, is the history judged in one frame."""

import errno
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.progress import Progress

from benchmarks.bench_backtest import MAPPING, write_year
from connectors.policy_file import load_policies
from connectors.sources import Mapping, SourceError, load_mapping, parse_mapping
from connectors.sources.spill import History, Limits, history
from models.oracle.parts import ACROSS
from models.policy import PolicyHistory
from streams.backtest import Engine, Result, run_backtest
from streams.judging import Pace
from streams.pricing import run_pricing
from tests.data import DATA, ROOT, needs_data

SMALL = Limits(in_memory=100, bucket=600, chunk=500)
YEAR = parse_mapping(MAPPING)
POLICIES = load_policies(ROOT / "deploy" / "policy" / "cn.toml")


def silent() -> Progress:
    return Progress(disable=True)


@pytest.fixture
def year(tmp_path: Path) -> Path:
    """3,000 transactions of 30 customers, one amount of three places and one of a currency without a rate."""
    path = tmp_path / "year.csv"
    write_year(path, 3_000)
    lines = path.read_text().splitlines(keepends=True)
    for name, amount, currency in (("K1", "9.125", "KWD"), ("K2", "9", "XPF")):
        cells = lines[1].split(",")
        cells[0], cells[6], cells[7] = name, amount, currency
        lines.append(",".join(cells))
    lines.append("broken\n")
    path.write_text("".join(lines))
    return path


def judged(
    path: Path, mapping: Mapping, folder: Path, limits: Limits, engine: Engine, policies: PolicyHistory = POLICIES
) -> tuple[Result, int]:
    with history(path, mapping, folder, limits=limits) as past:
        return run_backtest(past, policies, engine, silent()), past.buckets


def test_a_history_of_buckets_holds_every_event_once(year: Path, tmp_path: Path) -> None:
    with history(year, YEAR, tmp_path) as one, history(year, YEAR, tmp_path / "disk", limits=SMALL) as many:
        assert (one.buckets, many.buckets) == (1, 6)
        (whole,) = one
        parts = list(many)
        assert {part.accepted.schema["amount"] for part in parts} == {pl.Decimal(38, 3)}
        together = pl.concat([part.accepted for part in parts])
        assert together.sort("event_time", "row").equals(whole.accepted)
        owners = [set(part.accepted["customer_id"]) for part in parts]
        assert sum(map(len, owners)) == len(set().union(*owners))
        assert (many.events, many.span, many.whole.rows) == (one.events, one.span, one.whole.rows)
        assert many.whole.rejected.equals(one.whole.rejected)
        assert many.whole.rejected_rows == 1
        assert all(part.accepted["event_time"].is_sorted() for part in parts)


@pytest.mark.parametrize("engine", list(Engine))
def test_the_same_warnings_bucket_by_bucket(year: Path, tmp_path: Path, engine: Engine) -> None:
    one, buckets_of_one = judged(year, YEAR, tmp_path, Limits(), engine)
    many, buckets = judged(year, YEAR, tmp_path, SMALL, engine)
    assert (buckets_of_one, buckets) == (1, 6)
    assert one.summary() == many.summary()
    assert one.refused == {"no_rate": 2}
    assert "large_transaction" in one.warnings
    if engine is Engine.ORACLE:
        assert "missing_rate" in one.warnings
        assert list(one.lines()) == list(many.lines())


def lower(tmp_path: Path) -> PolicyHistory:
    path = tmp_path / "lower.toml"
    text = (ROOT / "deploy" / "policy" / "cn.toml").read_text("utf-8")
    path.write_text(text.replace('version = "', 'version = "lower-', 1).replace('CNY = "50000"', 'CNY = "2000"', 1))
    return load_policies(path)


def test_the_same_price_bucket_by_bucket(year: Path, tmp_path: Path) -> None:
    after = lower(tmp_path)
    prices = []
    for limits in (Limits(), SMALL):
        with history(year, YEAR, tmp_path, limits=limits) as past:
            prices.append(run_pricing(past, POLICIES, after, frozenset({"C1", "C2"}), silent()))
    assert prices[0] == prices[1]
    assert prices[0].gained["large_transaction"]


def reports(tmp_path: Path) -> Path:
    path = tmp_path / "reports.csv"
    rows = [
        f"R{n},2026-03-{n % 20 + 1:02d}T10:00:00Z,E{n},B{n % 4},{'C' + str(n % 5) if n % 3 else ''}\n"
        for n in range(60)
    ]
    path.write_text("id,time,who,branch,customer\n" + "".join(rows))
    return path


REPORTS = parse_mapping("""
name = "r"
kind = "reports"
[fields]
report_id = "id"
event_time = "time"
customer_id = "customer"
reporter.employee_id = "who"
reporter.post = { const = "teller" }
reporter.branch_id = "branch"
kind = { const = "abnormal_transaction" }
narrative = { const = "seen" }
""")


@pytest.mark.parametrize("engine", list(Engine))
def test_reports_stay_with_their_customer_or_branch(tmp_path: Path, engine: Engine) -> None:
    path = reports(tmp_path)
    one, _ = judged(path, REPORTS, tmp_path, Limits(), engine)
    many, buckets = judged(path, REPORTS, tmp_path, Limits(in_memory=10, bucket=10, chunk=7), engine)
    assert buckets == 7
    assert one.summary() == many.summary()
    assert one.accepted == 60
    assert one.warnings["teller_report"] > 0


def leftovers(folder: Path) -> list[Path]:
    return list(folder.glob("backtest-*"))


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_nothing_stays_on_disk(year: Path, tmp_path: Path, error: type[BaseException]) -> None:
    folder = tmp_path / "data"

    def stop(past: History) -> None:
        assert len(leftovers(folder)) == 1
        raise error

    with pytest.raises(error), history(year, YEAR, folder, limits=SMALL) as past:
        stop(past)
    assert leftovers(folder) == []
    with history(year, YEAR, folder, limits=SMALL):
        pass
    assert leftovers(folder) == []
    year.write_text(year.read_text() + '"never closed')
    with pytest.raises(SourceError, match="never closed"), history(year, YEAR, folder, limits=SMALL):
        pytest.fail("a file that cannot be read has no history")
    assert leftovers(folder) == []


def test_what_fits_touches_no_disk(year: Path, tmp_path: Path) -> None:
    with history(year, YEAR, tmp_path / "data"):
        assert not (tmp_path / "data").exists()


def test_a_full_disk_is_said(year: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: pl.DataFrame, *args: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    with (
        pytest.raises(SourceError, match=r"No space left.*LIANDONG_DATA_DIR"),
        history(year, YEAR, tmp_path, limits=SMALL),
    ):
        pytest.fail("there is no room for it")
    assert leftovers(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_said(year: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match="LIANDONG_DATA_DIR"), history(year, YEAR, tmp_path / "file", limits=SMALL):
        pytest.fail("a file is no folder")


def test_progress_tells_rows(year: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    with history(year, YEAR, tmp_path, lambda done, of: told.append((done, of)), SMALL) as past:
        assert told[-1][0] == past.whole.rows == 3_003
        assert [done for done, _ in told] == sorted({done for done, _ in told})
        assert len(told) > 3
        with Progress(disable=True) as bar:
            run_backtest(past, POLICIES, Engine.ORACLE, bar)
            (task,) = bar.tasks
            assert (task.completed, task.total) == (past.events, past.events)
            assert "rows a second" in task.description


def test_pace_says_how_fast() -> None:
    with Progress(disable=True) as bar:
        pace = Pace(bar, "reading")
        pace(5, 10)
        (task,) = bar.tasks
        assert (task.completed, task.total) == (5, 10)
        assert task.description.startswith("reading, ")


@needs_data
@pytest.mark.parametrize(
    ("file", "name", "limits"),
    [
        ("berka/trans.csv.gz", "berka", Limits(in_memory=1_000, bucket=6_000, chunk=4_000)),
        ("amlsim/transactions.csv.gz", "amlsim", Limits(in_memory=1_000, bucket=30_000, chunk=20_000)),
    ],
)
def test_public_data(tmp_path: Path, file: str, name: str, limits: Limits) -> None:
    mapping = load_mapping(ROOT / "deploy" / "mappings" / f"{name}.toml")
    policies = load_policies(ROOT / "deploy" / "policy" / f"{name}.toml")
    one, _ = judged(DATA / file, mapping, tmp_path, Limits(), Engine.ORACLE, policies)
    many, buckets = judged(DATA / file, mapping, tmp_path, limits, Engine.ORACLE, policies)
    assert buckets > 4
    assert one.summary() == many.summary()
    assert list(one.lines()) == list(many.lines())
    assert set(one.warnings) - set(ACROSS)
