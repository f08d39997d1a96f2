"""Small bounded helpers over kafka-python: nothing here waits without an end."""

import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from select import select
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from connectors.broker import RunningBroker

PATIENCE = 30.0
# The shortest that the fallback allows. Shorter ones expire by themselves on a busy machine.
SESSION_MILLISECONDS = 6_000

# Joins a group, says which partitions it got, and holds them until it is killed.
MEMBER = """
import sys, time
from kafka import KafkaConsumer
bootstrap, topic, group, name, session = sys.argv[1:]
consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=group, group_instance_id=name or None,
                         session_timeout_ms=int(session), heartbeat_interval_ms=300, enable_auto_commit=False)
consumer.partitions_for_topic(topic)
consumer.subscribe([topic])
held = 0
while True:
    consumer.poll(timeout_ms=200)
    if len(consumer.assignment()) != held:
        held = len(consumer.assignment())
        print(held, flush=True)
    time.sleep(0.05)
"""


def group_name() -> str:
    return f"group-{uuid.uuid4().hex[:12]}"


def write(bootstrap: str, topic: str, values: Iterable[bytes], **options: Any) -> list[int]:
    """Write with acks=all, wait for each, and return the offsets."""
    with closing(KafkaProducer(bootstrap_servers=bootstrap, acks="all", **options)) as out:
        pending = [out.send(topic, value=value, partition=0) for value in values]
        out.flush(timeout=PATIENCE)
        return [each.get(timeout=PATIENCE).offset for each in pending]


@contextmanager
def member(broker: RunningBroker, topic: str, group: str, name: str = "", **options: Any) -> Iterator[KafkaConsumer]:
    """A consumer in a group, with a short session."""
    consumer = KafkaConsumer(
        bootstrap_servers=broker.bootstrap,
        group_id=group,
        group_instance_id=name or None,
        session_timeout_ms=SESSION_MILLISECONDS,
        heartbeat_interval_ms=300,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        **options,
    )
    # A leader that joins before it knows the topic deals out nothing, and looks again only after minutes.
    consumer.partitions_for_topic(topic)
    consumer.subscribe([topic])
    try:
        yield consumer
    finally:
        consumer.close(autocommit=False, timeout_ms=2_000)


@contextmanager
def killable_member(broker: RunningBroker, topic: str, group: str, name: str = "") -> Iterator["subprocess.Popen[str]"]:
    """A member in a process of its own, once it holds partitions: one to kill."""
    command = [sys.executable, "-c", MEMBER, broker.bootstrap, topic, group, name]
    command.append(str(SESSION_MILLISECONDS))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert select([process.stdout], [], [], PATIENCE)[0], "the member got no partition in time"
            assert int(process.stdout.readline()) > 0
            yield process
        finally:
            process.kill()


def read(consumer: KafkaConsumer, count: int, seconds: float = PATIENCE) -> list[Any]:
    """Records as they come, until there are `count` or time is up."""
    records: list[Any] = []
    end = time.monotonic() + seconds
    while len(records) < count and time.monotonic() < end:
        for batch in consumer.poll(timeout_ms=200).values():
            records += batch
    return records


def read_all(bootstrap: str, topic: str, count: int, seconds: float = PATIENCE, **options: Any) -> list[Any]:
    """The first records of partition 0, outside any group."""
    with closing(KafkaConsumer(bootstrap_servers=bootstrap, **options)) as consumer:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        return read(consumer, count, seconds)


def end_offset(bootstrap: str, topic: str) -> int:
    with closing(KafkaConsumer(bootstrap_servers=bootstrap)) as consumer:
        partition = TopicPartition(topic, 0)
        offset: int = consumer.end_offsets([partition])[partition]
        return offset


def holds(consumer: KafkaConsumer, partitions: int) -> bool:
    """Whether a member holds so many partitions, after a moment in which it may join its group."""
    consumer.poll(timeout_ms=100)
    return len(consumer.assignment()) == partitions


def eventually(check: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    """Whether `check` comes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if check():
            return True
        time.sleep(0.05)
    return False
