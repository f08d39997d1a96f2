"""Measures that the stream proves: asked for, claimed, answered, and completed at the later of word and proof."""

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from models.events import Action
from models.messages import ACTIVITY_KEY
from models.policy import Policy, Proof, parse_policy
from models.proofs import ProofAsk
from models.response.case import Case, Task, TaskMeasure
from models.response.proving import can_prove, progress, proof_of
from models.stage import Refused
from tests.response import (
    DAY,
    HOUR,
    INDUSTRY,
    MONDAY,
    POLICY,
    TEXT,
    Desk,
    action,
    of_credit,
    on_industry,
    proved,
    warning,
)

REVIEW, CLASSIFY, CARE = "review_granted_loans", "adjust_classification", "strengthen_post_loan_care"
BRANCH = "branch:0731"
INSPECT, RECTIFY = "inspect_sample", "rectify_controls"


def at(hours: float) -> Any:
    return MONDAY + hours * HOUR


def reviewing(*codes: str, partitions: int = 1, **fields: Any) -> Desk:
    desk = Desk(partitions=partitions)
    desk.take(on_industry(measures=codes or (REVIEW,), **fields))
    return desk


def of_branch(kind: str, hours: float, **fields: Any) -> Action:
    return action(kind, at(hours), **{"case_id": f"{BRANCH}#1"} | fields)


def inspected(*steps: Action, policy: Policy = POLICY, subject: str = BRANCH) -> Desk:
    """A branch's sample is inspected, and something is wrong in it."""
    desk = Desk(policy)
    desk.take(warning(subject=subject, detector="inspection", measures=(INSPECT,)))
    for one in steps or (of_branch("find", 1, measure=INSPECT, evidence=("t1", "t2")),):
        desk.take(one)
    assert desk.refused == []
    return desk


def task_of(desk: Desk, subject: str = INDUSTRY, department: str = "credit") -> Task:
    task = desk.case(1, subject).task(department)
    assert task is not None
    return task


def measure(desk: Desk, code: str = REVIEW, subject: str = INDUSTRY) -> TaskMeasure:
    return next(one for task in desk.case(1, subject).tasks[::-1] for one in task.measures[::-1] if one.code == code)


def ask(desk: Desk, code: str = REVIEW, subject: str = INDUSTRY) -> ProofAsk:
    return desk.asks[f"{subject}#1|{code}"]


def kinds(case: Case) -> list[str]:
    return [entry.kind for entry in case.history]


def refusal(desk: Desk, one: Action) -> Refused:
    assert desk.take(one) == []
    return desk.refused.pop()


# --- what can be proved ---


@pytest.mark.parametrize(
    ("kind", "subject", "can"),
    [
        ("loans_reviewed", "industry:B1:K", True),
        ("loans_reviewed", "industry:B1:unknown", False),
        ("reclassified", "real_estate:B1:development", True),
        ("reclassified", "borrower:B1:L7", True),
        ("loans_reviewed", "group:B1:G7", True),
        ("reclassified", "top_ten:B1", False),
        ("loans_reviewed", "book:B1", False),
        ("loans_reviewed", "customer:C42", False),
        ("clean_resample", "branch:0731", True),
        ("clean_resample", "customer:C42", False),
        ("clean_resample", "industry:B1:K", False),
        ("no_approvals", "industry:B1:K", False),
    ],
)
def test_what_can_be_proved(kind: Proof, subject: str, can: bool) -> None:
    assert can_prove(kind, subject) is can


def test_elsewhere_the_word_is_enough() -> None:
    desk = Desk()
    desk.take(on_industry(subject="book:B1", measures=(REVIEW,)))
    desk.take(of_credit("acknowledge", 1, case_id="book:B1#1"), of_credit("complete", 2, case_id="book:B1#1"))
    one = measure(desk, subject="book:B1")
    assert (one.proof, one.proof_since, one.completed_at, one.claimed) == (None, None, at(2), None)
    assert (desk.case(1, "book:B1").state, desk.asks) == ("resolved", {})
    assert proof_of(REVIEW, INDUSTRY, POLICY) == "loans_reviewed"
    assert proof_of("from_another_policy", INDUSTRY, POLICY) is None


# --- the ask ---


