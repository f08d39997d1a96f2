"""The projector on a real broker: killed, with its database gone or emptied, over topics that were made anew."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient
from msgspec.structs import replace
from sqlalchemy import Engine, text

from connectors.admin import ensure_topics
from connectors.broker import RunningBroker, start_broker
from connectors.records import TopicReader
from connectors.settings import Settings
from connectors.store import queries
from connectors.store.comparison import Comparison, compare_store
from connectors.store.engine import StoreError, open_store
from connectors.store.projection import TARGETS
from connectors.store.projector import Projector, rebuild
from connectors.store.versions import upgrade
from connectors.writer import EventWriter
from models.revisions import newest
from streams.playground import ProcessFailed, Service, free_port
from tests.conftest import broker_of
from tests.postgres import PostgreSQL
from tests.response import HOUR, MONDAY, Desk, warning
from tests.waiting import wait_for


class Heard:
    """The metrics of a projector."""

    def __init__(self) -> None:
        self.records: dict[str, int] = dict.fromkeys(TARGETS, 0)
        self.refused = 0
        self.lag: dict[str, tuple[int, float]] = {}
        self.up: list[bool] = []

    def projected(self, topic: str, delays: Any, refused: int) -> None:
        self.records[topic] += len(list(delays))
        self.refused += refused

    def projection_lag(self, lag: Any) -> None:
        self.lag = dict(lag)

    def database(self, process: str, *, up: bool) -> None:
        assert process == "projector"
        self.up.append(up)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RunningBroker]:
    """A broker of the test's own: topics have fixed names, and are deleted."""
    yield from broker_of("kafka", tmp_path / "broker")


@pytest.fixture
def settings(broker: RunningBroker, database: str) -> Settings:
    made = Settings(bootstrap=(broker.bootstrap,), database=database, partitions=3)
    ensure_topics(made)
    return made


@pytest.fixture
def store(settings: Settings) -> Iterator[Engine]:
    engine = open_store(settings)
    upgrade(engine)
    yield engine
    engine.dispose()


def send(settings: Settings, count: int, start: int = 0) -> None:
    """Three revisions of each warning, and a case on each."""
    with EventWriter(settings) as writer:
        for number in range(start, start + count):
            desk, subject = Desk(), f"customer:C{number}"
            for revision in (1, 2, 3):
                at = MONDAY + revision * HOUR
                told = warning(at, warning_id=f"w{number}", subject=subject, revision=revision)
                writer.write("warnings", told)
                for emit in desk.take(told):
                    writer.write("cases", emit.value)
        writer.flush()


def drain(projector: Projector) -> int:
    total = 0
    while projector.look():
        total += projector.step()
    return total


def agrees(settings: Settings, store: Engine) -> int:
    """Hold the database against the topics, read whole by other means; how many warnings there are."""
    with TopicReader(settings) as reader:
        warnings = newest([one for _, one in reader.events("warnings")], lambda one: one.warning_id)
        cases = newest([one for _, one in reader.events("cases")], lambda one: one.case_id)
    with store.connect() as connection:
        found = queries.warnings(connection, queries.WarningsAsked(), 1, 100_000).items
        standing = queries.cases(connection, queries.CasesAsked(state=None), 1, 100_000).items
    assert {one.warning_id: one for one in found} == warnings
    assert {one.case_id: one for one in standing} == cases
    assert all(one.agrees for one in compare_store(settings, store))
    return len(warnings)


@pytest.mark.timeout(180)
def test_it_goes_on_where_the_database_stands(settings: Settings, store: Engine) -> None:
    send(settings, 40)
    heard = Heard()
    with Projector(settings, store, heard) as projector:
        assert projector.look() == 240
        assert drain(projector) == 240
        assert agrees(settings, store) == 40
        assert heard.lag["warnings"] == (0, 0.0)
        with EventWriter(settings) as writer:
            writer.write_bytes("warnings", b"x", b"no warning")
            writer.flush()
        send(settings, 5, start=40)
        drain(projector)
        assert (heard.refused, heard.records["warnings"], heard.records["cases"]) == (1, 136, 135)
    with store.begin() as connection:
        connection.execute(text("DELETE FROM warnings WHERE warning_id = 'w7'"))
        connection.execute(text("UPDATE cases SET document = '{}' WHERE case_id = 'customer:C9#1'"))
        connection.execute(text("UPDATE warnings SET warning_id = 'z' WHERE warning_id = 'w8'"))
    assert compare_store(settings, store)[:2] == [
        Comparison("warnings", 43, missing=("w7", "w8"), extra=("z",)),
        Comparison("cases", 44, stale=("customer:C9#1",)),
    ]
    rebuild(store)
    with Projector(settings, store, Heard()) as projector:
        drain(projector)
    with Projector(settings, store, Heard()) as projector:
        assert projector.look() == 0
    with store.connect() as connection:
        fresh = queries.freshness(connection)
    assert fresh.waiting == 0
    assert fresh.seen_at is not None
    assert fresh.newest is not None
    assert agrees(settings, store) == 45


@pytest.mark.timeout(180)
def test_a_database_that_is_emptied_meanwhile_is_filled_again(settings: Settings, store: Engine) -> None:
    send(settings, 20)
    with Projector(settings, store, Heard()) as projector:
        drain(projector)
        rebuild(store)
        send(settings, 1, start=20)
        drain(projector)
    assert agrees(settings, store) == 21


