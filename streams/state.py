"""A stage's state: a Faust table of bytes, kept in memory and in a compacted changelog topic.

Faust assigns the changelog's partitions beside the source's and reads them back after a rebalance or a
restart. What differs from a stock table: changes are written a batch at a time and waited for before memory
shows them, entries belong to their partition (a revoked partition leaves memory at once), and anything odd
in the changelog stops the worker, where Faust would log a warning and go on without the state.

Every entry carries the epoch of its writer. Whoever takes a partition over reads the changelog to its end,
then writes a fence with the next epoch; from the fence on, entries of an older epoch are ignored. So a worker
that was paused, replaced and woke up again cannot overwrite what its successor wrote.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

import faust
import msgspec
from faust.stores import memory
from faust.tables.manager import TableManager
from faust.types import TP
from msgspec.structs import replace
from yarl import URL

from streams.batch_consumer import BatchSchema
from streams.outbox import Message, Outbox

FENCE = b"\x00fence"


class StateError(Exception):
    """The stored state cannot be used as it is; the message says why and what to do."""


class Kept(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One key's entry in the changelog, as msgpack.

    Args:
        version: the stage's `state_version` that wrote it.
        epoch: of the writer, see the module.
        applied: by source topic, the offset of the last record of this key that the state has seen.
        kind: name of the state's type; empty where the stage keeps no state for the key.
        state: the state as msgpack.
    """

    version: int
    epoch: int
    applied: dict[str, int]
    kind: str
    state: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Kept).decode


def _message(key: bytes, entry: Kept | None, epoch: int) -> Message:
    """A changelog record; one that deletes a key has no value to carry the epoch, so its header does."""
    return (key, None, [("epoch", b"%d" % epoch)]) if entry is None else (key, _encode(entry), ())


def _epoch(record: Any) -> int:
    if record.value is not None:
        return _decode(record.value).epoch
    return int(dict(record.headers).get("epoch", b"0"))


class _Partition:
    """One partition's entries in memory."""

    def __init__(self) -> None:
        self.entries: dict[bytes, Kept] = {}
        self.size = 0  # bytes of keys and states
        self.epoch = 0
        self.overwritten: set[bytes] = set()  # keys whose last entry in the changelog is of an outdated writer
        self.end = 0  # the changelog offset after the last entry seen or written
        self.applied: dict[str, int] = {}  # by source topic, the highest offset that any recovered entry has seen

    def put(self, key: bytes, entry: Kept | None) -> None:
        """Let an entry stand under a key; None: no entry."""
        before = self.entries.pop(key, None) if entry is None else self.entries.get(key)
        if before is not None:
            self.size -= len(key) + len(before.state)
        if entry is not None:
            self.entries[key] = entry
            self.size += len(key) + len(entry.state)