def test_it_is_asked_in_every_partition_of_the_loans_at_once() -> None:
    desk = Desk(partitions=3)
    emits = [one for one in desk.take(on_industry(measures=(REVIEW, CLASSIFY))) if one.topic == "reviews"]
    assert [(one.key, one.partition) for one in emits] == [
        (f"{INDUSTRY}#1|{code}", number) for code in (REVIEW, CLASSIFY) for number in range(3)
    ]
    assert ask(desk) == ProofAsk(
        case_id=f"{INDUSTRY}#1", subject=INDUSTRY, measure=REVIEW, kind="loans_reviewed", since=MONDAY, revision=1
    )
    assert ask(desk, CLASSIFY).kind == "reclassified"
    one = measure(desk)
    assert (one.proof, one.proof_since) == ("loans_reviewed", MONDAY)


def test_it_is_asked_once_whatever_else_is_done() -> None:
    desk = reviewing()
    steps = (of_credit("acknowledge", 1), of_credit("start", 2), of_credit("complete", 3), of_credit("comment", 4))
    for one in steps:
        assert [emit.topic for emit in desk.take(one)] == ["cases"]
    desk.restart()
    assert [emit.topic for emit in desk.take(proved(ask(desk), None))] == ["cases"]
    assert desk.tick(at(500))[0].topic == "cases"


def test_asks_are_closed_with_what_they_were_for() -> None:
    desk = reviewing(REVIEW, CLASSIFY, "mitigate_exposure")
    desk.take(of_credit("start", 1), of_credit("complete", 2, measure=REVIEW))
    emits = desk.take(proved(ask(desk), 3))
    assert [one.topic for one in emits] == ["cases", "reviews"]
    assert (ask(desk).open, ask(desk).since, ask(desk).revision) == (False, MONDAY, desk.case(1, INDUSTRY).revision)
    assert ask(desk, CLASSIFY).open
    desk.restart()
    desk.take(of_credit("dismiss", 4))
    assert ask(desk, CLASSIFY).open
    desk.take(of_credit("approve", 5, who="mei"))
    assert not ask(desk, CLASSIFY).open


def test_an_ask_is_told_again_where_a_worker_died_between_telling_and_storing() -> None:
    desk = Desk()
    one = on_industry(measures=(REVIEW,))
    assert [emit.topic for emit in desk.take(one)] == ["cases", "reviews"]
    assert desk.take(one) == []
    desk.states.values.clear()  # nothing was stored
    desk.cases.clear()
    desk.restart()
    assert [emit.topic for emit in desk.take(one)] == ["cases", "reviews"]
    desk.restart()
    assert [emit.topic for emit in desk.take(of_credit("start", 1))] == ["cases"]


def test_what_is_asked_for_again_counts_from_then() -> None:
    desk = reviewing()
    desk.take(of_credit("start", 1), of_credit("complete", 2), proved(ask(desk), 1.5))
    assert desk.case(1, INDUSTRY).state == "resolved"
    desk.take(of_credit("reopen", 30), of_credit("approve", 31, who="mei"))
    assert (ask(desk).open, ask(desk).since) == (True, at(31))
    one = measure(desk)
    assert (one.asked_at, one.proof_since, one.parts, one.completed_at) == (at(31), at(31), (), None)


# --- loans reviewed ---


def test_claimed_before_it_is_proved_it_is_completed_by_the_proof() -> None:
    desk = reviewing()
    desk.take(of_credit("start", 1), of_credit("complete", 2))
    one, task = measure(desk), task_of(desk)
    assert one.claimed is not None
    assert (one.claimed.employee_id, one.claimed.at, one.completed_at, one.completed_by) == ("ling", at(2), None, None)
    assert (task.state, desk.case(1, INDUSTRY).state) == ("in_progress", "open")
    entry = desk.case(1, INDUSTRY).history[-1]
    assert (entry.kind, entry.at, entry.actor, entry.measure) == ("claimed", at(2), "ling", REVIEW)
    assert entry.detail == (
        f"{REVIEW}: done, says ling; waits for the proof: a review of every loan in it from {MONDAY.isoformat()} on"
    )
    desk.take(proved(ask(desk), 5, listed=12, evidence=("l1", "l2")))
    one, task = measure(desk), task_of(desk)
    assert (one.completed_at, one.completed_by, one.claimed, one.proved_at) == (at(5), "ling", None, at(5))
    assert (task.state, task.completed_at) == ("completed", at(5))
    assert (desk.case(1, INDUSTRY).state, desk.case(1, INDUSTRY).resolved_at) == ("resolved", at(5))
    entry = next(one for one in desk.case(1, INDUSTRY).history if one.kind == "proved")
    assert (entry.at, entry.actor, entry.department, entry.measure) == (at(5), "system", "credit", REVIEW)
    assert (entry.evidence, entry.detail) == (
        ("l1", "l2"),
        f"{REVIEW}: no loan of 12 is left to be reviewed; done, as ling said",
    )


