"""What takes a second pair of eyes, and whose."""

from typing import Any

import pytest

from models.policy import Policy, parse_policy
from models.response.case import Case
from models.response.joining import open_case
from models.response.moves import act
from models.stage import Refused
from tests.response import (
    DAY,
    HOUR,
    INDUSTRY,
    MONDAY,
    POLICY,
    SUBJECT,
    TEXT,
    Desk,
    action,
    of_credit,
    on_industry,
    warning,
)

FOUR_EYES = 'four_eyes = ["dismiss", "reopen"]'


def did(case: Case, kind: str, hours: float, policy: Policy = POLICY, **fields: Any) -> Case:
    at = MONDAY + hours * HOUR
    return act(case, action(kind, at, **fields), policy, at)


def finished(**fields: Any) -> Case:
    case = open_case(1, "live", warning(**fields), POLICY, MONDAY)
    return did(did(case, "start", 1), "complete", 2)


def refused(case: Case, kind: str, hours: float, policy: Policy = POLICY, **fields: Any) -> Refused:
    with pytest.raises(Refused) as error:
        did(case, kind, hours, policy, **fields)
    return error.value


# --- reopening ---


def test_a_reopening_waits_for_another_employee() -> None:
    done = finished()
    asked = did(done, "reopen", 3)
    task = asked.tasks[0]
    assert (asked.state, asked.resolved_at, len(asked.tasks)) == (done.state, done.resolved_at, 1)
    assert (task.state, task.completed_at, task.reopened_at) == ("completed", MONDAY + 2 * HOUR, None)
    assert task.proposal is not None
    assert (task.proposal.kind, task.proposal.employee_id) == ("reopen", "ling")
    one = refused(asked, "approve", 4)
    assert (one.reason, one.field) == ("four_eyes", "actor.employee_id")
    assert "ling proposed the reopening" in one.detail
    again = did(asked, "approve", 4, who="mei")
    old, new = again.tasks
    assert (old.state, old.reopened_at, old.proposal) == ("reopened", MONDAY + 4 * HOUR, None)
    assert (new.round, new.created_at, new.state, again.state) == (2, MONDAY + 4 * HOUR, "open", "open")
    entry = next(entry for entry in again.history if entry.kind == "approve")
    assert entry.detail == "reopening proposed by ling, approved by mei"


def test_a_rejected_reopening_leaves_the_task_as_it_was() -> None:
    done = finished()
    rejected = did(did(done, "reopen", 3), "reject", 4, who="mei")
    assert (rejected.tasks, rejected.state) == (done.tasks, "resolved")
    assert did(rejected, "reopen", 5, who="mei").tasks[0].proposal is not None


def test_one_measure_alone_is_reopened() -> None:
    done = finished(measures=("investigate_transactions", "verify_identity"))
    again = did(did(done, "reopen", 3, measure="verify_identity"), "approve", 4, who="mei")
    assert [one.code for one in again.tasks[1].measures] == ["verify_identity"]


def test_a_dismissed_task_is_reopened_by_two() -> None:
    case = open_case(1, "live", warning(), POLICY, MONDAY)
    case = did(did(case, "dismiss", 1), "approve", 2, who="mei")
    again = did(did(case, "reopen", 3), "approve", 4, who="mei")
    assert [task.state for task in again.tasks] == ["reopened", "open"]
    assert again.tasks[0].dismissed_at == MONDAY + 2 * HOUR


@pytest.mark.parametrize(
    ("kind", "hours", "fields", "reason", "field", "remedy"),
    [
        ("reopen", 4, {}, "illegal_move", "kind", "ling proposed to reopen"),
        ("approve", 2.9, {}, "before_proposal", "event_time", "with the time at which it is approved"),
        ("approve", 4, {"role": "officer"}, "role", "actor.role", "approve is for supervisor, manager"),
        ("approve", 4, {"department": "risk"}, "no_task", "actor.department", "operations do"),
    ],
)
def test_refusals(kind: str, hours: float, fields: dict[str, Any], reason: str, field: str, remedy: str) -> None:
    one = refused(did(finished(), "reopen", 3), kind, hours, who="mei", **fields)
    assert (one.reason, one.field) == (reason, field)
    assert remedy in one.detail


def test_a_disproving_warning_opens_it_by_itself() -> None:
    """And the reopening that was proposed has nothing left to reopen."""
    desk = Desk()
    desk.take(on_industry(), of_credit("start", 1), of_credit("complete", 2), of_credit("reopen", 3))
    breach = on_industry(MONDAY + 4 * HOUR, warning_id="breach", disproves=f"{INDUSTRY}#1")
    desk.take(breach)
    case = desk.case(1, INDUSTRY)
    assert [(task.state, task.proposal) for task in case.tasks] == [("completed", None), ("open", None)]
    assert [entry.kind for entry in case.history].count("proposal_withdrawn") == 1
    desk.take(of_credit("approve", 5, who="mei"))
    assert [one.reason for one in desk.refused] == ["illegal_move"]