class StateStore(memory.Store[bytes, Kept]):
    """Faust's memory store, by partition. Faust asks it how far it is; only the table writes to it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.partitions: dict[int, _Partition] = {}

    def persisted_offset(self, tp: TP) -> int | None:
        """A partition that stays here needs no second reading: memory holds what was acknowledged."""
        held = self.partitions.get(tp.partition)
        return held.end - 1 if held and held.end else None


class StateTable(faust.Table[bytes, Kept]):
    """A stage's states by partition and key.

    Args:
        app: the Faust app.
        name: the changelog is `<app id>-<name>-changelog`.
        version: the stage's `state_version`; entries of another version are refused.
        partitions: of the changelog, the same as of the stage's topics.
        outbox: writes the changelog.
        fatal: called with what makes the state unusable; it must stop the worker.
    """

    def __init__(
        self,
        app: faust.App,
        *,
        name: str,
        version: int,
        partitions: int,
        outbox: Outbox,
        fatal: Callable[[BaseException], None],
    ) -> None:
        topic = app.topic(
            f"{app.conf.id}-{name}-changelog",
            schema=BatchSchema(),
            partitions=partitions,
            acks=False,
            internal=False,
            allow_empty=True,
            maxsize=8,
        )
        # Two events, not one: Faust keeps reading a changelog whose recovery buffer is 1 after recovery.
        super().__init__(
            app,
            name=name,
            key_type=bytes,
            value_type=bytes,
            partitions=partitions,
            changelog_topic=topic,
            recovery_buffer_size=2,
        )
        self.version = version
        self._outbox = outbox
        self._fatal = fatal
        self._unusable = False
        self._assigned_at = self._read_at = 0.0  # when partitions came, and when their last record was read

    def _new_store_by_url(self, url: str | URL) -> StateStore:
        return StateStore(url, self.app, self, table_name=self.name, key_type=bytes, value_type=bytes, loop=self.loop)

    @property
    def store(self) -> StateStore:
        return cast(StateStore, self.data)

    # --- what a stage's runner uses ---

    def entry(self, partition: int, key: bytes) -> Kept | None:
        """The entry as last stored, or None."""
        return self._held(partition).entries.get(key)

    def keys_of(self, partition: int) -> Iterator[bytes]:
        """The keys that have a state in this partition."""
        return (key for key, kept in self._held(partition).entries.items() if kept.kind)

    def size(self, partition: int) -> tuple[int, int]:
        """How many keys have an entry in this partition, and the bytes of keys and states."""
        held = self._held(partition)
        return len(held.entries), held.size

    def unread(self) -> dict[int, int]:
        """Records of the changelog that are still to be recovered, by partition held; 0 once they are."""
        # From Faust's own notes: a consumer that is not started, or is being rebalanced, must not be asked.
        last = cast(TableManager, self.app.tables).recovery.active_highwaters
        topic = self.changelog_topic_name
        return {
            partition: max(0, last.get(TP(topic, partition), -1) + 1 - held.end)
            for partition, held in self.store.partitions.items()
        }

    @property
    def recovery_seconds(self) -> float:
        """From the last time that partitions came to the last record of their changelogs."""
        return self._read_at - self._assigned_at

    async def write(
        self, partition: int, changes: dict[bytes, tuple[dict[str, int], str, bytes] | None], together: set[bytes]
    ) -> int:
        """Store changes and wait for the broker; only then does memory show them.

        Args:
            partition: of the changelog.
            changes: by key, (applied, kind, state), or None to delete the key.
            together: the keys that must be stored all or none, since one record changed several of them.

        Returns:
            bytes written.

        Raises:
            streams.outbox.TooLarge, aiokafka.errors.KafkaError: not stored; memory is unchanged.
            StateError: the partition belongs to another worker by now.
        """
        held = self._held(partition)
        kept = {
            key: None if change is None else Kept(self.version, held.epoch, *change) for key, change in changes.items()
        }
        messages = [_message(key, entry, held.epoch) for key, entry in kept.items()]
        joint = [message for message in messages if message[0] in together]
        single = [message for message in messages if message[0] not in together]
        topic = self.changelog_topic_name
        if joint:
            last = await self._outbox.write_atomic(topic, partition, joint)
            await self._advance(partition, held, last, len(joint))
        if single:
            last = await self._outbox.write(topic, partition, single)
            await self._advance(partition, held, last, len(single))
        for key, entry in kept.items():
            held.put(key, entry)
        await self._repair(partition, held)
        return sum(len(value) for _, value, _ in messages if value)

    async def _repair(self, partition: int, held: _Partition) -> None:
        """Write again what an outdated entry stands after: compaction would keep the outdated one alone."""
        keys, held.overwritten = held.overwritten, set()
        if keys:
            entries = {key: held.entries.get(key) for key in keys}
            mended = [
                _message(key, replace(entry, epoch=held.epoch) if entry else None, held.epoch)
                for key, entry in entries.items()
            ]
            last = await self._outbox.write(self.changelog_topic_name, partition, mended)
            await self._advance(partition, held, last, len(mended))

    async def _advance(self, partition: int, held: _Partition, last: int, count: int) -> None:
        """Move on to the end of what was written. What stands in between was written by somebody else."""
        if last != held.end + count - 1:
            for record in await self._outbox.read(self.changelog_topic_name, partition, held.end, last + 1):
                epoch = _epoch(record)
                if epoch > held.epoch:
                    raise StateError(
                        f"{self.name}/{partition}: another worker took the partition over while this one was paused; "
                        "what it computed meanwhile is ignored. Restart it"
                    )
                if epoch < held.epoch and record.key != FENCE:
                    held.overwritten.add(record.key)
        held.end = last + 1

    def _held(self, partition: int) -> _Partition:
        held = self.store.partitions.get(partition)
        if held is None:
            raise StateError(f"{self.name}: partition {partition} is not held by this worker")
        return held

    # --- what Faust calls ---

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        topic = self.changelog_topic_name
        held = {tp.partition for tp in assigned if tp.topic == topic}
        partitions = self.store.partitions
        for partition in partitions.keys() - held:
            del partitions[partition]
        if new := held - partitions.keys():
            self._assigned_at = self._read_at = time.monotonic()
        for partition in new:
            partitions[partition] = _Partition()
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)

    def apply_changelog_batch(self, batch: Iterable[Any]) -> None:
        """Recover entries. Faust would swallow what is raised here, or hang on it: it goes to `fatal` alone."""
        try:
            for event in batch:
                if not self._unusable:
                    self._recover(event.value.records)
        except (StateError, msgspec.MsgspecError) as error:
            self._unusable = True
            self._fatal(error)

    def _recover(self, records: list[Any]) -> None:
        held = self.store.partitions.get(records[0].partition)
        if held is None:
            return
        self._read_at = time.monotonic()
        for record in records:
            held.end = record.offset + 1
            epoch = _epoch(record)
            if epoch < held.epoch:
                if record.key != FENCE:
                    held.overwritten.add(record.key)  # written after its writer had been replaced
                continue
            held.epoch = epoch
            held.overwritten.discard(record.key)
            if record.key == FENCE:
                continue
            if record.value is None:
                held.put(record.key, None)
                continue
            kept = _decode(record.value)
            if kept.version != self.version:
                raise StateError(
                    f"{self.name}: {record.key!r} was stored as state version {kept.version}, this worker knows "
                    f"{self.version}. Run the version of Liandong that wrote it, or delete the topic "
                    f"{self.changelog_topic_name} and the group's offsets to replay from the start."
                )
            held.put(record.key, kept)
            for topic, offset in kept.applied.items():
                if offset > held.applied.get(topic, -1):
                    held.applied[topic] = offset

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Check that all was read, then shut out whoever held the partitions before."""
        if self._unusable:
            return
        generation = self.app.consumer_generation_id
        try:
            ends = await self.app.consumer.highwaters(*active_tps) if active_tps else {}
            await asyncio.gather(*(self._take_over(tp.partition, end or 0) for tp, end in ends.items()))
        except Exception as error:
            if generation == self.app.consumer_generation_id:
                self._fatal(error)
            raise
        await super().on_recovery_completed(active_tps, standby_tps)

    async def _take_over(self, partition: int, end: int) -> None:
        held = self._held(partition)
        if held.end < end:
            raise StateError(
                f"{self.name}/{partition}: the changelog ends at {end}, but only {held.end} was recovered; "
                "restart the worker"
            )
        await self._check_sources(partition, held)
        held.epoch += 1
        fence = _encode(Kept(self.version, held.epoch, {}, "", b""))
        at = await self._outbox.write(self.changelog_topic_name, partition, [(FENCE, fence, ())])
        if at != held.end:
            raise StateError(
                f"{self.name}/{partition}: another worker wrote to the changelog (offset {at}, expected {held.end}) "
                "while this one took over; restart the worker"
            )
        held.end = at + 1
        await self._repair(partition, held)

    async def _check_sources(self, partition: int, held: _Partition) -> None:
        ends = await self.app.consumer.highwaters(*(TP(topic, partition) for topic in held.applied))
        for tp, end in ends.items():
            if end is not None and held.applied[tp.topic] >= end:
                raise StateError(
                    f"{self.name}: the state has seen offset {held.applied[tp.topic]} of {tp.topic}/{partition}, which "
                    f"ends at {end}: the topic was made anew. Delete {self.changelog_topic_name} as well."
                )
