"""Borrowers: loan events of one borrower become changes of their entities' books.

A loans partition knows its own borrowers only. What it contributes to each entity leaves as `LoanDeltas`, a
partial total a batch, together with how far this partition has come (`LoanWatermark`), so that `portfolio` can
merge the partitions in event-time order, whatever their speed.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from msgspec import Struct, field

from models.activity.log import ActivityLog
from models.credit.book import SIGNS, Loan, move
from models.events import LoanEvent
from models.messages import WATERMARK_KEY, LoanDelta, LoanDeltas, LoanWatermark
from models.policy import PolicyHistory
from models.stage import Emit, Record, States, Tick
from models.stages.customers import check_time, no_rate

PROGRESS_KEY = "~progress"


class BorrowerState(Struct):
    """One borrower's loans, with the ids of its events inside the lateness."""

    newest: datetime | None = None
    seen: dict[str, datetime] = field(default_factory=dict)
    loans: dict[str, Loan] = field(default_factory=dict)


class Progress(Struct):
    """How far a loans partition has come: its newest event time."""

    watermark: datetime


class BorrowersStage:
    """Keeps loans by borrower and tells `portfolio.deltas` what changed.

    Args:
        policies: for base currency, rates, industry scheme and lateness.
        partitions: of `loans` and of `portfolio.deltas` alike.
        settle: time in which an event that is on its way surely arrives; what the broker has taken before that
            is known to be all there is.
    """

    name = "borrowers"
    topics = ("loans",)
    state_version = 2

    def __init__(self, policies: PolicyHistory, partitions: int, settle: timedelta = timedelta(seconds=2)) -> None:
        self._policies = policies
        self._partitions = partitions
        self._settle = settle
        self._told: dict[int, datetime] = {}
        self._pending: dict[int, dict[str, list[LoanDelta]]] = {}
        self._logs: dict[int, ActivityLog] = {}

    def apply(self, states: States, record: Record) -> Iterable[Emit]:
        event: LoanEvent = record.event
        policy = self._policies.at(event.event_time)
        state = states.load(event.borrower_id, BorrowerState) or BorrowerState()
        check_time(event.event_time, record.ingest_time, state.newest, policy)
        if event.kind in SIGNS and event.currency not in policy.rates:
            log = self._logs.setdefault(states.partition, ActivityLog())
            log.refused(record.offset, event.currency, event.event_id, event.event_time)
            raise no_rate(event.currency)
        if event.event_id in state.seen:
            return ()
        movement = move(state.loans, event, policy)
        state.seen[event.event_id] = event.event_time
        if state.newest is None or event.event_time > state.newest:
            state.newest = event.event_time
            # How late an event may come is said by its own day's version: an id is kept as long as any of them says.
            before = event.event_time - timedelta(days=self._policies.longest(lambda one: one.events.lateness.whole))
            state.seen = {name: time for name, time in state.seen.items() if time >= before}
        states.save(event.borrower_id, state)
        if movement is not None:
            delta = LoanDelta(
                offset=record.offset,
                event_id=event.event_id,
                event_time=movement.counts_from,
                ingest_time=record.ingest_time,
                member=movement.member,
                amount=movement.amount,
                loans=movement.loans,
            )
            self._batch(states).setdefault(movement.entity, []).append(delta)
        progress = states.load(PROGRESS_KEY, Progress)
        if progress is None or event.event_time > progress.watermark:
            states.save(PROGRESS_KEY, Progress(event.event_time))
        return ()

    def flush(self, states: States) -> Iterable[Emit]:
        """The loans refused for want of a rate; the batch's partial totals, then the watermark they reach up to."""
        if log := self._logs.pop(states.partition, None):
            for batch in log.batches("loans", states.partition):
                yield Emit("activity", batch.key, batch)
        for entity, deltas in self._pending.pop(states.partition, {}).items():
            yield Emit(
                "portfolio.deltas",
                entity,
                LoanDeltas(entity=entity, loans_partition=states.partition, deltas=tuple(deltas)),
            )
        if states.load(PROGRESS_KEY, Progress) is not None:
            yield from self._tell(states, None)

    def tick(self, states: States, tick: Tick) -> Iterable[Emit]:
        """A partition that has nothing to say must say so: else the others wait for it for ever."""
        told = self._told.get(states.partition)
        if not tick.caught_up or (told is not None and tick.now - told < self._settle):
            return
        self._told[states.partition] = tick.now
        yield from self._tell(states, tick.now - self._settle)

    def _batch(self, states: States) -> dict[str, list[LoanDelta]]:
        return self._pending.setdefault(states.partition, {})

    def _tell(self, states: States, caught_up_at: datetime | None) -> Iterator[Emit]:
        progress = states.load(PROGRESS_KEY, Progress)
        message = LoanWatermark(
            loans_partition=states.partition,
            loans_partitions=self._partitions,
            watermark=progress.watermark if progress else None,
            caught_up_at=caught_up_at,
        )
        for target in range(self._partitions):
            yield Emit("portfolio.deltas", WATERMARK_KEY, message, partition=target)
