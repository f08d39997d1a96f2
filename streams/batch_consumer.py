"""A Faust consumer that hands over a whole chunk of one partition's records as one event.

Faust spends about 60 µs of tasks and queues on every event before an agent sees it. One event for
thousands of records makes that cost vanish, while assignment, rebalance and table recovery stay Faust's own.

What this module promises beyond speed, since Faust does not:

* Only a batch marked `done` counts as processed. Faust acknowledges events whose agent raised, and events
  that it skips during a rebalance; neither may move the committed offset.
* The committed offset is the end of the longest done prefix of what was delivered.
* A batch is taken only after all before it: a key's state remembers the last offset that it has seen, so what came
  behind would count as seen. Faust drops events without a word; what it dropped is delivered again, in order.
* Source records are delivered only after this generation's seek to the committed offsets, and without gap or
  overlap from there on. Fetch and seek run side by side in Faust's consumer thread, so a stale fetch may
  arrive after the seek: a record that is not the next one makes the consumer seek back.
"""

from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, ClassVar, cast

import faust
from faust.events import Event
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.transports import ConsumerT, TransportT
from faust.types.tuples import ConsumerMessage, Message
from mode.utils.futures import notify


class Batch:
    """Consecutive records of one partition, as aiokafka read them.

    Args:
        tp: topic and partition.
        records: aiokafka `ConsumerRecord`s, in offset order, never empty.
        generation: the group generation in which they were delivered.

    Attributes:
        taken: its processing has begun, see `BatchConsumer.take`.
        done: set by whoever processed it, once all it caused is stored; only then may its offset be committed.
    """

    __slots__ = ("done", "generation", "records", "taken", "tp")

    def __init__(self, tp: TP, records: list[Any], generation: int) -> None:
        self.tp = tp
        self.records = records
        self.generation = generation
        self.taken = False
        self.done = False

    @property
    def end(self) -> int:
        """The offset after the last record: what to commit."""
        return cast(int, self.records[-1].offset) + 1


class BatchSchema(faust.Schema[Any, Any]):
    """Hands the batch to the stream as it is: decoding is the stage's own matter."""

    def compile(self, app: Any, **_: Any) -> Any:
        async def decode(message: Message, *, propagate: bool = False) -> Event:
            return Event(app, None, message.value, None, message)

        return decode