def test_what_is_said_of_a_claim_is_the_same_before_a_restart_and_after_it() -> None:
    desk = Desk()
    desk.take(on_industry(MONDAY.astimezone(POLICY.bank_calendar.zone), measures=(REVIEW,)))
    desk.take(of_credit("start", 1), of_credit("complete", 2))
    assert f"from {MONDAY.isoformat()} on" in desk.case(1, INDUSTRY).history[-1].detail


def test_proved_before_the_word_it_is_completed_by_the_word() -> None:
    desk = reviewing()
    desk.take(of_credit("start", 1), proved(ask(desk), 2))
    one = measure(desk)
    assert (one.proved_at, one.completed_at, task_of(desk).state) == (at(2), None, "in_progress")
    entry = desk.case(1, INDUSTRY).history[-1]
    assert entry.kind == "proved"
    assert entry.detail == (
        f"{REVIEW}: there was no loan to be reviewed; completed once the department says that it is done"
    )
    desk.take(of_credit("complete", 3))
    assert (measure(desk).completed_at, task_of(desk).completed_at) == (at(3), at(3))
    assert "claimed" not in kinds(desk.case(1, INDUSTRY))


@pytest.mark.parametrize("word_first", [True, False])
@pytest.mark.parametrize(("word", "proof"), [(2, 5), (5, 2), (3, 3)])
def test_the_later_time_counts_whichever_came_in_first(word_first: bool, word: int, proof: int) -> None:
    desk = reviewing()
    desk.take(of_credit("start", 1))
    said, shown = of_credit("complete", word), proved(ask(desk), proof)
    desk.take(*((said, shown) if word_first else (shown, said)))
    assert measure(desk).completed_at == at(max(word, proof)) == task_of(desk).completed_at


def test_a_list_is_worked_off_once_that_is_so_in_every_partition() -> None:
    desk = reviewing(partitions=3)
    desk.take(of_credit("start", 1), of_credit("complete", 2))
    asked = ask(desk)
    desk.take(proved(asked, 7, 0, partitions=3, listed=4), proved(asked, 3, 2, partitions=3, listed=1))
    assert (measure(desk).completed_at, progress(measure(desk))) == (None, (0, 5))
    desk.take(proved(asked, None, 1, 1, partitions=3, listed=7, left=2))
    assert progress(measure(desk)) == (2, 12)
    one = refusal(desk, of_credit("complete", 8))
    assert (one.reason, one.field) == ("illegal_move", "measure")
    assert f"{REVIEW}, which ling says is done, waits for its proof" in one.detail
    assert "(2 of 12 loans left)" in one.detail
    desk.take(proved(asked, 4, 1, 2, partitions=3, listed=7))
    assert (measure(desk).proved_at, measure(desk).completed_at) == (at(7), at(7))  # the last of the three


def test_an_answer_counts_once_and_the_newer_one_replaces() -> None:
    desk = reviewing()
    asked = ask(desk)
    answer = proved(asked, None, 0, 2, listed=3, left=1)
    assert [one.topic for one in desk.take(answer)] == ["cases"]
    assert desk.take(answer) == []
    assert desk.take(proved(asked, 1, 0, 1, listed=3)) == []
    assert (len(measure(desk).parts), progress(measure(desk))) == (1, (1, 3))


