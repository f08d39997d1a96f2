"""Topics over a real broker: created as the catalogue says, drift found and left alone until told."""

import socket
from typing import TYPE_CHECKING

import msgspec
import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from connectors.admin import Drift, ensure_topics, fix, verify_topics
from connectors.errors import AdminError
from connectors.settings import Settings
from connectors.topics import TOPICS, TopicSpec
from tests.waiting import wait_for

if TYPE_CHECKING:
    from connectors.broker import RunningBroker


@pytest.fixture
def settings(kafka: "RunningBroker") -> Settings:
    return Settings.from_env({"KAFKA_BOOTSTRAP": kafka.bootstrap})


@pytest.fixture
def specs(request: pytest.FixtureRequest) -> list[TopicSpec]:
    """The catalogue's topics under names of this test's own, since the broker is shared."""
    prefix = request.node.name.replace("_", "-")[:60]
    return [msgspec.structs.replace(spec, name=f"{prefix}.{name}") for name, spec in TOPICS.items()]


def of(specs: list[TopicSpec], drifts: list[Drift]) -> list[Drift]:
    names = {spec.name for spec in specs}
    return [drift for drift in drifts if drift.topic in names]


def test_topics_are_created_once_and_as_the_catalogue_says(settings: Settings, specs: list[TopicSpec]) -> None:
    assert {drift.what for drift in of(specs, verify_topics(settings, specs))} == {"missing"}
    created = ensure_topics(settings, specs)
    assert {spec.name for spec in specs} <= set(created)
    assert ensure_topics(settings, specs) == []
    assert of(specs, verify_topics(settings, specs)) == []


def test_drift_is_found_left_alone_and_mended_when_told(
    kafka: "RunningBroker", settings: Settings, specs: list[TopicSpec]
) -> None:
    ensure_topics(settings, specs)
    name = specs[0].name
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    try:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, {"retention.ms": "3600000"})])
    finally:
        admin.close()
    drift = Drift(name, "config", "retention.ms", specs[0].configs["retention.ms"], "3600000")
    wait_for(lambda: of(specs, verify_topics(settings, specs)))  # a broker answers before it shows what it has changed
    assert of(specs, verify_topics(settings, specs)) == [drift]
    assert "retention.ms is 3600000, expected" in str(drift)
    assert fix(settings, [drift], specs) == []
    assert of(specs, verify_topics(settings, specs)) == []


def test_partitions_are_added_only_by_a_second_word(settings: Settings, specs: list[TopicSpec]) -> None:
    few = specs[:2]
    ensure_topics(settings, few)
    more = msgspec.structs.replace(settings, partitions=6)
    drifts = of(few, verify_topics(more, few))
    assert [(drift.what, drift.expected, drift.actual) for drift in drifts] == [("partitions", "6", "4")] * 2
    assert fix(more, drifts, few) == drifts
    assert fix(more, drifts, few, grow=True) == []
    assert of(few, verify_topics(more, few)) == []
    too_many = of(few, verify_topics(settings, few))
    assert fix(settings, too_many, few, grow=True) == too_many


def test_missing_topics_are_made_by_fix(settings: Settings, specs: list[TopicSpec]) -> None:
    few = specs[:1]
    missing = of(few, verify_topics(settings, few))
    assert [str(drift) for drift in missing] == [f"{few[0].name}: missing"]
    assert fix(settings, missing, few) == []
    assert of(few, verify_topics(settings, few)) == []


def test_more_replicas_than_brokers_is_an_error_with_a_remedy(settings: Settings, specs: list[TopicSpec]) -> None:
    with pytest.raises(AdminError, match="LIANDONG_REPLICATION"):
        ensure_topics(msgspec.structs.replace(settings, replication=3), specs[:1])


def test_a_broker_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.admin.BOOTSTRAP_SECONDS", 0.5)
    with socket.socket() as unused:  # bound, but nobody listens
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(AdminError, match=address) as error:
            verify_topics(Settings.from_env({"KAFKA_BOOTSTRAP": address}))
    assert "KAFKA_BOOTSTRAP" in error.value.remedy


def test_without_a_broker_the_remedy_is_named() -> None:
    with pytest.raises(AdminError, match="KAFKA_BOOTSTRAP"):
        ensure_topics(Settings.from_env({}))
