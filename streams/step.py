"""Runs a pure stage over batches: decode, skip what was seen, apply, send, store, and only then done.

The order is what makes a kill at any instant harmless: messages are acknowledged by the broker before the
state that remembers them is stored, and the state before the batch is done, so that its offset may be
committed. What is read again after a kill is skipped by the offsets that each key's state carries.
"""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar, cast

import msgspec
from msgspec import Struct

from connectors.refusals import Undecodable
from connectors.topics import MAX_INPUT_BYTES
from models.dead_letter import DeadLetter
from models.stage import Emit, Record, Refused, Stage, Tick
from streams.batch_consumer import Batch
from streams.outbox import Message, Outbox, partition_of
from streams.state import Kept, StateError, StateTable

S = TypeVar("S", bound=Struct)
Headers = Sequence[tuple[str, bytes]]

DEAD_LETTERS = "dead-letters"
BREATHE_EVERY = 500  # records between two yields to the loop: heartbeats of other tasks, signals


class Codec(Protocol):
    """Bytes to events and back, as `connectors.codec.Codec` does; `decode` may raise `Undecodable`."""

    def decode(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> Any: ...

    def encode(self, topic: str, value: Any) -> tuple[bytes, Headers]: ...


class RunnerMetrics(Protocol):
    """What the runner counts; `connectors.metrics` keeps it."""

    def batch(self, stage: str, topic: str, records: int, skipped: int, seconds: float) -> None: ...

    def emitted(self, topic: str, messages: int) -> None: ...

    def refused(self, stage: str, topic: str, reason: str) -> None: ...

    def stored(self, stage: str, keys: int, size: int) -> None: ...


class NoMetrics:
    """Counts nothing."""

    def batch(self, stage: str, topic: str, records: int, skipped: int, seconds: float) -> None: ...

    def emitted(self, topic: str, messages: int) -> None: ...

    def refused(self, stage: str, topic: str, reason: str) -> None: ...

    def stored(self, stage: str, keys: int, size: int) -> None: ...


class StageFailed(Exception):
    """A stage raised what it may not: where, for the log. The cause is chained."""


class _Entry:
    """A key's state, decoded once it is asked for."""

    __slots__ = ("applied", "kept", "kind", "state")

    def __init__(self, kept: Kept | None) -> None:
        self.kept = kept
        self.applied: dict[str, int] = dict(kept.applied) if kept else {}
        self.kind = kept.kind if kept else ""
        self.state: Struct | None = None

    @property
    def stored(self) -> bytes:
        return self.kept.state if self.kept else b""


_encode_state = msgspec.msgpack.Encoder(decimal_format="string").encode
_decoders: dict[type[Struct], Callable[[bytes], Any]] = {}


def _decoder(kind: type[S]) -> Callable[[bytes], S]:
    if kind not in _decoders:
        _decoders[kind] = msgspec.msgpack.Decoder(kind).decode
    return _decoders[kind]


class PartitionStates:
    """One partition's states as a stage sees them (`models.stage.States`), with what changed since the last store.

    Args:
        partition: which.
        table: where they are stored.
        cache: most decoded states to keep between batches.
    """

    def __init__(self, partition: int, table: StateTable, cache: int) -> None:
        self.partition = partition
        self._table = table
        self._cache = cache
        self._entries: dict[str, _Entry] = {}
        self._dirty: dict[str, _Entry] = {}
        # One record may change several keys: those must be stored all or none, or a kill between two writes
        # would leave one key ahead of the other for good.
        self._together: set[str] = set()
        self._whole = False
        self._record_key: str | None = None

    # --- for the stage ---

    def load(self, key: str, kind: type[S]) -> S | None:
        entry = self._entry(key)
        if not entry.kind:
            return None
        if entry.kind != kind.__name__:
            raise StateError(f"{self._table.name}: {key} holds a {entry.kind}, not a {kind.__name__}")
        if entry.state is None:
            entry.state = _decoder(kind)(entry.stored)
        return cast(S, entry.state)

    def save(self, key: str, state: Struct) -> None:
        entry = self._entry(key)
        entry.state = state
        entry.kept = None
        entry.kind = type(state).__name__
        self._touch(key, entry)

    def delete(self, key: str) -> None:
        entry = self._entry(key)
        entry.state = None
        entry.kept = None
        entry.kind = ""
        self._touch(key, entry)

    def keys(self) -> Iterator[str]:
        dirty = self._dirty
        stored = (key.decode() for key in self._table.keys_of(self.partition))
        yield from [key for key in stored if key not in dirty] + [key for key, entry in dirty.items() if entry.kind]

    # --- for the runner ---

    def begin(self, key: str | None) -> None:
        """What follows is done for the record of this key; None: for the batch as a whole."""
        self._record_key = key

    def applied(self, key: str) -> dict[str, int]:
        """By source topic, the last offset that the key's state has seen. Set it through `mark`."""
        return self._entry(key).applied

    def mark(self, key: str) -> None:
        """The key's `applied` was changed."""
        self._dirty[key] = self._entries[key]

    async def store(self) -> tuple[int, int]:
        """Write what changed; (keys, bytes)."""
        if not self._dirty:
            return 0, 0
        changes: dict[bytes, tuple[dict[str, int], str, bytes] | None] = {}
        for key, entry in self._dirty.items():
            if entry.kind:
                state = _encode_state(entry.state) if entry.state is not None else entry.stored
                changes[key.encode()] = (dict(entry.applied), entry.kind, state)
            else:
                changes[key.encode()] = (dict(entry.applied), "", b"") if entry.applied else None
        together = set(changes) if self._whole else {key.encode() for key in self._together}
        size = await self._table.write(self.partition, changes, together)
        self._settle()
        return len(changes), size

    def _entry(self, key: str) -> _Entry:
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry(self._table.entry(self.partition, key.encode()))
        return entry

    def _touch(self, key: str, entry: _Entry) -> None:
        self._dirty[key] = entry
        if self._record_key is None:
            self._whole = True
        elif key != self._record_key:
            self._together.add(key)
            self._together.add(self._record_key)

    def _settle(self) -> None:
        entries = self._entries
        for key in self._dirty:
            entries[key] = entries.pop(key)  # the latest last, so that the oldest are dropped first
        self._dirty.clear()
        self._together.clear()
        self._whole = False
        for key in list(entries)[: max(0, len(entries) - self._cache)]:
            del entries[key]


class _Lane:
    """A partition of a stage: its states, and the lock that keeps batches and ticks apart and in order."""

    def __init__(self, states: PartitionStates) -> None:
        self.states = states
        self.lock = asyncio.Lock()
        self.busy_at = time.monotonic()


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
            emits: list[Emit] = []
            skipped = await self._apply(batch, lane.states, emits)
            where = f"{batch.tp.topic}/{batch.tp.partition} up to {batch.end}"
            emits.extend(self._whole(lane.states, self.stage.flush, where))
            await self._store(lane.states, emits, where)
            batch.done = True
            lane.busy_at = time.monotonic()
        seconds = time.perf_counter() - started
        self._metrics.batch(self.stage.name, batch.tp.topic, len(batch.records), skipped, seconds)

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

    @asynccontextmanager
    async def _step(self) -> AsyncIterator[None]:
        """After a failure nothing more is done: the states in memory may hold half a batch."""
        try:
            yield
        except BaseException:
            self._failed = True
            raise

    async def _apply(self, batch: Batch, states: PartitionStates, emits: list[Emit]) -> int:
        topic, now, skipped = batch.tp.topic, self._clock(), 0
        for count, raw in enumerate(batch.records, 1):
            if count % BREATHE_EVERY == 0:
                await asyncio.sleep(0)
            try:
                skipped += not self._one(topic, raw, now, states, emits)
            except Exception as error:
                raise StageFailed(
                    f"{self.stage.name}: {topic}/{raw.partition} offset {raw.offset}: {error!r}"
                ) from error
        return skipped

    def _one(self, topic: str, raw: Any, now: datetime, states: PartitionStates, emits: list[Emit]) -> bool:
        key = _utf8(raw.key)
        applied = states.applied(key) if key else {}
        if raw.offset <= applied.get(topic, -1):
            return False
        try:
            event = self._codec.decode(topic, raw.key, raw.value, raw.headers)
            if not key:
                raise Undecodable("missing", "key", "a record needs a key in UTF-8, or its state has no place")
        except Undecodable as refusal:
            emits.append(self._dead_letter(raw, refusal, now))
            return True
        ingested = datetime.fromtimestamp(raw.timestamp / 1000, UTC)
        states.begin(key)
        try:
            emits += list(self.stage.apply(states, Record(topic, raw.partition, raw.offset, ingested, event, now)))
        except Refused as refusal:
            emits.append(self._dead_letter(raw, refusal, now))
            return True
        applied[topic] = raw.offset
        states.mark(key)
        return True

    def _whole(
        self, states: PartitionStates, step: Callable[[PartitionStates], Iterable[Emit]], where: str
    ) -> list[Emit]:
        states.begin(None)
        try:
            return list(step(states))
        except Exception as error:
            raise StageFailed(f"{self.stage.name}: {where}: {error!r}") from error

    async def _store(self, states: PartitionStates, emits: list[Emit], where: str) -> None:
        try:
            await self._send(emits)
            keys, size = await states.store()
        except Exception as error:
            raise StageFailed(f"{self.stage.name}: {where}: not stored: {error!r}") from error
        self._metrics.stored(self.stage.name, keys, size)

    async def _send(self, emits: list[Emit]) -> None:
        places: dict[tuple[str, int], list[Message]] = {}
        for emit in emits:
            partition = emit.partition
            if partition is None:
                routed = (emit.route if emit.route is not None else emit.key).encode()
                partition = partition_of(routed, await self._outbox.partitions(emit.topic))
            value, headers = self._codec.encode(emit.topic, emit.value)
            places.setdefault((emit.topic, partition), []).append((emit.key.encode(), value, headers))
        await self._outbox.write_all(places)
        for (topic, _), messages in places.items():
            self._metrics.emitted(topic, len(messages))

    def _dead_letter(self, raw: Any, refusal: Refused | Undecodable, now: datetime) -> Emit:
        letter = DeadLetter(
            dead_letter_id=f"{raw.topic}/{raw.partition}/{raw.offset}",
            source_topic=raw.topic,
            source_partition=raw.partition,
            source_offset=raw.offset,
            source_key=None if raw.key is None else _utf8(raw.key) or "base64:" + base64.b64encode(raw.key).decode(),
            reason=refusal.reason,
            field=refusal.field,
            detail=refusal.detail,
            raw=_whole_value(raw.value),
            refused_at=now,
        )
        self._metrics.refused(self.stage.name, raw.topic, refusal.reason)
        return Emit(DEAD_LETTERS, letter.key, letter)


def _utf8(key: bytes | None) -> str:
    """The key as text; empty where it is none."""
    try:
        return (key or b"").decode()
    except UnicodeDecodeError:
        return ""


def _whole_value(value: bytes | None) -> str | None:
    """The refused bytes in base64, unless a packed record unpacked to more than a dead letter can carry: then the
    source topic keeps them, and the letter says where."""
    if value is None or len(value) > MAX_INPUT_BYTES:
        return None
    return base64.b64encode(value).decode()