@pytest.mark.parametrize("fields", [{"since": MONDAY + HOUR}, {"measure": CLASSIFY}, {"case_id": f"{INDUSTRY}#7"}])
def test_what_nothing_asked_for_proves_nothing(fields: dict[str, Any]) -> None:
    desk = reviewing()
    desk.take(of_credit("start", 1), of_credit("complete", 2))
    before = desk.case(1, INDUSTRY)
    assert desk.take(replace(proved(ask(desk), 3), **fields)) == []
    assert desk.case(1, INDUSTRY) == before


def test_what_was_proved_may_be_proved_no_longer() -> None:
    desk = reviewing()
    desk.take(proved(ask(desk), 2, listed=3), proved(ask(desk), None, 0, 2, listed=4, left=1))
    assert measure(desk).proved_at is None
    entry = desk.case(1, INDUSTRY).history[-1]
    assert entry.kind == "not_proved"
    assert "proved no longer" in entry.detail
    assert "(1 of 4 loans left)" in entry.detail
    desk.take(of_credit("acknowledge", 3), of_credit("complete", 4))
    assert measure(desk).claimed is not None
    desk.take(proved(ask(desk), 6, 0, 3, listed=4))
    assert measure(desk).completed_at == at(6)
    assert desk.take(proved(ask(desk), None, 0, 4, listed=5, left=1)) == []  # what is completed stays so


def test_an_answer_that_came_before_what_asks_for_it_waits_for_it() -> None:
    asked = ask(reviewing())
    desk = Desk()
    assert desk.take(proved(asked, 1, listed=2)) == []
    desk.restart()
    desk.take(on_industry(measures=(REVIEW,)))
    assert measure(desk).proved_at == at(1)
    assert desk.subject(INDUSTRY).early == {}
    assert kinds(desk.case(1, INDUSTRY)).count("proved") == 1


def test_what_is_past_waits_for_nothing() -> None:
    desk = reviewing()
    answer = proved(ask(desk), 1)
    desk.take(answer, of_credit("acknowledge", 2), of_credit("complete", 3))
    assert desk.case(1, INDUSTRY).state == "resolved"
    assert desk.take(answer, proved(ask(desk), 2, 0, 2)) == []
    assert desk.subject(INDUSTRY).early == {}


# --- a reclassification ---


def test_reclassified_anywhere_by_two_employees() -> None:
    desk = reviewing(CLASSIFY, partitions=2)
    desk.take(of_credit("start", 1), of_credit("complete", 2))
    assert (measure(desk, CLASSIFY).claimed, measure(desk, CLASSIFY).proposal is None) == (None, False)
    desk.take(of_credit("approve", 3, measure=CLASSIFY, who="mei"))
    one = measure(desk, CLASSIFY)
    assert one.claimed is not None
    assert (one.claimed.employee_id, one.claimed.at, one.countersigned_by, one.proposal) == ("ling", at(3), "mei", None)
    assert kinds(desk.case(1, INDUSTRY))[-2:] == ["countersigned", "claimed"]
    asked = ask(desk, CLASSIFY)
    desk.take(proved(asked, None, 1, partitions=2))
    assert measure(desk, CLASSIFY).proved_at is None
    desk.take(proved(asked, 8, 0, partitions=2, evidence=("l9",)))
    one = measure(desk, CLASSIFY)
    assert (one.completed_at, one.completed_by, one.countersigned_by) == (at(8), "ling", "mei")
    assert desk.case(1, INDUSTRY).state == "resolved"


def test_reclassified_before_the_second_employee_agrees() -> None:
    desk = reviewing(CLASSIFY, partitions=2)
    asked = ask(desk, CLASSIFY)
    desk.take(proved(asked, 4, 0, partitions=2), proved(asked, 2, 1, partitions=2))
    assert measure(desk, CLASSIFY).proved_at == at(2)  # the first one
    desk.take(of_credit("start", 5), of_credit("complete", 6))
    assert measure(desk, CLASSIFY).completed_at is None
    desk.take(of_credit("approve", 7, measure=CLASSIFY, who="mei"))
    one = measure(desk, CLASSIFY)
    assert (one.completed_at, one.completed_by, one.countersigned_by) == (at(7), "ling", "mei")


# --- what is claimed, and not completed ---


