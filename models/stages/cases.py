"""Cases: warnings become tasks with deadlines, actions answer them, and time that passes is held against them.

A partition has a clock: the newest event time it has seen, carried on by the wall clock from that record's
arrival. Live it is the wall clock; a replay of an old year runs in that year's time; after a pause it is the
present again. It is derived, like the agenda of what is due next, from the subjects' states: both are built again
when the runner shows a partition in a new `States`, so nothing but states has to survive.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from msgspec import Struct, field
from msgspec.structs import replace

from models.dead_letter import letter_after_waiting
from models.drill import drill_of
from models.events import Action
from models.links import CaseLink
from models.messages import ACTIVITY_KEY
from models.policy import PolicyHistory
from models.proofs import ProofAsk, Proved
from models.response.agenda import Agenda
from models.response.case import Case
from models.response.confidential import stub, was_confined
from models.response.linking import link_of, news, passed_on
from models.response.proving import OF_LOANS, asks_of, told_anew
from models.response.subject import MAX_WAITING, SubjectCases, Waiting
from models.response.suspension import suspensions_of
from models.risk_warning import RiskWarning
from models.stage import Answered, Emit, Owed, Record, Refused, States, Tick

# Subjects whose deadlines are judged in one batch or tick. What is marked does not depend on when it is, and a
# holiday's worth of breaches must not become one write that the broker does not take.
AT_ONCE = 500


class Here(Struct):
    """What the stage derives from one partition's states, and the cases that changed since the last flush."""

    states: States
    agenda: Agenda
    waiting: set[str] = field(default_factory=set)
    asked: dict[str, dict[str, ProofAsk]] = field(default_factory=dict)  # by case, as others know it
    linked: dict[str, CaseLink] = field(default_factory=dict)  # likewise, of cases that follow one
    changed: dict[str, Case] = field(default_factory=dict)
    changed_from: dict[str, int] = field(default_factory=dict)  # the first revision since the last flush
    stream_time: datetime | None = None
    arrived_at: datetime | None = None
    budget: int = AT_ONCE
    owed: Counter[Owed] = field(default_factory=Counter)
    owed_on: dict[str, Counter[Owed]] = field(default_factory=dict)  # by subject

    def advance(self, stream_time: datetime, arrived_at: datetime) -> datetime:
        """Move the clock's stream time to a record's, never back; the stream time."""
        if self.stream_time is None or stream_time > self.stream_time:
            self.stream_time, self.arrived_at = stream_time, arrived_at
        return self.stream_time

    def now(self, wall: datetime) -> datetime | None:
        """The partition's time at an instant of the wall clock; None before its first record."""
        if self.stream_time is None or self.arrived_at is None:
            return None
        return self.stream_time + max(timedelta(), wall - self.arrived_at)

    def count(self, subject: str, state: SubjectCases) -> None:
        """Count what is owed on a subject anew."""
        now = Counter(_owed(state))
        self.owed.subtract(self.owed_on.pop(subject, Counter()))
        self.owed.update(now)
        if now:
            self.owed_on[subject] = now

    def told(self, cases: Iterable[Case]) -> None:
        """Remember cases to emit, the last one changed last. Cases are frozen: this holds no state."""
        for case in cases:
            self.changed.pop(case.case_id, None)
            self.changed[case.case_id] = case
            self.changed_from.setdefault(case.case_id, case.revision)


