"""The batch seam without a broker: what is delivered, from where, and what may be committed."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from faust.transport.consumer import ThreadDelegateConsumer
from faust.types import TP
from faust.types.transports import ConsumerT, TransportT
from mode import Service

from streams.batch_consumer import Batch, BatchApp, BatchConsumer, BatchTransport
from tests.in_loop import in_loop

T0, T1 = TP("in", 0), TP("in", 1)


def records(tp: TP, *offsets: int) -> list[Any]:
    return [
        SimpleNamespace(topic=tp.topic, partition=tp.partition, offset=offset, timestamp=1000, timestamp_type=0)
        for offset in offsets
    ]


class OfflineConsumer(BatchConsumer):
    """A batch consumer whose broker is the test."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fetches: list[dict[TP, list[Any]]] = []
        self.committed_offsets: dict[TP, int | None] = {T0: None, T1: None}
        self.ends: dict[TP, int] = {}
        self.seeks: list[dict[TP, int]] = []

    def _new_consumer_thread(self) -> Any:
        return Service()  # a thread's loop would have to be closed

    def assignment(self) -> set[TP]:
        return {T0, T1}

    def highwater(self, tp: TP) -> int:
        return self.ends.get(tp, 0)

    async def seek_to_committed(self) -> Any:
        return dict(self.committed_offsets)

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        return dict.fromkeys(partitions, 0)

    async def _wait_next_records(self, timeout: float) -> Any:
        return self.fetches.pop(0), None

    async def deliver(self, fetched: dict[TP, list[Any]]) -> list[Batch]:
        """What one fetch makes of these records."""
        self.fetches.append(fetched)
        return [message.value async for _, message in self.getmany(1.0)]  # type: ignore[misc]

    @property
    def read_offsets(self) -> dict[TP, int | None]:
        """Below which Faust drops what it is given."""
        return self._read_offset  # type: ignore[return-value]

    def committable(self, tp: TP) -> int | None:
        return self._new_offset(tp)


class OfflineTransport(BatchTransport):
    """A transport that never connects."""

    Consumer: ClassVar[type[ConsumerT]] = OfflineConsumer


class OfflineApp(BatchApp):
    """An app that makes an offline consumer."""

    def _new_transport(self) -> TransportT:
        return OfflineTransport(self.conf.broker_consumer, self)


@pytest.fixture
def sought(monkeypatch: pytest.MonkeyPatch) -> None:
    async def seek_wait(self: OfflineConsumer, partitions: Mapping[TP, int]) -> None:
        self.seeks.append(dict(partitions))

    monkeypatch.setattr(ThreadDelegateConsumer, "seek_wait", seek_wait)


async def consumer(*, sought: bool = True) -> OfflineConsumer:
    app = OfflineApp("offline", max_batch=3, broker="kafka://127.0.0.1:1", topic_disable_leader=True)
    app.finalize()
    app.consumer_generation_id = 1
    made = app.consumer
    assert isinstance(made, OfflineConsumer)
    if sought:
        await made.perform_seek()
        made.seeks.clear()
    return made


def spans(batches: list[Batch]) -> list[tuple[TP, list[int]]]:
    return [(batch.tp, [record.offset for record in batch.records]) for batch in batches]


pytestmark = [pytest.mark.usefixtures("sought")]


@in_loop
async def test_records_come_in_chunks_that_carry_the_generation() -> None:
    batches = await (await consumer()).deliver({T0: records(T0, 0, 1, 2, 3), T1: records(T1, 0)})
    assert spans(batches) == [(T0, [0, 1, 2]), (T0, [3]), (T1, [0])]
    assert {batch.generation for batch in batches} == {1}
    assert [batch.end for batch in batches] == [3, 4, 1]


@in_loop
async def test_nothing_is_delivered_before_the_seek_of_this_generation() -> None:
    made = await consumer(sought=False)
    assert await made.deliver({T0: records(T0, 0)}) == []
    made.committed_offsets[T0] = 5
    await made.perform_seek()
    assert made.seeks == [{T0: 5, T1: 0}]
    assert spans(await made.deliver({T0: records(T0, 5, 6)})) == [(T0, [5, 6])]
    made.app.consumer_generation_id = 2
    assert await made.deliver({T0: records(T0, 7)}) == []


@in_loop
async def test_records_already_delivered_are_left_out() -> None:
    made = await consumer()
    await made.deliver({T0: records(T0, 0, 1)})
    assert spans(await made.deliver({T0: records(T0, 0, 1, 2)})) == [(T0, [2])]
    assert await made.deliver({T0: records(T0, 1, 2)}) == []


