"""How a drill went: whether the warnings came, who answered in time, and what was missed, from topics alone.

Every step that was asked for is one point: a warning that must come, a task to acknowledge, a measure to complete. A
step counts where it was done by its frozen due time. Nothing here reads a clock: what happened after `at` has not
happened yet, so a score made again of the same warnings, cases and `at` is the same.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from msgspec import Struct

from models.credit.indices_exact import six_places
from models.drill import drill_of
from models.response.case import SYSTEM, Case, Task, TaskMeasure
from models.risk_warning import Department, RiskWarning

Outcome = Literal[
    "in_time",
    "late",  # done, after its due time
    "missed",  # due, and not done; a warning that did not come
    "dismissed",  # the task was, by four eyes: in a drill there is something behind every case
    "open",  # not due yet
]
Verdict = Literal["nothing", "passed", "under_way", "not_passed"]
ACKNOWLEDGE, COMPLETE = "acknowledge", "complete"


class Expected(Struct, frozen=True, kw_only=True):
    """A warning that a drill must bring, and whom it asks for what."""

    detector: str
    subject: str
    departments: tuple[Department, ...]
    measures: tuple[str, ...]


class Seen(Struct, frozen=True, kw_only=True):
    """What became of a warning that must come.

    Args:
        warning_id, event_time, detected_at: of its first revision; None where it did not come.
    """

    detector: str
    subject: str
    warning_id: str | None = None
    event_time: datetime | None = None
    detected_at: datetime | None = None

    @property
    def after(self) -> timedelta | None:
        """From the event that made it so to the warning."""
        if self.event_time is None or self.detected_at is None:
            return None
        return self.detected_at - self.event_time

    @property
    def outcome(self) -> Outcome:
        return "missed" if self.warning_id is None else "in_time"


class Step(Struct, frozen=True, kw_only=True):
    """One thing that a department was asked for.

    Args:
        what: `acknowledge`, the code of a measure, or `complete` for a task without any.
        started_at, started_by: where somebody said that the measure is begun.
        done_at, done_by: `confirmed_by` countersigned that, where it takes two.
        claimed_at, claimed_by: the department says that it is done, but the stream has not proved it.
    """

    what: str
    due_at: datetime
    outcome: Outcome
    started_at: datetime | None = None
    started_by: str | None = None
    done_at: datetime | None = None
    done_by: str | None = None
    confirmed_by: str | None = None
    claimed_at: datetime | None = None
    claimed_by: str | None = None


class Escalation(Struct, frozen=True):
    """Who was told that a task is overdue, and when."""

    to: str
    at: datetime


class TaskScore(Struct, frozen=True, kw_only=True):
    """What one department did on one case."""

    case_id: str
    department: str
    round: int
    owner: str
    steps: tuple[Step, ...]
    escalations: tuple[Escalation, ...] = ()


class DrillScore(Struct, frozen=True, kw_only=True):
    """A drill, scored as of an instant.

    Args:
        warnings: those that must come, in the scenario's order.
        others: (detector, subject) of what came beside them.
        tasks: of all the drill's cases.
        hidden: cases of which one sees no more than that they are there.
    """

    drill: str
    at: datetime
    warnings: tuple[Seen, ...]
    others: tuple[tuple[str, str], ...]
    tasks: tuple[TaskScore, ...]
    hidden: tuple[str, ...] = ()

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """Of every step."""
        return (
            *(one.outcome for one in self.warnings),
            *(step.outcome for task in self.tasks for step in task.steps),
        )

    @property
    def achieved(self) -> int:
        """Steps done in time."""
        return self.outcomes.count("in_time")

    @property
    def points(self) -> Decimal:
        """Share of all steps that were done in time; six places."""
        return six_places(Fraction(self.achieved, len(self.outcomes))) if self.outcomes else Decimal("0.000000")

    @property
    def verdict(self) -> Verdict:
        found = set(self.outcomes)
        if not self.tasks and "in_time" not in found:
            return "nothing"
        if found & {"late", "missed", "dismissed"}:
            return "not_passed"
        return "under_way" if "open" in found or not self.tasks or self.hidden else "passed"

    @property
    def failures(self) -> tuple[tuple[TaskScore, Step], ...]:
        """What was asked of departments and is late, missed or dismissed; in order of the due times."""
        found = [(task, step) for task in self.tasks for step in task.steps if step.outcome not in ("in_time", "open")]
        return tuple(sorted(found, key=lambda one: (one[1].due_at, one[0].case_id, one[0].department)))


def score(
    drill: str, expected: Iterable[Expected], warnings: Iterable[RiskWarning], cases: Iterable[Case], at: datetime
) -> DrillScore:
    """Score a drill.

    Args:
        expected: what its scenario must bring.
        warnings: all revisions, or the first of each; those that are not of this drill are passed over.
        cases: each as it stands, likewise.
        at: as of when; times are the events' own, but a warning is there from its `detected_at` on.
    """
    first: dict[str, RiskWarning] = {}
    for one in warnings:
        known = first.get(one.warning_id)
        of_it = one.mode == "drill" and drill_of(one.subject) == drill and one.detected_at <= at
        if of_it and (known is None or one.revision < known.revision):
            first[one.warning_id] = one
    wanted = tuple(expected)
    came = sorted(first.values(), key=lambda one: (one.event_time, one.detected_at, one.warning_id))
    keys = {(one.detector, one.subject) for one in wanted}
    others = dict.fromkeys((one.detector, one.subject) for one in came if (one.detector, one.subject) not in keys)
    own = sorted(
        (case for case in cases if drill_of(case.subject) == drill and case.opened_at <= at),
        key=lambda case: (case.opened_at, case.case_id),
    )
    return DrillScore(
        drill=drill,
        at=at,
        warnings=tuple(_seen(one, came) for one in wanted),
        others=tuple(others),
        tasks=tuple(_task(case, task, at) for case in own for task in case.tasks if task.created_at <= at),
        hidden=tuple(case.case_id for case in own if case.confidential and not case.tasks),
    )


def _seen(expected: Expected, came: list[RiskWarning]) -> Seen:
    told = next((one for one in came if (one.detector, one.subject) == (expected.detector, expected.subject)), None)
    if told is None:
        return Seen(detector=expected.detector, subject=expected.subject)
    return Seen(
        detector=told.detector,
        subject=told.subject,
        warning_id=told.warning_id,
        event_time=told.event_time,
        detected_at=told.detected_at,
    )


def _task(case: Case, task: Task, at: datetime) -> TaskScore:
    told = zip(task.escalated_to, task.escalated_at, strict=True)
    return TaskScore(
        case_id=case.case_id,
        department=task.department,
        round=task.round,
        owner=task.owner,
        steps=(_acknowledgement(case, task, at), *_measures(case, task, at)),
        escalations=tuple(Escalation(who, when) for who, when in told if when <= at),
    )


def _acknowledgement(case: Case, task: Task, at: datetime) -> Step:
    done = _by(task.acknowledged_at, at)
    return Step(
        what=ACKNOWLEDGE,
        due_at=task.acknowledge_due_at,
        outcome=_outcome(task.acknowledge_due_at, done, None, at),
        done_at=done,
        done_by=_who(case, task, done),
    )


def _measures(case: Case, task: Task, at: datetime) -> Iterator[Step]:
    dismissed = _by(task.dismissed_at, at)
    if not task.measures:
        done = _by(task.completed_at, at)
        yield Step(
            what=COMPLETE,
            due_at=task.due_at,
            outcome=_outcome(task.due_at, done, dismissed, at),
            started_at=(begun := _by(task.started_at, at)),
            started_by=_who(case, task, begun),
            done_at=done,
            done_by=_who(case, task, done),
        )
    for one in task.measures:
        if one.asked_at > at:
            continue
        done, begun = _by(one.completed_at, at), _by(one.started_at, at)
        claimed = one.claimed if one.claimed is not None and done is None and one.claimed.at <= at else None
        yield Step(
            what=one.code,
            due_at=one.due_at,
            outcome=_outcome(one.due_at, done, dismissed, at),
            started_at=begun,
            started_by=_who(case, task, begun, one),
            done_at=done,
            done_by=one.completed_by if done is not None else None,
            confirmed_by=one.countersigned_by if done is not None else None,
            claimed_at=claimed.at if claimed is not None else None,
            claimed_by=claimed.employee_id if claimed is not None else None,
        )


def _outcome(due: datetime, done: datetime | None, dismissed: datetime | None, at: datetime) -> Outcome:
    """A deed at its due time exactly is in time."""
    if done is not None:
        return "in_time" if done <= due else "late"
    if dismissed is not None:
        return "dismissed"
    return "missed" if due < at else "open"


def _by(deed: datetime | None, at: datetime) -> datetime | None:
    """When it was done, as far as that has happened."""
    return deed if deed is not None and deed <= at else None


def _who(case: Case, task: Task, deed: datetime | None, measure: TaskMeasure | None = None) -> str | None:
    """Who did something for a department at an instant, as the history says."""
    if deed is None:
        return None
    made = (entry for entry in case.history if entry.department == task.department and entry.at == deed)
    people = [entry for entry in made if entry.actor != SYSTEM and entry.kind != "comment"]
    named = [entry for entry in people if measure is not None and entry.measure == measure.code]
    return next((entry.actor for entry in (*named, *people)), None)
