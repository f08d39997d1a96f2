"""What a department may do on a case, as a transition table, and what each move does.

Cases that follow others, and those for named roles only, are not about tasks and have no moves here
(`models.response.linking`, `models.response.confidential`).
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal, NoReturn

from msgspec.structs import replace

from models.events import Action, ActionKind
from models.policy import Policy
from models.response.case import (
    SYSTEM,
    Case,
    CaseState,
    Entry,
    Proposal,
    Task,
    TaskMeasure,
    TaskState,
    acted,
    concluded,
    noted,
    with_task,
)
from models.response.four_eyes import check_role, second_pair
from models.response.joining import Why, ask, new_task
from models.response.measures import check_proposed, complete, countersign, to_countersign
from models.response.proving import closed, taken_back
from models.response.suspension import about_suspension, decide, in_force, suspend
from models.stage import Refused

# The state after a move; "before" is the one that the proposal was made in. `complete` with some measures left
# or unproved leaves a task in progress. `comment` is legal always, for every department, and moves nothing.
TASK_MOVES: dict[TaskState, dict[ActionKind, TaskState | Literal["before"]]] = {
    "open": {
        "acknowledge": "acknowledged",
        "start": "in_progress",
        "find": "acknowledged",
        "assign": "open",
        "dismiss": "dismiss_proposed",
    },
    "acknowledged": {
        "start": "in_progress",
        "complete": "completed",
        "find": "acknowledged",
        "assign": "acknowledged",
        "dismiss": "dismiss_proposed",
    },
    "in_progress": {
        "complete": "completed",
        "find": "in_progress",
        "assign": "in_progress",
        "dismiss": "dismiss_proposed",
    },
    "dismiss_proposed": {"approve": "dismissed", "reject": "before", "assign": "dismiss_proposed"},
    "completed": {"reopen": "reopened"},
    "dismissed": {"reopen": "reopened"},
    "reopened": {},
}
# Instead of that, while a second employee is asked to reopen: a task keeps its state until then.
REOPEN_MOVES: dict[ActionKind, TaskState | Literal["before"]] = {"approve": "reopened", "reject": "before"}
# What is legal beside that for an action that names one of the task's measures; `approve` and `reject` where the
# measure waits to be countersigned (`models.response.measures`).
MEASURE_MOVES: dict[TaskState, dict[ActionKind, TaskState]] = {
    "in_progress": {"start": "in_progress", "approve": "completed", "reject": "in_progress"}
}
_WHAT = {"dismiss": "dismissal", "reopen": "reopening"}
# A case follows its tasks: resolved when none is active any more; open again when one is.
CASE_MOVES: dict[CaseState, dict[str, CaseState]] = {
    "open": {"last_task_done": "resolved"},
    "resolved": {"reopen": "open", "measure_disproved": "open"},
}


def moves_of(task: Task) -> dict[ActionKind, TaskState | Literal["before"]]:
    """What a task takes in its present state, without what is about one of its measures."""
    if task.proposal is not None and task.proposal.kind == "reopen":
        return REOPEN_MOVES
    return TASK_MOVES[task.state]


def legal_kinds(task: Task) -> tuple[str, ...]:
    """The kinds of action that a task takes in its present state."""
    waits = any(one.proposal is not None for one in task.measures)
    by_measure = [kind for kind in MEASURE_MOVES.get(task.state, ()) if waits or kind == "start"]
    return (*moves_of(task), *(f"{kind} of a measure" for kind in by_measure), "comment")


def reopens(case: Case, action: Action) -> bool:
    """Whether an action is about opening one of the case's finished tasks again."""
    if action.kind == "reopen":
        return True
    task = case.task(action.actor.department)
    asked = task is not None and task.proposal is not None and task.proposal.kind == "reopen"
    return asked and action.kind == "approve" and action.measure is None


