"""Brokers under contract: each test runs on both, and must fail where the table says that a promise is not kept."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from connectors.broker import RunningBroker, start_broker
from tests.contract.promises import KINDS, PROMISES, Kind


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """The kind of broker, with the test expected to fail where that kind does not keep its promise."""
    chosen: Kind = request.param
    promise = PROMISES[request.node.originalname.removeprefix("test_")]
    if not promise.kept_by(chosen):
        reason = f"the {chosen} broker does not keep it: {promise.text}"
        request.applymarker(pytest.mark.xfail(strict=True, reason=reason, raises=(AssertionError, KafkaError)))
    return chosen


@pytest.fixture
def broker(kind: Kind, request: pytest.FixtureRequest) -> RunningBroker:
    """The session's broker of that kind."""
    running: RunningBroker = request.getfixturevalue(kind)
    return running


@pytest.fixture
def restartable(broker: RunningBroker, tmp_path: Path) -> Iterator[Callable[[], RunningBroker]]:
    """Start another broker of that kind on a folder of the test's own; called again, on the same folder."""
    started: list[RunningBroker] = []

    def start() -> RunningBroker:
        started.append(start_broker(tmp_path / "data", broker.kind))
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture
def admin(broker: RunningBroker) -> Iterator[KafkaAdminClient]:
    client = KafkaAdminClient(bootstrap_servers=broker.bootstrap, request_timeout_ms=10_000)
    yield client
    client.close()


@pytest.fixture
def topic(admin: KafkaAdminClient) -> Callable[..., str]:
    """Make a topic of the test's own: `topic(partitions, **configs)`, with `_` for `.` in names of settings."""

    def make(partitions: int = 1, **configs: Any) -> str:
        name = f"contract-{uuid.uuid4().hex[:12]}"
        settings = {key.replace("_", "."): str(value) for key, value in configs.items()}
        wanted = {"num_partitions": partitions, "replication_factor": 1, "configs": settings}
        admin.create_topics({name: wanted}, wait_for_metadata=True)
        return name

    return make
