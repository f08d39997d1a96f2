"""The contract between pure stages and whatever runs them (a Faust worker, or one process in a backtest).

A stage is a deterministic function of the states it is shown and the record it is given. It never waits,
reads no clock and knows no broker. The runner decodes, skips what a key's state has already seen, writes
what the stage returns, then stores the states, then commits the offsets, in that order.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

from msgspec import Struct

S = TypeVar("S", bound=Struct)


class Refused(Exception):
    """A well-formed event that a stage cannot take: it goes to the dead letters, its neighbours go on.

    Raised before the stage has changed any state.

    Args:
        reason: a short code, e.g. `too_late`, `illegal_move`, `no_rate`.
        field: the field at fault, as on the wire.
        detail: for a person: what is wrong, and the remedy.
    """

    def __init__(self, reason: str, field: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.field = field
        self.detail = detail


class Record(Struct, frozen=True):
    """A decoded event and where it stood.

    Args:
        topic, partition, offset: its place in the broker (in a backtest: file order).
        ingest_time: when the broker took it (append or create time); bounds the watermark.
        event: one of `models.events`, a RiskWarning, or a message between stages.
        now: the runner's clock, for `detected_at` alone; no decision may depend on it.
    """

    topic: str
    partition: int
    offset: int
    ingest_time: datetime
    event: Any
    now: datetime


class Emit(Struct, frozen=True):
    """A message to write: `value` as JSON under `key`, in the partition of `route` (default: of the key)."""

    topic: str
    key: str
    value: Any
    route: str | None = None
    partition: int | None = None  # an explicit partition, for messages that every partition must see


class States(Protocol):
    """One partition's states by key, as the runner shows them to a stage.

    `load` gives the object kept under the key or None; what a stage changes it must `save`. Objects are
    owned by the runner between calls: a stage keeps no reference to them.
    """

    partition: int

    def load(self, key: str, kind: type[S]) -> S | None: ...

    def save(self, key: str, state: Struct) -> None: ...

    def delete(self, key: str) -> None: ...

    def keys(self) -> Iterator[str]: ...


class Tick(Struct, frozen=True):
    """Once a second for every partition a worker holds.

    Args:
        now: the wall clock.
        caught_up: every record that the broker had of the stage's topics in this partition is applied.
        idle_seconds: how long no record has come, in seconds of wall clock.
    """

    now: datetime
    caught_up: bool
    idle_seconds: float


class Stage(Protocol):
    """A keyed step of the pipeline. `topics` share their key, so one partition holds all of a key's records."""

    @property
    def name(self) -> str: ...

    @property
    def topics(self) -> tuple[str, ...]: ...

    @property
    def state_version(self) -> int: ...

    def apply(self, states: States, record: Record) -> Iterable[Emit]:
        """Judge one record. May raise `Refused` before it changes anything."""
        ...

    def flush(self, states: States) -> Iterable[Emit]:
        """Called after the last record of a batch, before its states are stored."""
        ...

    def tick(self, states: States, tick: Tick) -> Iterable[Emit]:
        """Called on the timer, between batches."""
        ...


class Owed(Struct, frozen=True, order=True):
    """One way to count tasks that are not done: for a screen, no decision depends on it."""

    department: str
    severity: str
    overdue: bool
    acknowledged: bool


@runtime_checkable
class Owing(Protocol):
    """A stage that says what departments still owe."""

    def owed(self, states: States) -> Mapping[Owed, int]:
        """The tasks of one partition that are not done."""
        ...


@runtime_checkable
class Lateness(Protocol):
    """A stage that counts what came late, behind its key's newest event: worked in like the rest."""

    def came_late(self) -> Mapping[str, int]:
        """Events by topic since it was asked last."""
        ...


class Answered(Struct, frozen=True):
    """A task that was answered, for a screen: no decision depends on it.

    Args:
        what: `acknowledged`: since it was made; `done`: since it was acknowledged, or made where it never was.
        seconds: of event time.
    """

    what: Literal["acknowledged", "done"]
    department: str
    seconds: float


@runtime_checkable
class Answering(Protocol):
    """A stage that says how long departments took."""

    def answered(self) -> Iterable[Answered]:
        """What was answered since it was asked last; nothing of a drill."""
        ...


class Bins(Struct, frozen=True):
    """How the rows of a batch lie in one feature of a model, or in its score: for a screen, no decision depends on it.

    Args:
        model: its hash.
        expected: the share of rows in each bin when it was trained.
        rows: of the batch in each bin.
    """

    model: str
    feature: str
    expected: tuple[float, ...]
    rows: tuple[int, ...]


@runtime_checkable
class Binning(Protocol):
    """A stage that says how what its models see lies."""

    def binned(self) -> Iterable[Bins]:
        """What was scored since it was asked last."""
        ...
