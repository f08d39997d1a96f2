"""The real pipeline on a real broker: two workers, one killed in the middle, and still the oracle's warnings."""

from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from connectors.broker import RunningBroker
from connectors.progress import GroupProgress
from connectors.settings import Settings
from connectors.sources import load_mapping, read, to_events
from connectors.sources.simulator import simulate, topic_of
from connectors.writer import EventWriter
from models.policy import Policy, PolicyHistory, parse_policy
from streams.playground import Playground
from streams.verify import compare
from tests.conftest import broker_of
from tests.data import DATA, ROOT, needs_data


@pytest.fixture(params=["kafka", "fallback"])
def own_broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningBroker]:
    """A broker of the test's own: the topics of the catalogue have fixed names."""
    yield from broker_of(request.param, tmp_path / "broker")


def run_and_kill(
    broker: RunningBroker, policy_file: Path, folder: Path, records: Iterable[tuple[str, Any]], policy: Policy
) -> None:
    """Feed everything while two workers run; kill one in the middle, start another; compare with the oracle."""
    settings = Settings(
        bootstrap=(broker.bootstrap,), policy=policy_file, session_timeout_seconds=6.0, idle_seconds=3.0, max_batch=1000
    )
    events = list(records)
    with Playground(settings, folder, None, lambda _: None) as playground:
        first, _ = playground.start_worker(), playground.start_worker()
        with EventWriter(settings) as writer, GroupProgress(settings) as workers:
            for number, (topic, event) in enumerate(events):
                if number == len(events) // 2:
                    writer.flush()
                    first.kill()
                writer.write(topic, event)
            writer.flush()
            playground.workers.remove(first)
            playground.start_worker()
            workers.settle(settings.idle_seconds, timeout=240)
        result = compare(settings, PolicyHistory(policy))
    assert result.agrees, (result.missing[:5], result.extra[:5])
    assert not result.other_severity
    assert sum(both for both, _, _ in result.by_detector.values()) > 10


@pytest.mark.timeout(600)
def test_simulator(own_broker: RunningBroker, policy: Policy, tmp_path: Path) -> None:
    if own_broker.kind != "kafka":
        pytest.skip(f"no promise after a worker's death: {own_broker.notice}")
    bank = simulate(7, 500, 30, date(2026, 3, 2), policy, transactions=100_000)
    records = ((topic_of(event), event) for event in bank)
    run_and_kill(own_broker, ROOT / "deploy" / "policy" / "cn.toml", tmp_path / "logs", records, policy)


@needs_data
@pytest.mark.timeout(600)
def test_berka(own_broker: RunningBroker, tmp_path: Path) -> None:
    if own_broker.kind != "kafka":
        pytest.skip(f"no promise after a worker's death: {own_broker.notice}")
    file = ROOT / "deploy" / "policy" / "berka.toml"
    mapped = read(DATA / "berka" / "trans.csv.gz", load_mapping(ROOT / "deploy" / "mappings" / "berka.toml"))
    records = (("transactions", event) for event in to_events(mapped))
    run_and_kill(own_broker, file, tmp_path / "logs", records, parse_policy(file.read_bytes()))