class CasesStage:
    """Keeps the cases of every subject; emits each changed one on `cases`, once a batch.

    Where the suspensions of one have changed, they go out on `suspensions` too: to the partition of the
    entity in whose book nothing may be approved. A drill suspends only what is the drill's own.

    Args:
        policies: deadlines, owners, measures and escalation, by event time.
        partitions: of the loans, which prove some of the measures: each of them is asked.
    """

    name = "cases"
    topics = ("warnings", "actions", "proofs", "case-links")
    state_version = 1

    def __init__(self, policies: PolicyHistory, partitions: int = 1) -> None:
        self._policies = policies
        self._every = range(partitions)
        self._partitions: dict[int, Here] = {}
        self._answered: list[Answered] = []

    def apply(self, states: States, record: Record) -> Iterable[Emit]:
        """Take a warning, an action, or what the stream says of a measure's proof.

        Raises:
            Refused: an action that its case cannot take, see `models.response`; `in_the_future`; `too_late`;
                `too_many_waiting`. A warning without a subject.
        """
        here = self._here(states)
        event = record.event
        if isinstance(event, Action):
            return self._action(here, event, record)
        if isinstance(event, RiskWarning):
            return self._warning(here, event, record)
        if isinstance(event, Proved):
            return self._proved(here, event, record)
        if isinstance(event, CaseLink):
            return self._linked(here, event, record)
        raise TypeError(f"{record.topic} carries no {type(event).__name__}")

    def flush(self, states: States) -> Iterable[Emit]:
        """The cases that the batch changed, as they stand, and their suspensions where these changed."""
        here = self._here(states)
        here.budget = AT_ONCE
        changed, here.changed = here.changed, {}
        since, here.changed_from = here.changed_from, {}
        emits = [emit for case in changed.values() for emit in _published(case)]
        for case in changed.values():
            told = case.mode == "live" or drill_of(case.subject) is not None
            if told and case.suspended_revision >= since[case.case_id]:
                message = suspensions_of(case)
                emits.append(Emit("suspensions", message.key, message, route=message.entity))
        emits += self._asks(here, changed.values())
        emits += self._news(here, changed.values())
        return emits

    def tick(self, states: States, tick: Tick) -> Iterable[Emit]:
        """Mark what is overdue by the partition's clock; settle what waited for a warning."""
        here = self._here(states)
        now = here.now(tick.now)
        if now is None:
            return []
        emits: list[Emit] = []
        if tick.caught_up:
            for subject in sorted(here.waiting):
                emits += self._let_go(here, subject, now, tick.now)
        self._run(here, now, tick.now)
        return [*emits, *self.flush(states)]

    # --- one record ---

    def _warning(self, here: Here, warning: RiskWarning, record: Record) -> list[Emit]:
        if not warning.subject:
            raise Refused("missing", "subject", "a warning needs a subject")
        if warning.mode == "shadow" or warning.muted_by is not None:
            return []
        # A record stamped ahead of its arrival must not make everything else overdue.
        ahead = record.ingest_time + self._policies.at(record.ingest_time).future_tolerance
        clock = here.advance(min(warning.event_time, ahead), record.ingest_time)
        self._run(here, clock, record.ingest_time)
        state = self._load(here, warning.subject, clock, record)
        before = dict(state.cases)
        here.told(state.settle(clock, record.ingest_time))
        emits: list[Emit] = []
        just_before = warning.event_time - timedelta(microseconds=1)
        emits += self._release(here, state, just_before, clock, record.now)
        here.told(state.take_warning(warning, warning.mode, self._policies, clock, record.ingest_time))
        emits += self._release(here, state, warning.event_time, clock, record.now)
        self._keep(here, warning.subject, state, before)
        return emits

    def _action(self, here: Here, action: Action, record: Record) -> list[Emit]:
        policy = self._policies.at(action.event_time)
        if action.event_time > record.ingest_time + policy.future_tolerance:
            raise Refused(
                "in_the_future",
                "event_time",
                f"{action.event_time.isoformat()} is after its arrival at {record.ingest_time.isoformat()}",
            )
        before = here.states.load(action.subject, SubjectCases) or SubjectCases(
            stream_time=action.event_time, arrived_at=record.ingest_time
        )
        number = before.check_action(action)
        if before.known(action, number):
            return []
        if before.acted_until is not None and action.event_time < before.acted_until - policy.lateness:
            raise Refused(
                "too_late",
                "event_time",
                f"{action.event_time.isoformat()} is more than {policy.lateness.days} days behind the newest action "
                f"on {action.subject}",
            )
        waits = before.must_wait(number)
        if waits and len(before.waiting) >= MAX_WAITING:
            raise Refused("too_many_waiting", "case_id", f"{MAX_WAITING} actions wait already for {action.subject}")
        if not waits:
            before.moved(action, self._policies, record.ingest_time)  # refuses before anything is changed
        emits: list[Emit] = []
        clock = here.advance(action.event_time, record.ingest_time)
        self._run(here, clock, record.ingest_time)
        state = self._load(here, action.subject, clock, record)
        stood = dict(state.cases)
        state.acted_until = max(state.acted_until or action.event_time, action.event_time)
        if waits:
            state.waiting.append(
                Waiting(
                    action=action,
                    topic=record.topic,
                    partition=record.partition,
                    offset=record.offset,
                    ingest_time=record.ingest_time,
                    since=here.now(record.ingest_time) or clock,
                )
            )
        else:
            here.told(state.settle(clock, record.ingest_time))
            case = state.put(state.moved(action, self._policies, record.ingest_time), clock, record.ingest_time)
            here.told([case])
            emits += _passed_on(case, action)
        self._keep(here, action.subject, state, stood)
        return emits

    # --- proofs ---

    def _proved(self, here: Here, proved: Proved, record: Record) -> list[Emit]:
        clock = here.advance(proved.since, record.ingest_time)
        state = here.states.load(proved.subject, SubjectCases) or SubjectCases(
            stream_time=proved.since, arrived_at=record.ingest_time
        )
        before = dict(state.cases)
        here.told(state.take_proof(proved, clock, record.ingest_time))
        self._keep(here, proved.subject, state, before)
        return []

    def _asks(self, here: Here, cases: Iterable[Case]) -> Iterator[Emit]:
        """What is to be proved by now, and what no longer, where others know it otherwise."""
        for case in cases:
            known, asked = here.asked.pop(case.case_id, {}), asks_of(case)
            if asked:
                here.asked[case.case_id] = asked
            for ask in told_anew(known, asked, case.revision):
                if ask.kind in OF_LOANS:
                    yield from (Emit("reviews", ask.key, ask, partition=number) for number in self._every)
                else:
                    yield Emit("resamples", ask.key, ask, route=ACTIVITY_KEY)

    # --- links between cases ---

    def _linked(self, here: Here, link: CaseLink, record: Record) -> list[Emit]:
        clock = here.advance(link.at, record.ingest_time)
        state = here.states.load(link.subject, SubjectCases)
        changed, why = (
            ([], f"there is no case {link.to}")
            if state is None
            else state.take_link(link, self._policies, clock, record.ingest_time)
        )
        here.told(changed)
        if state is not None:
            self._keep(here, link.subject, state)
        if why is None or link.kind != "follow":
            return []
        answer = replace(link, from_=link.to, to=link.from_, kind="refuse", departments=(), why=why)
        return [_sent(answer)]

    def _news(self, here: Here, cases: Iterable[Case]) -> Iterator[Emit]:
        """What followers have to tell their leaders, where these know it otherwise."""
        for case in cases:
            before, after = here.linked.pop(case.case_id, None), link_of(case)
            if after is not None:
                here.linked[case.case_id] = after
            yield from map(_sent, news(before, case))

    # --- time and waiting ---

    def _run(self, here: Here, clock: datetime, recorded_at: datetime) -> None:
        """Judge what is due before the clock, over the whole partition."""
        while here.budget > 0 and (subject := here.agenda.take(clock)) is not None:
            here.budget -= 1
            state = _held(here.states, subject)
            here.told(state.settle(clock, recorded_at))
            self._keep(here, subject, state)

    def _let_go(self, here: Here, subject: str, now: datetime, wall: datetime) -> Iterator[Emit]:
        """All warnings that the broker has are in: what still waits for a case goes on, or is given up in time."""
        state = _held(here.states, subject)
        count, before = len(state.waiting), dict(state.cases)
        yield from self._release(here, state, None, now, wall)
        yield from (_dead_letter(one, refusal, wall) for one, refusal in state.expire(self._policies, now))
        if len(state.waiting) != count:
            self._keep(here, subject, state, before)

    def _release(
        self, here: Here, state: SubjectCases, until: datetime | None, clock: datetime, wall: datetime
    ) -> list[Emit]:
        changed, refused = state.release(until, self._policies, clock)
        here.told(case for case, _ in changed)
        passed = [emit for case, action in changed for emit in _passed_on(case, action)]
        return [*passed, *(_dead_letter(one, refusal, wall) for one, refusal in refused)]

    # --- states ---

    def _here(self, states: States) -> Here:
        here = self._partitions.get(states.partition)
        if here is not None and here.states is states:
            return here
        here = self._partitions[states.partition] = Here(states, Agenda())
        for subject in states.keys():
            state = _held(states, subject)
            here.agenda.plan(subject, state.next_due())
            here.count(subject, state)
            if state.waiting:
                here.waiting.add(subject)
            here.linked |= {case.case_id: link for case in state.cases.values() if (link := link_of(case))}
            here.asked |= {case.case_id: asked for case in state.cases.values() if (asked := asks_of(case))}
            here.advance(state.stream_time, state.arrived_at)
        return here

    def _load(self, here: Here, subject: str, clock: datetime, record: Record) -> SubjectCases:
        time = min(record.event.event_time, clock)
        state = here.states.load(subject, SubjectCases)
        if state is None:
            return SubjectCases(stream_time=time, arrived_at=record.ingest_time)
        if time > state.stream_time:
            state.stream_time, state.arrived_at = time, record.ingest_time
        return state

    def owed(self, states: States) -> Mapping[Owed, int]:
        """The tasks of a partition that are not done; none of a drill's."""
        return +self._here(states).owed

    def answered(self) -> Iterable[Answered]:
        """Tasks acknowledged and done since it was asked last; none of a drill's."""
        found, self._answered = self._answered, []
        return found

    def _keep(self, here: Here, subject: str, state: SubjectCases, before: Mapping[int, Case] | None = None) -> None:
        """Keep what is known of a subject.

        Args:
            before: its cases before a deed; None where only time has passed.
        """
        here.states.save(subject, state)
        if before is not None:
            self._answered += answers_between(before, state.cases)
        here.count(subject, state)
        here.agenda.plan(subject, state.next_due())
        if state.waiting:
            here.waiting.add(subject)
        else:
            here.waiting.discard(subject)


