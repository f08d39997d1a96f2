"""Measures that take two employees, and measures that come after others."""

from typing import Any

import pytest

from models.policy import Policy, parse_policy
from models.response.case import Case, TaskMeasure
from models.response.joining import join
from models.response.moves import act, legal_kinds
from models.stage import Refused
from tests.response import BY_WORD, DAY, HOUR, INDUSTRY, MONDAY, Desk, action, of_credit, on_industry, warning

CLASSIFY, REVIEW, CARE, SUSPEND = (
    "adjust_classification",
    "review_granted_loans",
    "strengthen_post_loan_care",
    "suspend_approvals",
)


# The proofs of these measures are tested in test_proving.
POLICY = parse_policy(BY_WORD)


def policy_with(**lines: str) -> Policy:
    """The policy with a line more in the table of each of these measures."""
    text = BY_WORD
    for code, line in lines.items():
        head = f"[response.measures.{code}]\n"
        assert head in text
        text = text.replace(head, f"{head}{line}\n")
    return parse_policy(text)


def desk_with(*codes: str, policy: Policy = POLICY, **fields: Any) -> Desk:
    """Credit has started on these measures."""
    desk = Desk(policy)
    desk.take(on_industry(measures=codes, **fields), of_credit("start", 1))
    assert desk.refused == []
    return desk


def case(desk: Desk) -> Case:
    return desk.case(1, INDUSTRY)


def measure(desk: Desk, code: str = CLASSIFY) -> TaskMeasure:
    return next(one for task in reversed(case(desk).tasks) for one in task.measures if one.code == code)


def kinds(desk: Desk) -> list[str]:
    return [entry.kind for entry in case(desk).history]


def refusal(desk: Desk, kind: str, hours: float, **fields: Any) -> Refused:
    """The refusal of an action, which leaves everything as it was."""
    before = desk.subject(INDUSTRY).cases.copy()
    assert desk.take(of_credit(kind, hours, **fields)) == []
    assert desk.subject(INDUSTRY).cases == before
    return desk.refused.pop()


def done(desk: Desk, *steps: tuple[str, float, dict[str, Any]]) -> Desk:
    for kind, hours, fields in steps:
        desk.take(of_credit(kind, hours, **fields))
    assert desk.refused == []
    return desk


# --- two employees ---


@pytest.mark.parametrize(("second", "department"), [("mei", "credit"), ("an", "risk")])
@pytest.mark.parametrize("named", [CLASSIFY, None])
def test_two_employees_complete_it(second: str, department: str, named: str | None) -> None:
    desk = done(desk_with(CLASSIFY), ("complete", 2, {"measure": named}))
    one = measure(desk)
    assert (one.completed_at, one.completed_by) == (None, None)
    assert one.proposal is not None
    assert (one.proposal.employee_id, one.proposal.at) == ("ling", MONDAY + 2 * HOUR)
    assert (case(desk).tasks[0].state, case(desk).state) == ("in_progress", "open")
    assert kinds(desk)[-2:] == ["complete", "countersign_asked"]
    done(desk, ("approve", 3, {"measure": CLASSIFY, "who": second, "department": department}))
    one = measure(desk)
    assert (one.completed_at, one.completed_by, one.countersigned_by, one.proposal) == (
        MONDAY + 3 * HOUR,
        "ling",
        second,
        None,
    )
    task = case(desk).tasks[0]
    assert (task.state, task.completed_at) == ("completed", MONDAY + 3 * HOUR)
    assert (case(desk).state, case(desk).resolved_at) == ("resolved", MONDAY + 3 * HOUR)
    entry = next(entry for entry in case(desk).history if entry.kind == "countersigned")
    assert (entry.actor, entry.measure, entry.at) == (second, CLASSIFY, MONDAY + 3 * HOUR)
    assert entry.detail == f"{CLASSIFY}: completion proposed by ling, approved by {second}"


