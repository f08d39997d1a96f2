"""A worker on a real broker: ready, steady, stopped, restarted; refused messages; time."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.broker import RunningBroker
from tests.faults.counting_app import CountingApp, counting_app


@pytest.fixture
def app(kafka: RunningBroker, tmp_path: Path) -> Iterator[CountingApp]:
    with counting_app(kafka.bootstrap, tmp_path) as app:
        yield app


def test_after_a_clean_stop_nothing_is_processed_again(app: CountingApp) -> None:
    app.send(3_000, keys=100)
    first = app.start()
    app.wait_emitted(3_000)
    assert app.stop(first) == 0
    assert app.lag() == 0

    app.send(2_000, keys=100)
    second = app.start()
    app.wait_committed()
    assert app.stop(second) == 0
    app.assert_exact()
    assert len(app.emitted()) == 5_000


def test_a_stop_under_load_loses_nothing(app: CountingApp) -> None:
    app.send(12_000, keys=200)
    first = app.start("--max-batch", "50")
    app.wait_emitted(2_000)
    assert app.stop(first) == 0  # within the time that a stop may take
    done = len(app.emitted())
    assert app.lag() == 12_000 - done  # what is done is committed

    second = app.start()
    app.wait_committed()
    assert app.stop(second) == 0
    app.assert_exact()
    assert len(app.emitted()) == 12_000


def test_a_refused_message_becomes_a_dead_letter_and_its_neighbours_go_on(app: CountingApp) -> None:
    app.send(500, keys=10)
    app.send_raw(b"k3", b"\xff not json")
    app.send_raw(None, b'{"id": "x", "key": "k3", "n": 1}')
    app.send(1, keys=10, refuse=True)
    app.send(500, keys=10)
    worker = app.start()
    app.wait_committed()
    assert app.stop(worker) == 0
    app.assert_exact()
    letters = {letter.reason: letter for letter in app.dead_letters()}
    assert sorted(letters) == ["missing", "not_json", "too_late"]
    broken = letters["not_json"]
    assert broken.source_key == "k3"
    assert base64.b64decode(broken.raw or "") == b"\xff not json"
    assert broken.dead_letter_id == f"{app.topics['in']}/{broken.source_partition}/{broken.source_offset}"


def test_ticks_say_when_a_partition_is_caught_up(app: CountingApp) -> None:
    app.send(200, keys=10)
    worker = app.start("--tick-to-out")
    app.wait(lambda: {m["partition"] for m in app.emitted() if m.get("caught_up")} == {0, 1, 2, 3}, "all caught up")
    ticks = [message for message in app.emitted() if "caught_up" in message]
    assert all(tick["events"] == 0 or tick["events"] >= 1 for tick in ticks)
    for tick in ticks:
        if tick["caught_up"]:
            applied = app.counts().get(f"total|{tick['partition']}")
            assert applied is None or tick["events"] == applied.events
    assert app.stop(worker) == 0


def test_a_state_of_another_version_stops_the_worker(app: CountingApp) -> None:
    app.send(100, keys=10)
    first = app.start()
    app.wait_committed()
    assert app.stop(first) == 0
    second = app.start("--state-version", "2")
    assert second.wait(timeout=60) == 1
    assert "state version 1, this worker knows 2" in app.log(second)


def test_missing_topics_are_named(app: CountingApp) -> None:
    worker = app.start("--partitions", "3")
    assert worker.wait(timeout=60) == 1
    assert "has 4 partitions, expected 3" in app.log(worker)
