"""Keeps the database as the topics are: reads what has come, writes it and how far it has come in one transaction.

How far it has come stands in the database and nowhere else: what was not committed there is read again, a database that
was lost or emptied is filled from the first record on, and a second projector beside the first does no harm.
"""

import contextlib
import logging
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from threading import Event
from typing import Any, Protocol

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from sqlalchemy import Connection, Engine, delete, select
from sqlalchemy.exc import OperationalError

from connectors.admin import connected
from connectors.codec import Codec
from connectors.errors import LiandongError
from connectors.refusals import Undecodable
from connectors.settings import Settings
from connectors.store.engine import StoreError
from connectors.store.projection import TARGETS, project, upsert
from connectors.store.tables import HEARTBEAT, METADATA, PROGRESS

LOG = logging.getLogger(__name__)

_CLIENT = "liandong-projector"
_POLL_SECONDS = 0.5
_LOOK_SECONDS = 5.0  # between two looks at the ends of the topics
_RETRY_SECONDS = 2.0
_MOST_RECORDS = 5000  # in a transaction


class _Emptied(Exception):
    """The database knows less than was written to it: somebody has emptied it, or put an older copy in its place."""


class ProjectorMetrics(Protocol):
    """What the projector tells of itself; `connectors.metrics.Metrics` is one."""

    def projected(self, topic: str, delays: Sequence[float], refused: int) -> None: ...

    def projection_lag(self, lag: Mapping[str, tuple[int, float]]) -> None: ...

    def database(self, process: str, *, up: bool) -> None: ...