@in_loop
async def test_a_stale_fetch_makes_the_consumer_seek_back() -> None:
    made = await consumer()
    assert await made.deliver({T0: records(T0, 7, 8), T1: records(T1, 0)}) != []
    assert made.seeks == [{T0: 0}]
    assert spans(await made.deliver({T0: records(T0, 0, 1)})) == [(T0, [0, 1])]


@in_loop
async def test_offsets_that_are_gone_are_passed_after_a_second_look() -> None:
    made = await consumer()
    assert await made.deliver({T0: records(T0, 7, 8)}) == []
    assert spans(await made.deliver({T0: records(T0, 7, 8)})) == [(T0, [7, 8])]
    assert await made.deliver({T0: records(T0, 20)}) == []  # the next hole is looked at anew
    assert made.seeks == [{T0: 0}, {T0: 9}]


@in_loop
async def test_the_committable_offset_is_the_end_of_the_done_prefix() -> None:
    made = await consumer()
    first, second, third = await made.deliver({T0: records(T0, *range(7))})
    assert made.committable(T0) is None
    second.done = True
    assert made.committable(T0) is None
    first.done = True
    assert made.committable(T0) == 6
    assert made.committable(T0) == 6  # asking does not use it up: a commit may have failed
    third.done = True
    assert made.committable(T0) == 7
    assert made.committable(T1) is None


@in_loop
async def test_what_faust_acknowledges_does_not_count() -> None:
    made = await consumer()
    made.fetches.append({T0: records(T0, 0)})
    messages = [message async for _, message in made.getmany(1.0)]
    assert made.ack(messages[0])
    assert not made.ack(messages[0])
    assert made.committable(T0) is None


@in_loop
async def test_an_assignment_forgets_what_was_delivered_before() -> None:
    made = await consumer()
    (batch,) = await made.deliver({T0: records(T0, 0)})
    made.committed_offsets[T0] = 0
    await made.perform_seek()
    batch.done = True
    assert made.committable(T0) is None
    assert spans(await made.deliver({T0: records(T0, 0)})) == [(T0, [0])]


@in_loop
async def test_a_rebalance_ends_the_delivery_of_a_fetch() -> None:
    made = await consumer()
    made.fetches.append({T0: records(T0, *range(6))})
    delivered = []
    async for _, message in made.getmany(1.0):
        delivered.append(message.offset)
        made.app.consumer_generation_id = 2
    assert delivered == [2]


@in_loop
async def test_caught_up_means_all_known_records_are_done() -> None:
    made = await consumer()
    assert made.caught_up(T1)  # empty
    made.ends[T0] = 2
    assert not made.caught_up(T0)
    (batch,) = await made.deliver({T0: records(T0, 0, 1)})
    assert not made.caught_up(T0)
    batch.done = True
    assert made.caught_up(T0)
    made.app.consumer_generation_id = 2
    assert not made.caught_up(T0)


@in_loop
async def test_a_batch_is_taken_only_after_all_before_it() -> None:
    one = await consumer()
    one.app.max_batch = 2
    first, lost, later = await one.deliver({T0: records(T0, 0, 1, 2, 3, 4, 5)})
    assert one.take(first)
    assert not one.take(later)
    assert one.missing
    await one.perform_seek()
    assert not one.missing
    assert not one.take(lost), "it comes anew after the seek, and out of its turn it would hide what lies before it"
    again = await one.deliver({T0: records(T0, 0, 1, 2, 3, 4, 5)})
    assert [one.take(batch) for batch in again] == [True, True, True]


@in_loop
async def test_the_mark_tells_whether_a_partition_moves() -> None:
    one = await consumer()
    one.app.max_batch = 2
    one.ends = {T0: 4}
    first, second = await one.deliver({T0: records(T0, 0, 1, 2, 3)})
    waiting = one.mark(T0)
    assert waiting is not None
    assert one.mark(T0) == waiting
    one.take(first)
    assert one.mark(T0) is None, "something is at work"
    first.done = True
    assert one.mark(T0) not in (None, waiting)
    one.take(second)
    second.done = True
    assert one.mark(T0) is None, "nothing is left"


@in_loop
async def test_no_offset_set_late_makes_faust_drop_a_batch() -> None:
    one = await consumer()
    one.read_offsets[T0] = 99  # by an event that was still on its way when the partition was sought back
    (batch,) = await one.deliver({T0: records(T0, 0, 1)})
    assert one.read_offsets[T0] is None
    assert one.take(batch)
