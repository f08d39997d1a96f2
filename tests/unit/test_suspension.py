"""Suspensions: what begins one, who lifts it, and what a warning that disproves one does."""

import random
from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings

from models.events import Action
from models.messages import Suspension
from models.policy import parse_policy
from models.response.case import Case
from models.response.moves import act
from models.response.subject import KEEP_CLOSED, SubjectCases
from models.response.suspension import SUSPENSION_MOVES, can_suspend, spans, suspend
from models.stage import Refused
from tests.response import BY_WORD, DAY, HOUR, INDUSTRY, MONDAY, POLICY, TEXT, Desk, of_credit, on_industry, warning

SUSPEND = "suspend_approvals"


def at(hours: float) -> Any:
    return MONDAY + hours * HOUR


def desk_with(*actions: Action, **fields: Any) -> Desk:
    """An industry that credit is asked to suspend, and what credit did; its word is enough for other measures."""
    desk = Desk(parse_policy(BY_WORD))
    desk.take(on_industry(**fields))
    for one in actions:
        desk.take(one)
    assert desk.refused == []
    return desk


def suspended(hours: float = 1, **fields: Any) -> Desk:
    """Suspended by a start that names the measure."""
    return desk_with(of_credit("start", hours, measure=SUSPEND), **fields)


def resolved(**fields: Any) -> Desk:
    """Suspended at hour 1, the case resolved at hour 2."""
    desk = suspended(**fields)
    desk.take(of_credit("complete", 2))
    assert desk.case(1, INDUSTRY).state == "resolved"
    return desk


def told(desk: Desk, number: int = 1) -> list[tuple[Any, ...]]:
    message = desk.suspensions[f"{INDUSTRY}#{number}"]
    return [(one.started_at, one.started_by, one.lifted_at, one.lifted_by) for one in message.spans]


def kinds(desk: Desk, number: int = 1) -> list[str]:
    return [entry.kind for entry in desk.case(number, INDUSTRY).history]


def refusal(desk: Desk, event: Action) -> Refused:
    """The refusal of an action, which leaves everything as it was."""
    before = desk.subject(INDUSTRY).cases.copy()
    assert desk.take(event) == []
    assert desk.subject(INDUSTRY).cases == before
    return desk.refused.pop()


# --- what begins one ---


@pytest.mark.parametrize(
    ("subject", "can"),
    [
        ("industry:B1:K", True),
        ("industry:B1:unknown", False),
        ("industry:B1", False),
        ("real_estate:B1:development", True),
        ("real_estate:B1:mortgage", True),
        ("real_estate:B1:total", True),
        ("real_estate:B1:none", False),
        ("borrower:B1:B:7", True),
        ("group:B1:G", True),
        ("top_ten:B1", False),
        ("book:B1", False),
        ("customer:C42", False),
        ("branch:0731", False),
    ],
)
def test_what_can_be_suspended(subject: str, can: bool) -> None:
    assert can_suspend(subject) == can
    desk = Desk()
    desk.take(on_industry(subject=subject))
    desk.take(of_credit("start", 1, case_id=f"{subject}#1", measure=SUSPEND))
    assert desk.refused == []
    assert bool(desk.case(1, subject).suspensions) == can
    assert (f"{subject}#1" in desk.suspensions) == can


def test_starting_the_measure_suspends() -> None:
    desk = desk_with()
    emits = desk.take(of_credit("start", 1, measure=SUSPEND))
    assert [(emit.topic, emit.key, emit.route) for emit in emits] == [
        ("cases", f"{INDUSTRY}#1", INDUSTRY),
        ("suspensions", f"{INDUSTRY}#1", "B1"),
    ]
    message = emits[1].value
    assert (message.subject, message.entity, message.revision) == (INDUSTRY, "B1", 2)
    assert message.spans == (Suspension(started_at=at(1), started_by="ling"),)
    case = desk.case(1, INDUSTRY)
    assert case.tasks[0].measures[0].started_at == at(1)
    entry = case.history[-1]
    assert (entry.kind, entry.actor, entry.department, entry.measure) == ("suspended", "ling", "credit", SUSPEND)


