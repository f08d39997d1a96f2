"""Cases and tasks: what a warning asks for, and every move that is legal or not."""

from typing import get_args

import pytest

from models.events import ActionKind
from models.response.case import ACTIVE, Case, TaskState
from models.response.joining import join, open_case
from models.response.moves import CASE_MOVES, TASK_MOVES, act
from models.stage import Refused
from tests.response import DAY, HOUR, MONDAY, POLICY, action, warning

ROADS: dict[TaskState, tuple[str, ...]] = {
    "open": (),
    "acknowledged": ("acknowledge",),
    "in_progress": ("acknowledge", "start"),
    "dismiss_proposed": ("dismiss",),
    "completed": ("acknowledge", "complete"),
    "dismissed": ("dismiss", "approve"),
}
# Suspensions have a table of their own; what follows what, and who sees it, is about no task.
NOT_OF_TASKS = ("lift", "merge", "split", "restrict", "release")


def opened(**fields: object) -> Case:
    return open_case(1, "live", warning(**fields), POLICY, MONDAY)  # type: ignore[arg-type]


def step(case: Case, kind: str, hours: float, **fields: object) -> Case:
    at = MONDAY + hours * HOUR
    return act(case, action(kind, at, **fields), POLICY, at)


def led(state: TaskState, **fields: object) -> Case:
    """A case whose only task stands in this state."""
    case = opened(**fields)
    for hours, kind in enumerate(ROADS[state], 1):
        case = step(case, kind, hours, who="mei" if kind == "approve" else "ling")
    task = case.task("operations")
    assert task is not None
    assert task.state == state
    return case


def test_a_warning_opens_a_task_a_department_with_its_own_measures() -> None:
    case = opened(
        departments=("operations", "risk"), measures=("investigate_transactions", "verify_identity"), severity="high"
    )
    assert (case.case_id, case.state, case.severity, case.opened_at) == ("customer:C42#1", "open", "high", MONDAY)
    operations, risk = case.tasks
    assert [one.code for one in operations.measures] == ["investigate_transactions", "verify_identity"]
    assert (operations.department, operations.owner, operations.state) == (
        "operations",
        "operations-duty-officer",
        "open",
    )
    assert (risk.department, risk.measures, risk.round) == ("risk", (), 1)  # to acknowledge and decide
    assert [entry.kind for entry in case.history] == ["opened", "joined", "task_opened", "task_opened"]


def test_no_measure_is_without_a_department() -> None:
    case = opened(departments=("risk",), measures=("verify_identity", "from_another_policy"))
    assert {task.department: [one.code for one in task.measures] for task in case.tasks} == {
        "risk": ["from_another_policy"],
        "operations": ["verify_identity"],
    }


def test_the_table_names_every_state() -> None:
    assert set(TASK_MOVES) == set(get_args(TaskState))
    assert set(CASE_MOVES) == {"open", "resolved"}


@pytest.mark.parametrize("state", sorted(ROADS))
@pytest.mark.parametrize("kind", [one for one in get_args(ActionKind) if one not in NOT_OF_TASKS])
def test_every_move_goes_by_the_table(state: TaskState, kind: ActionKind) -> None:
    if kind == "find":
        find(state)
        return
    case = led(state)
    target = TASK_MOVES[state].get(kind)
    if kind == "comment":
        assert step(case, kind, 9).tasks == case.tasks
    elif target is None:
        with pytest.raises(Refused) as refused:
            step(case, kind, 9, who="mei")
        assert (refused.value.reason, refused.value.field) == ("illegal_move", "kind")
        for legal in TASK_MOVES[state]:
            assert legal in refused.value.detail
    else:
        after = step(case, kind, 9, who="mei")
        old = next(task for task in after.tasks if task.round == 1)
        if kind == "reopen":  # waits for a second employee
            assert (old.state, old.proposal is not None) == (state, True)
        else:
            assert old.state == ("open" if target == "before" else target)
        task = after.task("operations")
        assert task is not None
        assert task.active or task.state in ("completed", "dismissed")
        assert after.state == ("open" if task.active else "resolved")
        assert any(entry.kind == kind and entry.actor == "mei" for entry in after.history)


