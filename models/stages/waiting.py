"""Loan events that came before what must have happened before them: they wait for the loan's next disbursement.

What waits stands in a state of its own, one a borrower that has such events: a few events, written only when they
change. Which borrowers these are, and when the first of their events has waited long enough, is derived in memory and
built again from the keys of the states when the runner shows a partition in a new `States`.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from msgspec import Struct, field
from msgspec.structs import replace

from models.credit.book import NotYet
from models.dead_letter import DeadLetter, letter_after_waiting
from models.events import LoanEvent
from models.policy import PolicyHistory
from models.response.agenda import Agenda
from models.stage import Emit, Record, Refused, States

WAITING_PREFIX = "~waiting|"
MAX_WAITING = 100  # events of one borrower
# Borrowers whose events are given up in one tick: a bank that connects without its old loans may have very many.
AT_ONCE = 500


class WaitingEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A loan event that its loan does not allow yet.

    Args:
        offset: where it stands in its partition of `loans`.
        ingest_time: when the broker took it.
        reason, field, detail: why it was not taken when it was last tried.
    """

    event: LoanEvent
    offset: int
    ingest_time: datetime
    reason: str
    field: str
    detail: str

    def still(self, refusal: NotYet) -> "WaitingEvent":
        """It was tried again, in vain."""
        return replace(self, reason=refusal.reason, field=refusal.field, detail=refusal.detail)

    def given_up(self) -> Refused:
        """Its refusal, now that it has waited in vain."""
        detail = f"{self.detail} (it has waited for that since {self.ingest_time.isoformat()})"
        return Refused(self.reason, self.field, detail)


class Waiting(Struct):
    """One borrower's events that wait, in order of arrival; at most `MAX_WAITING`."""

    events: list[WaitingEvent] = field(default_factory=list)

    def knows(self, event_id: str) -> bool:
        """An event of this id waits."""
        return any(one.event.event_id == event_id for one in self.events)

    def add(self, record: Record, refusal: NotYet) -> None:
        """Let an event wait.

        Raises:
            Refused: as many wait already as may.
        """
        event: LoanEvent = record.event
        if len(self.events) >= MAX_WAITING:
            full = f"{MAX_WAITING} events of {event.borrower_id} wait already for a disbursement, no more may"
            raise Refused(refusal.reason, refusal.field, f"{refusal.detail} ({full})")
        one = WaitingEvent(
            event=event,
            offset=record.offset,
            ingest_time=record.ingest_time,
            reason=refusal.reason,
            field=refusal.field,
            detail=refusal.detail,
        )
        self.events.append(one)

    def for_loan(self, disbursed: LoanEvent) -> list[WaitingEvent]:
        """Those that a disbursement may allow, in the order in which they happened."""
        loan = disbursed.entity, disbursed.loan_id
        ready = (one for one in self.events if (one.event.entity, one.event.loan_id) == loan)
        return sorted(ready, key=lambda one: (one.event.event_time, one.event.event_id))

    def put(self, one: WaitingEvent) -> None:
        """Keep what is known of an event anew."""
        self.events = [one if other.offset == one.offset else other for other in self.events]

    def remove(self, one: WaitingEvent) -> None:
        """It waits no longer."""
        self.events = [other for other in self.events if other.offset != one.offset]

    def take_out(self, over: Callable[[WaitingEvent], bool]) -> list[WaitingEvent]:
        """Remove those that have waited long enough, in order of arrival."""
        found = [one for one in self.events if over(one)]
        if found:
            self.events = [one for one in self.events if not over(one)]
        return found


class _Here:
    """Whose events wait in one partition, and when the first of them is over by the clock."""

    def __init__(self, states: States) -> None:
        self.states = states
        self.borrowers: set[str] = set()
        self.agenda = Agenda()


class WaitingRoom:
    """What waits, by partition and borrower.

    Args:
        policies: how late an event may come, by its own day.
    """

    def __init__(self, policies: PolicyHistory) -> None:
        self._policies = policies
        self._partitions: dict[int, _Here] = {}

    def of(self, states: States, borrower: str) -> Waiting:
        """What waits of a borrower; `keep` it when it has changed."""
        if borrower not in self._here(states).borrowers:
            return Waiting()
        return states.load(WAITING_PREFIX + borrower, Waiting) or Waiting()

    def keep(self, states: States, borrower: str, waiting: Waiting) -> None:
        """Store what waits of a borrower."""
        if waiting.events:
            states.save(WAITING_PREFIX + borrower, waiting)
        else:
            states.delete(WAITING_PREFIX + borrower)
        self._note(self._here(states), borrower, waiting)

    def too_late(self, waiting: Waiting, newest: datetime) -> list[WaitingEvent]:
        """Take out the borrower's events that would be too late, were they to come now.

        Args:
            newest: event time of the newest event of the borrower that was taken.
        """
        return waiting.take_out(lambda one: one.event.event_time < newest - self._lateness(one))

    def expired(self, states: States, now: datetime) -> list[WaitingEvent]:
        """Take out what has waited for longer, by the clock, than an event may be late; of `AT_ONCE` borrowers."""
        here, found = self._here(states), list[WaitingEvent]()
        for _ in range(AT_ONCE):
            borrower = here.agenda.take(now)
            if borrower is None:
                break
            waiting = self.of(states, borrower)
            found += waiting.take_out(lambda one: now > one.ingest_time + self._lateness(one))
            self.keep(states, borrower, waiting)
        return found

    def everything(self, states: States) -> list[WaitingEvent]:
        """Take out all that waits, in order of arrival."""
        found = list[WaitingEvent]()
        for borrower in sorted(self._here(states).borrowers):
            found += self.of(states, borrower).events
            self.keep(states, borrower, Waiting())
        return sorted(found, key=lambda one: one.offset)

    def _lateness(self, one: WaitingEvent) -> timedelta:
        return self._policies.at(one.event.event_time).lateness

    def _here(self, states: States) -> _Here:
        here = self._partitions.get(states.partition)
        if here is None or here.states is not states:
            here = self._partitions[states.partition] = _Here(states)
            for key in states.keys():
                if key.startswith(WAITING_PREFIX):
                    waiting = states.load(key, Waiting) or Waiting()
                    self._note(here, key.removeprefix(WAITING_PREFIX), waiting)
        return here

    def _note(self, here: _Here, borrower: str, waiting: Waiting) -> None:
        if waiting.events:
            here.borrowers.add(borrower)
        else:
            here.borrowers.discard(borrower)
        dues = (one.ingest_time + self._lateness(one) for one in waiting.events)
        here.agenda.plan(borrower, min(dues, default=None))


def refused_emit(one: WaitingEvent, refusal: Refused, topic: str, partition: int, now: datetime) -> Emit:
    """The dead letter of an event that waited in vain, or is refused for good now that it was tried again.

    Args:
        topic, partition: where the event stands.
        now: the runner's clock.
    """
    letter: DeadLetter = letter_after_waiting(one.event, (topic, partition, one.offset), refusal, now)
    return Emit("dead-letters", letter.key, letter)