def test_starting_the_task_alone_suspends_nothing() -> None:
    desk = desk_with(of_credit("start", 1))
    assert desk.suspensions == {}
    desk.take(of_credit("start", 2, measure=SUSPEND))  # in progress already
    assert told(desk) == [(at(2), "ling", None, ())]
    assert desk.case(1, INDUSTRY).tasks[0].started_at == at(1)


@pytest.mark.parametrize("measure", [SUSPEND, None])
def test_completing_the_measure_suspends(measure: str | None) -> None:
    desk = desk_with(of_credit("acknowledge", 1), of_credit("complete", 2, measure=measure))
    assert told(desk) == [(at(2), "ling", None, ())]
    assert desk.case(1, INDUSTRY).state == "resolved"


def test_completing_another_measure_suspends_nothing() -> None:
    measures = (SUSPEND, "review_granted_loans")
    desk = desk_with(of_credit("start", 1), of_credit("complete", 2, measure="review_granted_loans"), measures=measures)
    assert desk.suspensions == {}
    desk.take(of_credit("complete", 3))
    assert told(desk) == [(at(3), "ling", None, ())]


def test_a_measure_without_proof_suspends_nothing() -> None:
    policy = parse_policy(TEXT.replace('proof = "no_approvals"\n', ""))
    desk = Desk(policy)
    desk.take(on_industry(), of_credit("start", 1, measure=SUSPEND), of_credit("complete", 2))
    assert (desk.refused, desk.suspensions, desk.case(1, INDUSTRY).suspensions) == ([], {}, ())


def test_what_is_first_counts_in_whatever_order_it_comes() -> None:
    desk = suspended(3)
    desk.take(of_credit("start", 1.5, measure=SUSPEND, who="mei"))
    assert told(desk) == [(at(1.5), "mei", None, ())]
    assert desk.suspensions[f"{INDUSTRY}#1"].revision == 3
    desk.take(of_credit("complete", 1, measure=SUSPEND))
    assert told(desk) == [(at(1), "ling", None, ())]


def test_in_the_same_case_nothing_new_begins() -> None:
    desk = resolved()
    desk.take(of_credit("reopen", 3), of_credit("approve", 3, who="mei"))
    emits = desk.take(of_credit("start", 4, measure=SUSPEND), of_credit("complete", 5))
    assert [emit.topic for emit in emits] == ["cases"]
    assert told(desk) == [(at(1), "ling", None, ())]
    entries = [entry for entry in desk.case(1, INDUSTRY).history if entry.kind == "suspended_already"]
    assert [entry.at for entry in entries] == [at(2), at(4), at(5)]
    assert all(f"{INDUSTRY}#1" in entry.detail for entry in entries)


def test_in_another_case_nothing_new_begins() -> None:
    desk = resolved()
    desk.take(on_industry(at(30), warning_id="w2"))
    desk.take(of_credit("start", 31, 2, measure=SUSPEND))
    assert list(desk.suspensions) == [f"{INDUSTRY}#1"]
    entry = desk.case(2, INDUSTRY).history[-1]
    assert entry.kind == "suspended_already"
    assert f"{INDUSTRY}#1" in entry.detail
    assert desk.case(2, INDUSTRY).tasks[0].measures[0].started_at == at(31)
    # Lifted there, the measure of the second case suspends once more.
    desk.take(of_credit("lift", 32), of_credit("approve", 33, measure=SUSPEND, who="mei"))
    desk.take(of_credit("complete", 34, 2))
    assert told(desk, 1) == [(at(1), "ling", at(33), ("ling", "mei"))]
    assert told(desk, 2) == [(at(34), "ling", None, ())]


def test_a_start_that_comes_after_the_lift_it_precedes_begins_nothing() -> None:
    desk = suspended(measures=(SUSPEND, "review_granted_loans"))
    desk.take(of_credit("lift", 5), of_credit("approve", 6, measure=SUSPEND, who="mei"))
    desk.take(of_credit("start", 3, measure=SUSPEND))
    assert told(desk) == [(at(1), "ling", at(6), ("ling", "mei"))]
    desk.take(of_credit("start", 6, measure=SUSPEND))  # at the very end, which is not in it any more
    assert told(desk)[1] == (at(6), "ling", None, ())
    desk.take(of_credit("start", 0.5, measure=SUSPEND))
    assert told(desk)[0] == (at(0.5), "ling", at(6), ("ling", "mei"))


