"""Reads topics whole, from their first record to the one that was last when the reading began."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from connectors.codec import Codec
from connectors.errors import LiandongError
from connectors.refusals import Undecodable
from connectors.settings import Settings


class AnyRecord(Protocol):
    """A record of a consumer's, or one from an archive."""

    @property
    def topic(self) -> str: ...

    @property
    def key(self) -> bytes | None: ...

    @property
    def value(self) -> bytes | None: ...

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


R = TypeVar("R", bound=AnyRecord)


class ReadFailed(LiandongError):
    """A topic could not be read to its end."""


def decoded(records: Iterable[R], codec: Codec) -> Iterator[tuple[R, Any]]:
    """(record, event) of every record that decodes."""
    for record in records:
        try:
            yield record, codec.decode(record.topic, record.key, record.value, record.headers)
        except Undecodable:
            continue


class TopicReader:
    """Consumes without a group: it commits nothing and disturbs nobody. Close it after use.

    Args:
        settings: the broker and its security.
        timeout: seconds without any record after which a read that is not at its end fails.
    """

    def __init__(self, settings: Settings, timeout: float = 30.0) -> None:
        self._timeout_ms = int(timeout * 1000)
        self._consumer = KafkaConsumer(
            **settings.kafka_python_options(),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=8 * 1024 * 1024,
            client_id="liandong-reader",
        )
        self._codec = Codec()

    def __enter__(self) -> "TopicReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()

    def ends(self, *topics: str, partition: int | None = None) -> dict[TopicPartition, int]:
        """The offset that the next record of each partition, or of the one given, will get.

        Raises:
            ReadFailed: a topic does not exist.
        """
        places = []
        for topic in topics:
            numbers = self._consumer.partitions_for_topic(topic)
            if not numbers:
                raise ReadFailed(f"there is no topic {topic}", "create the topics first: liandong topics --create")
            wanted = numbers if partition is None else numbers & {partition}
            places += [TopicPartition(topic, number) for number in sorted(wanted)]
        return dict(self._consumer.end_offsets(places))

    def offsets_at(self, topic: str, moment: datetime) -> dict[TopicPartition, int]:
        """By partition, the first offset that the broker stamped at or after a moment; the end where none is."""
        ends = self.ends(topic)
        found = self._consumer.offsets_for_times({place: int(moment.timestamp() * 1000) for place in ends})
        return {place: found[place].offset if found.get(place) else end for place, end in ends.items()}

    def records(
        self, *topics: str, since: Mapping[TopicPartition, int] | None = None, partition: int | None = None
    ) -> Iterator[Any]:
        """Every record now in the topics, partition by partition in offset order.

        Args:
            since: start there instead of at the beginning.
            partition: of this partition alone.

        Raises:
            ReadFailed: the broker stopped giving records before the end.
        """
        ends = self.ends(*topics, partition=partition)
        for place, end in ends.items():
            self._consumer.assign([place])
            if since is not None and place in since:
                self._consumer.seek(place, since[place])
            else:
                self._consumer.seek_to_beginning(place)
            while self._consumer.position(place) < end:
                polled = self._poll(place)
                for record in polled:
                    if record.offset >= end:
                        break
                    yield record

    def events(
        self, *topics: str, since: Mapping[TopicPartition, int] | None = None, partition: int | None = None
    ) -> Iterator[tuple[Any, Any]]:
        """(record, event) of every record that decodes; what does not is left out, as the workers leave it out."""
        return decoded(self.records(*topics, since=since, partition=partition), self._codec)

    def _poll(self, place: TopicPartition) -> list[Any]:
        try:
            polled = self._consumer.poll(timeout_ms=self._timeout_ms)
        except KafkaError as error:
            raise ReadFailed(f"reading {place.topic}: {error}", "check the broker and the user's rights") from error
        if not polled:
            raise ReadFailed(
                f"{place.topic}/{place.partition} gave nothing for {self._timeout_ms // 1000} s before its end",
                "check the broker; try again",
            )
        return list(polled.get(place, []))
