"""A rolling upgrade: a worker of a release with more fields beside one of this release, forth and back."""

import shutil
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from connectors.cases import read_cases
from connectors.codec import Codec
from connectors.progress import GroupProgress
from connectors.records import TopicReader
from connectors.settings import Settings
from connectors.sources.simulator import simulate, topic_of
from connectors.writer import EventWriter
from models.policy import Policy, PolicyHistory
from streams.playground import Playground, WorkerProcess, free_port
from streams.verify import compare
from tests.data import ROOT
from tests.scrape import scraped

# What the next release adds: to what is sent in, to what is kept, to what is sent out.
ADDED = (
    ("models/events.py", "    purpose: Text | None = None\n", "    device: Text = ''\n"),
    (
        "models/stages/customers.py",
        "    habits: Habits | None = None\n",
        "    devices: dict[str, int] = field(default_factory=dict)\n",
    ),
    (
        "models/risk_warning.py",
        "    detected_at: datetime\n",
        "    advice: str = __import__('msgspec').field(default_factory=lambda: 'new')\n",
    ),
)
REMEMBERS = (
    "models/stages/customers.py",
    "        states.save(key, state)\n        day = ",
    "        device = getattr(event, 'device', '')\n        if device:\n"
    "            state.devices[device] = state.devices.get(device, 0) + 1\n",
)


@pytest.fixture(scope="module")
def next_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This release's code with some fields more."""
    folder = tmp_path_factory.mktemp("next")
    for name in ("models", "connectors", "streams", "deploy"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name, after, line in ADDED:
        file = folder / name
        text = file.read_text("utf-8")
        assert after in text, (name, after)
        file.write_text(text.replace(after, after + line, 1), encoding="utf-8")
    name, before, lines = REMEMBERS
    text = (folder / name).read_text("utf-8")
    assert before in text
    (folder / name).write_text(text.replace(before, lines + before, 1), encoding="utf-8")
    return folder


@pytest.fixture
def playground(tmp_path: Path) -> Iterator[Playground]:
    made = replace(Settings.from_env({}), idle_seconds=0.5, partitions=4, session_timeout_seconds=6.0)
    with Playground(made, tmp_path / "logs", tmp_path / "broker", lambda text: None) as playground:
        yield playground


def total(workers: Iterable[WorkerProcess], name: str, **labels: str) -> float:
    """A series over all workers' pages."""
    return sum(
        sample.value
        for worker in workers
        for sample in scraped(worker.metrics_port)
        if sample.name == name and sample.labels == labels
    )


@pytest.mark.timeout(600)
def test_workers_of_two_releases_share_the_work(
    playground: Playground, next_release: Path, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, codec = playground.settings, Codec()
    events = list(simulate(7, 80, 12, date(2026, 3, 2), policy, transactions=2000))
    quarter = len(events) // 4
    parts = [events[:quarter], events[quarter : 2 * quarter], events[2 * quarter : 3 * quarter], events[3 * quarter :]]

    def started(folder: Path) -> WorkerProcess:
        monkeypatch.chdir(folder)  # a worker runs the code of the folder in which it is started
        return playground.start_worker(free_port(0))

    def send(part: list[Any], *, more: bool) -> None:
        for event in part:
            topic = topic_of(event)
            value, headers = codec.encode(topic, event)
            if more and topic == "transactions":
                value = msgspec.json.encode(msgspec.json.decode(value) | {"device": "D1"})
            writer.write_bytes(topic, event.key.encode(), value, headers)
        writer.flush()
        workers.settle(settings.idle_seconds, timeout=120)

    with EventWriter(settings) as writer, GroupProgress(settings) as workers:
        old = started(ROOT)
        send(parts[0], more=False)
        new = started(next_release)  # the first of the next release joins, and is sent what only it knows
        send(parts[1], more=True)
        both = (old, new)
        sent = {one.event_id for part in parts[:2] for one in part if topic_of(one) == "transactions"}
        assert total(both, "liandong_events_total", outcome="accepted", topic="transactions") == len(sent)
        open_tasks = sum(
            task.active and task.department == "operations"
            for case in read_cases(settings).values()
            for task in case.tasks
        )
        assert total(both, "liandong_tasks_open", department="operations") == open_tasks > 0
        old.stop()
        send(parts[2], more=True)  # upgraded
        old = started(ROOT)
        new.stop()
        send(parts[3], more=True)  # and back: the field is unknown again
    found = compare(settings, PolicyHistory(policy))
    assert found.agrees, (found.missing[:5], found.extra[:5])
    assert sum(both for both, _, _ in found.by_detector.values()) > 20
    with TopicReader(settings) as reader:
        assert not [letter for _, letter in reader.events("dead-letters")]
        values = [record.value for record in reader.records("warnings")]
    advised = [b'"advice"' in value for value in values]
    assert 0 < sum(advised) < len(advised)  # both releases have warned