def test_an_earlier_start_counts_though_another_case_suspends_by_now() -> None:
    desk = suspended(5, measures=(SUSPEND, "review_granted_loans"))
    desk.take(of_credit("lift", 6), of_credit("approve", 7, measure=SUSPEND, who="mei"), of_credit("dismiss", 8))
    desk.take(of_credit("approve", 9, who="mei"), on_industry(at(10), warning_id="w2"))
    desk.take(of_credit("start", 11, 2, measure=SUSPEND))
    desk.take(of_credit("complete", 12, 2), of_credit("reopen", 13))
    desk.take(of_credit("approve", 13, who="mei"))
    state = desk.subject(INDUSTRY)
    late = of_credit("start", 4, measure=SUSPEND)
    others = [state.cases[2]]
    case = suspend(state.cases[1], [SUSPEND], late, POLICY, at(14), others)
    assert [(one.started_at, one.lifted_at) for one in spans(case)] == [(at(4), at(7))]
    after = suspend(state.cases[1], [SUSPEND], of_credit("start", 8, measure=SUSPEND), POLICY, at(14), others)
    assert spans(after) == spans(state.cases[1])
    assert f"{INDUSTRY}#2" in after.history[-1].detail


def test_a_suspension_of_no_length_stays_one_and_the_next_begins() -> None:
    desk = suspended()
    desk.take(of_credit("lift", 1), of_credit("approve", 1, measure=SUSPEND, who="mei"))
    desk.take(of_credit("start", 1, measure=SUSPEND, who="hao"))
    assert told(desk) == [(at(1), "ling", at(1), ("ling", "mei")), (at(1), "hao", None, ())]


def test_what_was_completed_before_the_lift_suspends_no_second_time() -> None:
    desk = suspended(measures=(SUSPEND, "review_granted_loans"))
    desk.take(of_credit("complete", 2, measure=SUSPEND))
    desk.take(of_credit("lift", 3), of_credit("approve", 4, measure=SUSPEND, who="mei"), of_credit("complete", 5))
    assert desk.case(1, INDUSTRY).state == "resolved"
    assert told(desk) == [(at(1), "ling", at(4), ("ling", "mei"))]


def test_a_duplicate_suspends_once() -> None:
    desk, start = desk_with(), of_credit("start", 1, measure=SUSPEND)
    desk.take(start)
    assert desk.take(start) == []
    assert kinds(desk).count("suspended") == 1


def test_a_drill_and_a_real_case_suspend_apart() -> None:
    desk = Desk()
    desk.take(on_industry(mode="drill"))
    emits = desk.take(of_credit("start", 1, measure=SUSPEND))
    assert [emit.topic for emit in emits] == ["cases"]
    assert len(desk.case(1, INDUSTRY).suspensions) == 1
    desk.take(on_industry(at(2), warning_id="w2"))
    desk.take(of_credit("start", 3, 2, measure=SUSPEND))
    assert list(desk.suspensions) == [f"{INDUSTRY}#2"]
    desk.take(of_credit("lift", 4), of_credit("approve", 5, measure=SUSPEND, who="mei"))
    assert desk.case(1, INDUSTRY).suspensions[0].lifted_at == at(5)
    assert list(desk.suspensions) == [f"{INDUSTRY}#2"]


def test_a_batch_tells_a_case_once() -> None:
    desk = Desk()
    emits = desk.take(
        on_industry(),
        of_credit("start", 1, measure=SUSPEND),
        of_credit("lift", 2),
        of_credit("approve", 3, measure=SUSPEND, who="mei"),
    )
    assert [emit.topic for emit in emits] == ["cases", "suspensions"]
    assert emits[1].value.revision == emits[0].value.revision == 4
    assert told(desk) == [(at(1), "ling", at(3), ("ling", "mei"))]
    assert [emit.topic for emit in desk.take(of_credit("comment", 4))] == ["cases"]


def test_actions_that_waited_for_their_case_suspend_as_well() -> None:
    desk = Desk()
    desk.take(of_credit("start", 1, measure=SUSPEND), of_credit("lift", 2), on_industry())
    desk.restart()
    desk.tick(at(3))
    assert desk.letters == []
    assert told(desk) == [(at(1), "ling", None, ())]
    assert desk.case(1, INDUSTRY).suspensions[0].state == "lift_proposed"


