"""Demo: the whole of Liandong on this machine, live or as one scripted day with an account at its end."""

import contextlib
import signal
import tempfile
import threading
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.request import urlopen

import typer
from msgspec.structs import replace

from connectors.account import render_account, render_warning
from connectors.account_texts import Language
from connectors.errors import LiandongError
from connectors.policy_file import load_policy
from connectors.progress import GroupProgress
from connectors.records import TopicReader
from connectors.settings import Settings
from connectors.sources.simulator import simulate, topic_of
from connectors.sources.simulator.day import scripted_day
from connectors.sources.simulator.outcome import differences
from connectors.sources.simulator.script import Script, Step
from connectors.store import queries
from connectors.store.comparison import Comparison, compare_store
from connectors.store.engine import open_store
from connectors.writer import EventWriter, Pace
from models.policy import Policy, PolicyHistory
from streams.commands.feeding import SpeedOption, read_speed
from streams.commands.output import command, notes, out, progress, read_settings
from streams.playground import Playground, free_port
from streams.verify import compare


@command
def demo(
    once: Annotated[bool, typer.Option("--once", help="Play one scripted day, print its account, and end.")] = False,
    workers: Annotated[int, typer.Option(min=1, max=8, help="Worker processes.")] = 1,
    speed: SpeedOption = "1440",
    days: Annotated[int, typer.Option(min=2, help="Simulated days up to yesterday (without --once).")] = 30,
    language: Annotated[Language, typer.Option("--language", "-l", help="Of the account and its reasons.")] = "en",
) -> None:
    """Run broker, topics, workers, the desk and a simulated bank; show the warnings as they come. Ctrl-C ends it."""
    settings = read_settings()
    if once and not settings.bootstrap:
        # The broker is our own and on this machine: what is on its way arrives at once.
        settings = replace(settings, idle_seconds=min(settings.idle_seconds, 0.5))
    policy = load_policy(settings.policy_path())
    with contextlib.ExitStack() as stack:
        # A folder of the demo's own: it must not mix with a bank's data, and leaves nothing behind.
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix="liandong-demo-"))
        settings = replace(settings, data_dir=Path(name), database="", database_password=None)
        playground = stack.enter_context(Playground(settings, Path(name) / "logs", Path(name) / "broker", notes.print))
        port = free_port(settings.metrics_port_of("worker"))
        for number in range(workers):
            playground.start_worker(port if number == 0 else 0)
        notes.print(f"{workers} worker(s) ready · metrics at http://127.0.0.1:{port}/metrics · logs in {name}/logs")
        playground.start("project")
        if once:
            _play_once(playground, policy, port, language)
        else:
            desk = free_port(8080)
            playground.start("desk", "--port", str(desk))
            notes.print(f"the desk: http://127.0.0.1:{desk}/", highlight=False)
            _run_live(playground, policy, read_speed(speed), days, language)


def _play_once(playground: Playground, policy: Policy, port: int, language: Language) -> None:
    script = scripted_day(policy)
    settings = playground.settings
    outputs = ("warnings", "cases", "dead-letters", "portfolio")
    with TopicReader(settings) as reader:
        since = reader.ends(*outputs)
        notes.print(f"playing {script.day}: {len(script.steps):,} messages")
        play_script(settings, script)
        found: dict[str, list[Any]] = {topic: [] for topic in outputs}
        for record, value in reader.events(*outputs, since=since):
            found[record.topic].append(value)
    warnings, cases, dead_letters, portfolio = (found[topic] for topic in outputs)
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page:
        series = sum(line.startswith(b"liandong_") for line in page)
    render_account(out, script.steps, warnings, cases, dead_letters, portfolio, policy=policy, lang=language)
    comparison = compare(settings, PolicyHistory(policy))
    agreed = sum(both for both, _, _ in comparison.by_detector.values())
    out.print()
    if comparison.agrees:
        out.print(f"The oracle, which shares no code with the stream, finds the same {agreed} warnings.")
    out.print(f"{series} series on /metrics.")
    missing = differences(script, warnings, cases, dead_letters)
    if not comparison.agrees:
        missing.append("the oracle finds other warnings than the stream")
    compared = {one.topic: one for one in _projected(settings)}
    if all(one.agrees for one in compared.values()):
        held = f"{compared['warnings'].same} warnings and {compared['cases'].same} cases"
        out.print(f"The database that the desk reads holds what the topics do: {held}.")
    else:
        missing.append("the database holds something else than the topics")
    if missing:
        raise LiandongError("the day did not end as it must: " + "; ".join(missing))