def test_what_comes_after_waits_for_the_proof() -> None:
    desk = reviewing(REVIEW, CARE)
    desk.take(of_credit("start", 1), of_credit("complete", 2, measure=REVIEW))
    one = refusal(desk, of_credit("complete", 3, measure=CARE))
    assert one.reason == "depends_on"
    assert f"{CARE} comes after {REVIEW} of credit, which waits for its proof" in one.detail
    desk.take(proved(ask(desk), 4), of_credit("complete", 5, measure=CARE))
    assert (desk.refused, desk.case(1, INDUSTRY).state) == ([], "resolved")


def test_all_at_once_keeps_the_order() -> None:
    desk = reviewing(REVIEW, CARE)
    desk.take(of_credit("start", 1))
    assert refusal(desk, of_credit("complete", 2)).reason == "depends_on"
    desk.take(proved(ask(desk), 1.5), of_credit("complete", 2))
    assert (desk.refused, desk.case(1, INDUSTRY).state) == ([], "resolved")


def test_a_claim_stops_no_clock_and_a_proof_in_time_takes_the_breach_back() -> None:
    desk = reviewing(severity="medium")
    due = measure(desk).due_at
    desk.take(of_credit("start", 1), of_credit("complete", 2))
    desk.tick(due + HOUR)
    assert (measure(desk).breached_at, task_of(desk).breached_at) == (due, due)
    desk.take(proved(ask(desk), (due - MONDAY) / HOUR), ingest=due + 2 * HOUR)
    assert (measure(desk).completed_at, measure(desk).breached_at, task_of(desk).breached_at) == (due, None, None)
    assert "breach_withdrawn" in kinds(desk.case(1, INDUSTRY))


def test_a_proof_too_late_leaves_the_breach() -> None:
    desk = reviewing(severity="medium")
    due = measure(desk).due_at
    desk.take(of_credit("start", 1), of_credit("complete", 2))
    desk.tick(due + HOUR)
    desk.take(proved(ask(desk), (due - MONDAY) / HOUR + 0.01), ingest=due + 2 * HOUR)
    assert measure(desk).breached_at == due == task_of(desk).breached_at


def test_who_is_asked_again_has_to_say_so_again() -> None:
    desk = reviewing()
    desk.take(of_credit("start", 1), of_credit("complete", 2))
    desk.take(on_industry(at(3), measures=(REVIEW,), warning_id="w2"))
    one = measure(desk)
    assert (one.claimed, one.proof_since, len(task_of(desk).measures)) == (None, MONDAY, 1)
    assert desk.case(1, INDUSTRY).history[-1].kind == "proposal_withdrawn"
    desk.take(proved(ask(desk), 2.5))
    assert (measure(desk).proved_at, measure(desk).completed_at) == (at(2.5), None)
    desk.take(of_credit("complete", 4))
    assert measure(desk).completed_at == at(4)


def test_a_dismissal_that_is_rejected_after_the_proof_leaves_the_task_completed() -> None:
    desk = reviewing()
    desk.take(of_credit("start", 1), of_credit("complete", 2), of_credit("dismiss", 3), proved(ask(desk), 4))
    task = task_of(desk)
    assert (task.state, task.measures[0].completed_at) == ("dismiss_proposed", at(4))
    desk.take(of_credit("reject", 5, who="mei"))
    task = task_of(desk)
    assert (task.state, task.completed_at, desk.case(1, INDUSTRY).state) == ("completed", at(4), "resolved")


def test_a_dismissal_takes_the_claim_with_it() -> None:
    desk = reviewing()
    desk.take(of_credit("start", 1), of_credit("complete", 2), of_credit("dismiss", 3))
    desk.take(of_credit("approve", 4, who="mei"))
    assert (measure(desk).claimed, ask(desk).open, desk.case(1, INDUSTRY).state) == (None, False, "resolved")
    assert "proposal_withdrawn" in kinds(desk.case(1, INDUSTRY))
    assert desk.take(proved(ask(desk), 5)) == []


# --- findings and the sample after them ---