def test_what_waits_on_one_case_goes_before_what_comes_on_another() -> None:
    first, second = on_industry(), on_industry(at(3), warning_id="w2")
    acts = [
        of_credit("start", 1, measure=SUSPEND),
        of_credit("complete", 2),
        of_credit("lift", 4),
        of_credit("approve", 5, measure=SUSPEND, who="mei"),
        of_credit("start", 6, 2, measure=SUSPEND),
    ]
    ordered, ahead = Desk(), Desk()
    ordered.take(first, *acts[:2], second, *acts[2:])
    ahead.take(*acts[:4], first, second, acts[4])
    ahead.tick(at(6))
    for desk in (ordered, ahead):
        assert told(desk, 1) == [(at(1), "ling", at(5), ("ling", "mei"))]
        assert told(desk, 2) == [(at(6), "ling", None, ())]


# --- lifting ---


def test_the_table_names_every_state() -> None:
    assert set(SUSPENSION_MOVES) == {"in_force", "lift_proposed", "lifted"}


@pytest.mark.parametrize(("second", "department"), [("mei", "credit"), ("an", "risk")])
@pytest.mark.parametrize("measure", [SUSPEND, None])
def test_two_employees_lift(second: str, department: str, measure: str | None) -> None:
    desk = resolved()
    tasks = desk.case(1, INDUSTRY).tasks
    assert [emit.topic for emit in desk.take(of_credit("lift", 3, measure=measure))] == ["cases"]
    proposal = desk.case(1, INDUSTRY).suspensions[0].proposal
    assert proposal is not None
    assert (proposal.employee_id, proposal.at) == ("ling", at(3))
    emits = desk.take(of_credit("approve", 4, measure=SUSPEND, who=second, department=department))
    assert [emit.topic for emit in emits] == ["cases", "suspensions"]
    assert told(desk) == [(at(1), "ling", at(4), ("ling", second))]
    case = desk.case(1, INDUSTRY)
    assert (case.state, case.tasks) == ("resolved", tasks)
    assert [(entry.kind, entry.actor) for entry in case.history[-2:]] == [("lift_proposed", "ling"), ("lifted", second)]
    assert "ling" in case.history[-1].detail
    assert second in case.history[-1].detail


def test_a_rejected_lift_may_be_proposed_again() -> None:
    desk = suspended()
    desk.take(of_credit("lift", 2))
    emits = desk.take(of_credit("reject", 3, measure=SUSPEND, who="an", department="risk"))
    assert [emit.topic for emit in emits] == ["cases"]
    one = desk.case(1, INDUSTRY).suspensions[0]
    assert (one.state, one.proposal, one.lifted_at) == ("in_force", None, None)
    assert kinds(desk)[-1] == "lift_rejected"
    desk.take(of_credit("lift", 4, who="mei"), of_credit("approve", 5, measure=SUSPEND))
    assert told(desk) == [(at(1), "ling", at(5), ("mei", "ling"))]


def test_who_proposed_may_withdraw() -> None:
    desk = suspended()
    desk.take(of_credit("lift", 2), of_credit("reject", 3, measure=SUSPEND))
    assert desk.refused == []
    assert desk.case(1, INDUSTRY).suspensions[0].state == "in_force"


def test_four_eyes() -> None:
    desk = suspended()
    desk.take(of_credit("lift", 2))
    for department in ("credit", "risk"):
        one = refusal(desk, of_credit("approve", 3, measure=SUSPEND, department=department))
        assert (one.reason, one.field) == ("four_eyes", "actor.employee_id")
        assert "another employee of credit or risk must approve" in one.detail


def test_dismissal_and_lift_do_not_touch_one_another() -> None:
    desk = suspended()
    desk.take(of_credit("dismiss", 2), of_credit("lift", 3))
    desk.take(of_credit("approve", 4, who="mei"))
    case = desk.case(1, INDUSTRY)
    assert (case.state, case.tasks[0].state) == ("resolved", "dismissed")
    assert (case.suspensions[0].state, told(desk)) == ("lift_proposed", [(at(1), "ling", None, ())])
    desk.take(of_credit("approve", 5, who="mei", measure=SUSPEND))
    assert told(desk)[0][2] == at(5)
    assert desk.case(1, INDUSTRY).tasks == case.tasks