def test_without_a_measure_the_others_are_completed() -> None:
    desk = done(desk_with(CLASSIFY, REVIEW), ("complete", 2, {}))
    assert (measure(desk).completed_at, measure(desk, REVIEW).completed_at) == (None, MONDAY + 2 * HOUR)
    assert case(desk).tasks[0].state == "in_progress"
    one = refusal(desk, "complete", 3)
    assert (one.reason, one.field) == ("illegal_move", "measure")
    assert "ling says is done, waits to be countersigned" in one.detail
    done(desk, ("approve", 4, {"measure": CLASSIFY, "who": "mei"}))
    assert case(desk).state == "resolved"


def test_rejected_it_is_owed_as_before() -> None:
    desk = done(desk_with(CLASSIFY), ("complete", 2, {}), ("reject", 3, {"measure": CLASSIFY, "who": "mei"}))
    assert (measure(desk).proposal, measure(desk).completed_at) == (None, None)
    assert (case(desk).tasks[0].state, kinds(desk)[-1]) == ("in_progress", "countersign_rejected")
    done(desk, ("complete", 4, {"who": "mei"}), ("approve", 5, {"measure": CLASSIFY}))
    assert (measure(desk).completed_by, measure(desk).countersigned_by) == ("mei", "ling")


def test_who_said_so_may_take_it_back() -> None:
    desk = done(desk_with(CLASSIFY), ("complete", 2, {}), ("reject", 3, {"measure": CLASSIFY}))
    assert measure(desk).proposal is None


def test_four_eyes() -> None:
    desk = done(desk_with(CLASSIFY), ("complete", 2, {}))
    for department in ("credit", "risk"):
        one = refusal(desk, "approve", 3, measure=CLASSIFY, department=department)
        assert (one.reason, one.field) == ("four_eyes", "actor.employee_id")
        assert "another employee of credit or risk must approve" in one.detail


@pytest.mark.parametrize(
    ("kind", "hours", "fields", "reason", "field", "remedy"),
    [
        ("approve", 3, {"department": "operations"}, "illegal_move", "actor.department", "credit and risk decide"),
        ("reject", 3, {"department": "it"}, "illegal_move", "actor.department", "credit and risk decide"),
        ("approve", 3, {"role": "officer"}, "role", "actor.role", "supervisor, manager"),
        ("approve", 1.9, {}, "before_proposal", "event_time", "approve it with the time at which it is approved"),
        ("complete", 3, {}, "illegal_move", "measure", "may approve or reject it, naming the measure"),
        ("approve", 3, {"measure": None}, "illegal_move", "kind", "approve of a measure"),
    ],
)
def test_refusals(kind: str, hours: float, fields: dict[str, Any], reason: str, field: str, remedy: str) -> None:
    desk = done(desk_with(CLASSIFY), ("complete", 2, {}))
    one = refusal(desk, kind, hours, **{"measure": CLASSIFY, "who": "mei"} | fields)
    assert (one.reason, one.field) == (reason, field)
    assert remedy in one.detail


def test_what_nobody_completed_is_not_approved() -> None:
    for desk in (desk_with(CLASSIFY), done(desk_with(CLASSIFY, SUSPEND), ("start", 1, {"measure": SUSPEND}))):
        one = refusal(desk, "approve", 2, measure=CLASSIFY, who="mei")
        assert (one.reason, one.field) == ("illegal_move", "measure")
        assert f"nobody has completed {CLASSIFY}" in one.detail


def test_legal_moves_name_it_while_it_waits() -> None:
    desk = desk_with(CLASSIFY)
    assert "approve of a measure" not in legal_kinds(case(desk).tasks[0])
    done(desk, ("complete", 2, {}))
    assert {"approve of a measure", "reject of a measure"} <= set(legal_kinds(case(desk).tasks[0]))


def test_a_deadline_is_met_by_the_second_employee() -> None:
    """Due on Thursday at 10:00: said to be done in time, approved a minute late."""
    desk = done(desk_with(CLASSIFY), ("complete", 24, {}))
    due = measure(desk).due_at
    minute = HOUR / 60
    desk.take(of_credit("approve", (due - MONDAY + minute) / HOUR, measure=CLASSIFY, who="mei"))
    task = case(desk).tasks[0]
    assert (task.breached_at, task.measures[0].breached_at) == (due, due)