class BatchConsumer(driver.Consumer):
    """One event a (partition, chunk of fetched records), for every topic of the app, changelogs included."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._delivered: dict[TP, deque[Batch]] = {}
        self._done_to: dict[TP, int] = {}
        self._next: dict[TP, int] = {}
        self._probed: dict[TP, int] = {}
        self._sought: int | None = None
        self.missing = False  # a batch was refused because one before it never came: seek to read it again

    # --- reading ---

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:
        """Fetch, cut into chunks and yield each as one message whose value is a `Batch`."""
        fetched, active = await self._wait_next_records(timeout)
        if not fetched or self.should_stop:
            return
        generation = self.app.consumer_generation_id
        for key, records in fetched.items():
            tp = ensure_TP(key)
            paused = active is not None and tp not in active and tp not in self._buffered_partitions
            if paused or not self._seek_is_over(tp, generation):
                continue  # the seek before the flow resumes brings these records again
            fresh = await self._from_next(tp, records)
            for start in range(0, len(fresh), self._max_batch):
                if not self.flow_active or self.app.consumer_generation_id != generation:
                    return
                batch = Batch(tp, fresh[start : start + self._max_batch], generation)
                self._next[tp] = batch.end
                if not self._is_changelog_tp(tp):
                    self._delivered.setdefault(tp, deque()).append(batch)
                    # Faust drops what lies before this offset, which an event still on its way at a seek may set late.
                    self._read_offset[tp] = None
                yield tp, self._message(batch)

    @property
    def _max_batch(self) -> int:
        return cast("BatchApp", self.app).max_batch

    def _seek_is_over(self, tp: TP, generation: int) -> bool:
        return self._is_changelog_tp(tp) or self._sought == generation

    async def _from_next(self, tp: TP, records: list[Any]) -> list[Any]:
        """The records from the next expected offset on; none, after seeking back, where the next is missing."""
        expected = self._next.get(tp)
        if expected is None:
            return records
        if records[0].offset < expected:
            records = [record for record in records if record.offset >= expected]
        if records and records[0].offset > expected and self._probed.get(tp) != expected:
            # A stale fetch, or offsets that compaction or retention took away: only reading again tells.
            self._probed[tp] = expected
            await self.seek_wait({tp: expected})
            return []
        return records

    def _message(self, batch: Batch) -> Message:
        last = batch.records[-1]
        seconds = (last.timestamp or 0) / 1000.0
        return ConsumerMessage(
            last.topic,
            last.partition,
            last.offset,
            seconds,
            last.timestamp_type,
            None,
            None,
            cast(Any, batch),
            None,
            serialized_key_size=0,
            serialized_value_size=0,
            tp=batch.tp,
            generation_id=batch.generation,
        )

    # --- where to read ---

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        for tp, offset in partitions.items():
            self._next[ensure_TP(tp)] = max(offset, 0)
        await super().seek_wait(partitions)

    async def perform_seek(self) -> None:
        """Seek every source partition to its committed offset, or to its start where it has none."""
        generation = self.app.consumer_generation_id
        self._sought = None
        await super().perform_seek()
        sources = {tp for tp in self.assignment() if not self._is_changelog_tp(tp)}
        starts = {tp: offset for tp in sources if (offset := self._read_offset[tp]) is not None}
        unknown = sources - starts.keys()
        if unknown:
            starts.update({ensure_TP(tp): at for tp, at in (await self.earliest_offsets(*unknown)).items()})
        self._forget_delivered()
        self._probed.clear()
        await self.seek_wait(starts)
        if self.app.consumer_generation_id == generation:
            self._sought = generation

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        self._forget_delivered()
        await super().on_partitions_assigned(assigned, generation_id)

    def _forget_delivered(self) -> None:
        self._delivered.clear()
        self._done_to.clear()
        self.missing = False

    def take(self, batch: Batch) -> bool:
        """Whether a batch may be processed now; if not, it comes again.

        It may when every batch delivered before it is taken. One from before a seek or a rebalance may not: it will
        be, or has been, delivered anew.
        """
        for one in self._delivered.get(batch.tp, ()):
            if one is batch:
                batch.taken = True
                return True
            if not one.taken:
                self.missing = True
                return False
        return False

    # --- what to commit ---

    def ack(self, message: Message) -> bool:
        """Release the message for shutdown and rebalance; the offset follows `Batch.done`, not this."""
        if message.acked:
            return False
        message.acked = True
        self._unacked_messages.discard(message)
        self._n_acked += 1
        notify(self._waiting_for_ack)
        return True

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        return (tp for tp in list(self._delivered) if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        batches = self._delivered.get(tp)
        while batches and batches[0].done:
            self._done_to[tp] = batches.popleft().end
        return self._done_to.get(tp)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Nothing: a whole batch is done or not, there are no gaps to track."""

    # --- how far it is ---

    def lag(self, tp: TP) -> int:
        """Records that the broker is known to hold of this partition and that were not delivered yet."""
        end = self.highwater(tp) if tp in self.assignment() else None
        return max(0, end - self._next[tp]) if end is not None and tp in self._next else 0

    def caught_up(self, tp: TP) -> bool:
        """True when everything the broker is known to hold of this partition has been processed."""
        if self._sought != self.app.consumer_generation_id or tp not in self._next:
            return False
        if tp not in self.assignment() or any(not batch.done for batch in self._delivered.get(tp, ())):
            return False
        end = self.highwater(tp)
        return end is not None and self._next[tp] >= end

    def mark(self, tp: TP) -> object | None:
        """How far a partition is, to tell whether it moves; None where nothing is left, or something is at work."""
        batches = self._delivered.get(tp, ())
        if self.caught_up(tp) or any(batch.taken and not batch.done for batch in batches):
            return None
        return self._next.get(tp), self._done_to.get(tp), sum(batch.done for batch in batches), len(batches)


class BatchTransport(driver.Transport):
    """The aiokafka transport with the batch consumer."""

    Consumer: ClassVar[type[ConsumerT]] = BatchConsumer


class BatchApp(faust.App):
    """A Faust app that reads through the batch seam (`app.transport =` would come too late).

    Args:
        max_batch: most records in one batch.
    """

    def __init__(self, id: str, *, max_batch: int, **options: Any) -> None:
        super().__init__(id, **options)
        self.max_batch = max_batch

    def _new_transport(self) -> TransportT:
        return BatchTransport(self.conf.broker_consumer, self)
