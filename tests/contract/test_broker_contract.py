"""What the pipeline asks of a broker, each promise a test, on Apache Kafka and on its stand-in."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, MemberToRemove
from kafka.errors import CoordinatorLoadInProgressError, KafkaError, KafkaTimeoutError

from connectors.broker import RunningBroker
from tests.contract.clients import (
    PATIENCE,
    SESSION_MILLISECONDS,
    end_offset,
    eventually,
    group_name,
    holds,
    killable_member,
    member,
    read,
    read_all,
    write,
)
from tests.contract.promises import PROMISES, table
from tests.data import ROOT

Topic = Callable[..., str]
VALUES = [str(number).encode() for number in range(200)]


def settings_of(admin: KafkaAdminClient, topic: str) -> dict[str, str]:
    """All settings of a topic, defaults too."""
    described = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)], config_filter="all")
    return {name: entry["value"] for name, entry in described["topic"][topic].items()}


def offsets_of(admin: KafkaAdminClient, group: str, topic: str) -> int:
    for patience in reversed(range(50)):
        try:
            found = admin.list_group_offsets({group: [TopicPartition(topic, 0)]})[group]
        except CoordinatorLoadInProgressError:  # just started; consumers ask again by themselves, this client does not
            assert patience, "the group's offsets were not loaded in time"
            time.sleep(0.1)
        else:
            return int(found[TopicPartition(topic, 0)].offset)
    raise AssertionError("unreachable")


class TestBroker:
    def test_order_within_a_partition(self, broker: RunningBroker, topic: Topic) -> None:
        name = topic()
        assert write(broker.bootstrap, name, VALUES) == list(range(len(VALUES)))
        assert [record.value for record in read_all(broker.bootstrap, name, len(VALUES))] == VALUES

    def test_whole_record(self, broker: RunningBroker, topic: Topic) -> None:
        name, headers = topic(), [("ce_id", b"e1"), ("ce_type", "联动".encode())]
        with closing(KafkaProducer(bootstrap_servers=broker.bootstrap)) as producer:
            for value in (b"value", None):
                producer.send(name, key=b"C1", value=value, headers=headers, timestamp_ms=1_700_000_000_123).get(
                    PATIENCE
                )
        for record, value in zip(read_all(broker.bootstrap, name, 2), (b"value", None), strict=True):
            assert (record.key, record.value, record.timestamp) == (b"C1", value, 1_700_000_000_123)
            assert list(record.headers) == headers

    def test_records_of_three_megabytes(self, broker: RunningBroker, topic: Topic) -> None:
        name, value = topic(max_message_bytes=4 * 1024 * 1024), os.urandom(3 * 1024 * 1024)
        write(broker.bootstrap, name, [value], max_request_size=4 * 1024 * 1024)
        assert [record.value for record in read_all(broker.bootstrap, name, 1)] == [value]

    def test_arrival_time(self, broker: RunningBroker, topic: Topic) -> None:
        name = topic(message_timestamp_type="LogAppendTime")
        before = int(time.time() * 1000)
        with closing(KafkaProducer(bootstrap_servers=broker.bootstrap)) as producer:
            producer.send(name, value=b"old", timestamp_ms=1_000_000_000_000).get(PATIENCE)
        (record,) = read_all(broker.bootstrap, name, 1)
        assert record.timestamp >= before

    def test_history_is_kept(self, broker: RunningBroker, topic: Topic) -> None:
        name = topic(retention_ms=-1)
        with closing(KafkaProducer(bootstrap_servers=broker.bootstrap)) as producer:
            producer.send(name, value=b"old", timestamp_ms=800_000_000_000).get(PATIENCE)
        assert [record.timestamp for record in read_all(broker.bootstrap, name, 1)] == [800_000_000_000]

    def test_end_offsets(self, broker: RunningBroker, topic: Topic) -> None:
        name = topic()
        assert end_offset(broker.bootstrap, name) == 0
        write(broker.bootstrap, name, VALUES, linger_ms=50)
        assert end_offset(broker.bootstrap, name) == len(VALUES)
        with closing(KafkaConsumer(bootstrap_servers=broker.bootstrap)) as consumer:
            partition = TopicPartition(name, 0)
            assert consumer.beginning_offsets([partition]) == {partition: 0}

    def test_offsets_by_time(self, broker: RunningBroker, topic: Topic) -> None:
        name, start = topic(retention_ms=-1), int(datetime(2020, 1, 1, tzinfo=UTC).timestamp() * 1000)
        with closing(KafkaProducer(bootstrap_servers=broker.bootstrap)) as producer:
            for number in range(10):
                producer.send(name, value=b"x", timestamp_ms=start + number * 1000).get(PATIENCE)
        with closing(KafkaConsumer(bootstrap_servers=broker.bootstrap)) as consumer:
            partition = TopicPartition(name, 0)
            assert consumer.offsets_for_times({partition: start + 6500})[partition].offset == 7
            assert consumer.offsets_for_times({partition: start + 99_000})[partition] is None

    def test_group_resumes(self, broker: RunningBroker, topic: Topic, admin: KafkaAdminClient) -> None:
        name, group = topic(), group_name()
        write(broker.bootstrap, name, VALUES)
        with member(broker, name, group, max_poll_records=50) as consumer:
            first = read(consumer, 1)
            consumer.commit()
        assert offsets_of(admin, group, name) == len(first)

        async def rest() -> list[bytes]:
            consumer = AIOKafkaConsumer(
                name,
                bootstrap_servers=broker.bootstrap,
                group_id=group,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
            )
            await consumer.start()
            try:
                return [(await consumer.getone()).value for _ in range(len(VALUES) - len(first))]
            finally:
                await consumer.stop()

        got = asyncio.run(asyncio.wait_for(rest(), PATIENCE))
        assert [record.value for record in first] + got == VALUES

    def test_two_members_share(self, broker: RunningBroker, topic: Topic) -> None:
        name, group = topic(4), group_name()
        with killable_member(broker, name, group), member(broker, name, group) as second:
            assert eventually(lambda: holds(second, 2))

    def test_dead_member_evicted(self, broker: RunningBroker, topic: Topic) -> None:
        name, group = topic(2), group_name()
        with killable_member(broker, name, group) as dead:
            dead.kill()
            dead.wait()
            with member(broker, name, group) as survivor:
                assert eventually(lambda: holds(survivor, 2), 2 * SESSION_MILLISECONDS / 1000)

    def test_static_member_returns(self, broker: RunningBroker, topic: Topic) -> None:
        name, group = topic(2), group_name()
        with killable_member(broker, name, group, "worker-1") as dead:
            dead.kill()
            dead.wait()
        with killable_member(broker, name, group, "worker-1"):
            pass  # it got partitions

    def test_member_removed_by_admin(self, broker: RunningBroker, topic: Topic, admin: KafkaAdminClient) -> None:
        name, group = topic(2), group_name()
        with killable_member(broker, name, group, "worker-1") as dead:
            dead.kill()
            dead.wait()
        admin.remove_group_members(group, [MemberToRemove(group_instance_id="worker-1")])
        with member(broker, name, group) as survivor:
            assert eventually(lambda: holds(survivor, 2))

    def test_idempotent_producer(self, broker: RunningBroker, topic: Topic) -> None:
        name = topic()
        write(broker.bootstrap, name, [b"a", b"b"], enable_idempotence=True)

        async def produce() -> None:
            producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap, enable_idempotence=True)
            await producer.start()
            try:
                for value in (b"c", b"d"):
                    await producer.send_and_wait(name, value, partition=0)
            finally:
                await producer.stop()

        asyncio.run(asyncio.wait_for(produce(), PATIENCE))
        assert [record.value for record in read_all(broker.bootstrap, name, 4)] == [b"a", b"b", b"c", b"d"]

    def test_aborted_records_hidden(self, broker: RunningBroker, topic: Topic) -> None:
        name = topic()
        with closing(KafkaProducer(bootstrap_servers=broker.bootstrap, transactional_id=group_name())) as producer:
            producer.init_transactions()
            producer.begin_transaction()
            producer.send(name, value=b"aborted", partition=0)
            producer.flush(timeout=PATIENCE)
            producer.abort_transaction()
            producer.begin_transaction()
            producer.send(name, value=b"committed", partition=0)
            producer.commit_transaction()
        got = read_all(broker.bootstrap, name, 1, isolation_level="read_committed")
        assert [record.value for record in got] == [b"committed"]

    def test_unknown_topic_refused(self, broker: RunningBroker, admin: KafkaAdminClient) -> None:
        name = f"never-made-{group_name()}"
        with closing(KafkaProducer(bootstrap_servers=broker.bootstrap, max_block_ms=1000)) as producer:
            with suppress(KafkaTimeoutError):
                producer.send(name, value=b"x").get(PATIENCE)
        assert name not in admin.list_topics()

    def test_topic_configs(self, topic: Topic, admin: KafkaAdminClient) -> None:
        wanted = {"cleanup.policy": "compact", "retention.ms": "86400000", "max.message.bytes": "4194304"}
        name = topic(2, **{key.replace(".", "_"): value for key, value in wanted.items()})
        assert settings_of(admin, name).items() >= wanted.items()
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, {"retention.ms": "172800000"})])
        altered = wanted | {"retention.ms": "172800000"}
        assert eventually(lambda: settings_of(admin, name).items() >= altered.items())

    def test_partitions_added(self, broker: RunningBroker, topic: Topic, admin: KafkaAdminClient) -> None:
        name = topic(1)
        admin.create_partitions({name: 3})
        assert eventually(lambda: len(admin.describe_topics([name])[0]["partitions"]) == 3)

    def test_records_deleted(self, broker: RunningBroker, topic: Topic, admin: KafkaAdminClient) -> None:
        name = topic()
        write(broker.bootstrap, name, VALUES[:10])
        admin.delete_records({TopicPartition(name, 0): 6})
        assert [record.value for record in read_all(broker.bootstrap, name, 4)] == VALUES[6:10]

    def test_topics_deleted(self, broker: RunningBroker, topic: Topic, admin: KafkaAdminClient) -> None:
        name = topic()
        write(broker.bootstrap, name, VALUES[:10])
        admin.delete_topics([name])
        assert eventually(lambda: name not in admin.list_topics())

        def made_anew() -> bool:
            try:
                admin.create_topics({name: {"num_partitions": 1, "replication_factor": 1}})
            except KafkaError:
                return False
            return True

        assert eventually(made_anew)
        assert end_offset(broker.bootstrap, name) == 0

    def test_groups_described(self, broker: RunningBroker, topic: Topic, admin: KafkaAdminClient) -> None:
        name, group = topic(2), group_name()
        with member(broker, name, group) as consumer:
            assert eventually(lambda: holds(consumer, 2))
            described: dict[str, Any] = admin.describe_groups([group])[group]
            assert described["group_state"] == "Stable"
            assert len(described["members"]) == 1

    def test_cluster_described(self, broker: RunningBroker, admin: KafkaAdminClient) -> None:
        try:
            (node,) = admin.describe_cluster()["brokers"]
        except KeyError as error:  # kafka-python's way to say that the answer lacks a field
            raise AssertionError(f"the answer has no {error}") from error
        assert f"{node['host']}:{node['port']}" == broker.bootstrap

    def test_clean_restart(self, restartable: Callable[[], RunningBroker]) -> None:
        broker, group = restartable(), group_name()
        self.make(broker, "kept")
        write(broker.bootstrap, "kept", VALUES)
        with member(broker, "kept", group, max_poll_records=50) as consumer:
            first = read(consumer, 1)
            consumer.commit()
        broker.stop()
        again = restartable()
        with closing(KafkaAdminClient(bootstrap_servers=again.bootstrap)) as admin:
            assert settings_of(admin, "kept")["retention.ms"] == "-1"
            assert offsets_of(admin, group, "kept") == len(first)
        assert [record.value for record in read_all(again.bootstrap, "kept", len(VALUES))] == VALUES

    def test_hard_kill(self, restartable: Callable[[], RunningBroker]) -> None:
        broker = restartable()
        self.make(broker, "kept")
        write(broker.bootstrap, "kept", VALUES)
        os.kill(broker.pid, signal.SIGKILL)
        assert broker.wait(PATIENCE) == 128 + signal.SIGKILL
        again = restartable()
        with closing(KafkaAdminClient(bootstrap_servers=again.bootstrap)) as admin:
            assert "kept" in admin.list_topics()
        assert [record.value for record in read_all(again.bootstrap, "kept", len(VALUES), 5.0)] == VALUES

    @staticmethod
    def make(broker: RunningBroker, name: str) -> None:
        with closing(KafkaAdminClient(bootstrap_servers=broker.bootstrap)) as admin:
            configs = {"retention.ms": "-1"}
            admin.create_topics({name: {"num_partitions": 1, "replication_factor": 1, "configs": configs}})


def test_every_promise_has_its_test() -> None:
    tests = {name.removeprefix("test_") for name in vars(TestBroker) if name.startswith("test_")}
    assert tests == PROMISES.keys()


def test_apache_kafka_keeps_everything() -> None:
    assert all(promise.kafka for promise in PROMISES.values())


def test_readme_shows_the_table() -> None:
    readme = (ROOT / "deploy" / "kafka" / "README.md").read_text("utf-8")
    assert f"<!-- promises: begin -->\n{table()}\n<!-- promises: end -->" in readme
