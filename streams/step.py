"""Runs a pure stage over batches: decode, skip what was seen, apply, send, store, and only then done.

The order is what makes a kill at any instant harmless: messages are acknowledged by the broker before the
state that remembers them is stored, and the state before the batch is done, so that its offset may be
committed. What is read again after a kill is skipped by the offsets that each key's state carries.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

from connectors.letters import dead_letter_of
from connectors.refusals import Undecodable
from models.messages import PortfolioEntry
from models.risk_warning import RiskWarning
from models.stage import Answered, Answering, Binning, Bins, Emit, Lateness, Owed, Owing, Record, Refused, Stage, Tick
from streams.batch_consumer import Batch
from streams.outbox import Message, Outbox, partition_of
from streams.state import StateTable
from streams.states import PartitionStates

Headers = Sequence[tuple[str, bytes]]

# What a stage said, and when the broker took the record that made it say so; None where time or a whole batch did.
Sent = tuple[Emit, datetime | None]

DEAD_LETTERS = "dead-letters"
WARNINGS = "warnings"
BREATHE_EVERY = 500  # records between two yields to the loop: heartbeats of other tasks, signals


class Codec(Protocol):
    """Bytes to events and back, as `connectors.codec.Codec` does; `decode` may raise `Undecodable`."""

    def decode(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> Any: ...

    def encode(self, topic: str, value: Any) -> tuple[bytes, Headers]: ...


class RunnerMetrics(Protocol):
    """What the runner counts; `connectors.metrics` keeps it. A method that is not given counts nothing."""

    def batch(self, stage: str, topic: str, records: int, skipped: int, seconds: float) -> None:
        return

    def emitted(self, topic: str, messages: int) -> None:
        return

    def refused(self, stage: str, topic: str, reason: str) -> None:
        return

    def stored(self, stage: str, keys: int, size: int) -> None:
        return

    def warning(self, warning: RiskWarning, ingested: datetime | None, acked: datetime) -> None:
        return

    def state(self, stage: str, partition: int, keys: int, size: int) -> None:
        return

    def late(self, events: Mapping[str, int]) -> None:
        return

    def lag(self, topic: str, partition: int, events: int, seconds: float, watermark: float | None) -> None:
        return

    def recovering(self, stage: str, partition: int, records: int) -> None:
        return

    def recovered(self, stage: str, seconds: float) -> None:
        return

    def forget_partition(self, topics: Iterable[str], stage: str, partition: int) -> None:
        return

    def rebalanced(self, seconds: float) -> None:
        return

    def broker(self, *, up: bool) -> None:
        return

    def tasks(self, partition: int, owed: Mapping[Owed, int]) -> None:
        return

    def binned(self, found: Iterable[Bins]) -> None:
        return

    def answered(self, found: Iterable[Answered]) -> None:
        return

    def arrived(self, topic: str, delays: Iterable[float]) -> None:
        return

    def book(self, partition: int, entry: PortfolioEntry) -> None:
        return


class NoMetrics(RunnerMetrics):
    """Counts nothing."""


class StageFailed(Exception):
    """A stage raised what it may not: where, for the log. The cause is chained."""


class _Lane:
    """A partition of a stage: its states, and the lock that keeps batches and ticks apart and in order."""

    def __init__(self, states: PartitionStates) -> None:
        self.states = states
        self.lock = asyncio.Lock()
        self.busy_at = time.monotonic()
        self.arrived: dict[str, float] = {}  # when the broker took the newest record applied, by topic
        self.newest: dict[str, datetime] = {}  # the newest event time applied, by topic
        self.delays: list[float] = []  # from happening to arrival, of the events of the batch under way


class StageRunner:
    """Runs one stage over the partitions that this worker holds.

    Args:
        stage: the pure step.
        codec: bytes to events and back.
        table: the stage's states.
        outbox: sends what the stage emits.
        metrics: counts.
        clock: the wall clock, for `Record.now` and `Tick.now`.
        cache: most decoded states to keep, per partition.
    """

    def __init__(
        self,
        stage: Stage,
        codec: Codec,
        table: StateTable,
        outbox: Outbox,
        metrics: RunnerMetrics,
        clock: Callable[[], datetime],
        cache: int,
    ) -> None:
        self.stage = stage
        self.table = table
        self._codec = codec
        self._outbox = outbox
        self._metrics = metrics
        self._clock = clock
        self._cache = cache
        self._lanes: dict[int, _Lane] = {}
        self._failed = False

    def lane(self, partition: int) -> _Lane:
        lane = self._lanes.get(partition)
        if lane is None:
            lane = self._lanes[partition] = _Lane(PartitionStates(partition, self.table, self._cache))
        return lane

    def behind(self, topic: str, partition: int) -> float:
        """Seconds since the broker took the newest record that is applied; 0 where none is yet."""
        lane = self._lanes.get(partition)
        arrived = lane.arrived.get(topic) if lane is not None else None
        return 0.0 if arrived is None else max(0.0, self._clock().timestamp() - arrived)

    def watermark_delay(self, topic: str, partition: int) -> float | None:
        """Seconds by which the newest event applied is behind the wall clock; None where none is yet."""
        lane = self._lanes.get(partition)
        newest = lane.newest.get(topic) if lane is not None else None
        return None if newest is None else (self._clock() - newest).total_seconds()

    async def drop(self) -> None:
        """Wait for what is under way, then forget every decoded state (before the partitions may move)."""
        lanes, self._lanes = self._lanes, {}
        for lane in lanes.values():
            async with lane.lock:
                pass

    async def run(self, batch: Batch) -> None:
        """Process a batch and set it done.

        Raises:
            StageFailed: the stage or a write failed; nothing of the batch may be committed, the worker must stop.
        """
        lane = self.lane(batch.tp.partition)
        async with lane.lock, self._step():
            if self._failed:
                return
            started = time.perf_counter()
            lane.busy_at = time.monotonic()
            emits: list[Sent] = []
            skipped = await self._apply(batch, lane, emits)
            where = f"{batch.tp.topic}/{batch.tp.partition} up to {batch.end}"
            emits += self._whole(lane.states, self.stage.flush, where)
            await self._store(lane.states, emits, where)
            batch.done = True
            lane.busy_at = time.monotonic()
            if batch.records:
                lane.arrived[batch.tp.topic] = batch.records[-1].timestamp / 1000
            delays, lane.delays = lane.delays, []
        seconds = time.perf_counter() - started
        self._metrics.batch(self.stage.name, batch.tp.topic, len(batch.records), skipped, seconds)
        self._metrics.arrived(batch.tp.topic, delays)

    async def tick(self, partition: int, caught_up: bool) -> None:
        """Let time pass for one partition.

        Raises:
            StageFailed: as `run`.
        """
        lane = self.lane(partition)
        async with lane.lock, self._step():
            if self._failed or self._lanes.get(partition) is not lane:
                return
            tick = Tick(self._clock(), caught_up, time.monotonic() - lane.busy_at)
            emits = self._whole(lane.states, lambda states: self.stage.tick(states, tick), f"tick of {partition}")
            await self._store(lane.states, emits, f"tick of {partition}")
            self._metrics.state(self.stage.name, partition, *self.table.size(partition))
            if isinstance(self.stage, Lateness):
                self._metrics.late(self.stage.came_late())
            if isinstance(self.stage, Answering):
                self._metrics.answered(self.stage.answered())
            if isinstance(self.stage, Binning):
                self._metrics.binned(self.stage.binned())
            if isinstance(self.stage, Owing):
                self._metrics.tasks(partition, self.stage.owed(lane.states))

    @asynccontextmanager
    async def _step(self) -> AsyncIterator[None]:
        """After a failure nothing more is done: the states in memory may hold half a batch."""
        try:
            yield
        except BaseException:
            self._failed = True
            raise

    async def _apply(self, batch: Batch, lane: _Lane, emits: list[Sent]) -> int:
        topic, now, skipped = batch.tp.topic, self._clock(), 0
        for count, raw in enumerate(batch.records, 1):
            if count % BREATHE_EVERY == 0:
                await asyncio.sleep(0)
            try:
                skipped += not self._one(topic, raw, now, lane, emits)
            except Exception as error:
                raise StageFailed(
                    f"{self.stage.name}: {topic}/{raw.partition} offset {raw.offset}: {error!r}"
                ) from error
        return skipped

    def _one(self, topic: str, raw: Any, now: datetime, lane: _Lane, emits: list[Sent]) -> bool:
        key, states = _utf8(raw.key), lane.states
        applied = states.applied(key) if key else {}
        if raw.offset <= applied.get(topic, -1):
            return False
        try:
            event = self._codec.decode(topic, raw.key, raw.value, raw.headers)
            if not key:
                raise Undecodable("missing", "key", "a record needs a key in UTF-8, or its state has no place")
        except Undecodable as refusal:
            emits.append((self._dead_letter(raw, refusal, now), None))
            return True
        ingested = datetime.fromtimestamp(raw.timestamp / 1000, UTC)
        states.begin(key)
        try:
            record = Record(topic, raw.partition, raw.offset, ingested, event, now)
            emits += [(emit, ingested) for emit in self.stage.apply(states, record)]
        except Refused as refusal:
            emits.append((self._dead_letter(raw, refusal, now), None))
            return True
        applied[topic] = raw.offset
        states.mark(key)
        happened = getattr(event, "event_time", None)
        if happened is not None:
            newest = lane.newest.get(topic)
            if newest is None or happened > newest:
                lane.newest[topic] = happened
            lane.delays.append((ingested - happened).total_seconds())
        return True

    def _whole(
        self, states: PartitionStates, step: Callable[[PartitionStates], Iterable[Emit]], where: str
    ) -> list[Sent]:
        states.begin(None)
        try:
            return [(emit, None) for emit in step(states)]
        except Exception as error:
            raise StageFailed(f"{self.stage.name}: {where}: {error!r}") from error

    async def _store(self, states: PartitionStates, emits: list[Sent], where: str) -> None:
        try:
            await self._send(states.partition, emits)
            keys, size = await states.store()
        except Exception as error:
            raise StageFailed(f"{self.stage.name}: {where}: not stored: {error!r}") from error
        self._metrics.stored(self.stage.name, keys, size)

    async def _send(self, of: int, emits: list[Sent]) -> None:
        places: dict[tuple[str, int], list[Message]] = {}
        for emit, _ in emits:
            partition = emit.partition
            if partition is None:
                routed = (emit.route if emit.route is not None else emit.key).encode()
                partition = partition_of(routed, await self._outbox.partitions(emit.topic))
            value, headers = self._codec.encode(emit.topic, emit.value)
            places.setdefault((emit.topic, partition), []).append((emit.key.encode(), value, headers))
        await self._outbox.write_all(places)
        for (topic, _), messages in places.items():
            self._metrics.emitted(topic, len(messages))
        acked = self._clock()
        for emit, ingested in emits:
            if emit.topic == WARNINGS and isinstance(emit.value, RiskWarning):
                self._metrics.warning(emit.value, ingested, acked)
            elif isinstance(emit.value, PortfolioEntry):
                self._metrics.book(of, emit.value)

    def _dead_letter(self, raw: Any, refusal: Refused | Undecodable, now: datetime) -> Emit:
        letter = dead_letter_of(raw, refusal, now)
        self._metrics.refused(self.stage.name, raw.topic, refusal.reason)
        return Emit(DEAD_LETTERS, letter.key, letter)


def _utf8(key: bytes | None) -> str:
    """The key as text; empty where it is none."""
    try:
        return (key or b"").decode()
    except UnicodeDecodeError:
        return ""