@pytest.mark.timeout(180)
def test_once_fills_it_and_leaves_nothing_waiting(settings: Settings, store: Engine, tmp_path: Path) -> None:
    send(settings, 10)
    service = Service(settings, "project", ("--once",), tmp_path / "log")
    assert service.process.wait(timeout=60) == 0
    assert "60 records projected" in (tmp_path / "log").read_text()
    assert _waiting(store) == 0
    assert agrees(settings, store) == 10


@pytest.mark.timeout(180)
def test_two_of_them_do_no_harm(settings: Settings, store: Engine) -> None:
    send(settings, 10)
    with Projector(settings, store, Heard()) as one, Projector(settings, store, Heard()) as other:
        drain(one)
        send(settings, 10, start=10)
        drain(other)
        drain(one)
    assert agrees(settings, store) == 20


@pytest.mark.timeout(240)
def test_topics_that_were_made_anew_are_noticed(settings: Settings, store: Engine) -> None:
    send(settings, 10)
    with Projector(settings, store, Heard()) as projector:
        drain(projector)
    admin = KafkaAdminClient(**settings.kafka_python_options())
    admin.delete_topics(list(TARGETS))
    admin.close()
    time.sleep(2)
    ensure_topics(settings)
    send(settings, 30)
    with pytest.raises(StoreError, match="made anew: run `liandong database --rebuild`"):
        Projector(settings, store, Heard())
    rebuild(store)
    with Projector(settings, store, Heard()) as projector:
        drain(projector)
    assert agrees(settings, store) == 30


@pytest.mark.timeout(240)
def test_killed_at_any_instant_it_ends_with_what_the_topics_hold(
    settings: Settings, store: Engine, tmp_path: Path
) -> None:
    for round_ in range(3):
        service = Service(settings, "project", (), tmp_path / f"projector-{round_}.log")
        service.wait_ready()
        send(settings, 150, start=150 * round_)
        time.sleep(0.2 * round_)
        service.kill()
    service = Service(settings, "project", (), tmp_path / "last.log")
    service.wait_ready()
    wait_for(lambda: _waiting(store) == 0 and _count(store) == 450, 60)
    assert service.stop() == 0
    assert agrees(settings, store) == 450


def _waiting(store: Engine) -> int:
    with store.connect() as connection:
        return queries.freshness(connection).waiting


def _count(store: Engine) -> int:
    with store.connect() as connection:
        return queries.counts(connection, MONDAY)["open_cases"]


@pytest.mark.timeout(240)
def test_a_database_that_is_down_is_waited_for(broker: RunningBroker, tmp_path_factory: pytest.TempPathFactory) -> None:
    server = PostgreSQL(tmp_path_factory.mktemp("own"))
    settings = Settings(bootstrap=(broker.bootstrap,), database=server.url("bank"), partitions=3)
    ensure_topics(settings)
    store, heard, stop = open_store(settings), Heard(), threading.Event()
    upgrade(store)
    try:
        with Projector(settings, store, heard) as projector:
            thread = threading.Thread(target=projector.run, args=(stop,))
            thread.start()
            send(settings, 20)
            wait_for(lambda: _count(store) == 20)
            server.stop()
            send(settings, 20, start=20)
            wait_for(lambda: heard.up and not heard.up[-1])
            server.start()
            wait_for(lambda: heard.up[-1])
            send(settings, 1, start=40)
            wait_for(lambda: _count(store) == 41)
            stop.set()
            thread.join()
        assert agrees(settings, store) == 41
    finally:
        stop.set()
        store.dispose()
        server.stop()


@pytest.mark.timeout(240)
def test_a_broker_that_is_down_is_waited_for(tmp_path: Path) -> None:
    port = free_port(0)
    settings = Settings(bootstrap=(f"127.0.0.1:{port}",), database=f"sqlite:///{tmp_path}/x.db", partitions=3)
    store = open_store(settings)
    upgrade(store)
    running = [start_broker(tmp_path / "broker", "kafka", port)]
    ensure_topics(settings)
    send(settings, 5)
    # A process of its own: kafka-python leaves sockets open where it finds nobody.
    service = Service(settings, "project", (), tmp_path / "log")
    try:
        service.wait_ready()
        wait_for(lambda: _count(store) == 5)
        running.pop().stop()
        time.sleep(6)  # so long that a look at the ends of the topics falls into it
        running.append(start_broker(tmp_path / "broker", "kafka", port))
        send(settings, 5, start=5)
        wait_for(lambda: _count(store) == 10, 60)
        assert "the broker does not answer, trying again" in (tmp_path / "log").read_text()
        assert service.stop() == 0
        assert agrees(settings, store) == 10
    finally:
        service.kill()
        store.dispose()
        for broker in running:
            broker.stop()


@pytest.mark.timeout(120)
def test_without_topics_or_broker_it_says_what_to_do(broker: RunningBroker, tmp_path: Path) -> None:
    settings = Settings(bootstrap=(broker.bootstrap,), database=f"sqlite:///{tmp_path}/x.db")
    for told, remedy in (
        (settings, "create the topics first: liandong topics --create"),
        (replace(settings, bootstrap=("127.0.0.1:1",)), "127.0.0.1:1"),
    ):
        service = Service(told, "project", (), tmp_path / "log")
        with pytest.raises(ProcessFailed, match=remedy):
            service.wait_ready()