def test_a_dismissal_is_decided_first_and_takes_it_along() -> None:
    desk = done(desk_with(CLASSIFY), ("complete", 2, {}), ("dismiss", 3, {"who": "mei"}))
    for kind in ("approve", "reject"):
        one = refusal(desk, kind, 4, measure=CLASSIFY, who="mei")
        assert "its dismissal is proposed" in one.detail
    rejected = done(desk, ("reject", 4, {}))
    assert measure(rejected).proposal is not None
    done(desk, ("dismiss", 5, {"who": "mei"}), ("approve", 6, {}))
    assert (measure(desk).proposal, measure(desk).completed_at) == (None, None)
    assert case(desk).tasks[0].state == "dismissed"
    assert "proposal_withdrawn" in kinds(desk)


def test_a_warning_that_asks_again_takes_it_back() -> None:
    """Who completed it had not seen this: it is to be done again."""
    desk = done(desk_with(CLASSIFY), ("complete", 2, {}))
    desk.take(on_industry(MONDAY + 3 * HOUR, warning_id="other", measures=(REVIEW,)))
    assert measure(desk).proposal is not None
    desk.take(on_industry(MONDAY + 4 * HOUR, revision=2, measures=(CLASSIFY,), notify=False))
    assert measure(desk).proposal is not None
    desk.take(on_industry(MONDAY + 5 * HOUR, warning_id="w2", measures=(CLASSIFY,)))
    assert measure(desk).proposal is None
    assert [one.code for one in case(desk).tasks[0].measures] == [CLASSIFY, REVIEW]
    entry = next(entry for entry in case(desk).history if entry.kind == "proposal_withdrawn")
    assert CLASSIFY in entry.detail


def test_what_waits_survives_a_restart() -> None:
    desk = done(desk_with(CLASSIFY), ("complete", 2, {}))
    desk.restart()
    done(desk, ("approve", 3, {"measure": CLASSIFY, "who": "mei"}))
    assert case(desk).state == "resolved"


def test_a_suspension_that_takes_two_begins_with_the_second() -> None:
    policy = policy_with(suspend_approvals="countersign = true")
    desk = done(desk_with(SUSPEND, policy=policy), ("complete", 2, {}))
    assert desk.suspensions == {}
    done(desk, ("approve", 3, {"measure": SUSPEND, "who": "an", "department": "risk"}))
    assert [one.started_at for one in desk.suspensions[f"{INDUSTRY}#1"].spans] == [MONDAY + 3 * HOUR]
    assert case(desk).suspensions[0].department == "credit"
    done(desk, ("lift", 4, {}), ("approve", 5, {"measure": SUSPEND, "who": "mei"}))
    assert case(desk).suspensions[0].lifted_at == MONDAY + 5 * HOUR


def test_a_lift_and_a_countersign_do_not_stand_side_by_side() -> None:
    policy = policy_with(suspend_approvals="countersign = true")
    desk = done(desk_with(SUSPEND, policy=policy), ("start", 2, {"measure": SUSPEND}), ("lift", 3, {}))
    one = refusal(desk, "complete", 4)
    assert (one.reason, one.field) == ("illegal_move", "measure")
    assert "decide on that before it is completed" in one.detail
    done(desk, ("reject", 5, {"measure": SUSPEND, "who": "mei"}), ("complete", 6, {}))
    one = refusal(desk, "lift", 7)
    assert (one.reason, one.field) == ("illegal_move", "measure")
    assert "waits to be countersigned" in one.detail
    done(desk, ("approve", 8, {"measure": SUSPEND, "who": "mei"}))
    assert (case(desk).state, case(desk).suspensions[0].lifted_at) == ("resolved", None)
    done(desk, ("lift", 9, {}), ("approve", 10, {"measure": SUSPEND, "who": "mei"}))
    assert case(desk).suspensions[0].lifted_at == MONDAY + 10 * HOUR


# --- after others ---


