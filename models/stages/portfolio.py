"""Portfolio: the partial totals of all loans partitions merged into each entity's book, and judged.

Deltas are judged in event-time order, so that levels and warnings do not depend on how fast each partition runs; of
one instant those that add come first, then by event_id. A delta that comes behind what is already judged is worked in
at once and marked late.

No industry ever falls below zero: a repayment counts no sooner than the disbursements it was checked against (see
`models.credit.book`), comes from the same partition behind them, and is sorted behind them.
"""

from bisect import insort
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from msgspec import Struct, field

from models.credit.concentration import EXACT, concentration
from models.credit.industry import industry_name
from models.credit.limits import level_rank, next_level
from models.episodes import Episode, observe, tell
from models.events import CapitalPosition
from models.messages import CapitalVersion, LoanDelta, LoanDeltas, LoanWatermark, PortfolioEntry
from models.money import convert
from models.policy import LEVELS, Level, Policy, PolicyHistory
from models.risk_warning import Finding, Reason, Window, warning_id
from models.stage import Emit, Record, Refused, States, Tick
from models.stages.customers import warning_emits

DETECTOR = "industry_concentration"
VERSION = 1
MERGE_KEY = "~merge"
SIX_PLACES = Decimal("0.000001")


class Pending(Struct, frozen=True):
    """A delta that waits for the slower partitions."""

    event_time: datetime
    event_id: str
    ingest_time: datetime
    member: str
    amount: Decimal
    loans: int

    @property
    def order(self) -> tuple[Any, ...]:
        """Deltas are judged by this, whatever the order in which they came."""
        return self.event_time, self.amount < 0, self.event_id, self.ingest_time, self.member, self.amount, self.loans


class Member(Struct):
    """One industry of an entity's book, its level, and the day its present episode began."""

    exposure: Decimal = Decimal(0)
    loans: int = 0
    level: Level | None = None
    since: str = ""


class EntityState(Struct):
    """One entity's book: bounded by the number of industries and of deltas that wait.

    Args:
        offsets: by loans partition, the last offset taken, so a delta sent twice counts once.
        judged_to: event time of the newest delta judged.
        touched: members changed since their portfolio lines were last written.
    """

    members: dict[str, Member] = field(default_factory=dict)
    total: Decimal = Decimal(0)
    loans: int = 0
    offsets: dict[int, int] = field(default_factory=dict)
    pending: list[Pending] = field(default_factory=list)
    judged_to: datetime | None = None
    capital: list[CapitalVersion] = field(default_factory=list)
    episodes: dict[str, Episode] = field(default_factory=dict)
    touched: list[str] = field(default_factory=list)


class Reach(Struct):
    """What is known of one loans partition's progress."""

    watermark: datetime | None = None
    caught_up_at: datetime | None = None


class MergeState(Struct):
    """Progress of all loans partitions, and the entities with deltas that wait."""

    partitions: int = 0
    reach: dict[int, Reach] = field(default_factory=dict)
    waiting: list[str] = field(default_factory=list)

    def releases(self, pending: Pending) -> bool:
        """Whether nothing that belongs before this delta can still come from any partition."""
        if len(self.reach) < self.partitions or not self.partitions:
            return False
        return all(
            (one.watermark is not None and one.watermark > pending.event_time)
            or (one.caught_up_at is not None and one.caught_up_at >= pending.ingest_time)
            for one in self.reach.values()
        )


