"""The runner and the state table without a broker: the order of writes, what is skipped, what stops the worker."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiokafka.partitioner import DefaultPartitioner
from faust.types import TP
from msgspec import Struct

from connectors.codec import Codec
from connectors.refusals import Undecodable
from models.policy import PolicyHistory
from models.stage import Emit, Record, Refused, States, Tick
from models.stages.borrowers import BorrowersStage
from streams.batch_consumer import Batch, BatchApp
from streams.outbox import Message, Outbox, TooLarge, partition_of
from streams.state import FENCE, Kept, StateError, StateTable
from streams.step import NoMetrics, StageFailed, StageRunner
from tests.in_loop import in_loop
from tests.make import loan

NOW = datetime(2026, 3, 2, tzinfo=UTC)
CHANGELOG = "test-toy-state-changelog"


class MemoryOutbox(Outbox):
    """Keeps what is written, by topic and partition, and the order of the writes."""

    def __init__(self) -> None:
        super().__init__({})
        self.logs: dict[tuple[str, int], list[Message]] = {}
        self.writes: list[tuple[str, str, int]] = []
        self.broken = ""

    async def partitions(self, topic: str) -> int:
        return 4

    async def write(self, topic: str, partition: int, messages: Sequence[Message]) -> int:
        return self._append("write", topic, partition, messages)

    async def write_atomic(self, topic: str, partition: int, messages: Sequence[Message]) -> int:
        return self._append("atomic", topic, partition, messages)

    def _append(self, how: str, topic: str, partition: int, messages: Sequence[Message]) -> int:
        if topic == self.broken:
            raise TooLarge("the test broke it")
        self.writes.append((how, topic, len(messages)))
        log = self.logs.setdefault((topic, partition), [])
        log.extend(messages)
        return len(log) - 1

    async def read(self, topic: str, partition: int, start: int, stop: int) -> list[Any]:
        return [
            SimpleNamespace(key=key, value=value, headers=headers, offset=start + n, partition=partition)
            for n, (key, value, headers) in enumerate(self.logs[topic, partition][start:stop])
        ]

    def values(self, topic: str) -> list[Any]:
        return [
            json.loads(value or b"") for (name, _), log in self.logs.items() if name == topic for _, value, _ in log
        ]

    def kept(self) -> dict[bytes, Kept]:
        return {
            key or b"": msgspec.msgpack.decode(value, type=Kept)
            for key, value, _ in self.logs.get((CHANGELOG, 0), [])
            if value is not None
        }


class Toy(Struct):
    """A toy state."""

    seen: list[str] = []


class ToyStage:
    """Remembers event ids; does as the event says."""

    name = "toy"
    topics = ("in", "in2")
    state_version = 3

    def __init__(self) -> None:
        self.flushing = False

    def apply(self, states: States, record: Record) -> Iterable[Emit]:
        do = record.event.get("do")
        if do == "refuse":
            raise Refused("too_late", "event_time", "after the bound")
        if do == "break":
            raise ZeroDivisionError("broken")
        key = record.event["key"]
        if do == "delete":
            states.delete(key)
            return ()
        if do == "nothing":
            return ()
        names = [key, *record.event.get("also", [])]
        for name in names:
            state = states.load(name, Toy) or Toy()
            state.seen.append(record.event["id"])
            states.save(name, state)
        return [Emit("out", key, {"id": record.event["id"], "seen": len(state.seen)})]

    def flush(self, states: States) -> Iterable[Emit]:
        if self.flushing:
            states.save("whole", Toy(["flushed"]))
        return ()

    def tick(self, states: States, tick: Tick) -> Iterable[Emit]:
        states.save("tick", Toy([str(tick.caught_up)]))
        return [Emit("out", "tick", {"keys": sorted(states.keys())}, partition=2)]


class ToyCodec:
    """JSON objects."""

    def decode(self, topic: str, key: bytes | None, value: bytes | None, headers: Any) -> Any:
        try:
            return json.loads(value or b"")
        except ValueError as error:
            raise Undecodable("not_json", "", str(error)) from error

    def encode(self, topic: str, value: Any) -> tuple[bytes, list[tuple[str, bytes]]]:
        return msgspec.json.encode(value), []


class Timed(dict[str, Any]):
    """An event that happened so many seconds before `NOW`."""

    @property
    def event_time(self) -> datetime:
        return NOW - timedelta(seconds=self["seconds"])


class TimedCodec(ToyCodec):
    """JSON objects with a time."""

    def decode(self, topic: str, key: bytes | None, value: bytes | None, headers: Any) -> Any:
        return Timed(super().decode(topic, key, value, headers))


class Bench:
    """A runner over one partition with everything in memory."""

    def __init__(self, outbox: MemoryOutbox | None = None, cache: int = 100) -> None:
        app = BatchApp("test", max_batch=10, broker="kafka://127.0.0.1:1", topic_disable_leader=True)
        app.finalize()
        self.outbox = outbox or MemoryOutbox()
        self.stage = ToyStage()
        self.fatal: list[BaseException] = []
        self.table = StateTable(
            app, name="toy-state", version=3, partitions=4, outbox=self.outbox, fatal=self.fatal.append
        )
        self.runner = StageRunner(
            self.stage, ToyCodec(), self.table, self.outbox, NoMetrics(), lambda: NOW, cache=cache
        )
        self.offsets = {"in": 0, "in2": 0}

    async def hold(self) -> "Bench":
        """Be assigned partition 0 and recover what its changelog holds."""
        await self.table.on_rebalance({TP(CHANGELOG, 0)}, set(), set())
        log = self.outbox.logs.get((CHANGELOG, 0), [])
        self.recover(await self.outbox.read(CHANGELOG, 0, 0, len(log)) if log else [])
        return self

    def recover(self, records: list[Any]) -> None:
        if records:
            self.table.apply_changelog_batch([SimpleNamespace(value=SimpleNamespace(records=records))])

    def batch(self, *events: Any, topic: str = "in", first: int | None = None) -> Batch:
        start = self.offsets[topic] if first is None else first
        records = []
        for offset, event in enumerate(events, start):
            key, value = event if isinstance(event, tuple) else (event["key"].encode(), json.dumps(event).encode())
            records.append(
                SimpleNamespace(
                    topic=topic,
                    partition=0,
                    offset=offset,
                    key=key,
                    value=value,
                    headers=(),
                    timestamp=1_700_000_000_000,
                )
            )
        self.offsets[topic] = start + len(events)
        return Batch(TP(topic, 0), records, 1)

    async def run(self, *events: Any, topic: str = "in", first: int | None = None) -> Batch:
        batch = self.batch(*events, topic=topic, first=first)
        await self.runner.run(batch)
        return batch

    def seen(self, key: str) -> list[str] | None:
        state = self.runner.lane(0).states.load(key, Toy)
        return state.seen if state else None


def event(name: str, key: str = "a", **more: Any) -> dict[str, Any]:
    return {"id": name, "key": key, **more}


@pytest.fixture
def outbox() -> MemoryOutbox:
    return MemoryOutbox()


@in_loop
async def test_messages_are_acknowledged_before_the_state_is_stored_and_the_batch_done() -> None:
    bench = await Bench().hold()
    batch = await bench.run(event("1"), event("2", "b"))
    assert [topic for _, topic, _ in bench.outbox.writes] == ["out", CHANGELOG]
    assert batch.done
    kept = bench.outbox.kept()[b"a"]
    assert (kept.version, kept.applied, kept.kind) == (3, {"in": 0}, "Toy")
    assert msgspec.msgpack.decode(kept.state, type=Toy) == Toy(["1"])


@in_loop
async def test_the_newest_record_applied_says_how_far_behind_a_topic_is() -> None:
    bench = await Bench().hold()
    assert bench.runner.behind("in", 0) == 0
    assert 0 not in bench.runner._lanes  # noqa: SLF001 - a lane that nobody drops would keep old states
    await bench.run(event("1"))
    assert bench.runner.behind("in", 0) == NOW.timestamp() - 1_700_000_000
    assert bench.runner.behind("in2", 0) == 0


@in_loop
async def test_the_newest_event_says_how_far_behind_the_clock_a_topic_is() -> None:
    bench = await Bench().hold()
    bench.runner = StageRunner(
        bench.stage, TimedCodec(), bench.table, bench.outbox, NoMetrics(), lambda: NOW, cache=100
    )
    assert bench.runner.watermark_delay("in", 0) is None
    await bench.run(event("1", seconds=90), event("2", seconds=60), event("3", seconds=75))
    assert bench.runner.watermark_delay("in", 0) == 60
    assert bench.runner.watermark_delay("in2", 0) is None


@in_loop
async def test_the_size_of_the_states_is_that_of_keys_and_entries(outbox: MemoryOutbox) -> None:
    bench = await Bench(outbox).hold()
    await bench.run(event("1", also=["b"]), event("2", "b"))
    await bench.run(event("3", "b"), event("4", "gone"))
    await bench.run(event("5", "gone", do="delete"))
    kept = {key: one for key, one in bench.outbox.kept().items() if key != FENCE}
    expected = sum(len(key) + len(one.state) for key, one in kept.items())
    assert bench.table.size(0) == (3, expected)
    again = await Bench(outbox).hold()
    assert again.table.size(0) == (3, expected)
    assert again.table.recovery_seconds >= 0


@in_loop
async def test_what_is_still_to_be_recovered_is_known_without_a_consumer(outbox: MemoryOutbox) -> None:
    """A worker is asked from its first second on, started or not, in a rebalance or not."""
    bench = Bench(outbox)
    assert bench.table.unread() == {}
    await bench.hold()
    assert bench.table.unread() == {0: 0}
    bench.table.app.tables.recovery.active_highwaters[TP(CHANGELOG, 0)] = 9  # the last record's offset
    assert bench.table.unread() == {0: 10}
    await bench.run(event("1"), event("2", "b"))
    assert bench.table.unread() == {0: 8}


@in_loop
async def test_what_a_key_has_seen_is_skipped_per_topic(outbox: MemoryOutbox) -> None:
    bench = await Bench(outbox).hold()
    await bench.run(event("1"), event("2"))
    await bench.run(event("x"), topic="in2")
    again = await Bench(outbox).hold()
    await again.run(event("1"), event("2"), event("3"), event("4", "b"), first=0)
    await again.run(event("x"), event("y"), topic="in2", first=0)
    assert again.seen("a") == ["1", "2", "x", "3", "y"]
    assert [value["id"] for value in outbox.values("out")].count("1") == 1


@in_loop
async def test_a_record_without_a_state_is_marked_as_seen(outbox: MemoryOutbox) -> None:
    bench = await Bench(outbox).hold()
    await bench.run(event("1", do="nothing"))
    assert outbox.kept()[b"a"].applied == {"in": 0}
    assert list(bench.runner.lane(0).states.keys()) == []
    again = await Bench(outbox).hold()
    await again.run(event("1"), first=0)
    assert again.seen("a") is None


@in_loop
async def test_refused_messages_go_to_the_dead_letters_and_their_neighbours_go_on() -> None:
    bench = await Bench().hold()
    batch = await bench.run(
        event("1"), event("2", do="refuse"), (b"a", b"\xff"), (None, b'{"id": "4"}'), (b"\xff", b"{}"), event("5")
    )
    assert batch.done
    assert bench.seen("a") == ["1", "5"]
    letters = sorted(bench.outbox.values("dead-letters"), key=lambda letter: letter["dead_letter_id"])
    assert [(letter["dead_letter_id"], letter["reason"], letter["field"]) for letter in letters] == [
        ("in/0/1", "too_late", "event_time"),
        ("in/0/2", "not_json", ""),
        ("in/0/3", "missing", "key"),
        ("in/0/4", "missing", "key"),
    ]
    assert letters[1]["raw"] == "/w=="
    assert [letter["source_key"] for letter in letters] == ["a", "a", None, "base64:/w=="]


@in_loop
async def test_an_unexpected_error_names_the_record_and_ends_all_work() -> None:
    bench = await Bench().hold()
    await bench.run(event("0"))
    broken = bench.batch(event("1"), event("2", do="break"), event("3"))
    with pytest.raises(StageFailed, match=r"toy: in/0 offset 2: ZeroDivisionError"):
        await bench.runner.run(broken)
    assert not broken.done
    writes = len(bench.outbox.writes)
    after = await bench.run(event("4", "b"))
    await bench.runner.tick(0, True)
    assert not after.done
    assert len(bench.outbox.writes) == writes


@pytest.mark.parametrize("topic", ["out", CHANGELOG])
@in_loop
async def test_a_write_that_fails_leaves_the_batch_undone(topic: str) -> None:
    bench = await Bench().hold()
    bench.outbox.broken = topic
    batch = bench.batch(event("1"))
    with pytest.raises(StageFailed, match="not stored"):
        await bench.runner.run(batch)
    assert not batch.done
    assert bench.table.entry(0, b"a") is None


@in_loop
async def test_keys_changed_by_one_record_are_stored_as_one() -> None:
    bench = await Bench().hold()
    await bench.run(event("1"), event("2", "b", also=["total"]), event("3", "c"))
    assert bench.outbox.writes[-2:] == [("atomic", CHANGELOG, 2), ("write", CHANGELOG, 2)]
    assert {key for key, _, _ in bench.outbox.logs[CHANGELOG, 0][:2]} == {b"b", b"total"}


@in_loop
async def test_what_a_flush_changes_is_stored_with_the_whole_batch() -> None:
    bench = await Bench().hold()
    bench.stage.flushing = True
    await bench.run(event("1"), event("2", "b"))
    assert bench.outbox.writes[-1] == ("atomic", CHANGELOG, 3)


@in_loop
async def test_a_deleted_state_keeps_its_mark(outbox: MemoryOutbox) -> None:
    bench = await Bench(outbox).hold()
    await bench.run(event("1"))
    await bench.run(event("2", do="delete"))
    assert bench.seen("a") is None
    assert outbox.kept()[b"a"].applied == {"in": 1}
    again = await Bench(outbox).hold()
    await again.run(event("1"), event("2"), event("3"), first=0)
    assert again.seen("a") == ["3"]


@in_loop
async def test_states_dropped_from_the_cache_come_back_from_memory() -> None:
    bench = await Bench(cache=1).hold()
    await bench.run(event("1"), event("2", "b"), event("3", "c"))
    await bench.run(event("4"), event("5", "b"))
    await bench.runner.drop()
    assert [bench.seen(key) for key in "abc"] == [["1", "4"], ["2", "5"], ["3"]]


@in_loop
async def test_a_tick_sees_the_keys_and_goes_where_it_says() -> None:
    bench = await Bench().hold()
    await bench.run(event("1"))
    await bench.runner.tick(0, True)
    assert [json.loads(value or b"") for _, value, _ in bench.outbox.logs["out", 2]][-1] == {"keys": ["a", "tick"]}
    assert bench.seen("tick") == ["True"]


@in_loop
async def test_a_state_of_another_type_stops_the_stage() -> None:
    class Other(Struct):
        pass

    bench = await Bench().hold()
    await bench.run(event("1"))
    with pytest.raises(StateError, match="a holds a Toy, not a Other"):
        bench.runner.lane(0).states.load("a", Other)


@in_loop
async def test_a_state_of_another_version_is_fatal_at_recovery(outbox: MemoryOutbox) -> None:
    kept = Kept(2, 1, {}, "Toy", b"")
    await outbox.write(CHANGELOG, 0, [(b"a", msgspec.msgpack.encode(kept), ())])
    bench = await Bench(outbox).hold()
    assert "state version 2, this worker knows 3" in str(bench.fatal[0])


@in_loop
async def test_bytes_that_are_no_entry_are_fatal_at_recovery(outbox: MemoryOutbox) -> None:
    await outbox.write(CHANGELOG, 0, [(b"a", b"rubbish", ())])
    assert (await Bench(outbox).hold()).fatal


def fence(epoch: int) -> Message:
    return (FENCE, msgspec.msgpack.encode(Kept(3, epoch, {}, "", b"")), ())


def entry(epoch: int, *seen: str) -> bytes:
    return msgspec.msgpack.encode(Kept(3, epoch, {}, "Toy", msgspec.msgpack.encode(Toy(list(seen)))))


@in_loop
async def test_what_a_replaced_worker_wrote_is_ignored_at_recovery(outbox: MemoryOutbox) -> None:
    await outbox.write(CHANGELOG, 0, [fence(1), (b"a", entry(1, "1"), ()), fence(2), (b"a", entry(2, "1", "2"), ())])
    await outbox.write(CHANGELOG, 0, [(b"a", entry(1, "1", "outdated"), ()), (b"b", None, [("epoch", b"1")])])
    bench = await Bench(outbox).hold()
    assert bench.seen("a") == ["1", "2"]
    assert bench.seen("b") is None


@in_loop
async def test_a_replaced_worker_notices_and_stops(outbox: MemoryOutbox) -> None:
    bench = await Bench(outbox).hold()
    await bench.run(event("1"))
    await outbox.write(CHANGELOG, 0, [fence(7)])
    with pytest.raises(StageFailed, match="another worker took the partition over"):
        await bench.run(event("2"))


@in_loop
async def test_an_outdated_entry_is_overwritten_before_compaction_can_prefer_it(outbox: MemoryOutbox) -> None:
    await outbox.write(CHANGELOG, 0, [fence(2)])
    bench = await Bench(outbox).hold()
    await bench.run(event("1"))
    await outbox.write(CHANGELOG, 0, [(b"a", entry(1, "outdated"), ()), (b"z", entry(1, "outdated"), ())])
    await bench.run(event("2", "b"))
    assert msgspec.msgpack.decode(outbox.kept()[b"a"].state, type=Toy).seen == ["1"]
    assert (b"z", None, [("epoch", b"2")]) in outbox.logs[CHANGELOG, 0][-2:]
    again = await Bench(outbox).hold()
    assert [again.seen(key) for key in ("a", "b", "z")] == [["1"], ["2"], None]


@in_loop
async def test_a_revoked_partition_leaves_memory() -> None:
    bench = await Bench().hold()
    await bench.run(event("1"))
    assert bench.table.store.persisted_offset(TP(CHANGELOG, 0)) == 0
    await bench.runner.drop()
    await bench.table.on_rebalance({TP(CHANGELOG, 1)}, {TP(CHANGELOG, 0)}, set())
    assert bench.table.store.persisted_offset(TP(CHANGELOG, 0)) is None
    with pytest.raises(StateError, match="partition 0 is not held"):
        bench.seen("a")


def test_keys_go_where_kafka_puts_them() -> None:
    keys = [f"C{n}".encode() for n in range(200)] + ["客户".encode(), b""]
    places = [partition_of(key, 7) for key in keys]
    assert places == [DefaultPartitioner()(key, list(range(7)), list(range(7))) for key in keys]


def lent(name: str, kind: str, borrower: str = "B") -> tuple[bytes, bytes]:
    """A record of `loans`: key and value."""
    event = loan(name, "2023-11-01 10:00", "5", kind=kind, loan_id="L", borrower_id=borrower)
    return borrower.encode(), msgspec.json.encode(event)


def borrowers(outbox: MemoryOutbox, policies: PolicyHistory) -> Bench:
    """A runner of the stage of borrowers, with the wire's own codec."""
    bench = Bench(outbox)
    stage = BorrowersStage(policies, 4)
    bench.runner = StageRunner(stage, Codec(), bench.table, outbox, NoMetrics(), lambda: NOW, cache=100)
    bench.offsets["loans"] = 0
    return bench


