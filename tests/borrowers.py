"""The stage of borrowers alone, over one partition of loans, to the end of its input."""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from models.events import LoanEvent
from models.pipeline import MemoryStates
from models.policy import PolicyHistory
from models.stage import Emit, Record, Refused, Tick
from models.stages.borrowers import BorrowersStage

AGES = timedelta(days=3650)


class Lent:
    """What the stage makes of loan events, each arriving when it happened.

    Attributes:
        refused: (event_id, reason) of those refused, in order of arrival.
        emits: all that it put on topics.
        states: what it knows at the end.
    """

    def __init__(self, policies: PolicyHistory, events: Sequence[LoanEvent], restarts: Iterable[int] = ()) -> None:
        """`restarts`: after which of the events the states are carried through their bytes."""
        stage, self.states = BorrowersStage(policies, 1), MemoryStates()
        self.emits: list[Emit] = []
        found: dict[int, str] = {}
        for offset, event in enumerate(events):
            record = Record("loans", 0, offset, event.event_time, event, event.event_time)
            try:
                self.emits += stage.apply(self.states, record)
            except Refused as refusal:
                found[offset] = refusal.reason
            if offset in restarts:
                self.states.through_bytes()
        self.emits += stage.flush(self.states)
        if events:
            end = max(event.event_time for event in events) + AGES
            self.emits += stage.tick(self.states, Tick(end, caught_up=True, idle_seconds=60))
            self.emits += stage.flush(self.states)
        for letter in (emit.value for emit in self.emits if emit.topic == "dead-letters"):
            assert letter.source_offset not in found
            found[letter.source_offset] = letter.reason
        self.refused = [(events[offset].event_id, reason) for offset, reason in sorted(found.items())]