def test_a_warning_meanwhile_opens_a_case_of_its_own() -> None:
    desk = Desk()
    desk.take(warning(), action("start", MONDAY + HOUR), action("complete", MONDAY + 2 * HOUR))
    desk.take(action("reopen", MONDAY + 3 * HOUR), warning(MONDAY + 4 * HOUR, warning_id="w2"))
    desk.take(action("approve", MONDAY + 5 * HOUR, who="mei"))
    assert [(one.reason, one.field) for one in desk.refused] == [("illegal_move", "kind")]
    assert f"{SUBJECT}#2 is open: act there" in desk.refused[0].detail
    desk.take(action("reject", MONDAY + 6 * HOUR, who="mei"))
    assert desk.case(1).tasks[0].proposal is None


def test_where_no_second_employee_is_asked_for() -> None:
    policy = parse_policy(TEXT.replace(FOUR_EYES, "four_eyes = []"))
    dismissed = did(open_case(1, "live", warning(), policy, MONDAY), "dismiss", 1, policy)
    task = dismissed.tasks[0]
    assert (task.state, task.dismissed_at, task.acknowledged_at) == ("dismissed", MONDAY + HOUR, MONDAY + HOUR)
    assert dismissed.state == "resolved"
    again = did(dismissed, "reopen", 2, policy)
    assert [task.state for task in again.tasks] == ["reopened", "open"]
    assert again.tasks[0].reopened_at == again.tasks[1].created_at == MONDAY + 2 * HOUR


def test_each_kind_by_itself() -> None:
    only = parse_policy(TEXT.replace(FOUR_EYES, 'four_eyes = ["dismiss"]'))
    assert did(finished(), "reopen", 3, only).state == "open"
    assert did(open_case(1, "live", warning(), only, MONDAY), "dismiss", 1, only).tasks[0].state == "dismiss_proposed"


def test_a_dismissal_is_not_approved_before_it_was_proposed() -> None:
    case = did(open_case(1, "live", warning(), POLICY, MONDAY), "dismiss", 3)
    one = refused(case, "approve", 2, who="mei")
    assert (one.reason, one.field) == ("before_proposal", "event_time")


# --- roles ---


@pytest.mark.parametrize("role", ["supervisor", "manager"])
def test_who_may_approve(role: str) -> None:
    case = did(open_case(1, "live", warning(), POLICY, MONDAY), "dismiss", 1)
    assert did(case, "approve", 2, who="mei", role=role).state == "resolved"


@pytest.mark.parametrize(
    ("kind", "role", "roles"),
    [
        ("approve", "officer", "supervisor, manager"),
        ("approve", "auditor", "supervisor, manager"),
        ("assign", "auditor", "officer, supervisor, manager"),
    ],
)
def test_who_may_not_is_told_who_may(kind: str, role: str, roles: str) -> None:
    case = did(open_case(1, "live", warning(), POLICY, MONDAY), "dismiss", 1)
    one = refused(case, kind, 2, who="mei", role=role)
    assert (one.reason, one.field) == ("role", "actor.role")
    assert one.detail == f"mei is {role}; {kind} is for {roles}"


def test_of_a_kind_that_is_not_named_everybody() -> None:
    case = open_case(1, "live", warning(), POLICY, MONDAY)
    for kind in ("comment", "acknowledge", "start", "complete"):
        case = did(case, kind, 1, role="trainee")
    assert case.state == "resolved"


def test_a_role_is_asked_for_a_lift_as_well() -> None:
    desk = Desk()
    desk.take(on_industry(), of_credit("start", 1, measure="suspend_approvals"), of_credit("lift", 2))
    approve = {"measure": "suspend_approvals", "who": "mei"}
    desk.take(of_credit("approve", 3, role="officer", **approve))
    assert [(one.reason, one.field) for one in desk.refused] == [("role", "actor.role")]
    desk.take(of_credit("approve", 4, role="manager", **approve))
    assert desk.case(1, INDUSTRY).suspensions[0].lifted_at == MONDAY + 4 * HOUR


def test_any_kind_may_be_kept_to_some() -> None:
    policy = parse_policy(TEXT.replace("roles = { approve", 'roles = { comment = ["auditor"], approve'))
    case = open_case(1, "live", warning(), policy, MONDAY)
    assert refused(case, "comment", 1, policy).reason == "role"
    assert did(case, "comment", 1, policy, role="auditor").history[-1].kind == "comment"


def test_what_waited_is_asked_too() -> None:
    desk = Desk()
    desk.take(action("dismiss", MONDAY + HOUR), action("approve", MONDAY + 2 * HOUR, who="mei", role="officer"))
    desk.take(warning())
    desk.tick(MONDAY + DAY)
    assert [letter.reason for letter in desk.letters] == ["role"]