def test_a_reject_of_the_dismissal_leaves_the_proposal_to_lift() -> None:
    desk = suspended()
    desk.take(of_credit("dismiss", 2), of_credit("lift", 3), of_credit("reject", 4, who="mei"))
    case = desk.case(1, INDUSTRY)
    assert (case.tasks[0].state, case.suspensions[0].state) == ("in_progress", "lift_proposed")


def test_refused_where_nothing_is_suspended() -> None:
    desk = desk_with()
    one = refusal(desk, of_credit("lift", 1))
    assert (one.reason, one.field) == ("no_suspension", "case_id")
    assert "there is nothing to lift" in one.detail
    for kind in ("approve", "reject"):
        assert refusal(desk, of_credit(kind, 1, measure=SUSPEND)).reason == "no_suspension"


def test_refused_where_another_case_suspends() -> None:
    desk = resolved()
    desk.take(on_industry(at(3), warning_id="w2"), of_credit("start", 4, 2, measure=SUSPEND))
    one = refusal(desk, of_credit("lift", 5, 2))
    assert one.reason == "no_suspension"
    assert f"{INDUSTRY}#1 does: act there" in one.detail


def test_a_lift_is_refused_once_it_is_lifted() -> None:
    desk = suspended()
    desk.take(of_credit("lift", 2), of_credit("approve", 3, measure=SUSPEND, who="mei"))
    assert refusal(desk, of_credit("lift", 4)).reason == "no_suspension"
    assert refusal(desk, of_credit("approve", 4, measure=SUSPEND, who="mei")).reason == "no_suspension"


def test_a_lift_is_proposed_once() -> None:
    desk = suspended()
    desk.take(of_credit("lift", 2))
    one = refusal(desk, of_credit("lift", 3, who="mei"))
    assert (one.reason, one.field) == ("illegal_move", "kind")
    assert "ling has proposed" in one.detail
    assert "approve or reject it, naming the measure" in one.detail


def test_approving_what_is_not_proposed() -> None:
    desk = suspended()
    for kind in ("approve", "reject"):
        one = refusal(desk, of_credit(kind, 2, measure=SUSPEND, who="mei"))
        assert (one.reason, one.field) == ("illegal_move", "measure")
        assert "credit may propose one with lift" in one.detail


def test_other_measures() -> None:
    desk = suspended(measures=(SUSPEND, "review_granted_loans"))
    one = refusal(desk, of_credit("lift", 2, measure="verify_identity"))
    assert (one.reason, one.field) == ("unknown_measure", "measure")
    assert f"it has review_granted_loans, {SUSPEND}" in one.detail
    one = refusal(desk, of_credit("lift", 2, measure="review_granted_loans"))
    assert (one.reason, one.field) == ("no_suspension", "measure")
    assert f"{SUSPEND} does: name that" in one.detail


def test_other_departments() -> None:
    desk = suspended()
    one = refusal(desk, of_credit("lift", 2, department="risk"))
    assert (one.reason, one.field) == ("illegal_move", "actor.department")
    assert "credit proposes to lift it" in one.detail
    desk.take(of_credit("lift", 3))
    for kind in ("approve", "reject"):
        one = refusal(desk, of_credit(kind, 4, measure=SUSPEND, who="mei", department="operations"))
        assert (one.reason, one.field) == ("illegal_move", "actor.department")
        assert "credit and risk decide on it" in one.detail


def test_a_lift_is_not_before_its_suspension() -> None:
    desk = suspended(2)
    desk.take(of_credit("lift", 1.95), of_credit("comment", 3))
    one = refusal(desk, of_credit("approve", 1.99, measure=SUSPEND, who="mei"))
    assert (one.reason, one.field) == ("before_suspension", "event_time")
    assert "the time at which it is approved" in one.detail
    desk.take(of_credit("approve", 2, measure=SUSPEND, who="mei"))
    assert told(desk) == [(at(2), "ling", at(2), ("ling", "mei"))]