def _held(states: States, subject: str) -> SubjectCases:
    state = states.load(subject, SubjectCases)
    if state is None:
        raise LookupError(f"no state for {subject}, which the partition has listed")
    return state


def _dead_letter(one: Waiting, refusal: Refused, wall: datetime) -> Emit:
    letter = letter_after_waiting(one.action, (one.topic, one.partition, one.offset), refusal, wall)
    return Emit("dead-letters", letter.key, letter)


def _published(case: Case) -> Iterator[Emit]:
    """The case where everybody reads it; a confidential one where named roles do, and here only that it is there."""
    yield Emit("cases", case.case_id, stub(case) if case.confidential else case, route=case.subject)
    if was_confined(case):
        yield Emit("cases.confidential", case.case_id, case if case.confidential else stub(case), route=case.subject)


def _passed_on(case: Case, action: Action) -> list[Emit]:
    return [_sent(link) for link in passed_on(case, action)]


def _sent(link: CaseLink) -> Emit:
    return Emit("case-links", link.key, link, route=link.subject)


def answers_between(before: Mapping[int, Case], after: Mapping[int, Case]) -> Iterator[Answered]:
    """What departments have answered on a subject, from its cases before and after.

    Tasks are told apart by department and round; a task that a second employee dismissed is done as well.
    """
    for number, case in after.items():
        if case.mode != "live" or before.get(number) is case:
            continue
        known = {(task.department, task.round): task for task in before[number].tasks} if number in before else {}
        for task in case.tasks:
            old = known.get((task.department, task.round))
            if task.acknowledged_at is not None and (old is None or old.acknowledged_at is None):
                took = task.acknowledged_at - task.created_at
                yield Answered("acknowledged", task.department, took.total_seconds())
            if task.done_at is not None and (old is None or old.done_at is None):
                took = task.done_at - (task.acknowledged_at or task.created_at)
                yield Answered("done", task.department, took.total_seconds())


def _owed(state: SubjectCases) -> Iterator[Owed]:
    for number in state.open.values():
        case = state.cases[number]
        if case.mode == "live":
            yield from (
                Owed(task.department, task.severity, task.breached, task.acknowledged_at is not None)
                for task in case.tasks
                if task.active
            )
