"""The stage: the partial totals of all loans partitions merged into each entity's book, and judged.

Deltas are judged in event-time order, so that levels and warnings do not depend on how fast each partition runs; of
one instant those that add come first, then by event_id. A delta that comes behind what is already judged is worked in
at once and marked late.

Nothing ever falls below zero: a repayment counts no sooner than the disbursements it was checked against (see
`models.credit.book`), comes from the same partition behind them, and is sorted behind them.

Approvals wait for nobody: whether one is in a suspended time does not depend on what came before it.
"""

from bisect import insort
from collections.abc import Iterable
from datetime import datetime

from models.events import CapitalPosition
from models.messages import CapitalVersion, LoanDeltas, LoanWatermark, Suspensions
from models.money import convert
from models.policy import PolicyHistory
from models.stage import Emit, Record, Refused, States, Tick
from models.stages.portfolio.approvals import Approvals
from models.stages.portfolio.books import Books
from models.stages.portfolio.industries import judge_industries
from models.stages.portfolio.limits import judge_names, judge_real_estate
from models.stages.portfolio.lines import lines
from models.stages.portfolio.occasion import Occasion
from models.stages.portfolio.states import (
    MERGE_KEY,
    RESERVED,
    EntityState,
    MergeState,
    Pending,
    Reach,
    pending_of,
)