def find(state: TaskState) -> None:
    """A finding leaves a task as far as it is, but acknowledged; what puts it right is owed beside."""
    case, target = led(state, measures=("verify_identity",)), TASK_MOVES[state].get("find")
    fields = {"measure": "verify_identity", "evidence": ("e1",)}
    if target is None:
        with pytest.raises(Refused) as refused:
            step(case, "find", 9, **fields)
        assert (refused.value.reason, refused.value.field) == ("illegal_move", "kind")
        return
    after = step(case, "find", 9, **fields)
    (task,) = after.tasks
    assert task.state == target
    assert task.acknowledged_at == (case.tasks[0].acknowledged_at or MONDAY + 9 * HOUR)
    assert [one.code for one in task.measures] == ["verify_identity", "rectify_controls"]
    assert (after.history[-2].kind, after.history[-2].actor) == ("found", "ling")


def test_times_are_those_of_the_events() -> None:
    case = step(step(step(opened(), "acknowledge", 1), "start", 2), "complete", 3)
    task = case.tasks[0]
    assert (task.acknowledged_at, task.started_at, task.completed_at) == tuple(MONDAY + n * HOUR for n in (1, 2, 3))
    assert (case.state, case.resolved_at) == ("resolved", MONDAY + 3 * HOUR)
    assert task.measures[0].completed_by == "ling"


def test_a_measure_is_started_by_its_name_while_the_task_is_in_progress() -> None:
    case = step(opened(measures=("investigate_transactions", "verify_identity")), "start", 1)
    started = step(case, "start", 2, measure="verify_identity")
    task = started.tasks[0]
    assert (task.state, task.started_at) == ("in_progress", MONDAY + HOUR)
    assert [one.started_at for one in task.measures] == [None, MONDAY + 2 * HOUR]
    again = step(step(started, "start", 1.5, measure="verify_identity"), "start", 3, measure="verify_identity")
    assert again.tasks[0].measures[1].started_at == MONDAY + 1.5 * HOUR  # when it was first said
    done = step(again, "complete", 4, measure="verify_identity")
    with pytest.raises(Refused) as refused:
        step(done, "start", 4, measure="verify_identity")
    assert (refused.value.reason, refused.value.field) == ("illegal_move", "measure")
    late = step(done, "start", 1.25, measure="verify_identity")
    assert late.tasks[0].measures[1].started_at == MONDAY + 1.25 * HOUR
    assert late.tasks[0].measures[1].completed_at == MONDAY + 4 * HOUR
    with pytest.raises(Refused) as refused:
        step(case, "start", 2)
    assert "start of a measure" in refused.value.detail


def test_starting_acknowledges_and_completing_starts() -> None:
    assert step(opened(), "start", 1).tasks[0].acknowledged_at == MONDAY + HOUR
    done = step(step(opened(), "acknowledge", 1), "complete", 2).tasks[0]
    assert done.started_at == MONDAY + 2 * HOUR


def test_a_task_is_complete_with_its_last_measure() -> None:
    case = step(opened(measures=("investigate_transactions", "verify_identity")), "acknowledge", 1)
    half = step(case, "complete", 2, measure="verify_identity")
    assert half.tasks[0].state == "in_progress"
    assert [one.completed_at for one in half.tasks[0].measures] == [None, MONDAY + 2 * HOUR]
    with pytest.raises(Refused) as refused:
        step(half, "complete", 3, measure="verify_identity")
    assert (refused.value.reason, refused.value.field) == ("illegal_move", "measure")
    whole = step(half, "complete", 3, measure="investigate_transactions")
    assert (whole.tasks[0].state, whole.tasks[0].completed_at, whole.state) == (
        "completed",
        MONDAY + 3 * HOUR,
        "resolved",
    )
    assert step(half, "complete", 3).tasks[0].state == "completed"  # the rest of them at once


