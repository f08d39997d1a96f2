"""A script: the steps of a day that is played through the real pipeline, and what must come of it."""

from datetime import date, datetime
from typing import Literal

from msgspec import Struct

from connectors.sources.simulator.agenda import Event
from models.events import Action
from models.risk_warning import Department, Severity

Answer = Literal["in_time", "late", "never"]


class Step(Struct, frozen=True, kw_only=True):
    """One message to send.

    Args:
        at: when it happens, in the bank's zone (for raw bytes, too).
        topic, key: where it goes.
        event: the event; raw bytes are sent as they are.
        note_en, note_zh: what happens here, for the account; empty for ordinary traffic.
        history: it lies before the day itself.
        settled: it answers what came of the steps before it. Send it when these are worked through, as a person
            would: an answer that overtakes a warning answers only what was there.
    """

    at: datetime
    topic: str
    key: str
    event: Event | Action | bytes
    note_en: str = ""
    note_zh: str = ""
    history: bool = False
    settled: bool = False


class ExpectedWarning(Struct, frozen=True, order=True):
    """A warning that must stand at the end, with its final severity."""

    subject: str
    detector: str
    severity: Severity
    departments: tuple[Department, ...]


class ExpectedTask(Struct, frozen=True, order=True):
    """How a department's task on a case must stand at the end.

    Args:
        answer: `in_time`, `late` (a deadline was missed) or `never` (not even acknowledged, so escalated).
        round: of the department's tasks on the case.
    """

    case_id: str
    department: Department
    answer: Answer
    round: int = 1


class ExpectedRefusal(Struct, frozen=True, order=True):
    """A message that must end in the dead letters; `field` is the one at fault."""

    topic: str
    key: str
    field: str


class Expectations(Struct, frozen=True, kw_only=True):
    """What the account of the day must show: no more warnings than these, and no fewer."""

    warnings: tuple[ExpectedWarning, ...]
    tasks: tuple[ExpectedTask, ...]
    refused: tuple[ExpectedRefusal, ...]
    duplicates: tuple[str, ...]  # event ids that are sent twice and count once


class Script(Struct, frozen=True, kw_only=True):
    """The steps in the order in which they are sent, which is that of their times."""

    day: date
    steps: tuple[Step, ...]
    expectations: Expectations

    @property
    def ends_at(self) -> datetime:
        """The time of the last step."""
        return self.steps[-1].at