class PortfolioStage:
    """Merges partial totals by entity and judges its industries, real estate, borrowers and groups, and approvals.

    Args:
        policies: for limits, calendar and rates, by event time.
    """

    name = "portfolio"
    topics = ("portfolio.deltas", "capital", "suspensions")
    state_version = 4

    def __init__(self, policies: PolicyHistory) -> None:
        self._policies = policies
        self._partitions: dict[int, Books] = {}
        self._approvals: dict[int, Approvals] = {}

    def apply(self, states: States, record: Record) -> Iterable[Emit]:
        """Take what a loans partition says, a capital position, or what a case suspends.

        Raises:
            Refused: `no_rate`; `reserved`, for an entity whose name is like a key of the stage's own.
        """
        event = record.event
        if isinstance(event, LoanWatermark):
            return self._advance(states, event, record.now)
        if event.entity.startswith(RESERVED):
            raise Refused("reserved", "entity", f"no entity may be called {event.entity}: names do not begin with ~")
        if isinstance(event, LoanDeltas):
            return self._merge(states, event, record.now)
        if isinstance(event, Suspensions):
            return self._approvals_of(states).suspend(event, record.now)
        return self._capital(states, event, record.now)

    def flush(self, states: States) -> Iterable[Emit]:
        """The portfolio lines of what changed in this batch."""
        books = self._books(states)
        touched, books.changed = books.changed, {}
        for entity, changed in touched.items():
            state = states.load(entity, EntityState)
            if state is not None and state.judged_to is not None:
                yield from lines(books, entity, state, self._policies.at(state.judged_to), changed)

    def tick(self, states: States, tick: Tick) -> Iterable[Emit]:
        return ()

    def _books(self, states: States) -> Books:
        books = self._partitions.get(states.partition)
        if books is None or books.states is not states:
            books = self._partitions[states.partition] = Books(states)
        return books

    def _approvals_of(self, states: States) -> Approvals:
        approvals = self._approvals.get(states.partition)
        if approvals is None or approvals.states is not states:
            approvals = self._approvals[states.partition] = Approvals(states, self._policies)
        return approvals

    def _merge(self, states: States, message: LoanDeltas, now: datetime) -> Iterable[Emit]:
        state = states.load(message.entity, EntityState) or EntityState()
        taken = state.offsets.get(message.loans_partition, -1)
        fresh = [delta for delta in message.deltas if delta.offset > taken]
        approvals = [one for one in message.approvals if one.offset > taken]
        if not fresh and not approvals:
            return []
        state.offsets[message.loans_partition] = max([one.offset for one in fresh] + [one.offset for one in approvals])
        books = self._books(states)
        emits: list[Emit] = []
        for delta in fresh:
            pending = pending_of(delta)
            if state.judged_to is not None and pending.event_time < state.judged_to:
                emits += self._judge(books, message.entity, state, pending, now, late=True)
            else:
                insort(state.pending, pending, key=lambda one: one.order)
        merge = states.load(MERGE_KEY, MergeState) or MergeState()
        if state.pending and message.entity not in merge.waiting:
            merge.waiting.append(message.entity)
            states.save(MERGE_KEY, merge)
        states.save(message.entity, state)
        emits += self._approvals_of(states).take(message.entity, approvals, now)
        return emits

    def _advance(self, states: States, message: LoanWatermark, now: datetime) -> Iterable[Emit]:
        merge = states.load(MERGE_KEY, MergeState) or MergeState()
        reach = merge.reach.setdefault(message.loans_partition, Reach())
        merge.partitions = message.loans_partitions
        reach.watermark = _later(reach.watermark, message.watermark)
        reach.caught_up_at = _later(reach.caught_up_at, message.caught_up_at)
        books = self._books(states)
        emits: list[Emit] = []
        waiting = []
        for entity in merge.waiting:
            state = states.load(entity, EntityState)
            if state is None:
                continue
            released = 0
            while released < len(state.pending) and merge.releases(state.pending[released]):
                emits += self._judge(books, entity, state, state.pending[released], now, late=False)
                released += 1
            if released:
                del state.pending[:released]
                states.save(entity, state)
            if state.pending:
                waiting.append(entity)
        merge.waiting = waiting
        states.save(MERGE_KEY, merge)
        return emits

    def _capital(self, states: States, event: CapitalPosition, now: datetime) -> Iterable[Emit]:
        policy = self._policies.latest
        if event.currency not in policy.rates:
            raise Refused("no_rate", "currency", f"no exchange rate for {event.currency}; add it to [money.rates]")
        base = policy.money.base
        version = CapitalVersion(
            event.as_of,
            convert(event.net_capital, event.currency, base, policy.rates),
            convert(event.tier1_capital, event.currency, base, policy.rates),
        )
        state = states.load(event.entity, EntityState) or EntityState()
        if version in state.capital:
            return []
        kept = [one for one in state.capital if one.as_of != event.as_of]
        state.capital = sorted([*kept, version], key=lambda one: one.as_of)
        emits: list[Emit] = []
        if state.judged_to is not None and event.as_of <= policy.bank_calendar.day_of(state.judged_to):
            # It governs what is already judged: judge the book as it stands again.
            occasion = self._occasion(event.entity, state, state.judged_to, event.event_id, now, late=True)
            books = self._books(states)
            emits += judge_industries(books, state, occasion)
            emits += judge_real_estate(books, state, occasion)
            emits += judge_names(books, state, occasion, None)
        states.save(event.entity, state)
        return emits

    def _judge(
        self, books: Books, entity: str, state: EntityState, pending: Pending, now: datetime, *, late: bool
    ) -> list[Emit]:
        """Take a delta into the book, then judge the book."""
        policy = self._policies.at(pending.event_time)
        changed = state.add(pending, policy.bank_calendar.day_of(pending.event_time))
        books.add(entity, pending)
        books.touch(entity, *changed)
        occasion = self._occasion(entity, state, pending.event_time, pending.event_id, now, late=late)
        emits = list(judge_industries(books, state, occasion))
        if late and state.judged_to is not None:
            # The book as it stands is held against the capital and the growth of its own day: by those of years ago
            # a hundred thousand borrowers might rise and fall again at once.
            occasion = self._occasion(entity, state, state.judged_to, pending.event_id, now, late=late)
        emits += judge_real_estate(books, state, occasion)
        emits += judge_names(books, state, occasion, pending)
        return emits

    def _occasion(
        self, entity: str, state: EntityState, at: datetime, event_id: str, now: datetime, *, late: bool
    ) -> Occasion:
        policy = self._policies.at(at)
        return Occasion(
            entity=entity,
            at=at,
            event_id=event_id,
            capital=state.capital_on(policy.bank_calendar.day_of(at)),
            policy=policy,
            mutes=self._policies.mutes,
            now=now,
            late=late,
        )


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    if one is None or other is None:
        return one or other
    return max(one, other)
