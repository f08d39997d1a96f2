"""Workers that are killed, joined, left and broken: every event counts once, none is lost."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.broker import RunningBroker
from tests.faults.counting_app import CountingApp, counting_app

SMALL = ("--max-batch", "50")  # many batches, so that a kill falls between two steps of one


@pytest.fixture
def app(kafka: RunningBroker, tmp_path: Path) -> Iterator[CountingApp]:
    with counting_app(kafka.bootstrap, tmp_path) as app:
        yield app


def test_a_killed_worker_loses_and_repeats_nothing(app: CountingApp) -> None:
    app.send(12_000, keys=300)
    for progress in (1, 1_500, 4_000):
        worker = app.start(*SMALL)
        app.wait_emitted(progress)
        worker.kill()
        worker.wait()
    last = app.start(*SMALL)
    app.wait_committed()
    assert app.stop(last) == 0
    app.assert_exact()


def test_two_workers_one_killed_and_restarted(app: CountingApp) -> None:
    app.send(6_000, keys=500)
    first, second = app.start(*SMALL), app.start(*SMALL)
    app.wait_ready(first)
    app.wait_ready(second)
    app.send(6_000, keys=500)
    app.wait_emitted(7_000)
    second.kill()
    second.wait()
    third = app.start(*SMALL)
    app.send(3_000, keys=500)
    app.wait_committed()
    app.wait_ready(third)
    assert [app.stop(worker) for worker in (first, third)] == [0, 0]
    app.assert_exact()


def test_a_worker_joins_and_leaves_under_load(app: CountingApp) -> None:
    app.send(5_000, keys=400)
    first = app.start(*SMALL)
    app.wait_emitted(500)
    second = app.start(*SMALL)
    for _ in range(6):
        app.send(1_000, keys=400)
        time.sleep(0.3)
    app.wait_ready(second)
    app.wait(lambda: "ready: 2 partitions" in app.log(second), "the partitions are shared")
    app.send(2_000, keys=400)
    assert app.stop(second) == 0
    app.send(2_000, keys=400)
    app.wait_committed()
    assert app.stop(first) == 0
    app.assert_exact()
    assert len(app.emitted()) == 15_000  # nobody was killed, so nothing was done twice


def test_an_unexpected_error_stops_the_worker_and_keeps_the_event(app: CountingApp) -> None:
    app.send(2_000, keys=50)
    worker = app.start(*SMALL, "--poison", "e1003")
    assert worker.wait(timeout=60) == 1
    log = app.log(worker)
    assert "stopping: counting: " in log
    assert "the stage does not know what to do" in log
    assert f"{app.topics['in']}/" in log
    assert app.lag() > 0
    assert not any(message["id"].startswith("e1003@") for message in app.emitted())

    mended = app.start(*SMALL)
    app.wait_committed()
    assert app.stop(mended) == 0
    app.assert_exact()


def test_a_worker_that_was_paused_and_replaced_changes_nothing(app: CountingApp) -> None:
    app.send(20_000, keys=300)
    paused = app.start(*SMALL)
    app.wait_emitted(1_000)
    paused.send_signal(signal.SIGSTOP)  # in the middle of a batch, as a frozen machine would be
    heir = app.start(*SMALL)
    app.wait(lambda: "ready: 4 partitions" in app.log(heir), "the other worker took over")
    app.wait_emitted(12_000)
    paused.send_signal(signal.SIGCONT)
    app.send(2_000, keys=300)
    app.wait_committed()
    app.stop(paused)
    assert app.stop(heir) == 0
    app.assert_exact()


def test_a_batch_that_faust_loses_is_read_again(app: CountingApp) -> None:
    app.send(3_000, keys=50)
    worker = app.start(*SMALL, "--lose-batch", "7")
    app.wait_committed()
    assert "reading again from the committed offsets" in app.log(worker)
    assert app.stop(worker) == 0
    app.assert_exact()