def test_a_case_is_resolved_when_every_department_is_done() -> None:
    case = opened(departments=("operations", "risk"))
    case = step(step(case, "start", 1), "complete", 2)
    assert case.state == "open"
    case = step(case, "dismiss", 3, department="risk", who="hao")
    assert case.state == "open"
    case = step(case, "approve", 4, department="risk", who="mei")
    assert (case.state, case.resolved_at) == ("resolved", MONDAY + 4 * HOUR)


@pytest.mark.parametrize(
    ("kind", "fields", "reason", "field"),
    [
        ("acknowledge", {"department": "credit"}, "no_task", "actor.department"),
        ("start", {"measure": "file_large_transaction_report"}, "unknown_measure", "measure"),
        ("assign", {"note": "please take this over"}, "bad_assignee", "note"),
        ("approve", {}, "illegal_move", "kind"),
    ],
)
def test_refusals_say_why(kind: str, fields: dict[str, str], reason: str, field: str) -> None:
    with pytest.raises(Refused) as refused:
        step(opened(), kind, 1, **fields)
    assert (refused.value.reason, refused.value.field) == (reason, field)
    assert refused.value.detail


def test_an_action_is_not_older_than_its_task() -> None:
    with pytest.raises(Refused) as refused:
        step(opened(), "acknowledge", -1)
    assert (refused.value.reason, refused.value.field) == ("before_task", "event_time")
    assert step(opened(), "acknowledge", -1 / 60).tasks[0].state == "acknowledged"  # clocks of two machines


def test_four_eyes_on_a_dismissal() -> None:
    case = step(step(opened(), "acknowledge", 1), "dismiss", 2, note="known customer")
    with pytest.raises(Refused) as refused:
        step(case, "approve", 3, who="ling")
    assert (refused.value.reason, refused.value.field) == ("four_eyes", "actor.employee_id")
    approved = step(case, "approve", 3, who="mei")
    assert (approved.tasks[0].state, approved.tasks[0].dismissed_at) == ("dismissed", MONDAY + 3 * HOUR)
    entry = next(entry for entry in approved.history if entry.kind == "approve")
    assert "ling" in entry.detail
    assert "mei" in entry.detail
    rejected = step(case, "reject", 3, who="mei")
    assert (rejected.tasks[0].state, rejected.tasks[0].proposal) == ("acknowledged", None)


def test_anybody_may_comment() -> None:
    case = step(opened(), "comment", 1, department="linkage_office", who="an", note="what is the state?")
    assert (case.history[-1].actor, case.history[-1].note) == ("an", "what is the state?")
    done = led("completed")
    assert step(done, "comment", 9, department="linkage_office").state == "resolved"


def test_a_task_is_handed_over_and_its_deadline_is_not() -> None:
    case = opened()
    given = step(case, "assign", 1, note="mei")
    taken = step(given, "assign", 2, who="hao")
    assert [one.tasks[0].owner for one in (case, given, taken)] == ["operations-duty-officer", "mei", "hao"]
    assert {one.tasks[0].due_at for one in (case, given, taken)} == {case.tasks[0].due_at}


def test_reopening_is_a_new_round_and_the_old_deadline_stands() -> None:
    done = led("completed")
    again = step(step(done, "reopen", 47), "approve", 48, who="mei")
    old, new = again.tasks
    assert (again.state, again.resolved_at) == ("open", None)
    assert (old.state, old.completed_at, old.due_at) == ("reopened", done.tasks[0].completed_at, done.tasks[0].due_at)
    assert old.reopened_at == MONDAY + 2 * DAY
    assert (new.round, new.state, new.created_at) == (2, "open", MONDAY + 2 * DAY)
    assert [one.code for one in new.measures] == ["investigate_transactions"]
    assert new.due_at > old.due_at


