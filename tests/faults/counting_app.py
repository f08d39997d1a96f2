"""Starts counting workers on a real broker, feeds them and reads what they left behind."""

import json
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import RetriableError, TopicAlreadyExistsError

from models.dead_letter import DeadLetter
from streams.state import FENCE, Kept
from streams.step import DEAD_LETTERS
from tests.data import ROOT
from tests.faults.counting_worker import Count, topics_of

PARTITIONS = 4
PATIENCE = 90.0  # seconds: a hang fails, a slow machine does not


class CountingApp:
    """One consumer group with its topics, on the broker at `bootstrap`."""

    def __init__(self, bootstrap: str, logs: Path) -> None:
        self.bootstrap = bootstrap
        self.app_id = f"count-{uuid.uuid4().hex[:8]}"
        self.topics = topics_of(self.app_id)
        self.logs = logs
        self.workers: list[subprocess.Popen[bytes]] = []
        self.sent: dict[str, tuple[str, int]] = {}
        self._create(self.topics.values())
        self._create([DEAD_LETTERS])
        self._reader = KafkaConsumer(bootstrap_servers=bootstrap)

    def _create(self, names: Iterable[str]) -> None:
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            admin.create_topics(
                {
                    name: {
                        "num_partitions": PARTITIONS,
                        "replication_factor": 1,
                        "configs": {"cleanup.policy": "compact"} if name.endswith("changelog") else {},
                    }
                    for name in names
                }
            )
        except TopicAlreadyExistsError:
            pass
        finally:
            admin.close()

    def close(self) -> None:
        for worker in self.workers:
            if worker.poll() is None:
                worker.kill()
            worker.wait()
        self._reader.close()

    # --- doing ---

    def send(self, count: int, keys: int, **fields: Any) -> None:
        """Send events `e0..`, continuing the numbers; every fifth goes to the second topic."""
        first = len(self.sent)
        events = [{"id": f"e{n}", "key": f"k{n % keys}", "n": n, **fields} for n in range(first, first + count)]
        with self._producer() as producer:
            for event in events:
                topic = self.topics["in" if event["n"] % 5 else "in2"]
                producer.send(topic, key=event["key"].encode(), value=json.dumps(event).encode())
        self.sent.update({event["id"]: (event["key"], event["n"]) for event in events})

    def send_raw(self, key: bytes | None, value: bytes) -> None:
        with self._producer() as producer:
            producer.send(self.topics["in"], key=key, value=value)

    @contextmanager
    def _producer(self) -> Iterator[Any]:
        producer = KafkaProducer(bootstrap_servers=self.bootstrap, linger_ms=20)
        yield producer
        producer.flush()
        producer.close()

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        """Start a worker process."""
        log = self.logs / f"worker-{len(self.workers)}.log"
        with log.open("wb") as out:
            worker = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.counting_worker", self.bootstrap, self.app_id, *options],
                cwd=ROOT,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self.workers.append(worker)
        return worker

    def stop(self, worker: subprocess.Popen[bytes]) -> int:
        """SIGTERM, and the exit code."""
        worker.terminate()
        return worker.wait(timeout=15)

    def log(self, worker: subprocess.Popen[bytes]) -> str:
        return (self.logs / f"worker-{self.workers.index(worker)}.log").read_text()

    # --- waiting ---

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(
                    f"never: {what}; {self.lag()} events are not committed, {len(self.emitted())} messages are out\n"
                    + "\n".join(self.log(worker)[-6000:] for worker in self.workers)
                )
            time.sleep(0.02)

    def wait_ready(self, worker: subprocess.Popen[bytes], times: int = 1) -> None:
        self.wait(lambda: self.log(worker).count("ready: ") >= times, "the worker is ready")

    def wait_emitted(self, count: int) -> None:
        self.wait(lambda: sum(self._ends("out").values()) >= count, f"{count} messages are out")

    def wait_committed(self) -> None:
        self.wait(lambda: self.lag() == 0, "all is committed")

    # --- reading ---

    def _ends(self, *roles: str) -> dict[Any, int]:
        places = [TopicPartition(self.topics[role], p) for role in roles for p in range(PARTITIONS)]
        ends: dict[Any, int] = self._reader.end_offsets(places)
        return ends

    def lag(self) -> int:
        """Records of the sources beyond the committed offsets."""
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            committed = admin.list_group_offsets(self.app_id)[self.app_id]
        except RetriableError:  # a fresh broker, or one that has just started again, before it knows the group
            committed = {}
        finally:
            admin.close()
        known = {(tp.topic, tp.partition): found.offset for tp, found in committed.items()}
        ends = self._ends("in", "in2")
        return sum(end - max(0, known.get((tp.topic, tp.partition), 0)) for tp, end in ends.items())

    def records(self, topic: str) -> list[Any]:
        """Everything that stands on a topic, each partition in order."""
        reader = self._reader
        places = [TopicPartition(topic, p) for p in range(PARTITIONS)]
        reader.assign(places)
        reader.seek_to_beginning(*places)
        ends = reader.end_offsets(places)
        found: list[Any] = []
        while any(reader.position(place) < ends[place] for place in places):
            for records in reader.poll(timeout_ms=200).values():
                found.extend(records)
        return found

    def emitted(self) -> list[dict[str, Any]]:
        return [json.loads(record.value) for record in self.records(self.topics["out"])]

    def dead_letters(self) -> list[DeadLetter]:
        letters = [msgspec.json.decode(record.value, type=DeadLetter) for record in self.records(DEAD_LETTERS)]
        return [letter for letter in letters if letter.source_topic.startswith(self.app_id)]

    def counts(self) -> dict[str, Count]:
        """The states as a restart would recover them, by key."""
        states: dict[str, Count] = {}
        epochs: Counter[int] = Counter()
        for record in self.records(self.topics["changelog"]):
            kept = msgspec.msgpack.decode(record.value, type=Kept)
            if kept.epoch < epochs[record.partition]:
                continue
            epochs[record.partition] = kept.epoch
            if record.key != FENCE and kept.kind:
                states[record.key.decode()] = msgspec.msgpack.decode(kept.state, type=Count)
        return states

    def assert_exact(self) -> None:
        """Every event sent counts once, for its key and for its partition, and its message is out."""
        wanted: dict[str, Count] = {}
        kept: set[str] = set()
        for record in self.records(self.topics["in"]) + self.records(self.topics["in2"]):
            if record.key is None or not record.value.startswith(b"{"):
                continue
            event = json.loads(record.value)
            if event.get("refuse"):
                continue
            kept.add(event["id"])
            for name in (event["key"], f"total|{record.partition}"):
                count = wanted.setdefault(name, Count())
                count.events += 1
                count.total += event["n"]
        assert self.counts() == wanted
        # The id tells at which count the event was applied: one id an event means that a replay gave the same again.
        ids = sorted({message["id"] for message in self.emitted()})
        assert sorted(one.partition("@")[0] for one in ids) == sorted(kept)


@contextmanager
def counting_app(bootstrap: str, logs: Path) -> Iterator[CountingApp]:
    """A counting app whose workers are gone afterwards."""
    app = CountingApp(bootstrap, logs)
    try:
        yield app
    finally:
        app.close()