class PortfolioStage:
    """Merges partial totals by entity and judges each industry's share and its multiple of net capital."""

    name = "portfolio"
    topics = ("portfolio.deltas", "capital")
    state_version = 2

    def __init__(self, policies: PolicyHistory) -> None:
        self._policies = policies
        self._touched: dict[int, dict[str, None]] = {}

    def apply(self, states: States, record: Record) -> Iterable[Emit]:
        event = record.event
        if isinstance(event, LoanDeltas):
            return self._merge(states, event, record.now)
        if isinstance(event, LoanWatermark):
            return self._advance(states, event, record.now)
        return self._capital(states, event, record.now)

    def flush(self, states: States) -> Iterable[Emit]:
        """The portfolio lines of what changed in this batch."""
        for entity in self._touched.pop(states.partition, {}):
            state = states.load(entity, EntityState)
            if state is not None and state.judged_to is not None:
                yield from self._lines(entity, state)
                state.touched = []
                states.save(entity, state)

    def tick(self, states: States, tick: Tick) -> Iterable[Emit]:
        return ()

    def _merge(self, states: States, message: LoanDeltas, now: datetime) -> Iterable[Emit]:
        state = states.load(message.entity, EntityState) or EntityState()
        taken = state.offsets.get(message.loans_partition, -1)
        fresh = [delta for delta in message.deltas if delta.offset > taken]
        if not fresh:
            return []
        state.offsets[message.loans_partition] = fresh[-1].offset
        emits: list[Emit] = []
        for delta in fresh:
            pending = _pending(delta)
            if state.judged_to is not None and pending.event_time < state.judged_to:
                emits += self._judge(states, message.entity, state, pending, now, late=True)
            else:
                insort(state.pending, pending, key=lambda one: one.order)
        merge = states.load(MERGE_KEY, MergeState) or MergeState()
        if state.pending and message.entity not in merge.waiting:
            merge.waiting.append(message.entity)
            states.save(MERGE_KEY, merge)
        states.save(message.entity, state)
        return emits

    def _advance(self, states: States, message: LoanWatermark, now: datetime) -> Iterable[Emit]:
        merge = states.load(MERGE_KEY, MergeState) or MergeState()
        reach = merge.reach.setdefault(message.loans_partition, Reach())
        merge.partitions = message.loans_partitions
        reach.watermark = _later(reach.watermark, message.watermark)
        reach.caught_up_at = _later(reach.caught_up_at, message.caught_up_at)
        emits: list[Emit] = []
        waiting = []
        for entity in merge.waiting:
            state = states.load(entity, EntityState)
            if state is None:
                continue
            released = 0
            while released < len(state.pending) and merge.releases(state.pending[released]):
                emits += self._judge(states, entity, state, state.pending[released], now, late=False)
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
        states.save(event.entity, state)
        if state.judged_to is None or event.as_of > policy.bank_calendar.day_of(state.judged_to):
            return []
        # It governs what is already judged: judge the book as it stands again.
        return self._levels(states, event.entity, state, state.judged_to, event.event_id, now, late=True)

    def _judge(
        self, states: States, entity: str, state: EntityState, pending: Pending, now: datetime, *, late: bool
    ) -> list[Emit]:
        member = state.members.setdefault(pending.member, Member())
        member.exposure = EXACT.add(member.exposure, pending.amount)
        member.loans += pending.loans
        state.total = EXACT.add(state.total, pending.amount)
        state.loans += pending.loans
        state.judged_to = _later(state.judged_to, pending.event_time)
        if pending.member not in state.touched:
            state.touched.append(pending.member)
        self._touched.setdefault(states.partition, {})[entity] = None
        return self._levels(states, entity, state, pending.event_time, pending.event_id, now, late=late)

    def _levels(
        self, states: States, entity: str, state: EntityState, at: datetime, event_id: str, now: datetime, *, late: bool
    ) -> list[Emit]:
        policy = self._policies.at(at)
        rule = policy.detectors.industry_concentration
        if rule.mode == "off":
            return []
        total_enough = state.total >= rule.minimum_book.value and state.total > 0
        if not total_enough or state.loans < rule.minimum_loans.whole:
            return []
        capital = _net_capital(state, at, policy)
        emits: list[Emit] = []
        for name in sorted(state.members):
            if name == "unknown":
                continue
            member = state.members[name]
            before = member.level
            member.level = next_level(before, member.exposure, state.total, capital, rule)
            if member.level != before and name not in state.touched:
                state.touched.append(name)
            if before is None and member.level is not None:
                member.since = str(policy.bank_calendar.day_of(at))
            if level_rank(member.level) > level_rank(before):
                emits += self._warn(entity, state, name, at, event_id, capital, policy, now, late=late)
        self._touched.setdefault(states.partition, {})[entity] = None
        return emits

    def _warn(
        self,
        entity: str,
        state: EntityState,
        name: str,
        at: datetime,
        event_id: str,
        capital: Decimal | None,
        policy: Policy,
        now: datetime,
        *,
        late: bool,
    ) -> Iterator[Emit]:
        rule = policy.detectors.industry_concentration
        member = state.members[name]
        assert member.level is not None  # noqa: S101 - the caller warns of levels that are reached
        finding = Finding(
            subject=f"industry:{entity}:{name}",
            anchor=member.since,
            severity=rule.severities[member.level],
            departments=rule.departments,
            reasons=tuple(_reasons(state, name, capital, policy)),
            event_ids=(event_id,),
            event_count=member.loans,
            window=Window(*policy.bank_calendar.day_window(policy.bank_calendar.day_of(at))),
            measures=rule.measures,
            event_time=at,
        )
        key = warning_id(DETECTOR, VERSION, finding.subject, finding.anchor)
        # Only the present episode can still change: the one before it is over.
        state.episodes = {
            k: one for k, one in state.episodes.items() if one.finding.subject != finding.subject or k == key
        }
        episode = state.episodes[key] = observe(state.episodes.get(key), DETECTOR, VERSION, finding)
        warning = tell(episode, rule, policy, self._policies.mutes, event_time=at, now=now, late=late)
        if warning is not None:
            yield from warning_emits(warning)

    def _lines(self, entity: str, state: EntityState) -> Iterator[Emit]:
        assert state.judged_to is not None  # noqa: S101 - the caller writes lines of judged books
        policy = self._policies.at(state.judged_to)
        rule = policy.detectors.industry_concentration
        measured = concentration({name: one.exposure for name, one in state.members.items()})
        capital = _net_capital(state, state.judged_to, policy)

        def line(dimension: str, name: str, exposure: Decimal, loans: int, level: Level | None) -> Emit:
            entry = PortfolioEntry(
                entity=entity,
                dimension=dimension,  # type: ignore[arg-type]
                member=name,
                exposure=exposure,
                total=state.total,
                currency=policy.money.base,
                loans=loans,
                share=six_places(exposure / state.total) if state.total else Decimal(0),
                limit=rule.share[LEVELS[min(level_rank(level), 2)]] if dimension == "industry" else None,
                level=level,
                hhi=None if measured is None else six_places(measured.hhi),
                effective_number=None if measured is None else six_places(measured.effective_number),
                cr4=None if measured is None else six_places(measured.cr4),
                net_capital=capital,
                as_of=state.judged_to,  # type: ignore[arg-type]
                policy_version=policy.version,
            )
            return Emit("portfolio", entry.key, entry, route=entity)

        for name in state.touched:
            member = state.members[name]
            yield line("industry", name, member.exposure, member.loans, member.level)
        yield line("entity", entity, state.total, state.loans, None)