def test_a_lift_is_not_dated_back_before_it_was_proposed() -> None:
    desk = suspended()
    desk.take(of_credit("lift", 9))
    one = refusal(desk, of_credit("approve", 8.9, measure=SUSPEND, who="mei"))
    assert (one.reason, one.field) == ("before_proposal", "event_time")
    tolerance = POLICY.future_tolerance / HOUR  # clocks of two machines
    desk.take(of_credit("approve", 9 - tolerance, measure=SUSPEND, who="mei"))
    assert told(desk)[0][2] == at(9) - POLICY.future_tolerance


@pytest.mark.parametrize(("department", "reason"), [("risk", "no_task"), ("credit", "illegal_move")])
def test_who_forgets_the_measure_is_told(department: str, reason: str) -> None:
    desk = suspended()
    desk.take(of_credit("lift", 2))
    one = refusal(desk, of_credit("approve", 3, who="mei", department=department))
    assert one.reason == reason
    assert f"To approve the lift of {SUSPEND}, name it as the measure" in one.detail


def test_a_case_that_suspends_is_kept() -> None:
    desk = resolved()
    for n in range(2, KEEP_CLOSED + 5):
        desk.take(on_industry(MONDAY + n * DAY, warning_id=f"w{n}"))
        desk.take(of_credit("acknowledge", n * 24 + 1, n), of_credit("complete", n * 24 + 2, n))
    desk.take(on_industry(MONDAY + 99 * DAY, warning_id="last"))
    assert sorted(desk.subject(INDUSTRY).cases) == [1, *range(5, KEEP_CLOSED + 6)]
    desk.take(of_credit("lift", 2400), of_credit("approve", 2401, measure=SUSPEND, who="mei"))
    assert desk.refused == []
    assert told(desk)[0][2] == at(2401)
    desk.take(of_credit("start", 2402, KEEP_CLOSED + 5, measure=SUSPEND))
    desk.take(of_credit("complete", 2403, KEEP_CLOSED + 5), on_industry(at(2404), warning_id="one more"))
    assert 1 not in desk.subject(INDUSTRY).cases


# --- a warning that disproves ---


def breach(hours: float, number: int = 1, **fields: Any) -> Any:
    values: dict[str, Any] = {
        "warning_id": "breach",
        "detector": "approval_during_suspension",
        "severity": "high",
        "departments": ("credit", "risk"),
        "disproves": f"{INDUSTRY}#{number}",
    }
    return on_industry(at(hours), **values | fields)


@pytest.mark.parametrize("notify", [True, False])
def test_a_disproving_warning_opens_the_case_again(notify: bool) -> None:
    desk = resolved()
    first = desk.case(1, INDUSTRY).tasks[0]
    emits = desk.take(breach(3, notify=notify))
    assert [emit.topic for emit in emits] == ["cases"]
    case = desk.case(1, INDUSTRY)
    assert (case.state, case.resolved_at, desk.subject(INDUSTRY).open) == ("open", None, {"live": 1})
    assert [(task.department, task.round, task.state) for task in case.tasks] == [
        ("credit", 1, "completed"),
        ("credit", 2, "open"),
        ("risk", 1, "open"),
    ]
    assert case.tasks[0] == first
    assert [one.code for one in case.tasks[1].measures] == [SUSPEND]
    assert case.tasks[1].created_at == at(3)
    reopened = next(entry for entry in case.history if entry.kind == "reopened")
    assert (reopened.actor, reopened.warning_id) == ("system", "breach")
    assert [ref.warning_id for ref in case.warnings] == ["w1", "breach"]
    assert told(desk) == [(at(1), "ling", None, ())]
    assert desk.take(breach(3, notify=notify)) == []


def test_a_quiet_revision_opens_it_again_too() -> None:
    desk = resolved()
    desk.take(breach(3))
    desk.take(of_credit("acknowledge", 4), of_credit("complete", 5))
    desk.take(of_credit("acknowledge", 4, department="risk"), of_credit("complete", 5, department="risk"))
    assert desk.case(1, INDUSTRY).state == "resolved"
    desk.take(breach(6, revision=2, notify=False))
    case = desk.case(1, INDUSTRY)
    assert case.state == "open"
    assert [(task.department, task.round) for task in case.tasks if task.active] == [("credit", 3), ("risk", 2)]
    assert [one.code for one in case.tasks[-2].measures] == [SUSPEND]


