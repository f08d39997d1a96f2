"""Borrowers: loan events of one borrower become changes of their entities' books, and warnings of loans misclassified.

A loans partition knows its own borrowers only. What it contributes to each entity leaves as `LoanDeltas`, a
partial total a batch, together with how far this partition has come (`LoanWatermark`), so that `portfolio` can
merge the partitions in event-time order, whatever their speed. What a borrower's loans say by themselves is judged
here, as events are taken.

A step that its loan does not allow yet, such as a repayment that overtook its disbursement, waits: it is as if it had
not come, but for the duplicates of it, which are nothing. When a disbursement of the loan is taken, those that waited
for it and happened after it are tried again in the order in which they happened, and count as taken just then. What
would be too late by now, or has waited for as long, becomes a dead letter.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from msgspec import Struct, field
from msgspec.structs import replace

from models.activity.log import ActivityLog
from models.credit.book import SIGNS, Loan, Loans, NotYet, Step, take
from models.credit.industry import industry_member
from models.credit.misclassification import DETECTOR, VERSION, judge_class, judge_contagion, subject_of
from models.drill import drill_of
from models.episodes import Episode, observe, tell
from models.events import LoanEvent
from models.messages import WATERMARK_KEY, Approval, LoanDelta, LoanDeltas, LoanWatermark
from models.policy import Policy, PolicyHistory
from models.proofs import ProofAsk
from models.risk_warning import Finding, warning_id
from models.stage import Emit, Record, Refused, States, Tick
from models.stages.customers import check_time, no_rate, warning_emits
from models.stages.reviews import Reviews, standing
from models.stages.waiting import Waiting, WaitingEvent, WaitingRoom, refused_emit

RESERVED = "~"  # how the keys begin under which the stage keeps its own
PROGRESS_KEY = "~progress"


class BorrowerState(Struct, omit_defaults=True):
    """One borrower's loans, the ids of its events inside the lateness, and what was warned of.

    Bounded by the borrower's loans, open and closed, and by its traffic inside `episodes.remember`: a warning that was
    over before is forgotten.

    Args:
        loans: by entity.
        contagion: by entity, the day since when bad loans make others bad.
        episodes: warnings that can still change, by id.
    """

    newest: datetime | None = None
    seen: dict[str, datetime] = field(default_factory=dict)
    loans: dict[str, Loans] = field(default_factory=dict)
    contagion: dict[str, str] = field(default_factory=dict)
    episodes: dict[str, Episode] = field(default_factory=dict)

    def open(self, borrower: str) -> set[tuple[str, str]]:
        """(subject, anchor) of every condition that holds."""
        found = {(subject_of(entity, borrower), f"contagion|{since}") for entity, since in self.contagion.items()}
        for entity, loans in self.loans.items():
            subject = subject_of(entity, borrower)
            found |= {(subject, f"{name}|{one.too_good_since}") for name, one in loans.items() if one.too_good_since}
        return found


class Said(Struct):
    """What a batch says of one entity, so far."""

    deltas: list[LoanDelta] = field(default_factory=list)
    approvals: list[Approval] = field(default_factory=list)


class Progress(Struct):
    """How far a loans partition has come: its newest event time, and where the newest event stands that was taken."""

    watermark: datetime
    offset: int = -1


class BorrowersStage:
    """Keeps loans by borrower, tells `portfolio.deltas` what changed, and warns of loans in too good a class.

    Args:
        policies: for base currency, rates, industry scheme, lateness and `misclassification`.
        partitions: of `loans` and of `portfolio.deltas` alike.
        settle: time in which an event that is on its way surely arrives; what the broker has taken before that
            is known to be all there is.
    """

    name = "borrowers"
    topics = ("loans", "reviews")
    state_version = 4

    def __init__(self, policies: PolicyHistory, partitions: int, settle: timedelta = timedelta(seconds=2)) -> None:
        self._policies = policies
        self._partitions = partitions
        self._settle = settle
        self._told: dict[int, datetime] = {}
        self._pending: dict[int, dict[str, Said]] = {}
        self._logs: dict[int, ActivityLog] = {}
        self._late: Counter[str] = Counter()
        self._room = WaitingRoom(policies)
        self._reviews = Reviews(partitions, _loans)

    def apply(self, states: States, record: Record) -> Iterable[Emit]:
        """Take a loan event, and what waited for it; or let it wait. Or take what a case asks of the loans.

        Raises:
            Refused: `reserved`; `in_the_future`, `too_late`; `no_rate`; `other_currency`; what its loan does not
                allow yet, where too many events of the borrower wait already.
        """
        if isinstance(record.event, ProofAsk):
            self._reviews.ask(states, record.event)
            return ()
        event: LoanEvent = record.event
        borrower = event.borrower_id
        if borrower.startswith(RESERVED):
            detail = f"no borrower may be called {borrower}, the stage keeps its own there: give another id"
            raise Refused("reserved", "borrower_id", detail)
        policy = self._policies.at(event.event_time)
        state = states.load(borrower, BorrowerState) or BorrowerState()
        check_time(event.event_time, record.ingest_time, state.newest, policy)
        if event.kind in SIGNS and event.currency not in policy.rates:
            if drill_of(borrower) is None:
                log = self._logs.setdefault(states.partition, ActivityLog())
                log.refused(record.offset, event.currency, event.event_id, event.event_time)
            raise no_rate(event.currency)
        waiting = self._room.of(states, borrower)
        if event.event_id in state.seen or waiting.knows(event.event_id):
            return ()
        emits, waited = list[Emit](), list(waiting.events)
        try:
            emits += self._take(states, state, waiting, record)
        except NotYet as refusal:
            waiting.add(record, refusal)
        else:
            if event.kind == "disbursed":
                emits += self._retry(states, state, waiting, record)
            states.save(borrower, state)
        if waiting.events != waited:
            self._room.keep(states, borrower, waiting)
        return emits

    def flush(self, states: States) -> Iterable[Emit]:
        """The loans refused for want of a rate; the batch's partial totals, then the watermark they reach up to."""
        if log := self._logs.pop(states.partition, None):
            for batch in log.batches("loans", states.partition):
                yield Emit("activity", batch.key, batch)
        for entity, said in self._pending.pop(states.partition, {}).items():
            message = LoanDeltas(
                entity=entity,
                loans_partition=states.partition,
                deltas=tuple(said.deltas),
                approvals=tuple(said.approvals),
            )
            yield Emit("portfolio.deltas", entity, message)
        progress = states.load(PROGRESS_KEY, Progress)
        yield from self._reviews.answers(states, progress.offset if progress is not None else -1)
        if progress is not None:
            yield from self._tell(states, None)

    def came_late(self) -> Mapping[str, int]:
        """Events behind their borrower's newest, by topic."""
        late, self._late = self._late, Counter()
        return late

    def tick(self, states: States, tick: Tick) -> Iterable[Emit]:
        """Give up what has waited for too long, and say how far the partition has come.

        One that has nothing to say must say so: else the others wait for it for ever.
        """
        if not tick.caught_up:
            return
        yield from self._give_up(states, self._room.expired(states, tick.now), tick.now)
        told = self._told.get(states.partition)
        if told is not None and tick.now - told < self._settle:
            return
        self._told[states.partition] = tick.now
        yield from self._tell(states, tick.now - self._settle)

    def end(self, states: States, now: datetime) -> list[Emit]:
        """No more events come: refuse what still waits. For an ended history alone."""
        return self._give_up(states, self._room.everything(states), now)

    def _take(
        self, states: States, state: BorrowerState, waiting: Waiting, record: Record, *, waited: bool = False
    ) -> list[Emit]:
        """Take an event into the borrower's state, and give up what would be too late by now.

        Raises:
            Refused: as `models.credit.book.take`. Nothing is changed then.
        """
        event: LoanEvent = record.event
        policy, before = self._policies.at(event.event_time), state.newest
        loans = state.loans.get(event.entity, {})
        since = max(before or event.event_time, event.event_time) - self._policies.lateness
        stood = standing(loans.get(event.loan_id))
        step = take(loans, event, policy, waited=waited, since=since)
        self._reviews.moved(states, event, stood, step.loan)
        if loans:
            state.loans[event.entity] = loans
        state.seen[event.event_id] = event.event_time
        late = before is not None and event.event_time < before
        self._late[record.topic] += late
        emits = list(self._judge(state, step, record, policy, late=late))
        self._pass_on(states, step, record)
        progress = states.load(PROGRESS_KEY, Progress)
        watermark = max(progress.watermark, event.event_time) if progress is not None else event.event_time
        states.save(PROGRESS_KEY, Progress(watermark, record.offset))
        if before is None or event.event_time > before:
            state.newest = event.event_time
            self._expire(state, before, event.borrower_id)
            emits += self._give_up(states, self._room.too_late(waiting, state.newest), record.now)
        return emits

    def _retry(self, states: States, state: BorrowerState, waiting: Waiting, disbursed: Record) -> list[Emit]:
        """Try the events again that waited for a disbursement, each once.

        They go on with its offset: in their partition they count from where it stands.
        """
        emits: list[Emit] = []
        for one in waiting.for_loan(disbursed.event):
            record = replace(disbursed, event=one.event, ingest_time=one.ingest_time)
            try:
                emits += self._take(states, state, waiting, record, waited=True)
            except NotYet as refusal:
                waiting.put(one.still(refusal))
                continue
            except Refused as refusal:
                emits.append(refused_emit(one, refusal, disbursed.topic, states.partition, disbursed.now))
            waiting.remove(one)
        return emits

    def _give_up(self, states: States, over: Iterable[WaitingEvent], now: datetime) -> list[Emit]:
        return [refused_emit(one, one.given_up(), "loans", states.partition, now) for one in over]

    def _judge(self, state: BorrowerState, step: Step, record: Record, policy: Policy, *, late: bool) -> Iterator[Emit]:
        """What the event's loan, and the borrower's loans together, say now.

        Only findings are left out while the rule is off: the day it is switched on it must know what was before.
        """
        if step.loan is None or not step.changed:
            return
        event: LoanEvent = record.event
        loans, since = state.loans[event.entity], state.contagion.pop(event.entity, "")
        since, by_others = judge_contagion(loans, since, event, policy)
        if since:
            state.contagion[event.entity] = since
        for finding in (judge_class(step.loan, event, policy), by_others):
            if finding is not None and policy.detectors.misclassification.mode != "off":
                yield from self._warn(state, finding, policy, record.now, late=late)

    def _warn(self, state: BorrowerState, finding: Finding, policy: Policy, now: datetime, *, late: bool) -> list[Emit]:
        key = warning_id(DETECTOR, VERSION, finding.subject, finding.anchor)
        episode = state.episodes[key] = observe(state.episodes.get(key), DETECTOR, VERSION, finding)
        rule, mutes = policy.detectors.misclassification, self._policies.mutes
        warning = tell(episode, rule, policy, mutes, event_time=finding.event_time, now=now, late=late)
        return list(warning_emits(warning)) if warning is not None else []

    def _expire(self, state: BorrowerState, before: datetime | None, borrower: str) -> None:
        """Forget what no event that may still come can be about."""
        assert state.newest is not None  # noqa: S101 - the caller has just moved it
        # How late an event may come is said by its own day's version: an id is kept as long as any of them says.
        oldest = state.newest - self._policies.lateness
        state.seen = {name: time for name, time in state.seen.items() if time >= oldest}
        if before is None or before.date() == state.newest.date():
            return
        oldest = state.newest - timedelta(days=self._policies.longest(lambda one: one.episodes.remember.whole))
        if state.episodes:
            held = state.open(borrower)
            state.episodes = {
                key: one
                for key, one in state.episodes.items()
                if one.finding.window.end >= oldest or (one.finding.subject, one.finding.anchor) in held
            }

    def _pass_on(self, states: States, step: Step, record: Record) -> None:
        """Tell the portfolio of an approval, or of a movement with what the loan is counted under."""
        movement, event = step.movement, record.event
        if event.kind == "approved":
            self._said(states, event.entity).approvals.append(self._approval(record))
        if movement is None:
            return
        loan = movement.loan
        delta = LoanDelta(
            offset=record.offset,
            event_id=event.event_id,
            event_time=movement.counts_from,
            ingest_time=record.ingest_time,
            member=loan.member,
            amount=movement.amount,
            loans=movement.loans,
            division=loan.division,
            region=loan.region,
            borrower=event.borrower_id,
            group=loan.group,
            real_estate=loan.real_estate,
        )
        self._said(states, event.entity).deltas.append(delta)

    def _said(self, states: States, entity: str) -> Said:
        return self._pending.setdefault(states.partition, {}).setdefault(entity, Said())

    def _approval(self, record: Record) -> Approval:
        event: LoanEvent = record.event
        assert event.amount is not None  # noqa: S101 - an event of a kind that speaks of money has one
        scheme = self._policies.at(event.event_time).detectors.industry_concentration.scheme
        return Approval(
            offset=record.offset,
            event_id=event.event_id,
            event_time=event.event_time,
            loan_id=event.loan_id,
            borrower=event.borrower_id,
            member=industry_member(event.industry, scheme),
            amount=event.amount,
            currency=event.currency,
            group=event.group_id,
            real_estate=event.real_estate,
            approver=event.approver_id,
        )

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


def _loans(states: States) -> Iterator[tuple[str, str, Loan]]:
    """(entity, borrower, loan) of everything in a partition."""
    for borrower in states.keys():
        state = None if borrower.startswith(RESERVED) else states.load(borrower, BorrowerState)
        if state is not None:
            for entity, loans in state.loans.items():
                yield from ((entity, borrower, loan) for loan in loans.values())