# --- a second warning ---


def test_a_second_warning_adds_what_is_missing_and_moves_nothing() -> None:
    case = opened()
    later = warning(
        MONDAY + DAY,
        warning_id="w2",
        severity="critical",
        departments=("operations", "risk"),
        measures=("investigate_transactions", "verify_identity"),
    )
    joined = join(case, later, POLICY, MONDAY + DAY)
    before, after = case.tasks[0], joined.tasks[0]
    assert [one.code for one in after.measures] == ["investigate_transactions", "verify_identity"]
    assert after.measures[0] == before.measures[0]
    assert after.measures[1].asked_at == MONDAY + DAY
    assert (after.due_at, after.acknowledge_due_at, after.due_severity) == (
        before.due_at,
        before.acknowledge_due_at,
        "medium",
    )
    assert (after.severity, joined.severity) == ("critical", "critical")
    assert joined.tasks[1].department == "risk"
    assert joined.tasks[1].due_severity == "critical"
    assert "severity_rose" in [entry.kind for entry in joined.history]


def test_an_equal_or_older_revision_changes_nothing() -> None:
    case = opened(revision=3)
    for revision in (1, 2, 3):
        assert join(case, warning(revision=revision, severity="critical"), POLICY, MONDAY) is case
    newer = join(case, warning(revision=4, notify=False), POLICY, MONDAY)
    assert [(ref.warning_id, ref.revision) for ref in newer.warnings] == [("w1", 4)]
    assert newer.tasks == case.tasks


def test_what_comes_after_the_work_asks_for_it_again() -> None:
    case = step(step(opened(departments=("operations", "risk")), "start", 1), "complete", 2)
    quiet = join(case, warning(MONDAY + DAY, revision=2, notify=False), POLICY, MONDAY + DAY)
    assert quiet.tasks == case.tasks
    told = join(case, warning(MONDAY + DAY, revision=2, notify=True), POLICY, MONDAY + DAY)
    assert [(task.department, task.round, task.state) for task in told.tasks] == [
        ("operations", 1, "completed"),
        ("risk", 1, "open"),
        ("operations", 2, "open"),
    ]
    assert told.tasks[0] == case.tasks[0]


def test_a_measure_done_before_another_warning_is_owed_again() -> None:
    case = step(opened(measures=("investigate_transactions", "verify_identity")), "start", 1)
    case = step(case, "complete", 2, measure="verify_identity")
    joined = join(case, warning(MONDAY + DAY, warning_id="w2", measures=("verify_identity",)), POLICY, MONDAY + DAY)
    task = joined.tasks[0]
    assert [(one.code, one.completed_at is None) for one in task.measures] == [
        ("investigate_transactions", True),
        ("verify_identity", False),
        ("verify_identity", True),
    ]
    half = step(joined, "complete", 26, measure="verify_identity")
    assert half.tasks[0].state == "in_progress"
    assert half.tasks[0].measures[1].completed_at == MONDAY + 2 * HOUR


def test_a_new_warning_takes_a_proposal_to_dismiss_back() -> None:
    case = step(opened(), "dismiss", 1)
    joined = join(case, warning(MONDAY + 2 * HOUR, warning_id="w2"), POLICY, MONDAY + 2 * HOUR)
    assert (joined.tasks[0].state, joined.tasks[0].proposal) == ("open", None)
    assert "proposal_withdrawn" in [entry.kind for entry in joined.history]


def test_history_only_grows() -> None:
    case = opened()
    for hours, kind in enumerate(("acknowledge", "start", "complete", "reopen", "approve", "comment"), 1):
        after = step(case, kind, hours, who="mei" if kind == "approve" else "ling")
        assert after.history[: len(case.history)] == case.history
        assert len(after.history) > len(case.history)
        case = after
    assert {task.state for task in case.tasks if task.active} <= ACTIVE
