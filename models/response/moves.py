"""What a department may do on a case, as a transition table, and what each move does."""

from datetime import datetime
from typing import Literal, NoReturn

from msgspec.structs import replace

from models.events import Action, ActionKind
from models.policy import Policy
from models.response.case import SYSTEM, Case, CaseState, Entry, Proposal, Task, TaskState, concluded, noted, with_task
from models.response.joining import new_task
from models.stage import Refused

# The state after a move; "before" is the one that the proposal was made in. `complete` with some measures left
# leaves a task in progress. `comment` is legal always, for every department, and moves nothing.
TASK_MOVES: dict[TaskState, dict[ActionKind, TaskState | Literal["before"]]] = {
    "open": {
        "acknowledge": "acknowledged",
        "start": "in_progress",
        "assign": "open",
        "dismiss": "dismiss_proposed",
    },
    "acknowledged": {
        "start": "in_progress",
        "complete": "completed",
        "assign": "acknowledged",
        "dismiss": "dismiss_proposed",
    },
    "in_progress": {"complete": "completed", "assign": "in_progress", "dismiss": "dismiss_proposed"},
    "dismiss_proposed": {"approve": "dismissed", "reject": "before", "assign": "dismiss_proposed"},
    "completed": {"reopen": "reopened"},
    "dismissed": {"reopen": "reopened"},
    "reopened": {},
}
# A case follows its tasks: resolved when none is active any more; open again when one is.
CASE_MOVES: dict[CaseState, dict[str, CaseState]] = {
    "open": {"last_task_done": "resolved"},
    "resolved": {"reopen": "open"},
}


def legal_kinds(task: Task) -> tuple[str, ...]:
    """The kinds of action that a task takes in its present state."""
    return (*TASK_MOVES[task.state], "comment")


def act(case: Case, action: Action, policy: Policy, recorded_at: datetime) -> Case:
    """The case after an action. Times are the action's own event time.

    Starting implies acknowledging, completing implies both; proposing a dismissal implies acknowledging.

    Args:
        policy: in force at the action's event time; gives a reopened task its deadlines.
        recorded_at: when the broker took the action.

    Raises:
        Refused: `no_task`, `before_task`, `unknown_measure`, `illegal_move`, `four_eyes`, `bad_assignee`.
    """
    if action.kind == "comment":
        return noted(case, _entry(action, recorded_at, ""))
    task = case.task(action.actor.department)
    if task is None:
        owing = ", ".join(dict.fromkeys(one.department for one in case.tasks))
        raise Refused(
            "no_task",
            "actor.department",
            f"{action.actor.department} owes nothing on {case.case_id}; {owing} do. A comment is open to everybody",
        )
    target = TASK_MOVES[task.state].get(action.kind)
    if target is None:
        _illegal("kind", case, task, f"{action.kind} does not go from {task.state}")
    if action.event_time < task.created_at - policy.future_tolerance:
        raise Refused(
            "before_task",
            "event_time",
            f"{action.event_time.isoformat()} is before the task was asked for ({task.created_at.isoformat()})",
        )
    if action.measure is not None and all(one.code != action.measure for one in task.measures):
        codes = ", ".join(one.code for one in task.measures) or "none"
        raise Refused("unknown_measure", "measure", f"{task.department} has no {action.measure}; it has {codes}")
    moved, detail = _moved(case, task, action, _proposal(task).before if target == "before" else target)
    case = noted(with_task(case, moved), _entry(action, recorded_at, detail))
    if action.kind == "reopen":
        case = _next_round(case, task, action, policy, recorded_at)
    return concluded(case, recorded_at)


def _proposal(task: Task) -> Proposal:
    if task.proposal is None:
        raise ValueError(f"{task.department}: {task.state} without a proposal")
    return task.proposal


def _moved(case: Case, task: Task, action: Action, target: TaskState) -> tuple[Task, str]:
    """The task after a legal move, with a line for the history."""
    at, who = action.event_time, action.actor.employee_id
    seen = min(at, task.acknowledged_at) if task.acknowledged_at else at
    match action.kind:
        case "acknowledge":
            return replace(task, state=target, acknowledged_at=seen), ""
        case "start":
            return replace(task, state=target, acknowledged_at=seen, started_at=at), ""
        case "complete":
            return _completed(case, task, action, seen), ""
        case "dismiss":
            proposal = Proposal(employee_id=who, at=at, before=task.state)
            return replace(task, state=target, acknowledged_at=seen, proposal=proposal), f"proposed by {who}"
        case "approve":
            proposer = _proposal(task).employee_id
            if who == proposer:
                raise Refused("four_eyes", "actor.employee_id", f"{who} proposed the dismissal: another must approve")
            detail = f"dismissal proposed by {proposer}, approved by {who}"
            return replace(task, state=target, dismissed_at=at, proposal=None), detail
        case "reject":
            detail = f"dismissal proposed by {_proposal(task).employee_id}, rejected by {who}"
            return replace(task, state=target, proposal=None), detail
        case "assign":
            owner = action.note.strip() or who
            if len(owner.split()) > 1 or len(owner) > 200:
                raise Refused(
                    "bad_assignee", "note", "assign takes an employee id in note, or none: the actor takes it over"
                )
            return replace(task, owner=owner), f"{task.owner} hands over to {owner}"
        case _:
            return replace(task, state=target, reopened_at=at), ""


def _completed(case: Case, task: Task, action: Action, seen: datetime) -> Task:
    pending = [one for one in task.measures if one.completed_at is None]
    named = [one for one in pending if action.measure in (None, one.code)]
    if action.measure is not None and not named:
        _illegal("measure", case, task, f"{action.measure} is completed already")
    measures = tuple(
        replace(one, completed_at=action.event_time, completed_by=action.actor.employee_id) if one in named else one
        for one in task.measures
    )
    left = len(pending) > len(named)
    times = [one.completed_at for one in measures if one.completed_at is not None]
    return replace(
        task,
        state="in_progress" if left else "completed",
        measures=measures,
        acknowledged_at=seen,
        started_at=task.started_at or action.event_time,
        completed_at=None if left else max([action.event_time, *times]),
    )


def _next_round(case: Case, old: Task, action: Action, policy: Policy, recorded_at: datetime) -> Case:
    """What is reopened is owed anew, with deadlines from the reopening; the old task's deadlines stand."""
    codes = [action.measure] if action.measure else list(dict.fromkeys(one.code for one in old.measures))
    task = new_task(policy, old.department, old.severity, codes, action.event_time, old.round + 1, old.owner)
    entry = Entry(
        at=action.event_time,
        recorded_at=recorded_at,
        actor=SYSTEM,
        kind="task_opened",
        department=old.department,
        detail=f"round {task.round}, {', '.join(codes) or 'no measures'}",
    )
    return noted(with_task(case, task), entry)


def _illegal(field: str, case: Case, task: Task, why: str) -> NoReturn:
    raise Refused(
        "illegal_move",
        field,
        f"{case.case_id}, {task.department}: {why}; legal now: {', '.join(legal_kinds(task))}",
    )


def _entry(action: Action, recorded_at: datetime, detail: str) -> Entry:
    return Entry(
        at=action.event_time,
        recorded_at=recorded_at,
        actor=action.actor.employee_id,
        kind=action.kind,
        detail=detail,
        department=action.actor.department,
        measure=action.measure,
        action_id=action.action_id,
        note=action.note,
        evidence=action.evidence,
    )
