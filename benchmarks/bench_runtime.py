"""Throughput of a worker end to end: decode, count per key, store the state, commit. No messages emitted.

Usage: python -m benchmarks.bench_runtime [BOOTSTRAP] [--events N] [--keys N] [--max-batch N] [--emit]

Prints events a second from the first to the last batch, in one process on one core.
"""

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable
from pathlib import Path

from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient

from connectors.broker import start_broker
from models.stage import Emit, Record, States, Tick
from streams.app import run_worker
from streams.step import DEAD_LETTERS, NoMetrics
from tests.faults.counting_worker import Count, CountingSettings, JsonCodec, topics_of

PARTITIONS = 4


class KeyCount:
    """Counts per key, as a customer's stage would: one state a record."""

    name = "counting"
    state_version = 1

    def __init__(self, topics: tuple[str, ...], out: str, emit: bool) -> None:
        self.topics = topics
        self._out = out
        self._emit = emit

    def apply(self, states: States, record: Record) -> Iterable[Emit]:
        key = record.event["key"]
        count = states.load(key, Count) or Count()
        count.events += 1
        states.save(key, count)
        return [Emit(self._out, key, {"id": record.event["id"]})] if self._emit else ()

    def flush(self, states: States) -> Iterable[Emit]:
        return ()

    def tick(self, states: States, tick: Tick) -> Iterable[Emit]:
        return ()


class Progress(NoMetrics):
    """Times the batches; stops the worker after the last."""

    def __init__(self, events: int) -> None:
        self.left = events
        self.batches = 0
        self.first = 0.0
        self.last = 0.0
        self.first_cpu = 0.0
        self.cpu = 0.0

    def batch(self, stage: str, topic: str, records: int, skipped: int, seconds: float) -> None:
        if not self.first:
            self.first = time.perf_counter() - seconds
            self.first_cpu = time.process_time() - seconds
        self.batches += 1
        self.left -= records
        self.last = time.perf_counter()
        self.cpu = time.process_time()
        if self.left <= 0:
            os.kill(os.getpid(), signal.SIGTERM)


def fill(bootstrap: str, app_id: str, events: int, keys: int) -> None:
    """Create the topics and send the events."""
    topics = topics_of(app_id)
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    names = [*topics.values(), DEAD_LETTERS]
    known = set(admin.list_topics())
    admin.create_topics(
        {name: {"num_partitions": PARTITIONS, "replication_factor": 1} for name in names if name not in known}
    )
    admin.close()
    producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=50, batch_size=500_000)
    padding = "x" * 200
    for n in range(events):
        event = {"id": f"e{n}", "key": f"k{n * 7919 % keys}", "n": n, "note": padding}
        producer.send(topics["in"], key=event["key"].encode(), value=json.dumps(event).encode())  # type: ignore[attr-defined]
    producer.flush()
    producer.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bootstrap", nargs="?")
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--max-batch", type=int, default=5_000)
    parser.add_argument("--emit", action="store_true")
    args = parser.parse_args()
    with contextlib.ExitStack() as stack:
        bootstrap = args.bootstrap or stack.enter_context(start_broker(Path(tempfile.mkdtemp()))).bootstrap
        app_id = f"bench-{uuid.uuid4().hex[:8]}"
        fill(bootstrap, app_id, args.events, args.keys)
        topics = topics_of(app_id)
        progress = Progress(args.events)
        stage = KeyCount((topics["in"], topics["in2"]), topics["out"], args.emit)
        settings = CountingSettings(bootstrap, app_id, PARTITIONS, args.max_batch)
        code = run_worker(settings, [stage], JsonCodec(), metrics=progress)
    wall, cpu = progress.last - progress.first, progress.cpu - progress.first_cpu
    print(
        f"{args.events} events, {args.keys} keys, {progress.batches} batches: {args.events / wall:,.0f} events/s "
        f"({cpu / args.events * 1e6:.1f} µs of CPU an event)"
    )
    return code


if __name__ == "__main__":
    sys.exit(main())