def act(case: Case, action: Action, policy: Policy, recorded_at: datetime, others: Iterable[Case] = ()) -> Case:
    """The case after an action. Times are the action's own event time.

    Starting implies acknowledging, completing implies both; proposing a dismissal implies acknowledging. Starting a
    measure that suspends approvals, or completing it, puts the suspension in force (`models.response.suspension`).
    What the policy wants two employees for is only proposed; it is done at the time of the second one's `approve`.

    Args:
        policy: in force at the action's event time; gives a reopened task its deadlines.
        recorded_at: when the broker took the action.
        others: the subject's other cases of the same mode.

    Raises:
        Refused: `role`, `no_task`, `before_task`, `unknown_measure`, `illegal_move`, `four_eyes`, `bad_assignee`,
            `depends_on`, `no_suspension`, `before_suspension`, `before_proposal`.
    """
    check_role(action, policy)
    if action.kind == "comment":
        return noted(case, acted(action, recorded_at, ""))
    if (task := to_countersign(case, action)) is not None:
        return countersign(case, task, action, policy, recorded_at, others)
    if about_suspension(action):
        check_proposed(case, action, policy)
        return decide(case, action, policy, recorded_at, others)
    task = case.task(action.actor.department)
    if task is None:
        owing = ", ".join(dict.fromkeys(one.department for one in case.tasks))
        raise Refused(
            "no_task",
            "actor.department",
            f"{action.actor.department} owes nothing on {case.case_id}; {owing} do. A comment is open to everybody"
            + _of_the_lift(case, action),
        )
    target = moves_of(task).get(action.kind)
    if target is None and action.measure is not None:
        target = MEASURE_MOVES.get(task.state, {}).get(action.kind)
    if target is None:
        asked = "" if task.proposal is None else f", where {task.proposal.employee_id} proposed to {task.proposal.kind}"
        why = f"{action.kind} does not go from {task.state}{asked}{_of_the_lift(case, action)}"
        _illegal("kind", case, task, why)
    if action.event_time < task.created_at - policy.future_tolerance:
        raise Refused(
            "before_task",
            "event_time",
            f"{action.event_time.isoformat()} is before the task was asked for ({task.created_at.isoformat()})",
        )
    if action.measure is not None and all(one.code != action.measure for one in task.measures):
        codes = ", ".join(one.code for one in task.measures) or "none"
        raise Refused("unknown_measure", "measure", f"{task.department} has no {action.measure}; it has {codes}")
    state = _proposal(task).before if target == "before" else target
    if action.kind == "find":
        return concluded(_found(case, task, action, state, policy, recorded_at), recorded_at)
    if action.kind == "complete":
        moved, asked_for = complete(case, _seen(task, action), action, policy, recorded_at)
        case = noted(with_task(case, moved), acted(action, recorded_at, ""), *asked_for)
    else:
        moved, detail = _moved(case, task, action, state, policy)
        case = noted(with_task(case, moved), acted(action, recorded_at, detail))
    case = suspend(case, _begun(task, moved, action), action, policy, recorded_at, others)
    if moved.state == "dismissed":
        case = _unsigned(case, moved, action, recorded_at)
    if moved.state == "reopened":
        measure = task.proposal.measure if task.proposal is not None else action.measure
        case = _next_round(case, task, measure, action, policy, recorded_at)
    return concluded(case, recorded_at)


def _proposal(task: Task) -> Proposal:
    if task.proposal is None:
        raise ValueError(f"{task.department}: {task.state} without a proposal")
    return task.proposal


def _seen(task: Task, action: Action) -> Task:
    """The task acknowledged, by this action or by an earlier one."""
    at = action.event_time
    return replace(task, acknowledged_at=min(at, task.acknowledged_at) if task.acknowledged_at else at)


def _moved(case: Case, task: Task, action: Action, target: TaskState, policy: Policy) -> tuple[Task, str]:
    """The task after a legal move, with a line for the history."""
    at, who = action.event_time, action.actor.employee_id
    match action.kind:
        case "acknowledge":
            return replace(_seen(task, action), state=target), ""
        case "start":
            return _started(case, task, action, replace(_seen(task, action), state=target)), ""
        case "dismiss" | "reopen" as kind:
            seen = _seen(task, action) if kind == "dismiss" else task
            if kind not in policy.response.four_eyes:
                return _decided(seen, "dismissed" if kind == "dismiss" else "reopened", at), ""
            waits = target if kind == "dismiss" else task.state
            proposal = Proposal(employee_id=who, at=at, before=task.state, kind=kind, measure=action.measure)
            return replace(seen, state=waits, proposal=proposal), f"proposed by {who}"
        case "approve":
            proposal, what = _proposal(task), _WHAT[_proposal(task).kind]
            second_pair(action, proposal.employee_id, proposal.at, task.department, f"the {what}", policy)
            detail = f"{what} proposed by {proposal.employee_id}, approved by {who}"
            return _decided(task, target, at), detail
        case "reject":
            detail = f"{_WHAT[_proposal(task).kind]} proposed by {_proposal(task).employee_id}, rejected by {who}"
            return closed(replace(task, state=target, proposal=None)), detail
        case "assign":
            owner = action.note.strip() or who
            if len(owner.split()) > 1 or len(owner) > 200:
                raise Refused(
                    "bad_assignee", "note", "assign takes an employee id in note, or none: the actor takes it over"
                )
            return replace(task, owner=owner), f"{task.owner} hands over to {owner}"
        case _:
            raise ValueError(f"{action.kind} moves no task")