def test_a_disproving_warning_joins_the_case_that_is_open() -> None:
    desk = resolved()
    desk.take(on_industry(at(3), warning_id="w2"), breach(4))
    assert desk.case(1, INDUSTRY).state == "resolved"
    assert [ref.warning_id for ref in desk.case(2, INDUSTRY).warnings] == ["w2", "breach"]
    assert "reopened" not in kinds(desk, 1) + kinds(desk, 2)


def test_a_disproving_warning_joins_its_own_case_where_that_is_open() -> None:
    desk = suspended()
    desk.take(breach(2))
    assert [task.round for task in desk.case(1, INDUSTRY).tasks] == [1, 1]
    assert "reopened" not in kinds(desk)


@pytest.mark.parametrize("fields", [{"disproves": f"{INDUSTRY}#7"}, {"disproves": None}, {"mode": "drill"}])
def test_a_case_that_is_not_known_is_not_opened(fields: dict[str, Any]) -> None:
    desk = resolved()
    desk.take(breach(3, **fields))
    assert desk.case(1, INDUSTRY).state == "resolved"
    assert [ref.warning_id for ref in desk.case(2, INDUSTRY).warnings] == ["breach"]


def test_disproved_beside_a_drill() -> None:
    desk = resolved()
    desk.take(on_industry(at(3), warning_id="w2", mode="drill"), breach(4))
    assert desk.subject(INDUSTRY).open == {"drill": 2, "live": 1}


def test_what_is_muted_or_in_shadow_opens_nothing() -> None:
    desk = resolved()
    desk.take(breach(3, mode="shadow"), breach(4, muted_by="m1"))
    assert desk.case(1, INDUSTRY).state == "resolved"


# --- what it is made of ---


def test_states_of_before_are_read() -> None:
    desk = resolved()
    wire = msgspec.to_builtins(desk.subject(INDUSTRY), str_keys=True)
    for name in ("suspensions", "suspended_revision"):
        del wire["cases"]["1"][name]
    for task in wire["cases"]["1"]["tasks"]:
        for measure in task["measures"]:
            del measure["started_at"]
    state = msgspec.convert(wire, SubjectCases, str_keys=True)
    assert (state.cases[1].suspensions, state.cases[1].suspended_revision) == ((), 0)
    assert state.cases[1].tasks[0].measures[0].started_at is None


def test_a_case_survives_its_wire_format() -> None:
    desk = suspended()
    desk.take(of_credit("lift", 2))
    case = desk.case(1, INDUSTRY)
    assert msgspec.json.decode(msgspec.json.encode(case), type=Case) == case
    desk.restart()
    assert desk.case(1, INDUSTRY) == case


def test_customers_have_no_suspensions() -> None:
    desk = Desk()
    desk.take(warning())
    assert desk.case().suspensions == ()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_begins_that_come_late_change_nothing(seed: int) -> None:
    """Of each suspension one begin comes before its lift and the others at any later time: what was first counts."""
    dice = random.Random(seed)  # noqa: S311
    steps: list[tuple[str, int]] = []
    late: list[tuple[int, tuple[str, int]]] = []
    expected = []
    hour = 1
    for _ in range(dice.randrange(1, 4)):
        begins = list(range(hour, hour + dice.randrange(1, 4)))
        lifted = begins[-1] + dice.randrange(1, 3)
        expected.append((at(hour), at(lifted)))
        hour = lifted + dice.randrange(3)
        on_time = begins.pop(dice.randrange(len(begins)))
        late += [(on_time, ("begin", one)) for one in begins]
        steps += [("begin", on_time), ("lift", lifted)]
    for on_time, one in late:
        steps.insert(dice.randrange(steps.index(("begin", on_time)), len(steps)) + 1, one)
    case = desk_with(measures=(SUSPEND, "review_granted_loans")).case(1, INDUSTRY)
    for kind, hours in steps:
        moves = [of_credit("start", hours, measure=SUSPEND)]
        if kind == "lift":
            moves = [of_credit("lift", hours), of_credit("approve", hours, measure=SUSPEND, who="mei")]
        for move in moves:
            case = act(case, move, POLICY, at(999))
    assert [(one.started_at, one.lifted_at) for one in spans(case)] == expected