def six_places(value: Decimal | float) -> Decimal:
    """Rounded half-even to six places, the precision in which shares and indices are told."""
    return Decimal(value).quantize(SIX_PLACES, rounding=ROUND_HALF_EVEN)


def _pending(delta: LoanDelta) -> Pending:
    return Pending(delta.event_time, delta.event_id, delta.ingest_time, delta.member, delta.amount, delta.loans)


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    if one is None or other is None:
        return one or other
    return max(one, other)


def _net_capital(state: EntityState, at: datetime, policy: Policy) -> Decimal | None:
    """Net capital as valid on the day, in the base currency; None before the first version."""
    day = policy.bank_calendar.day_of(at)
    valid = [one for one in state.capital if one.as_of <= day]
    return valid[-1].net_capital if valid else None


def _reasons(state: EntityState, name: str, capital: Decimal | None, policy: Policy) -> Iterator[Reason]:
    rule = policy.detectors.industry_concentration
    member = state.members[name]
    level = member.level
    assert level is not None  # noqa: S101 - reasons are given for levels that are reached
    name_zh, name_en = (industry_name(name, rule.scheme, language) for language in ("zh", "en"))
    measured = concentration({key: one.exposure for key, one in state.members.items()})
    share = six_places(member.exposure / state.total)
    figure = rule.share[level]
    if member.exposure >= figure * state.total:
        indices = ""
        if measured is not None:
            indices = f" HHI {six_places(measured.hhi)}, CR4 {six_places(measured.cr4)}"
            indices += f", N {six_places(measured.effective_number)}"
        yield Reason(
            code="share_of_book",
            observed=str(share),
            threshold=f"{figure:f}",
            unit="share",
            text_zh=f"{name_zh}贷款占比{share}，达到{LEVEL_NAMES[level][0]}线{figure}。{indices.strip()}",
            text_en=f"{name_en} holds {share} of the book, at or above the {level} level of {figure}.{indices}",
        )
    if capital is not None and member.exposure >= rule.net_capital[level] * capital:
        times, multiple = six_places(member.exposure / capital), rule.net_capital[level]
        yield Reason(
            code="times_net_capital",
            observed=str(times),
            threshold=f"{multiple:f}",
            unit="times net capital",
            text_zh=f"{name_zh}贷款为资本净额的{times}倍，达到{LEVEL_NAMES[level][0]}线{multiple}倍。",
            text_en=f"{name_en} is {times} times net capital, at or above the {level} level of {multiple}.",
        )


LEVEL_NAMES: dict[Level, tuple[str, str]] = {
    "observation": ("观察", "observation"),
    "warning": ("预警", "warning"),
    "control": ("控制", "control"),
}