def test_a_finding_asks_for_what_puts_it_right() -> None:
    desk = inspected()
    task = task_of(desk, BRANCH, "operations")
    assert (task.state, task.acknowledged_at, task.started_at) == ("acknowledged", at(1), None)
    assert [one.code for one in task.measures] == [INSPECT, RECTIFY]
    new = task.measures[1]
    assert (new.asked_at, new.proof, new.proof_since) == (at(1), "clean_resample", None)
    assert new.due_at == datetime(2026, 3, 30, 9, tzinfo=UTC)  # closing time of the twentieth working day
    assert desk.asks == {}
    found = desk.case(1, BRANCH).history[-2]
    assert (found.kind, found.actor, found.measure, found.evidence) == ("found", "ling", INSPECT, ("t1", "t2"))
    assert found.detail == f"{INSPECT}: not in order in 2 events; operations: {RECTIFY}"


def test_a_second_finding_adds_nothing_while_the_first_is_owed() -> None:
    desk = inspected()
    desk.take(of_branch("find", 2, measure=INSPECT, evidence=("t3",)))
    assert [one.code for one in task_of(desk, BRANCH, "operations").measures] == [INSPECT, RECTIFY]
    assert desk.case(1, BRANCH).history[-1].detail.endswith(f"not in order in 1 event; operations: {RECTIFY}")


def test_a_finding_of_another_department_opens_its_task() -> None:
    policy = parse_policy(TEXT.replace('rectified_by = "rectify_controls"', 'rectified_by = "restore_system"'))
    desk = inspected(policy=policy)
    task = task_of(desk, BRANCH, "it")
    assert (task.round, task.created_at, [one.code for one in task.measures]) == (1, at(1), ["restore_system"])
    desk.take(of_branch("acknowledge", 2, department="it"), of_branch("complete", 3, department="it"))
    desk.take(of_branch("find", 4, measure=INSPECT, evidence=("t3",)))
    task = task_of(desk, BRANCH, "it")
    assert (task.round, task.created_at, task.state) == (2, at(4), "open")


def test_a_finding_takes_back_the_dismissal_of_what_it_asks_for() -> None:
    policy = parse_policy(TEXT.replace('rectified_by = "rectify_controls"', 'rectified_by = "restore_system"'))
    desk = inspected(policy=policy)
    desk.take(of_branch("dismiss", 2, department="it"), of_branch("find", 3, measure=INSPECT, evidence=("t3",)))
    assert (task_of(desk, BRANCH, "it").state, desk.refused) == ("open", [])


@pytest.mark.parametrize(
    ("fields", "reason", "field", "why"),
    [
        ({"measure": None}, "unknown_measure", "measure", f"name it: {INSPECT}"),
        ({"measure": "put_rate"}, "unknown_measure", "measure", f"it has {INSPECT}"),
        ({"measure": "answer_complaint"}, "illegal_move", "measure", "nothing is rectified after answer_complaint"),
        ({"measure": INSPECT, "department": "it"}, "no_task", "actor.department", "it owes nothing"),
    ],
)
def test_findings_are_refused_with_why(fields: dict[str, Any], reason: str, field: str, why: str) -> None:
    desk = Desk()
    desk.take(warning(subject=BRANCH, measures=(INSPECT, "answer_complaint")))
    if fields["measure"] == "put_rate":
        why = f"it has {INSPECT}, answer_complaint"
    one = refusal(desk, of_branch("find", 1, evidence=("t1",), **fields))
    assert (one.reason, one.field) == (reason, field)
    assert why in one.detail


@pytest.mark.parametrize("before", [("dismiss",), ("acknowledge", "complete"), ("dismiss", "approve")])
def test_nothing_is_found_in_what_is_finished(before: tuple[str, ...]) -> None:
    desk = Desk()
    desk.take(warning(subject=BRANCH, measures=(INSPECT,)))
    for kind in before:
        desk.take(of_branch(kind, 1, who="mei" if kind == "approve" else "ling"))
    assert desk.refused == []
    one = refusal(desk, of_branch("find", 2, measure=INSPECT, evidence=("t1",)))
    assert (one.reason, one.field) == ("illegal_move", "kind")
    assert "find does not go from" in one.detail


