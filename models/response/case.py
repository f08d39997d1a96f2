"""A case: the warnings on one subject, what each department owes on it, and everything that happened.

All values are frozen: a change makes a new `Case` (`models.response.joining` for warnings,
`models.response.moves` for actions, `models.response.deadlines` for the passing of time). `Case` is also the
value of the `cases` topic. Every time is an event time, except `recorded_at`.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from models.policy import Proof as ProofKind
from models.response.history import SYSTEM as SYSTEM
from models.response.history import Entry as Entry
from models.response.history import acted as acted
from models.response.history import chained
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
SuspensionState = Literal["in_force", "lift_proposed", "lifted"]
ACTIVE: frozenset[TaskState] = frozenset({"open", "acknowledged", "in_progress", "dismiss_proposed"})


class WarningRef(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A warning in a case, in its newest revision."""

    warning_id: str
    revision: int
    detector: str
    severity: Severity
    event_time: datetime
    policy_version: str


class Countersign(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """That a measure is done, as one employee says; it counts once another one has approved it."""

    employee_id: str
    at: datetime


class Part(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one partition has said of a measure's proof, as `models.proofs.Proved`; kept with the measure."""

    partition: int
    partitions: int
    listed: int = 0
    left: int = 0
    done_at: datetime | None = None
    evidence: tuple[str, ...] = ()
    revision: int


class TaskMeasure(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing to do, due at a time that never moves. A code may stand twice: done, and asked for again.

    Args:
        asked_at: event time of the warning, or of the reopening, that asked for it.
        due_at: its own where the policy gives it one, else by the severity of what asked for it.
        started_at: when the department first said that it does it; None where it did not say so.
        completed_by: who said that it is done; `countersigned_by`: who approved that, where it takes two.
        proposal: open between the two; the measure is not completed until then.
        breached_at: equals `due_at` once that passed without completion.
        remind_at: when the owner is reminded; None where it is due with its task, and where nobody is.
        reminded_at: equals `remind_at` once that passed without completion, and does so for ever.
        proof: what of the stream proves it; None where the department's word does.
        proof_since: what happens from then on proves it; None while nothing was asked.
        parts: what the stream has answered, by partition.
        claimed: done, somebody says (and another has approved, where it takes two), but not proved yet.
        proved_at: event time at which the stream proved it; the measure is completed at the later of the two.
        failed: ids of the events that showed the last claim to be untrue.
    """

    code: str
    asked_at: datetime
    due_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    completed_by: str | None = None
    countersigned_by: str | None = None
    proposal: Countersign | None = None
    breached_at: datetime | None = None
    remind_at: datetime | None = None
    reminded_at: datetime | None = None
    proof: ProofKind | None = None
    proof_since: datetime | None = None
    parts: tuple[Part, ...] = ()
    claimed: Countersign | None = None
    proved_at: datetime | None = None
    failed: tuple[str, ...] = ()


class Proposal(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What waits for another employee: a dismissal or a reopening.

    Args:
        before: the state to go back to where it is rejected; a reopening leaves the task in it.
        measure: which alone is to be reopened; None: all of the task's.
    """

    employee_id: str
    at: datetime
    before: TaskState
    kind: Literal["dismiss", "reopen"] = "dismiss"
    measure: str | None = None


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
        acknowledge_remind_at, remind_at: when the owner is reminded of each; computed once too, None without a policy
            for it.
        acknowledge_reminded_at, reminded_at: equal these once they passed without the deed. They are not taken back:
            the owner was told.
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
    acknowledge_remind_at: datetime | None = None
    remind_at: datetime | None = None
    acknowledged_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    dismissed_at: datetime | None = None
    reopened_at: datetime | None = None
    acknowledge_breached_at: datetime | None = None
    breached_at: datetime | None = None
    acknowledge_reminded_at: datetime | None = None
    reminded_at: datetime | None = None
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


class LiftProposal(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """To lift a suspension; it waits for another employee, and the suspension stays in force."""

    employee_id: str
    at: datetime


class CaseSuspension(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A time in which nothing may be approved in the case's subject, and by which measure.

    Args:
        department: whose measure it is.
        started_at, started_by: action and employee that began it.
        lifted_at: the time is over here; None while it is in force.
        lifted_by: who proposed to lift it, and who approved that.
    """

    measure: str
    department: str
    started_at: datetime
    started_by: str
    proposal: LiftProposal | None = None
    lifted_at: datetime | None = None
    lifted_by: tuple[str, ...] = ()

    @property
    def state(self) -> SuspensionState:
        if self.lifted_at is not None:
            return "lifted"
        return "in_force" if self.proposal is None else "lift_proposed"

    def covers(self, at: datetime) -> bool:
        """Nothing might be approved at this instant."""
        return self.started_at <= at and (self.lifted_at is None or at < self.lifted_at)


class Follower(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A case that follows this one, as it last said.

    Args:
        since, at: when it began to follow, and event time of its newest news.
        departments: those that owe something on it.
        revision: of the follower when it said so.
    """

    case_id: str
    since: datetime
    at: datetime
    open: bool
    departments: tuple[str, ...] = ()
    revision: int


class Case(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Topic `cases`, key `case_id`, routed by `subject`. `revision` grows by one with every change.

    Args:
        suspensions: by start; they do not overlap, and one at most is in force.
        suspended_revision: the revision in which a suspension began, began earlier than told, or was lifted last.
        head: the hash of the history's newest entry; empty where that has none.
        follows: the case that leads this one: what is done there is done here as well. Its clocks stay its own.
        followers: those that it leads; it is open while any of them is.
        confidential: for named roles only; on `cases` such a case says no more than that it is there.
    """

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
    suspensions: tuple[CaseSuspension, ...] = ()
    suspended_revision: int = 0
    head: str = ""
    follows: str | None = None
    followers: tuple[Follower, ...] = ()
    confidential: bool = False

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


def withdrawn(task: Task, codes: Collection[str] | None = None) -> tuple[Task, list[str]]:
    """The task without the open proposals to countersign these measures (None: all), and whose they were."""
    gone = [one for one in task.measures if one.proposal is not None and (codes is None or one.code in codes)]
    if not gone:
        return task, []
    measures = tuple(replace(one, proposal=None) if one in gone else one for one in task.measures)
    return replace(task, measures=measures), [one.code for one in gone]


def noted(case: Case, *entries: Entry) -> Case:
    """The case with more lines in its history, chained to those before: the only place that adds any."""
    if not entries:
        return case
    more = chained(case.case_id, case.history, entries)
    return replace(case, history=case.history + more, head=more[-1].hash)


def concluded(case: Case, recorded_at: datetime) -> Case:
    """The case with the state that its tasks and followers give it: resolved when none of them is open, else open."""
    if any(task.active for task in case.tasks) or any(one.open for one in case.followers):
        return replace(case, state="open", resolved_at=None)
    if case.state == "resolved":
        return case
    times = [task.done_at for task in case.tasks if task.done_at is not None]
    at = max([*times, *(one.at for one in case.followers)], default=case.opened_at)
    case = replace(case, state="resolved", resolved_at=at)
    return noted(case, Entry(at=at, recorded_at=recorded_at, actor=SYSTEM, kind="resolved"))