def _decided(task: Task, target: TaskState, at: datetime) -> Task:
    if target == "dismissed":
        return replace(task, state=target, dismissed_at=at, proposal=None)
    return replace(task, state=target, reopened_at=at, proposal=None)


def _unsigned(case: Case, task: Task, action: Action, recorded_at: datetime) -> Case:
    """What waits to be countersigned, or to be proved, goes with the task that is dismissed."""
    left, codes = taken_back(task)
    if not codes:
        return case
    entry = replace(acted(action, recorded_at, f"{', '.join(codes)}: dismissed"), kind="proposal_withdrawn", note="")
    return noted(with_task(case, left), replace(entry, actor=SYSTEM, evidence=()))


def _started(case: Case, task: Task, action: Action, seen: Task) -> Task:
    at = action.event_time
    started = replace(seen, started_at=min(at, task.started_at or at))
    if action.measure is None:
        return started
    # One that was completed meanwhile may have been started before: the action came late.
    named = next((one for one in task.measures if one.code == action.measure and not _done(one, at)), None)
    if named is None:
        _illegal("measure", case, task, f"{action.measure} is completed already")
    begun = replace(named, started_at=min(at, named.started_at or at))
    return replace(started, measures=tuple(begun if one is named else one for one in task.measures))


def _done(measure: TaskMeasure, at: datetime) -> bool:
    return measure.completed_at is not None and measure.completed_at <= at


def _begun(before: Task, after: Task, action: Action) -> list[str]:
    """The measures that an action says are begun: the one it starts, those it completes."""
    match action.kind:
        case "start":
            return [action.measure] if action.measure is not None else []
        case "complete":
            pairs = zip(before.measures, after.measures, strict=True)
            return [new.code for old, new in pairs if old.completed_at is None and new.completed_at is not None]
        case _:
            return []


def _next_round(
    case: Case, old: Task, measure: str | None, action: Action, policy: Policy, recorded_at: datetime
) -> Case:
    """What is reopened is owed anew, with deadlines from the reopening; the old task's deadlines stand."""
    codes = [measure] if measure else list(dict.fromkeys(one.code for one in old.measures))
    start, round_ = action.event_time, old.round + 1
    task = new_task(case.subject, policy, old.department, old.severity, codes, start, round_, old.owner)
    entry = Entry(
        at=action.event_time,
        recorded_at=recorded_at,
        actor=SYSTEM,
        kind="task_opened",
        department=old.department,
        detail=f"round {task.round}, {', '.join(codes) or 'no measures'}",
    )
    return noted(with_task(case, task), entry)


def _found(case: Case, task: Task, action: Action, state: TaskState, policy: Policy, recorded_at: datetime) -> Case:
    """What was inspected is not in order: the measure that puts it right is owed, from now on."""
    known = {one.code: policy.response.measures.get(one.code) for one in task.measures}
    if action.measure is None:
        codes = [code for code, one in known.items() if one is not None and one.rectified_by is not None]
        which = f"name it: {', '.join(codes)}" if codes else "it has none whose findings ask for another"
        raise Refused(
            "unknown_measure", "measure", f"{case.case_id}: find needs the measure of {task.department}'s; {which}"
        )
    measure = known[action.measure]
    if measure is None or measure.rectified_by is None:
        _illegal("measure", case, task, f"nothing is rectified after {action.measure}: its policy entry names nothing")
    code = measure.rectified_by
    department = policy.response.measures[code].department
    count = len(action.evidence)
    detail = f"{action.measure}: not in order in {count} {'event' if count == 1 else 'events'}; {department}: {code}"
    entry = replace(acted(action, recorded_at, detail), kind="found")
    case = noted(with_task(case, replace(_seen(task, action), state=state)), entry)
    why = Why(severity=task.severity, at=action.event_time, recorded_at=recorded_at, said=f"{action.measure} found it")
    return ask(case, department, [code], why, policy)


def _of_the_lift(case: Case, action: Action) -> str:
    """For who may have meant the lift: its measure tells it from the dismissal."""
    held = in_force(case)
    if held is None or held.proposal is None or action.kind not in ("approve", "reject"):
        return ""
    return f". To {action.kind} the lift of {held.measure}, name it as the measure"


def _illegal(field: str, case: Case, task: Task, why: str) -> NoReturn:
    raise Refused(
        "illegal_move",
        field,
        f"{case.case_id}, {task.department}: {why}; legal now: {', '.join(legal_kinds(task))}",
    )