def test_a_clean_sample_after_the_claim_completes_it() -> None:
    desk = inspected()
    desk.take(of_branch("complete", 2, measure=INSPECT))
    emits = desk.take(of_branch("complete", 3, measure=RECTIFY))
    asks = [one for one in emits if one.topic == "resamples"]
    assert [(one.key, one.route, one.partition) for one in asks] == [(f"{BRANCH}#1|{RECTIFY}", ACTIVITY_KEY, None)]
    asked = ask(desk, RECTIFY, BRANCH)
    assert (asked.kind, asked.since, asked.open) == ("clean_resample", at(3), True)
    one = measure(desk, RECTIFY, BRANCH)
    assert one.claimed is not None
    assert (one.claimed.at, one.proof_since, one.completed_at) == (at(3), at(3), None)
    assert desk.case(1, BRANCH).history[-1].detail == (
        f"{RECTIFY}: done, says ling; waits for the proof: a sample of the branch's large transactions after it, "
        "with every control"
    )
    desk.take(proved(asked, 300, evidence=("t7", "t8")))
    one = measure(desk, RECTIFY, BRANCH)
    assert (one.completed_at, one.completed_by, one.claimed, one.failed) == (at(300), "ling", None, ())
    assert (desk.case(1, BRANCH).state, ask(desk, RECTIFY, BRANCH).open) == ("resolved", False)
    entry = next(one for one in desk.case(1, BRANCH).history if one.kind == "proved")
    assert entry.detail == f"{RECTIFY}: every control was there in the sample after it; done, as ling said"


def test_an_empty_sample_says_so() -> None:
    desk = inspected()
    desk.take(of_branch("complete", 2))
    desk.take(proved(ask(desk, RECTIFY, BRANCH), 300))
    entry = next(one for one in desk.case(1, BRANCH).history if one.kind == "proved")
    assert entry.detail == f"{RECTIFY}: nothing large was done after it; done, as ling said"


def test_a_sample_that_fails_withdraws_the_claim() -> None:
    desk = inspected()
    desk.take(of_branch("complete", 2))
    first = ask(desk, RECTIFY, BRANCH)
    desk.take(proved(first, None, failed=("t9",)))
    one = measure(desk, RECTIFY, BRANCH)
    assert (one.claimed, one.proof_since, one.failed, one.parts, one.completed_at) == (None, None, ("t9",), (), None)
    assert (task_of(desk, BRANCH, "operations").state, ask(desk, RECTIFY, BRANCH).open) == ("in_progress", False)
    entry = desk.case(1, BRANCH).history[-1]
    assert (entry.kind, entry.actor, entry.evidence) == ("not_proved", "system", ("t9",))
    assert entry.detail == (
        f"{RECTIFY}: not done, as ling said, for 1 transaction after it still lacks a control; it is owed as before"
    )
    assert desk.take(proved(first, None, 0, 2, failed=("t9", "t10"))) == []  # of the claim that is gone
    desk.take(of_branch("complete", 20, who="mei"))
    again = ask(desk, RECTIFY, BRANCH)
    assert (again.since, again.open, again.revision > first.revision) == (at(20), True, True)
    desk.take(proved(again, 400))
    one = measure(desk, RECTIFY, BRANCH)
    assert (one.completed_at, one.completed_by, one.failed) == (at(400), "mei", ("t9",))


def test_a_finding_after_the_claim_takes_it_back() -> None:
    desk = inspected()
    desk.take(of_branch("complete", 2, measure=RECTIFY))
    desk.take(of_branch("find", 3, measure=INSPECT, evidence=("t5",)))
    one = measure(desk, RECTIFY, BRANCH)
    assert (one.claimed, one.proof_since, ask(desk, RECTIFY, BRANCH).open) == (None, None, False)
    desk.take(of_branch("complete", 30, measure=RECTIFY))
    assert ask(desk, RECTIFY, BRANCH).since == at(30)


def test_on_a_customer_the_word_is_enough_for_what_puts_it_right() -> None:
    desk = Desk()
    desk.take(warning(measures=("verify_identity",)))
    desk.take(action("find", at(1), measure="verify_identity", evidence=("e1",)), action("complete", at(2)))
    assert (desk.case().state, desk.asks, desk.refused) == ("resolved", {}, [])


def test_deadlines_stand_through_all_of_it() -> None:
    desk = inspected()
    due = measure(desk, RECTIFY, BRANCH).due_at
    desk.take(of_branch("complete", 2))
    desk.take(proved(ask(desk, RECTIFY, BRANCH), None, failed=("t9",)), ingest=MONDAY + 20 * DAY)
    assert measure(desk, RECTIFY, BRANCH).due_at == due