class Projector:
    """Reads the topics of `TARGETS`. Close it after use.

    Args:
        settings: the broker and its security.
        engine: a database of this release's version.
        metrics: told of every transaction.

    Raises:
        LiandongError: the broker cannot be reached, or a topic is missing.
        StoreError: the database was filled from topics that are not these.
    """

    def __init__(self, settings: Settings, engine: Engine, metrics: ProjectorMetrics) -> None:
        self._engine, self._metrics = engine, metrics
        self._codec = Codec()
        self._next: dict[TopicPartition, int] = {}  # after what stands in the database
        self._from: dict[TopicPartition, int] = {}  # the same, or where the topic begins
        self._stamped: dict[TopicPartition, float] = {}  # of the newest record that does
        self._ids: dict[str, str] = {}
        self._admin = connected(settings, _CLIENT)
        self._consumer = KafkaConsumer(
            **settings.kafka_python_options(),
            enable_auto_commit=False,
            auto_offset_reset="none",  # a place that is gone must not be passed over in silence
            max_poll_records=_MOST_RECORDS,
            max_partition_fetch_bytes=8 * 1024 * 1024,
            client_id=_CLIENT,
        )
        try:
            self._assign()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Projector":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()
        self._admin.close()

    # ------------------------------------------------------------------ the loop

    def run(self, stop: Event) -> None:
        """Project until told to stop. While the database or the broker does not answer, wait for it.

        Raises:
            LiandongError: a topic is gone or was made anew.
        """
        looked, lost = 0.0, False
        while not stop.is_set():
            try:
                if lost:  # whatever was under way: the database knows
                    self._rewind()
                    lost = False
                self.step()
                if time.monotonic() - looked >= _LOOK_SECONDS:
                    self.look()
                    looked = time.monotonic()
            except OperationalError as error:
                self._metrics.database("projector", up=False)
                LOG.warning("the database does not answer, trying again: %s", error.orig)
                self._engine.dispose()
                lost = True
                with contextlib.suppress(KafkaError):  # the broker's own trouble is told when it is next asked
                    self._tell_lag()
                stop.wait(_RETRY_SECONDS)
            except KafkaError as error:
                LOG.warning("the broker does not answer, trying again: %s", error)
                lost = True
                stop.wait(_RETRY_SECONDS)

    def step(self, seconds: float = _POLL_SECONDS) -> int:
        """Wait for records, at most so long, and write those that came; how many these were."""
        polled = self._consumer.poll(timeout_ms=int(seconds * 1000))
        if not polled:
            return 0
        try:
            with self._engine.begin() as connection:
                told = [self._write(connection, place, records) for place, records in polled.items()]
        except _Emptied:
            LOG.warning("the database was emptied: filling it again from the first record on")
            self._rewind()
            return 0
        committed = time.time()
        self._metrics.database("projector", up=True)
        for (place, records), refused in zip(polled.items(), told, strict=True):
            self._next[place] = self._from[place] = records[-1].offset + 1
            self._stamped[place] = records[-1].timestamp / 1000
            delays = [max(0.0, committed - record.timestamp / 1000) for record in records]
            self._metrics.projected(place.topic, delays, refused)
        return sum(len(records) for records in polled.values())

    def look(self) -> int:
        """See how much waits, note it for the desk, and take up partitions that are new; how many records wait."""
        self._assign()
        waits = self._tell_lag()
        beat = {"process": "projector", "seen_at": datetime.now(UTC), "waiting": waits}
        with self._engine.begin() as connection:
            upsert(connection, HEARTBEAT, [beat], "seen_at")
        self._metrics.database("projector", up=True)
        return waits

    def _tell_lag(self) -> int:
        lag = dict.fromkeys(TARGETS, (0, 0.0))
        now = time.time()
        for place, end in self._consumer.end_offsets(sorted(self._from)).items():
            waiting = max(0, end - self._from[place])
            if waiting:
                records, seconds = lag[place.topic]
                # Before the first record there is nothing to measure from: as if the projector began just now.
                age = max(0.0, now - self._stamped.get(place, now))
                lag[place.topic] = (records + waiting, max(seconds, age))
        self._metrics.projection_lag(lag)
        return sum(records for records, _ in lag.values())

    def _write(self, connection: Connection, place: TopicPartition, records: list[Any]) -> int:
        messages = []
        for record in records:
            try:
                message = self._codec.decode(record.topic, record.key, record.value, record.headers)
                messages.append((message, record.value.decode()))
            except Undecodable as error:
                # Only somebody with the right to write here can have sent it, and no case rests on it.
                LOG.warning("left out %s/%d/%d: %s", record.topic, record.partition, record.offset, error)
        project(connection, place.topic, messages)
        row = {
            "topic": place.topic,
            "partition": place.partition,
            "topic_id": self._ids.get(place.topic),
            "next_offset": records[-1].offset + 1,
            "stamped_at": datetime.fromtimestamp(records[-1].timestamp / 1000, UTC),
        }
        stored = connection.scalar(
            select(PROGRESS.c.next_offset)
            .where(PROGRESS.c.topic == place.topic, PROGRESS.c.partition == place.partition)
            .with_for_update()
        )
        if (stored or 0) < self._next.get(place, 0):
            raise _Emptied
        upsert(connection, PROGRESS, [row], "next_offset")
        return len(records) - len(messages)

    # ------------------------------------------------------------------ where to read

    def _assign(self) -> None:
        """Take up every partition there is, each where the database says."""
        told = self._admin.describe_topics(list(TARGETS))
        ids = {one["name"]: str(one["topic_id"]) for one in told if one.get("topic_id")}
        places = []
        for topic in TARGETS:
            numbers = self._consumer.partitions_for_topic(topic)
            if not numbers:
                raise LiandongError(f"there is no topic {topic}", "create the topics first: liandong topics --create")
            places += [TopicPartition(topic, number) for number in sorted(numbers)]
        if set(places) != self._consumer.assignment() or ids != self._ids:
            self._ids = ids
            self._consumer.assign(places)
            self._rewind()

    def _rewind(self) -> None:
        """Read on after what stands in the database."""
        places = sorted(self._consumer.assignment())
        with self._engine.connect() as connection:
            stored = {
                TopicPartition(row.topic, row.partition): row for row in connection.execute(select(PROGRESS)).all()
            }
        starts, ends = self._consumer.beginning_offsets(places), self._consumer.end_offsets(places)
        self._next, self._stamped, self._from = {}, {}, {}
        for place, row in stored.items():
            known = self._ids.get(place.topic)
            other = place not in starts or (row.topic_id is not None and known is not None and row.topic_id != known)
            if other or row.next_offset > ends[place]:
                raise StoreError(
                    f"the database was filled from another {place.topic}: that topic has been made anew",
                    "run `liandong database --rebuild`: it is filled again from the first record on",
                )
            if row.stamped_at is not None:
                self._stamped[place] = row.stamped_at.timestamp()
            self._next[place] = row.next_offset
        for place in places:
            after = stored[place].next_offset if place in stored else 0
            # What compaction or retention has taken away meanwhile was replaced by what follows, or is too old to keep.
            self._from[place] = max(after, starts[place])
            self._consumer.seek(place, self._from[place])


def rebuild(engine: Engine) -> None:
    """Empty the tables, and forget how far the topics were read: the projector fills them again."""
    with engine.begin() as connection:
        for table in METADATA.sorted_tables:
            connection.execute(delete(table))
