"""The whole pipeline in one process, without a broker: what a backtest runs and what properties are tested on.

It shows the same stages the same records that the workers would, in one partition and in the order given.
"""

import base64
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from models.activity.clock import SOURCES
from models.dead_letter import DeadLetter
from models.messages import LoanWatermark
from models.policy import PolicyHistory
from models.risk_warning import RiskWarning
from models.stage import Emit, Record, Refused, Stage, States
from models.stages.activity import ActivityStage
from models.stages.borrowers import BorrowersStage
from models.stages.customers import CustomersStage
from models.stages.portfolio import PortfolioStage

S = TypeVar("S", bound=Struct)
# A time after all others: "nothing is on its way any more".
END_OF_TIME = datetime(9999, 12, 31, tzinfo=UTC)
# Events of customers whose activity is told together: telling it one by one costs as much as judging them.
TOLD_TOGETHER = 1000


class MemoryStates(States):
    """States of one partition, kept as objects."""

    def __init__(self, partition: int = 0) -> None:
        self.partition = partition
        self.values: dict[str, Struct] = {}

    def load(self, key: str, kind: type[S]) -> S | None:
        return self.values.get(key)  # type: ignore[return-value]

    def save(self, key: str, state: Struct) -> None:
        self.values[key] = state

    def delete(self, key: str) -> None:
        self.values.pop(key, None)

    def keys(self) -> Iterator[str]:
        return iter(list(self.values))

    def through_bytes(self) -> None:
        """Replace every state by what comes back from its bytes: what a restart does."""
        for key, state in self.values.items():
            self.values[key] = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=type(state))


class Refusal(Struct, frozen=True):
    """An event that a stage could not take."""

    event_id: str
    topic: str
    reason: str
    field: str
    detail: str


class _Named(Struct):
    event_id: str


class LocalPipeline:
    """Feeds events through customers, borrowers, portfolio and activity.

    `feed` returns what the event put on the topics at once; how much was seen follows now and then. `finish`
    closes the input, so that what waits for slower partitions, and every day that is over, is judged, and loan events
    that still wait are refused. `warnings` holds the last revision of each warning by id, `refusals` the events that
    were refused, in the order in which that was certain.
    """

    def __init__(self, policies: PolicyHistory) -> None:
        self._activity = ActivityStage(policies)
        self._borrowers = BorrowersStage(policies, 1)
        stages: tuple[Stage, ...] = (
            CustomersStage(policies),
            self._borrowers,
            PortfolioStage(policies),
            self._activity,
        )
        self._stages: dict[str, tuple[Stage, MemoryStates]] = {}
        for stage in stages:
            shared = MemoryStates()
            for topic in stage.topics:
                self._stages[topic] = (stage, shared)
        self._offsets: dict[str, int] = {}
        self.warnings: dict[str, RiskWarning] = {}
        self.refusals: list[Refusal] = []

    def feed(self, topic: str, event: Any, ingest_time: datetime | None = None) -> list[Emit]:
        """Show one event to its stage.

        Args:
            ingest_time: when it arrived; by default when it happened.
        """
        offset = self._offsets[topic] = self._offsets.get(topic, -1) + 1
        at = ingest_time if ingest_time is not None else getattr(event, "event_time", END_OF_TIME)
        stage, states = self._stages[topic]
        try:
            emits = list(stage.apply(states, Record(topic, 0, offset, at, event, at)))
        except Refused as refused:
            self.refusals.append(Refusal(event.event_id, topic, refused.reason, refused.field, refused.detail))
            return self._route(list(stage.flush(states)), at)
        if topic not in SOURCES or offset % TOLD_TOGETHER == 0:
            emits += stage.flush(states)
        return self._route(emits, at)

    def finish(self) -> list[Emit]:
        """Say that no more events come."""
        now = END_OF_TIME
        waited = self._borrowers.end(self._stages["loans"][1], now)
        end = LoanWatermark(loans_partition=0, loans_partitions=1, caught_up_at=now)
        stage, states = self._stages["portfolio.deltas"]
        emits = [*waited, *stage.apply(states, Record("portfolio.deltas", 0, 0, now, end, now))]
        emits += stage.flush(states)
        customers, states = self._stages["transactions"]
        out = self._route([*emits, *customers.flush(states)], now)
        return out + self._route(self._activity.end(self._stages["activity"][1], now), now)

    def restart(self) -> None:
        """Carry every state through its bytes, as a worker's restart would."""
        for _, states in self._stages.values():
            states.through_bytes()

    def run(self, records: Iterable[tuple[str, Any]]) -> dict[str, RiskWarning]:
        """Feed all records, finish, and return the warnings by id."""
        for topic, event in records:
            self.feed(topic, event)
        self.finish()
        return self.warnings

    def _route(self, emits: list[Emit], at: datetime) -> list[Emit]:
        out: list[Emit] = []
        for emit in emits:
            out.append(emit)
            if emit.topic == "warnings":
                self.warnings[emit.value.warning_id] = emit.value
            elif emit.topic == "dead-letters":
                self.refusals.append(_refusal(emit.value))
            elif emit.topic in self._stages:
                stage, states = self._stages[emit.topic]
                record = Record(emit.topic, 0, self._offsets.get(emit.topic, 0), at, emit.value, at)
                inner = list(stage.apply(states, record))
                inner += stage.flush(states)
                out += self._route(inner, at)
        return out


def _refusal(letter: DeadLetter) -> Refusal:
    """Of an event that a stage refused after it had waited: the letter has the event itself."""
    event = msgspec.json.decode(base64.b64decode(letter.raw or ""), type=_Named)
    return Refusal(event.event_id, letter.source_topic, letter.reason, letter.field, letter.detail)
