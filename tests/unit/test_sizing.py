"""Plans can be checked by hand, and the page says what the command says."""

import re
from pathlib import Path

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner, Result

from connectors.errors import LiandongError
from models.sizing import GIB, Load, Measured, plan
from streams.cli import app
from streams.commands.plan import read_measured, size
from tests.data import ROOT

FIGURES = Measured(
    event_microseconds=100,
    event_bytes=500,
    state_bytes=4000,
    written_bytes=1000,
    memory_ratio=2,
    idle_bytes=GIB,
    recovery_bytes=100e6,
    source="test",
)
LOAD = Load(transactions=86_400_000, customers=10_000_000, keep_days=10, replication=3, worker_bytes=9 * GIB, busy=0.5)


def command(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["plan", *arguments])


def test_a_plan_by_hand() -> None:
    found = plan(LOAD, FIGURES)
    assert found.events_a_second == (1000, 4000)
    assert found.for_processor == 1  # 4,000 a second at 100 microseconds are 0.4 of a core, at half load 0.8
    assert found.state == 40e9
    assert found.for_memory == 10  # 80 GB in workers with 8 GiB of room
    assert (found.workers, found.partitions) == (11, 32)
    assert found.worker_memory == GIB + 8e9
    assert found.topic_disk == 86_400_000 * 500 * 10 * 3
    assert found.changelog_disk == 240e9
    assert found.network == 4e6
    assert found.recovery_seconds == pytest.approx(2 * 40e9 / 11 / 100e6)


def test_the_processor_may_ask_for_more() -> None:
    found = plan(replace(LOAD, customers=1000, peak=100), FIGURES)
    assert (found.for_processor, found.for_memory, found.workers, found.partitions) == (20, 1, 21, 64)


def test_a_small_bank_has_one_worker_to_lose() -> None:
    found = plan(Load(transactions=1000, customers=100), FIGURES)
    assert (found.workers, found.partitions) == (2, 4)


@pytest.mark.parametrize(
    "wrong", [{"busy": 0}, {"busy": 1.1}, {"peak": 0.5}, {"transactions": 0}, {"worker_bytes": GIB}]
)
def test_what_cannot_be_planned_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"must be|needs"):
        plan(replace(LOAD, **wrong), FIGURES)  # type: ignore[arg-type]


def test_the_page_shows_what_the_command_says() -> None:
    page = (ROOT / "docs" / "sizing.md").read_text("utf-8")
    shown = command("--transactions", "5e8", "--customers", "1e8")
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.strip() in page
    figures = read_measured(ROOT / "deploy" / "sizing.toml")
    for value in (figures.event_microseconds, figures.state_bytes, figures.written_bytes, figures.memory_ratio):
        assert re.search(rf"\b{value:,g}\b".replace(".", r"\."), page), value
    workers = command("--transactions", "5e8", "--customers", "1e8", "--worker-memory", "64")
    assert "│ 27, one of them" in workers.stdout
    short = command("--transactions", "5e8", "--customers", "1e8", "--keep-days", "30")
    assert "│ 21.5 TiB" in short.stdout


def test_errors_name_the_remedy(tmp_path: Path) -> None:
    assert "see `liandong plan --help`" in command("--transactions", "1", "--customers", "1", "--busy", "2").output
    file = tmp_path / "mine.toml"
    text = (ROOT / "deploy" / "sizing.toml").read_text("utf-8")
    for wrong, said in (
        (text.replace("state_bytes = 7445", "state_bytes = 0"), "state_bytes must be above zero"),
        (text.replace("state_bytes", "state_byte"), "state_byte"),
        ("nothing", "mine.toml"),
    ):
        file.write_text(wrong, encoding="utf-8")
        with pytest.raises(LiandongError, match=said):
            read_measured(file)
    with pytest.raises(LiandongError, match="No such file"):
        read_measured(tmp_path / "none.toml")


def test_sizes_for_people() -> None:
    assert [size(one) for one in (10, 200 * 2**20, 1.5 * 2**40, 5e18)] == ["10 B", "200 MiB", "1.5 TiB", "4.44e+03 PiB"]