def test_a_measure_waits_for_the_one_it_comes_after() -> None:
    desk = desk_with(REVIEW, CARE)
    one = refusal(desk, "complete", 2, measure=CARE)
    assert (one.reason, one.field) == ("depends_on", "measure")
    assert f"{CARE} comes after {REVIEW} of credit, which is not completed" in one.detail
    done(desk, ("complete", 3, {"measure": REVIEW}), ("complete", 4, {"measure": CARE}))
    assert case(desk).state == "resolved"


def test_completing_all_keeps_the_order() -> None:
    assert case(done(desk_with(CARE, REVIEW), ("complete", 2, {}))).state == "resolved"


def test_what_nobody_asked_for_is_not_waited_for() -> None:
    assert case(done(desk_with(CARE), ("complete", 2, {}))).state == "resolved"


def test_another_departments_measure_is_waited_for_too() -> None:
    policy = policy_with(verify_identity='after = ["check_feed"]')
    fields: dict[str, Any] = {"departments": ("operations", "risk"), "measures": ("verify_identity", "check_feed")}
    desk = Desk(policy)
    desk.take(warning(**fields), action("start", MONDAY + HOUR), action("complete", MONDAY + 2 * HOUR))
    assert [(one.reason, one.field) for one in desk.refused] == [("depends_on", "measure")]
    assert "verify_identity comes after check_feed of risk" in desk.refused[0].detail
    desk.take(action("start", MONDAY + 3 * HOUR, department="risk"))
    desk.take(action("dismiss", MONDAY + 4 * HOUR, department="risk"))
    desk.take(action("approve", MONDAY + 5 * HOUR, department="risk", who="mei"))
    desk.take(action("complete", MONDAY + 6 * HOUR))  # what is dismissed is waited for no more
    assert desk.case().state == "resolved"


def test_what_is_only_proposed_is_not_completed() -> None:
    policy = policy_with(review_granted_loans="countersign = true")
    desk = desk_with(REVIEW, CARE, policy=policy)
    assert refusal(desk, "complete", 2).reason == "depends_on"
    done(desk, ("complete", 3, {"measure": REVIEW}))
    one = refusal(desk, "complete", 4, measure=CARE)
    assert one.reason == "depends_on"
    assert "waits to be countersigned" in one.detail
    done(desk, ("approve", 5, {"measure": REVIEW, "who": "mei"}), ("complete", 6, {"measure": CARE}))
    assert case(desk).state == "resolved"


def test_what_came_in_meanwhile_is_waited_for_by_the_second_employee() -> None:
    policy = policy_with(adjust_classification='after = ["review_granted_loans"]')
    desk = done(desk_with(CLASSIFY, policy=policy), ("complete", 2, {}))
    desk.take(on_industry(MONDAY + DAY, warning_id="w2", measures=(REVIEW,)))
    one = refusal(desk, "approve", 25, measure=CLASSIFY, who="mei")
    assert (one.reason, one.field) == ("depends_on", "measure")
    done(desk, ("complete", 26, {"measure": REVIEW}), ("approve", 27, {"measure": CLASSIFY, "who": "mei"}))
    assert case(desk).state == "resolved"


def test_a_policy_that_comes_later_keeps_what_waits() -> None:
    """Proposed by the old version, it is approved though the new one would take one employee."""
    plain = parse_policy(BY_WORD.replace("countersign = true\n", ""))
    waits = case(done(desk_with(CLASSIFY), ("complete", 2, {})))
    approve = of_credit("approve", 3, measure=CLASSIFY, who="mei")
    assert act(waits, approve, plain, MONDAY + 3 * HOUR).state == "resolved"
    with pytest.raises(Refused) as refused:
        act(waits, of_credit("complete", 3), plain, MONDAY + 3 * HOUR)
    assert refused.value.reason == "illegal_move"
    again = join(waits, on_industry(MONDAY + 3 * HOUR, warning_id="w2", measures=(CLASSIFY,)), plain, MONDAY)
    assert act(again, of_credit("complete", 4), plain, MONDAY + 4 * HOUR).state == "resolved"
