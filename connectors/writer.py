"""Writes events to their topics: acknowledged by all replicas, or an error that names the first one lost."""

import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from connectors.codec import Codec
from connectors.errors import LiandongError
from connectors.settings import Settings

# Small enough that partitions are sent to at the same pace, large enough for tens of thousands a second.
_LINGER_MS = 20


class WriteFailed(LiandongError):
    """The broker did not take an event."""


class EventWriter:
    """A producer for events and raw bytes. Use as a context manager; leaving it waits for every acknowledgement.

    Args:
        settings: the broker and its security.
        codec: what turns events into bytes and headers.
    """

    def __init__(self, settings: Settings, codec: Codec | None = None) -> None:
        self._codec = codec or Codec()
        self._failure: BaseException | None = None
        self.written = 0
        self._producer = KafkaProducer(
            **settings.kafka_python_options(),
            acks="all",
            linger_ms=_LINGER_MS,
            batch_size=128 * 1024,
            client_id="liandong-writer",
        )

    def write(self, topic: str, event: Any) -> None:
        """Send one event under its own key; waits only when the buffer is full."""
        value, headers = self._codec.encode(topic, event)
        self.write_bytes(topic, event.key.encode(), value, headers)

    def write_bytes(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes]] = ()
    ) -> None:
        """Send bytes as they are."""
        if self._failure is not None:
            self._raise()
        self._producer.send(topic, key=key, value=value, headers=list(headers)).add_errback(self._failed)
        self.written += 1

    def flush(self, timeout: float = 60.0) -> None:
        """Wait until everything sent is acknowledged.

        Raises:
            WriteFailed: something was not, within `timeout` seconds.
        """
        try:
            self._producer.flush(timeout=timeout)
        except KafkaError as error:
            raise WriteFailed(
                f"not everything was acknowledged: {error}", "check the broker, then send again"
            ) from error
        self._raise()

    def __enter__(self) -> "EventWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self.flush()
        finally:
            self._producer.close(timeout=5)

    def _failed(self, error: BaseException) -> None:
        self._failure = self._failure or error

    def _raise(self) -> None:
        if self._failure is not None:
            raise WriteFailed(
                f"the broker did not take an event: {self._failure}",
                "check that the topics exist (liandong topics) and that this user may write",
            ) from self._failure


class Pace:
    """Holds a feed to a multiple of event time.

    Args:
        speed: seconds of event time a second of wall clock; None for as fast as it goes.
        clock, sleep: for tests.
    """

    def __init__(
        self,
        speed: float | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._speed, self._clock, self._sleep = speed, clock, sleep
        self._began: tuple[datetime, float] | None = None

    def wait_for(self, event_time: datetime) -> None:
        """Sleep until this event's turn."""
        if self._speed is None:
            return
        if self._began is None:
            self._began = event_time, self._clock()
        first, began = self._began
        due = began + (event_time - first) / timedelta(seconds=1) / self._speed
        if (ahead := due - self._clock()) > 0:
            self._sleep(ahead)
