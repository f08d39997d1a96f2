"""Measures: completed by one employee or by two, some of them only after others, some once the stream proves them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal, NoReturn

from msgspec.structs import replace

from models.events import Action
from models.policy import Policy
from models.response.case import Case, Countersign, Entry, Task, TaskMeasure, acted, concluded, noted, with_task
from models.response.four_eyes import SECOND, second_pair
from models.response.proving import awaits_proof, told_done, wanted
from models.response.suspension import in_force, suspend
from models.stage import Refused

_KINDS: dict[Literal["approve", "reject"], str] = {"approve": "countersigned", "reject": "countersign_rejected"}


def complete(case: Case, task: Task, action: Action, policy: Policy, recorded_at: datetime) -> tuple[Task, list[Entry]]:
    """The task after `complete`: the measure named, or all; those that take two employees are proposed.

    Returns:
        the task, finished where all its measures are, and an entry for each measure that now waits to be
        countersigned or to be proved.

    Raises:
        Refused: `illegal_move` where nothing is left to complete, or a lift of the measure is proposed; `depends_on`.
    """
    pending = [one for one in task.measures if one.completed_at is None]
    said = [one for one in pending if one.proposal is not None or one.claimed is not None]
    named = [one for one in pending if one not in said and action.measure in (None, one.code)]
    if not named and (pending or action.measure is not None):
        _nothing_left(case, task, action, pending)
    asked = [one for one in named if _takes_two(one, policy)]
    told = [one for one in named if one not in asked]
    done = [one for one in told if one.proof is None or one.proved_at is not None]
    held = in_force(case)
    for one in asked:
        if held is not None and held.measure == one.code and held.proposal is not None:
            _illegal(case, task, f"a lift of {one.code} is proposed; decide on that before it is completed")
    check_order(case, named, done, policy)
    who, at = action.actor.employee_id, action.event_time

    def after(one: TaskMeasure) -> TaskMeasure:
        if one in told:
            return told_done(one, who, at)
        return replace(one, proposal=Countersign(employee_id=who, at=at)) if one in asked else one

    changed = replace(task, measures=tuple(after(one) for one in task.measures), started_at=task.started_at or at)
    may = f"another employee of {task.department} or {SECOND} must approve"
    entries = [
        replace(
            acted(action, recorded_at, f"{one.code}: done, says {who}; {may}"),
            kind="countersign_asked",
            measure=one.code,
        )
        for one in asked
    ]
    entries += [_claimed(one, action, recorded_at) for one in changed.measures if awaits_proof(one) and one not in said]
    return finished(changed, action), entries


def _claimed(one: TaskMeasure, action: Action, recorded_at: datetime) -> Entry:
    assert one.claimed is not None  # noqa: S101 - else it awaits no proof
    detail = f"{one.code}: done, says {one.claimed.employee_id}; waits for the proof: {wanted(one)}"
    return replace(acted(action, recorded_at, detail), kind="claimed", measure=one.code)


def finished(task: Task, action: Action) -> Task:
    """The task completed where none of its measures is left, else in progress."""
    times = [one.completed_at for one in task.measures if one.completed_at is not None]
    if len(times) < len(task.measures):
        return replace(task, state="in_progress")
    return replace(task, state="completed", completed_at=max([action.event_time, *times]))


def _takes_two(one: TaskMeasure, policy: Policy) -> bool:
    measure = policy.response.measures.get(one.code)
    return measure is not None and measure.countersign


def check_order(case: Case, named: Iterable[TaskMeasure], done: Sequence[TaskMeasure], policy: Policy) -> None:
    """Check that nothing is completed before what it comes after.

    Args:
        named: to be completed; `done`: those of them that are by this very action.

    Raises:
        Refused: `depends_on`, with what is still to be completed, and whose it is.
    """
    pending = [(task, one) for task in case.tasks if task.active for one in task.measures if one.completed_at is None]
    for one in named:
        measure = policy.response.measures.get(one.code)
        for task, other in pending:
            if measure is not None and other.code in measure.after and other not in done:
                raise Refused(
                    "depends_on",
                    "measure",
                    f"{case.case_id}: {one.code} comes after {other.code} of {task.department}, which {_state(other)}",
                )


def _state(one: TaskMeasure) -> str:
    if one.proposal is not None:
        return "waits to be countersigned"
    return "is not completed" if one.claimed is None else f"waits for its proof: {wanted(one)}"


def _nothing_left(case: Case, task: Task, action: Action, pending: Sequence[TaskMeasure]) -> NoReturn:
    for one in pending:
        if action.measure in (None, one.code):
            _illegal(case, task, _waits(task, one))
    _illegal(case, task, f"{action.measure} is completed already")


def _waits(task: Task, one: TaskMeasure) -> str:
    if one.claimed is not None:
        return f"{one.code}, which {one.claimed.employee_id} says is done, waits for its proof: {wanted(one)}"
    by = "" if one.proposal is None else f", which {one.proposal.employee_id} says is done,"
    return (
        f"{one.code}{by} waits to be countersigned; another employee of {task.department} or {SECOND} may approve or "
        "reject it, naming the measure"
    )


# --- the second employee ---


def to_countersign(case: Case, action: Action) -> Task | None:
    """The task whose open proposal an `approve` or `reject` names; None where it is about something else."""
    if action.kind not in ("approve", "reject") or action.measure is None:
        return None
    return next((task for task in case.tasks if task.active and _open(task, action.measure) is not None), None)


def _open(task: Task, code: str) -> TaskMeasure | None:
    return next((one for one in task.measures if one.code == code and one.proposal is not None), None)


def countersign(
    case: Case, task: Task, action: Action, policy: Policy, recorded_at: datetime, others: Iterable[Case]
) -> Case:
    """The case after another employee's word on a measure that the first one completed.

    Approved, it is completed at the approval's time, or once it is proved; rejected, it is owed as before.

    Args:
        task: as `to_countersign` found it.
        others: the subject's other cases of the same mode, for what the measure suspends.

    Raises:
        Refused: `illegal_move`, `four_eyes`, `before_proposal`, `depends_on`.
    """
    one = _open(task, action.measure or "")
    if one is None or one.proposal is None or action.kind not in ("approve", "reject"):
        raise ValueError(f"{case.case_id}: {action.kind} of {action.measure} is about no measure of {task.department}")
    at, who, proposer = action.event_time, action.actor.employee_id, one.proposal.employee_id
    if action.actor.department not in (task.department, SECOND):
        raise Refused(
            "illegal_move",
            "actor.department",
            f"{case.case_id}: {action.kind} of {one.code} is not {action.actor.department}'s; "
            f"{task.department} and {SECOND} decide on it",
        )
    if task.state == "dismiss_proposed":
        _illegal(case, task, f"its dismissal is proposed; approve or reject that, without a measure, before {one.code}")
    if action.kind == "approve":
        second_pair(
            action, proposer, one.proposal.at, f"{task.department} or {SECOND}", f"{one.code} as completed", policy
        )
        check_order(case, [one], [one], policy)
        new = told_done(one, proposer, at, who)
        detail = f"{one.code}: completion proposed by {proposer}, approved by {who}"
    else:
        new = replace(one, proposal=None)
        detail = f"{one.code}: completion proposed by {proposer}, rejected by {who}"
    moved = replace(task, measures=tuple(new if old is one else old for old in task.measures))
    entry = replace(acted(action, recorded_at, detail), kind=_KINDS[action.kind])
    entries = [entry, _claimed(new, action, recorded_at)] if awaits_proof(new) else [entry]
    case = noted(with_task(case, finished(moved, action)), *entries)
    if action.kind == "approve":
        case = suspend(case, [one.code], action, policy, recorded_at, others, task.department)
    return concluded(case, recorded_at)


def check_proposed(case: Case, action: Action, policy: Policy) -> None:
    """Check that an `approve` or `reject` of a measure that takes two is not sent before anybody completed it.

    Raises:
        Refused: `illegal_move`.
    """
    held = in_force(case)
    if action.kind not in ("approve", "reject") or (held is not None and held.measure == action.measure):
        return
    for task in case.tasks:
        for one in task.measures:
            if one.code == action.measure and _takes_two(one, policy):
                _illegal(case, task, f"nobody has completed {one.code}, so that there is nothing to {action.kind}")


def _illegal(case: Case, task: Task, why: str) -> NoReturn:
    raise Refused("illegal_move", "measure", f"{case.case_id}, {task.department}: {why}")