@in_loop
async def test_what_waits_is_stored_with_the_mark_of_its_record(outbox: MemoryOutbox, policies: PolicyHistory) -> None:
    bench = await borrowers(outbox, policies).hold()
    await bench.run(lent("e", "repaid"), topic="loans")
    # A kill must not leave one without the other: the event would be lost.
    assert outbox.writes == [("atomic", CHANGELOG, 2)]
    assert set(outbox.kept()) == {b"B", b"~waiting|B"}
    assert outbox.kept()[b"B"].applied == {"loans": 0}
    # Read again it is skipped; another worker knows what waits, and lets it in.
    other = await borrowers(outbox, policies).hold()
    await other.run(lent("e", "repaid"), lent("d", "disbursed"), topic="loans", first=0)
    assert [delta["event_id"] for one in outbox.values("portfolio.deltas") for delta in one.get("deltas", ())] == [
        "d",
        "e",
    ]
    assert outbox.values("dead-letters") == []
    assert b"~waiting|B" not in {key.encode() for key in other.runner.lane(0).states.keys()}


@in_loop
async def test_what_waits_in_vain_is_a_dead_letter_of_the_clock(outbox: MemoryOutbox, policies: PolicyHistory) -> None:
    await (await borrowers(outbox, policies).hold()).run(lent("e", "repaid"), lent("f", "overdue", "C"), topic="loans")
    bench = await borrowers(outbox, policies).hold()
    await bench.runner.tick(0, caught_up=False)
    assert outbox.values("dead-letters") == []
    await bench.runner.tick(0, caught_up=True)
    letters = {one["dead_letter_id"]: (one["reason"], one["source_key"]) for one in outbox.values("dead-letters")}
    assert letters == {"loans/0/0": ("unknown_loan", "B"), "loans/0/1": ("unknown_loan", "C")}
    assert list(bench.runner.lane(0).states.keys()) == []
    again = await borrowers(outbox, policies).hold()
    await again.runner.tick(0, caught_up=True)
    assert len(outbox.values("dead-letters")) == 2