def _projected(settings: Settings) -> list[Comparison]:
    """Hold the database against the topics once the projector has come to their ends."""
    engine = open_store(settings, read_only=True)
    asked, deadline = datetime.now(UTC), time.monotonic() + 60
    try:
        while time.monotonic() < deadline:
            with engine.connect() as connection:
                fresh = queries.freshness(connection)
                if fresh.seen_at is not None and fresh.seen_at > asked and not fresh.waiting:
                    return compare_store(settings, engine)
            time.sleep(0.2)
    finally:
        engine.dispose()
    raise LiandongError("the projector did not come to the end of the topics", "look at its log")


def play_script(settings: Settings, script: Script) -> None:
    """Send everything in time order; where a step answers what went before, wait until that can be seen."""
    with EventWriter(settings) as writer, GroupProgress(settings) as workers, progress() as bar:
        task = bar.add_task("the day", total=len(script.steps))
        waiting = False
        for step in script.steps:
            if step.settled and waiting:
                writer.flush()
                workers.settle(settings.idle_seconds)
                waiting = False
            _write(writer, step)
            # An action that follows another on its heels needs no wait: cases see actions in their order.
            waiting = waiting or step.topic != "actions"
            bar.advance(task)
        writer.flush()
        workers.settle(settings.idle_seconds)


def _write(writer: EventWriter, step: Step) -> None:
    if isinstance(step.event, bytes):
        writer.write_bytes(step.topic, step.key.encode(), step.event)
    else:
        writer.write(step.topic, step.event)


def _run_live(playground: Playground, policy: Policy, speed: float | None, days: int, language: Language) -> None:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    settings = playground.settings
    feeder = threading.Thread(target=_feed, args=(settings, policy, speed, days, stop), daemon=True)
    feeder.start()
    notes.print(f"KAFKA_BOOTSTRAP={','.join(settings.bootstrap)} · {days} simulated days · Ctrl-C ends the demo")
    seen: dict[str, int] = {}
    told = False
    with TopicReader(settings) as reader:
        since = reader.ends("warnings")
        while not stop.wait(0.5):
            playground.check()
            for record, warning in reader.events("warnings", since=since):
                if warning.notify and warning.revision > seen.get(warning.warning_id, 0):
                    seen[warning.warning_id] = warning.revision
                    render_warning(out, warning, policy=policy, lang=language)
                since = {**since, **_next(record)}
            if not feeder.is_alive() and not told:
                told = True
                notes.print("the simulated days are played; everything stays up until Ctrl-C")
    notes.print("stopping")


def _next(record: Any) -> dict[Any, int]:
    from kafka import TopicPartition

    return {TopicPartition(record.topic, record.partition): record.offset + 1}


def _feed(settings: Settings, policy: Policy, speed: float | None, days: int, stop: threading.Event) -> None:
    start = datetime.now(UTC).astimezone(policy.bank_calendar.zone).date() - timedelta(days=days)
    pace = Pace(speed, sleep=lambda seconds: (stop.wait(seconds), None)[1])
    with EventWriter(settings) as writer:
        for event in simulate(int(date.today().strftime("%j")), 200, days, start, policy):  # noqa: DTZ011 - a seed
            if stop.is_set():
                return
            when = getattr(event, "event_time", None)
            if when is not None and when.date() >= start:
                pace.wait_for(when)
            writer.write(topic_of(event), event)
