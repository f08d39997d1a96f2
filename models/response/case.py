"""A case: the warnings on one subject, what each department owes on it, and everything that happened.

All values are frozen: a change makes a new `Case` (`models.response.joining` for warnings,
`models.response.moves` for actions, `models.response.deadlines` for the passing of time). `Case` is also the
value of the `cases` topic. Every time is an event time, except `recorded_at`.
"""

from datetime import datetime
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from models.risk_warning import Severity

CaseState = Literal["open", "resolved"]
CaseMode = Literal["live", "drill"]
TaskState = Literal[
    "open",
    "acknowledged",
    "in_progress",
    "dismiss_proposed",  # waits for a second pair of eyes; its clocks run on
    "completed",
    "dismissed",
    "reopened",  # was completed or dismissed; a later round of the same department stands in its place
]
ACTIVE: frozenset[TaskState] = frozenset({"open", "acknowledged", "in_progress", "dismiss_proposed"})
SYSTEM = "system"  # the actor of what no person did


class WarningRef(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A warning in a case, in its newest revision."""

    warning_id: str
    revision: int
    detector: str
    severity: Severity
    event_time: datetime
    policy_version: str


class TaskMeasure(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing to do, due at a time that never moves. A code may stand twice: done, and asked for again.

    Args:
        asked_at: event time of the warning, or of the reopening, that asked for it.
        due_at: its own where the policy gives it one, else by the severity of what asked for it.
        breached_at: equals `due_at` once that passed without completion.
    """

    code: str
    asked_at: datetime
    due_at: datetime
    completed_at: datetime | None = None
    completed_by: str | None = None
    breached_at: datetime | None = None


class Proposal(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A dismissal that waits for another employee, and the state to go back to where it is rejected."""

    employee_id: str
    at: datetime
    before: TaskState


class Task(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one department owes on a case.

    A department has one active task on a case at most. What is asked of it after it had finished, or when its
    work is reopened, is a new `round` with deadlines of its own; the earlier one keeps its own for ever.

    Args:
        severity: of the gravest warning so far; `due_severity` is the one the deadlines were computed by.
        policy_version: the version that gave the deadlines.
        acknowledge_due_at, due_at: computed once, when the task is made.
        ladder: who is told at each level of escalation, lowest first.
        acknowledge_steps, steps: when the ladder goes up while it is not acknowledged, not finished; the first of
            each is the due time itself. Stored, so that a later policy changes none of them.
        acknowledge_breached_at, breached_at: equal the due time once it passed without the deed.
        escalated_at, escalated_to: the levels reached; `escalation_level` is how many.
    """

    department: str
    owner: str
    round: int = 1
    state: TaskState = "open"
    severity: Severity
    due_severity: Severity
    policy_version: str
    created_at: datetime
    measures: tuple[TaskMeasure, ...] = ()
    acknowledge_due_at: datetime
    due_at: datetime
    ladder: tuple[str, ...]
    acknowledge_steps: tuple[datetime, ...]
    steps: tuple[datetime, ...]
    acknowledged_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    dismissed_at: datetime | None = None
    reopened_at: datetime | None = None
    acknowledge_breached_at: datetime | None = None
    breached_at: datetime | None = None
    escalation_level: int = 0
    escalated_at: tuple[datetime, ...] = ()
    escalated_to: tuple[str, ...] = ()
    proposal: Proposal | None = None

    @property
    def active(self) -> bool:
        """Something is still owed."""
        return self.state in ACTIVE

    @property
    def done_at(self) -> datetime | None:
        """When it was completed or, by four eyes, dismissed."""
        return self.completed_at or self.dismissed_at

    @property
    def breached(self) -> bool:
        """Any of its deadlines was missed."""
        missed = (self.acknowledge_breached_at, self.breached_at, *(one.breached_at for one in self.measures))
        return any(at is not None for at in missed)


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a case's history.

    Args:
        at: event time.
        recorded_at: when the broker took the event or, for what a timer found, when it looked.
        actor: employee id, or `system`.
        kind: of an action, or `opened`, `joined`, `revised`, `severity_rose`, `task_opened`, `measures_added`,
            `proposal_withdrawn`, `breached`, `escalated`, `breach_withdrawn`, `escalation_withdrawn`, `resolved`.
        action_id, warning_id: what brought it about; neither for what a timer found.
    """

    at: datetime
    recorded_at: datetime
    actor: str
    kind: str
    detail: str = ""
    department: str | None = None
    measure: str | None = None
    action_id: str | None = None
    warning_id: str | None = None
    note: str = ""
    evidence: tuple[str, ...] = ()


class Case(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Topic `cases`, key `case_id`, routed by `subject`. `revision` grows by one with every change."""

    case_id: str
    subject: str
    number: int
    mode: CaseMode
    state: CaseState = "open"
    severity: Severity
    policy_version: str
    opened_at: datetime
    resolved_at: datetime | None = None
    revision: int = 0
    warnings: tuple[WarningRef, ...] = ()
    tasks: tuple[Task, ...] = ()
    history: tuple[Entry, ...] = ()

    @property
    def key(self) -> str:
        return self.case_id

    def task(self, department: str) -> Task | None:
        """The department's newest task, or None."""
        return next((task for task in reversed(self.tasks) if task.department == department), None)

    def warning(self, warning_id: str) -> WarningRef | None:
        return next((ref for ref in self.warnings if ref.warning_id == warning_id), None)

    def applied(self, action_id: str) -> bool:
        """An action of this id is part of the history already."""
        return any(entry.action_id == action_id for entry in self.history)


def with_task(case: Case, task: Task) -> Case:
    """The case with this task in place of the same department's same round, or added."""
    same = [(old.department, old.round) == (task.department, task.round) for old in case.tasks]
    if not any(same):
        return replace(case, tasks=(*case.tasks, task))
    return replace(case, tasks=tuple(task if hit else old for hit, old in zip(same, case.tasks, strict=True)))


def noted(case: Case, *entries: Entry) -> Case:
    """The case with more lines in its history."""
    return replace(case, history=case.history + entries)


def concluded(case: Case, recorded_at: datetime) -> Case:
    """The case with the state that its tasks give it: resolved when none is active, else open."""
    if any(task.active for task in case.tasks):
        return replace(case, state="open", resolved_at=None)
    if case.state == "resolved":
        return case
    at = max((task.done_at for task in case.tasks if task.done_at is not None), default=case.opened_at)
    case = replace(case, state="resolved", resolved_at=at)
    return noted(case, Entry(at=at, recorded_at=recorded_at, actor=SYSTEM, kind="resolved"))
