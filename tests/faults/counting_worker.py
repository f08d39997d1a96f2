"""A worker process with a stage that only counts, to be killed by tests.

Usage: python -m tests.faults.counting_worker BOOTSTRAP APP_ID [--poison TEXT] [--partitions N] [--max-batch N]
       [--lose-batch N]
"""

import argparse
import logging
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import count
from typing import Any

import msgspec
from msgspec import Struct

from connectors.refusals import Undecodable
from models.stage import Emit, Record, Refused, States, Tick
from streams.app import run_worker
from streams.batch_consumer import BatchConsumer


class Count(Struct):
    """How many events of a key were applied, and their sum."""

    events: int = 0
    total: int = 0


class CountingStage:
    """Counts per key and over the whole partition; emits one message per event and the counts on request."""

    name = "counting"

    def __init__(
        self, topics: tuple[str, ...], out: str, poison: str | None = None, ticks: bool = False, version: int = 1
    ) -> None:
        self.topics = topics
        self.out = out
        self.poison = poison
        self.ticks = ticks
        self.state_version = version

    def apply(self, states: States, record: Record) -> Iterable[Emit]:
        event = record.event
        if event["id"] == self.poison:
            raise RuntimeError("the stage does not know what to do")
        if event.get("refuse"):
            raise Refused("too_late", "id", "the test asked for it")
        key = event["key"]
        emits = []
        for name in (key, f"total|{record.partition}"):
            counted = states.load(name, Count) or Count()
            counted.events += 1
            counted.total += event["n"]
            states.save(name, counted)
            emits.append(counted)
        return [Emit(self.out, key, {"id": f"{event['id']}@{emits[0].events}", "events": emits[1].events})]

    def flush(self, states: States) -> Iterable[Emit]:
        return ()

    def tick(self, states: States, tick: Tick) -> Iterable[Emit]:
        if not self.ticks:
            return ()
        counted = states.load(f"total|{states.partition}", Count) or Count()
        said = {"partition": states.partition, "caught_up": tick.caught_up, "events": counted.events}
        return [Emit(self.out, f"tick|{states.partition}", said)]


class JsonCodec:
    """JSON objects as they are; Structs and dicts out."""

    def decode(self, topic: str, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]) -> Any:
        try:
            return msgspec.json.decode(value or b"")
        except msgspec.DecodeError as error:
            raise Undecodable("not_json", "", str(error)) from error

    def encode(self, topic: str, value: Any) -> tuple[bytes, Sequence[tuple[str, bytes]]]:
        return msgspec.json.encode(value), [("ce_type", b"test")]


class CountingSettings(Struct, frozen=True):
    """What a worker needs, for one plain broker."""

    bootstrap: str
    app_id: str
    partitions: int = 4
    max_batch: int = 500
    session_timeout_seconds: float = 6.0

    def aiokafka_options(self) -> dict[str, Any]:
        return {"bootstrap_servers": self.bootstrap}

    def faust_broker(self) -> str:
        return f"kafka://{self.bootstrap}"

    def faust_broker_credentials(self) -> Any:
        return None


def topics_of(app_id: str) -> dict[str, str]:
    """The topics of a counting app, by role."""
    return {
        "in": f"{app_id}-in",
        "in2": f"{app_id}-in2",
        "out": f"{app_id}-out",
        "changelog": f"{app_id}-counting-state-changelog",
    }


def lose_batch(number: int) -> None:
    """Let the consumer deliver all but its nth batch, as Faust does with a record that it takes for outdated."""
    getmany, delivered = BatchConsumer.getmany, count(1)

    async def losing(self: BatchConsumer, timeout: float) -> AsyncIterator[Any]:
        async for tp, message in getmany(self, timeout):
            if self._is_changelog_tp(tp) or next(delivered) != number:
                yield tp, message

    BatchConsumer.getmany = losing  # type: ignore[method-assign]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("bootstrap")
    parser.add_argument("app_id")
    parser.add_argument("--poison")
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--max-batch", type=int, default=500)
    parser.add_argument("--tick-to-out", action="store_true")
    parser.add_argument("--state-version", type=int, default=1)
    parser.add_argument("--lose-batch", type=int)
    args = parser.parse_args()
    if args.lose_batch:
        lose_batch(args.lose_batch)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s", stream=sys.stdout)
    topics = topics_of(args.app_id)
    settings = CountingSettings(args.bootstrap, args.app_id, args.partitions, args.max_batch)
    stage = CountingStage(
        (topics["in"], topics["in2"]), topics["out"], args.poison, args.tick_to_out, args.state_version
    )
    return run_worker(settings, [stage], JsonCodec())


if __name__ == "__main__":
    sys.exit(main())
