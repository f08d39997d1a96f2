"""A worker of all stages on a real broker: processor time, memory, state and changelog an event, and recovery.

Usage: python -m benchmarks.bench_pipeline [--transactions N] [--customers N] [--days N]

Prints the figures that `deploy/sizing.toml` holds. Processor time is the worker's own, so that what else runs
on the machine matters little; seconds of wall clock matter for the recovery alone.
"""

import argparse
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from connectors.codec import Codec
from connectors.policy_file import load_policy
from connectors.progress import GroupProgress
from connectors.settings import Settings
from connectors.sources.simulator import simulate, topic_of
from connectors.writer import EventWriter
from streams.playground import Playground, WorkerProcess, free_port
from tests.scrape import scraped


def page(worker: WorkerProcess) -> dict[str, float]:
    """Series of a worker's page by name, added up over their labels but the stage."""
    found: dict[str, float] = {}
    for sample in scraped(worker.metrics_port):
        name = f"{sample.name}:{sample.labels['stage']}" if "stage" in sample.labels else sample.name
        found[name] = found.get(name, 0.0) + sample.value
    return found


def event_bytes(events: list[Any]) -> float:
    """Mean size of a transaction on its topic: key, value, headers and a record's own bytes."""
    codec, sizes = Codec(), []
    for event in events:
        if topic_of(event) == "transactions":
            value, headers = codec.encode("transactions", event)
            parts = [event.key.encode(), value, *(part for name, one in headers for part in (name.encode(), one))]
            sizes.append(sum(map(len, parts)) + 2 * len(headers) + 12)
    return sum(sizes) / len(sizes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transactions", type=int, default=100_000)
    parser.add_argument("--customers", type=int, default=5_000)
    parser.add_argument("--days", type=int, default=60)
    given = parser.parse_args()
    made = replace(Settings.from_env({}), partitions=4, idle_seconds=1.0)
    policy = load_policy(made.policy_path())
    events = list(simulate(7, given.customers, given.days, date(2026, 1, 5), policy, transactions=given.transactions))
    with (
        tempfile.TemporaryDirectory(prefix="liandong-bench-") as name,
        Playground(
            made, Path(name) / "logs", Path(name) / "broker", lambda text: print(f"# {text}", flush=True)
        ) as playground,
    ):
        settings = playground.settings
        with EventWriter(settings) as writer, GroupProgress(settings) as workers:
            worker = playground.start_worker(free_port(0))
            empty = page(worker)
            began = time.monotonic()
            sent: dict[str, int] = {}
            for event in events:
                topic = topic_of(event)
                sent[topic] = sent.get(topic, 0) + 1
                writer.write(topic, event)
            writer.flush()
            workers.settle(settings.idle_seconds, timeout=900)
            took = time.monotonic() - began - 2 * settings.idle_seconds - 2
            time.sleep(2)  # a tick, for the gauges
            full = page(worker)
            worker.stop()
            again = playground.start_worker(free_port(0))
            time.sleep(3)
            recovered = page(again)
    judged = sum(count for topic, count in sent.items() if topic in ("transactions", "reports", "loans"))
    cpu = full["process_cpu_seconds_total"] - empty["process_cpu_seconds_total"]
    keys, size = full["liandong_state_keys:customers"], full["liandong_state_bytes:customers"]
    written = sum(value for series, value in full.items() if series.startswith("liandong_state_written_bytes_total"))
    whole = sum(value for series, value in full.items() if series.startswith("liandong_state_bytes"))
    seconds = max(value for series, value in recovered.items() if series.startswith("liandong_recovery_seconds"))
    memory = recovered["process_resident_memory_bytes"] - empty["process_resident_memory_bytes"]
    print(f"# sent: {sent}; {judged / took:,.0f} events a second of wall clock")
    print(f"# {keys:,.0f} customers, {whole / 2**20:,.1f} MiB of states")
    print(f"# {written / 2**20:,.1f} MiB written to changelogs, read in {seconds:.2f} s")
    print(f"# memory while judging: {full['process_resident_memory_bytes'] / 2**20:,.0f} MiB")
    print(f"event_microseconds = {1e6 * cpu / judged:.0f}")
    print(f"event_bytes = {event_bytes(events):.0f}")
    print(f"state_bytes = {size / keys:.0f}")
    print(f"written_bytes = {written / judged:.0f}")
    print(f"memory_ratio = {memory / whole:.2f}")
    print(f"idle_bytes = {empty['process_resident_memory_bytes']:.0f}")
    print(f"recovery_bytes = {written / seconds:.0f}  # from a broker on this machine: no more than your network gives")
    print(f'source = "bench_pipeline, {given.transactions:,} transactions of {given.customers:,} customers"')


if __name__ == "__main__":
    main()
