"""What it costs to keep the database as the topics are, and how large it grows; no broker is needed.

Usage: python -m benchmarks.bench_projector [--transactions 100000 --customers 2000 --days 90] [--database URL ...]

Simulated customers are played through all stages in one process; what comes out on the projector's topics is written
as the projector writes it, by transactions of 5,000 records, into an empty SQLite file and into every --database (which
must be empty, and is left filled). Printed for each: records a second, size, and what the desk's pages take (median
of 20). In brackets: the ratio to SQLite.
"""

import argparse
import statistics
import tempfile
import time
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from sqlalchemy import Engine, text

from connectors.codec import Codec
from connectors.desk.app import build_desk
from connectors.metrics import Metrics
from connectors.policy_file import load_policy
from connectors.settings import Settings
from connectors.sources.simulator import simulate, topic_of
from connectors.store.engine import open_store
from connectors.store.projection import TARGETS, project
from connectors.store.tables import METADATA
from connectors.store.versions import upgrade
from models.pipeline import LocalPipeline, MemoryStates
from models.policy import Policy, PolicyHistory
from models.stage import Emit, Record
from models.stages.cases import CasesStage

BATCH = 5000
PAGES = ("/", "/warnings", "/warnings?department=risk", "/cases", "/cases?overdue=true", "/book", "/dead-letters")


def outputs(policy: Policy, transactions: int, customers: int, days: int) -> list[tuple[str, Any]]:
    """What the stages put out on the projector's topics, in order."""
    policies = PolicyHistory(policy)
    pipeline, cases, states = LocalPipeline(policies), CasesStage(policies, 1), MemoryStates()
    found: list[Emit] = []
    for event in simulate(7, customers, days, date(2026, 3, 2), policy, transactions=transactions):
        found += pipeline.feed(topic_of(event), event)
    found += pipeline.finish()
    told: list[tuple[str, Any]] = []
    for number, one in enumerate(found):
        if one.topic in TARGETS:
            told.append((one.topic, one.value))
        if one.topic == "warnings":
            at = one.value.event_time
            emits = [*cases.apply(states, Record("warnings", 0, number, at, one.value, at)), *cases.flush(states)]
            told += [(emit.topic, emit.value) for emit in emits if emit.topic in TARGETS]
    return told


def fill(engine: Engine, records: list[tuple[str, Any]]) -> float:
    """Seconds that writing them takes, decoding included."""
    codec = Codec()
    raw = [(topic, value.key.encode(), codec.encode(topic, value)[0]) for topic, value in records]
    began = time.perf_counter()
    for start in range(0, len(raw), BATCH):
        told: dict[str, list[tuple[Any, str]]] = {}
        for topic, key, value in raw[start : start + BATCH]:
            told.setdefault(topic, []).append((codec.decode(topic, key, value), value.decode()))
        with engine.begin() as connection:
            for topic, messages in told.items():
                project(connection, topic, messages)
    return time.perf_counter() - began


def size(engine: Engine) -> int:
    """Bytes of the database."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            pages = connection.scalar(text("PRAGMA page_count")) * connection.scalar(text("PRAGMA page_size"))
            return int(pages)
        tables = [f"pg_total_relation_size('{one.name}')" for one in METADATA.sorted_tables]
        return int(connection.scalar(text(f"SELECT {' + '.join(tables)}")))


def pages(engine: Engine, policy: Policy) -> dict[str, float]:
    """Median seconds of each page of the desk."""
    client = TestClient(build_desk(engine, policy, Metrics(), ("desk",)), base_url="http://desk")
    taken: dict[str, float] = {}
    for page in PAGES:
        times = []
        for _ in range(20):
            began = time.perf_counter()
            assert client.get(page).status_code == 200
            times.append(time.perf_counter() - began)
        taken[page] = statistics.median(times)
    return taken


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transactions", type=int, default=100_000)
    parser.add_argument("--customers", type=int, default=2000)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--database", action="append", default=[], help="An empty database besides SQLite.")
    asked = parser.parse_args()
    policy = load_policy(Settings().policy_path())
    records = outputs(policy, asked.transactions, asked.customers, asked.days)
    print(f"{len(records):,} records: {dict(Counter(topic for topic, _ in records))}  {datetime.now(UTC):%Y-%m-%d}")
    first: tuple[float, int] | None = None
    with tempfile.TemporaryDirectory() as folder:
        for address in (f"sqlite:///{Path(folder)}/liandong.db", *asked.database):
            engine = open_store(Settings(database=address))
            upgrade(engine)
            seconds, bytes_ = fill(engine, records), size(engine)
            first = first or (seconds, bytes_)
            print(
                f"{engine.dialect.name}: {len(records) / seconds:,.0f} records a second ({first[0] / seconds:.2f}), "
                f"{bytes_ / 2**20:,.1f} MiB ({bytes_ / first[1]:.2f})"
            )
            for page, taken in pages(engine, policy).items():
                print(f"  {page:28} {taken * 1000:6.1f} ms")
            engine.dispose()


if __name__ == "__main__":
    main()
