"""Feed: replay a file, simulate a bank. Both write to the input topics as any other system would."""

from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from connectors.address import with_broker
from connectors.errors import LiandongError
from connectors.policy_file import load_policy
from connectors.settings import Settings
from connectors.sources.events import to_events
from connectors.sources.mapping import load_mapping
from connectors.sources.reader import read
from connectors.sources.simulator import SCENARIOS, simulate, topic_of, write_labels
from connectors.writer import EventWriter, Pace
from streams.commands.output import command, out, print_rejected, progress, read_settings

SpeedOption = Annotated[
    str, typer.Option("--speed", help="Times event time (1 is real time, 86400 a day a second), or max.")
]


def read_speed(text: str) -> float | None:
    """`max` is None.

    Raises:
        LiandongError: neither `max` nor a number above zero.
    """
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise LiandongError(f"--speed {text} is neither a number above zero nor max", "write for example --speed 3600")
    return speed


@command
def replay(
    files: Annotated[list[Path], typer.Argument(help="CSV, JSON lines or Parquet, gzipped or not.")],
    mapping: Annotated[Path, typer.Option("--mapping", "-m", help="How the files' columns become events (TOML).")],
    speed: SpeedOption = "max",
) -> None:
    """Send a file's events to their topic, in the order of their times, and list what was rejected."""
    pace_of = read_speed(speed)
    settings = with_broker(read_settings())
    plan = load_mapping(mapping)
    for path in files:
        mapped = read(path, plan)
        sent = send(settings, ((mapped.kind, event) for event in to_events(mapped)), mapped.events, Pace(pace_of))
        print_rejected(mapped)
        out.print(
            f"{path}: {mapped.rows:,} rows, {mapped.accepted_rows:,} accepted, {mapped.rejected_rows:,} rejected; "
            f"{sent:,} events to {mapped.kind}",
            markup=False,
        )


@command
def simulation(
    seed: Annotated[int, typer.Option(help="The same seed makes the same bank.")] = 7,
    customers: Annotated[int, typer.Option(min=1, help="How many, at least.")] = 200,
    days: Annotated[int, typer.Option(min=1, help="Calendar days.")] = 30,
    start: Annotated[str, typer.Option(help="First day, YYYY-MM-DD; default: so that it ends yesterday.")] = "",
    transactions: Annotated[int | None, typer.Option(min=1, help="End with exactly this many.")] = None,
    scenario: Annotated[list[str] | None, typer.Option(help="Only these; may be given several times.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Write what was planted there, as JSON lines.")] = None,
    output: Annotated[Path | None, typer.Option("--out", help="Write JSON lines a topic there; no broker.")] = None,
    speed: SpeedOption = "max",
    policy: Annotated[Path | None, typer.Option("--policy", "-p", help="Policy file.")] = None,
) -> None:
    """Make a seeded bank's days, with labelled scenarios, and send them to the input topics."""
    settings = read_settings()
    used = load_policy(policy or settings.policy_path())
    first = _day(start) if start else date.today() - timedelta(days=days)  # noqa: DTZ011 - the user's own day
    try:
        bank = simulate(seed, customers, days, first, used, transactions, scenario or tuple(SCENARIOS))
    except ValueError as error:
        raise LiandongError(str(error)) from error
    records = ((topic_of(event), event) for event in bank)
    if output is not None:
        count = _write_files(records, output)
        out.print(f"{count:,} events in {output}", markup=False)
    else:
        count = send(with_broker(settings), records, None, Pace(read_speed(speed)))
        out.print(f"{count:,} events sent")
    if labels is not None:
        write_labels(bank.labels, labels)
        out.print(f"{len(bank.labels):,} labels in {labels}", markup=False)


def send(settings: Settings, records: Iterable[tuple[str, Any]], total: int | None, pace: Pace) -> int:
    """Write (topic, event) pairs at a pace, with a bar; the number acknowledged."""
    with EventWriter(settings) as writer, progress() as bar:
        task = bar.add_task("sending", total=total)
        for topic, event in records:
            if (when := getattr(event, "event_time", None)) is not None:
                pace.wait_for(when)
            writer.write(topic, event)
            if writer.written % 500 == 0:
                bar.update(task, completed=writer.written)
        writer.flush()
        return writer.written


def _write_files(records: Iterable[tuple[str, Any]], folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    sinks: dict[str, Any] = {}
    count = 0
    try:
        for topic, event in records:
            if topic not in sinks:
                sinks[topic] = (folder / f"{topic}.jsonl").open("wb")
            sinks[topic].write(msgspec.json.encode(event) + b"\n")
            count += 1
    finally:
        for sink in sinks.values():
            sink.close()
    return count


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise LiandongError(f"--start {text} is no day", "write it as 2026-03-02") from error
