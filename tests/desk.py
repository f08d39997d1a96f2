"""The stage of borrowers alone, restarted after each event, and short ways to make the steps of a loan's life."""

import base64
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from models.credit.book import Loan
from models.dead_letter import DeadLetter
from models.events import LoanEvent
from models.messages import LoanDelta, LoanDeltas
from models.pipeline import MemoryStates
from models.policy import PolicyHistory
from models.proofs import ProofAsk, Proved
from models.risk_warning import RiskWarning
from models.stage import Emit, Record, Refused, Tick
from models.stages.borrowers import BorrowersStage, BorrowerState, Progress
from models.stages.waiting import WAITING_PREFIX, Waiting
from tests.make import at, loan

NOW = at("2026-12-31 00:00")


def step(event_id: str, day: str, kind: str, amount: str | None = None, **fields: Any) -> LoanEvent:
    """A step in the life of loan L of borrower B; `day` of March 2026, or a whole time."""
    when = day if "-" in day else f"2026-03-{day} 10:00"
    event = loan(event_id, when, amount or "1", **({"kind": kind, "loan_id": "L", "borrower_id": "B"} | fields))
    return event if amount or kind not in ("reclassified", "overdue", "reviewed") else replace(event, amount=None)


class Desk:
    """The stage and what came of what it was shown.

    Attributes:
        refused: (event_id, reason, field) of those refused, at once or after they had waited.
        letters: of those that had waited.
        proofs: what cases that asked were told.
    """

    def __init__(self, policies: PolicyHistory) -> None:
        self.policies = policies
        self.states = MemoryStates()
        self.deltas: list[LoanDelta] = []
        self.warnings: list[RiskWarning] = []
        self.refused: list[tuple[str, str, str]] = []
        self.details: list[str] = []
        self.letters: list[DeadLetter] = []
        self.proofs: list[Proved] = []
        self._offset = -1

    def feed(self, *events: LoanEvent, ingest_time: datetime | None = None) -> "Desk":
        """Show it events; each arrives when it happened unless told otherwise."""
        for event in events:
            self._offset += 1
            stage = BorrowersStage(self.policies, 1)
            before = msgspec.msgpack.encode(self.states.values)
            record = Record("loans", 0, self._offset, ingest_time or event.event_time, event, NOW)
            try:
                emits = list(stage.apply(self.states, record))
            except Refused as error:
                self._refuse(event.event_id, error.reason, error.field, error.detail)
                assert msgspec.msgpack.encode(self.states.values) == before
                emits = []
            self._take([*emits, *stage.flush(self.states)])
            self.states.through_bytes()
        return self

    def ask(self, ask: ProofAsk) -> "Desk":
        """A case asks what the loans prove."""
        self._offset += 1
        stage = BorrowersStage(self.policies, 1)
        record = Record("reviews", 0, self._offset, ask.since, ask, NOW)
        self._take([*stage.apply(self.states, record), *stage.flush(self.states)])
        self.states.through_bytes()
        return self

    def tick(self, now: datetime, *, caught_up: bool = True) -> "Desk":
        self._take(BorrowersStage(self.policies, 1).tick(self.states, Tick(now, caught_up, 5)))
        self.states.through_bytes()
        return self

    def end(self) -> "Desk":
        """No more events come."""
        self._take(BorrowersStage(self.policies, 1).end(self.states, NOW))
        return self

    @property
    def state(self) -> BorrowerState:
        state = self.states.load("B", BorrowerState)
        assert state is not None
        return state

    @property
    def waiting(self) -> list[str]:
        """Ids of the events of B that wait."""
        waiting = self.states.load(f"{WAITING_PREFIX}B", Waiting)
        return [one.event.event_id for one in waiting.events] if waiting is not None else []

    @property
    def watermark(self) -> datetime | None:
        progress = self.states.load("~progress", Progress)
        return progress.watermark if progress is not None else None

    def loan(self, name: str = "L", entity: str = "BANK1") -> Loan:
        return self.state.loans[entity][name]

    def _take(self, emits: Iterable[Emit]) -> None:
        for emit in emits:
            if isinstance(emit.value, LoanDeltas):
                self.deltas += emit.value.deltas
            elif isinstance(emit.value, Proved):
                self.proofs.append(emit.value)
            elif emit.topic == "warnings":
                self.warnings.append(emit.value)
            elif emit.topic == "dead-letters":
                letter: DeadLetter = emit.value
                assert emit.key == letter.key == letter.source_key
                event = msgspec.json.decode(base64.b64decode(letter.raw or ""), type=LoanEvent)
                self.letters.append(letter)
                self._refuse(event.event_id, letter.reason, letter.field, letter.detail)

    def _refuse(self, event_id: str, reason: str, field: str, detail: str) -> None:
        self.refused.append((event_id, reason, field))
        self.details.append(detail)
