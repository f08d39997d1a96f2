"""Merged cases: what is done on the leader is done on its followers, and no clock is touched."""

from random import Random
from typing import Any

import pytest

from models.links import CaseLink
from models.response.case import Case, Task
from models.stage import Refused
from tests.response import DAY, HOUR, MONDAY, Desk, action, warning

A, B, C = "customer:A#1", "customer:B#1", "customer:C#1"


def told(name: str, **fields: Any) -> Any:
    return warning(subject=f"customer:{name}", warning_id=f"w{name}", **fields)


def deed(kind: str, hours: float, case_id: str = A, **fields: Any) -> Any:
    return action(kind, MONDAY + hours * HOUR, case_id=case_id, **fields)


def merged(*names: str) -> Desk:
    """Cases of A and of these, which follow it."""
    desk = Desk()
    desk.take(told("A"), *(told(name) for name in names))
    desk.take(*(deed("merge", 0.5, f"customer:{name}#1", about=A) for name in names))
    return desk.deliver()


def kinds(case: Case) -> list[str]:
    return [entry.kind for entry in case.history]


def task(desk: Desk, case_id: str) -> Task:
    found = desk.cases[case_id].task("operations")
    assert found is not None
    return found


def test_a_case_follows_another_and_both_say_so() -> None:
    desk = merged("B", "C")
    assert desk.cases[B].follows == desk.cases[C].follows == A
    assert [one.case_id for one in desk.cases[A].followers] == [B, C]
    assert kinds(desk.cases[B])[-1] == "merged"
    assert kinds(desk.cases[A])[-2:] == ["leads", "leads"]
    assert not desk.refused


def test_what_is_done_on_the_leader_is_done_on_all() -> None:
    desk = merged("B", "C")
    desk.take(deed("acknowledge", 1), deed("start", 2), deed("complete", 3))
    desk.deliver()
    for name in (A, B, C):
        one = task(desk, name)
        assert (one.state, one.acknowledged_at, one.completed_at) == ("completed", MONDAY + HOUR, MONDAY + 3 * HOUR)
        assert desk.cases[name].state == "resolved"
    assert {entry.actor for entry in desk.cases[B].history if entry.kind == "complete"} == {"ling"}


def test_every_task_keeps_its_own_clock() -> None:
    alone, together = Desk(), Desk()
    for desk in (alone, together):
        desk.take(told("A", severity="critical"))
        desk.take(told("B", at=MONDAY + 3 * HOUR, severity="low"))
    before = [task(alone, name) for name in (A, B)]
    together.take(deed("merge", 4, B, about=A))
    together.deliver()
    together.take(deed("split", 5, B))
    together.deliver()
    assert [task(together, name) for name in (A, B)] == before
    assert together.cases[B].follows is None
    assert together.cases[A].followers == ()
    assert kinds(together.cases[A])[-1] == "left"


def test_a_leader_is_open_until_its_last_follower_is_done() -> None:
    desk = merged("B")
    desk.take(told("B", revision=2, severity="high", departments=("operations", "risk")))
    desk.deliver()
    desk.take(deed("acknowledge", 1), deed("complete", 2))
    desk.deliver()
    assert task(desk, A).state == "completed"
    assert desk.cases[B].state == desk.cases[A].state == "open"
    # The risk department owes nothing on the leader, and may still act there for the follower.
    desk.take(deed("acknowledge", 3, department="risk"), deed("complete", 4, department="risk"))
    desk.deliver()
    assert not desk.refused
    assert desk.cases[B].state == desk.cases[A].state == "resolved"
    assert desk.cases[A].resolved_at == MONDAY + 4 * HOUR
    assert kinds(desk.cases[A]).count("passed_on") == 2


def test_what_a_follower_cannot_take_is_noted_there_with_its_reason() -> None:
    desk = merged("B")
    desk.take(deed("acknowledge", 1, B), deed("complete", 2, B))
    desk.take(deed("acknowledge", 3))
    desk.deliver()
    last = desk.cases[B].history[-1]
    assert (last.kind, last.actor) == ("not_taken", "ling")
    assert "acknowledge does not go from completed" in last.detail
    assert not desk.letters


def test_two_are_needed_on_the_followers_as_well() -> None:
    desk = merged("B")
    desk.take(deed("dismiss", 1))
    desk.deliver()
    assert task(desk, B).state == "dismiss_proposed"
    desk.take(deed("approve", 2, who="mei"))
    desk.deliver()
    assert task(desk, A).state == task(desk, B).state == "dismissed"


def test_what_is_refused_on_the_leader_is_passed_on_to_nobody() -> None:
    desk = merged("B")
    desk.take(deed("approve", 1))
    desk.deliver()
    assert [one.reason for one in desk.refused] == ["illegal_move"]
    assert "approve" not in kinds(desk.cases[B])


def test_a_message_that_comes_twice_or_late_changes_nothing() -> None:
    desk = merged("B")
    desk.take(deed("acknowledge", 1))
    sent = list(desk.links)
    desk.deliver()
    case_a, case_b = desk.cases[A], desk.cases[B]
    follow = CaseLink(from_=B, to=A, kind="follow", mode="live", at=MONDAY, revision=1, departments=("x",))
    desk.take(*sent, follow)
    desk.deliver()
    assert (desk.cases[A], desk.cases[B]) == (case_a, case_b)


def test_after_a_restart_nothing_is_told_twice_and_what_changes_is() -> None:
    desk = merged("B")
    desk.restart()
    desk.take(deed("comment", 1, B))
    assert desk.links == []
    desk.take(deed("acknowledge", 2, B), deed("complete", 3, B))
    assert [(one.kind, one.open, one.departments) for one in desk.links] == [("follow", False, ())]


@pytest.mark.parametrize(
    ("first", "case_id", "about", "why"),
    [
        ([], B, "customer:B#1", "is on the same subject"),
        ([], B, "drill~x~A#1", "is not of the same drill"),
        ([("merge", B, A)], B, C, "follows customer:A#1 already; split it first"),
        ([("merge", B, A)], A, C, "leads customer:B#1: merge those into customer:C#1 instead"),
        ([("acknowledge", B, None), ("complete", B, None)], B, A, "is resolved"),
    ],
)
def test_what_may_not_follow_is_refused(
    first: list[tuple[str, str, str | None]], case_id: str, about: str, why: str
) -> None:
    desk = Desk()
    desk.take(told("A"), told("B"), told("C"))
    for number, (kind, name, leader) in enumerate(first, 1):
        desk.take(deed(kind, number, name, about=leader))
        desk.deliver()
    desk.take(deed("merge", 9, case_id, about=about))
    (refused,) = desk.refused
    assert isinstance(refused, Refused)
    assert refused.reason == "illegal_move"
    assert why in refused.detail


@pytest.mark.parametrize(
    ("leader", "why"),
    [("customer:X#1", "there is no case customer:X#1"), ("customer:A#7", "there is no case customer:A#7")],
)
def test_a_leader_that_is_not_there_turns_it_down(leader: str, why: str) -> None:
    desk = Desk()
    desk.take(told("A"), told("B"), deed("merge", 1, B, about=leader))
    desk.deliver()
    assert desk.cases[B].follows is None
    assert kinds(desk.cases[B])[-1] == "merge_refused"
    assert why in desk.cases[B].history[-1].detail


def test_a_leader_that_follows_another_turns_it_down_and_names_that() -> None:
    desk = merged("B")
    desk.take(told("C"), deed("merge", 1, C, about=B))
    desk.deliver()
    assert desk.cases[C].follows is None
    assert "customer:B#1 follows customer:A#1: merge into that" in desk.cases[C].history[-1].detail


def test_a_split_where_nothing_is_merged_is_refused() -> None:
    desk = Desk()
    desk.take(told("A"), deed("split", 1))
    assert "follows no other case" in desk.refused[0].detail


def clocks(desk: Desk) -> dict[str, Any]:
    """Of every task what was due when, and what was asked of it."""
    return {
        name: [
            (
                one.department,
                one.round,
                one.created_at,
                one.acknowledge_due_at,
                one.due_at,
                one.acknowledge_steps,
                one.steps,
                [(measure.code, measure.asked_at, measure.due_at, measure.remind_at) for measure in one.measures],
            )
            for one in case.tasks
        ]
        for name, case in desk.cases.items()
    }


@pytest.mark.parametrize("seed", range(20))
def test_no_clock_is_moved_by_any_merging_and_splitting(seed: int) -> None:
    dice = Random(seed)  # noqa: S311 - a test's dice
    plain, merging = Desk(), Desk()
    for desk in (plain, merging):
        desk.take(
            told("A"), told("B", at=MONDAY + HOUR, severity="high"), told("C", departments=("risk", "operations"))
        )
    for number in range(40):
        at = 2 + number / 4
        name = dice.choice((A, B, C))
        kind = dice.choice(("acknowledge", "start", "merge", "split", "comment", "assign"))
        if kind in ("merge", "split"):
            merging.take(deed(kind, at, name, about=dice.choice((A, B, C)) if kind == "merge" else None))
        else:
            one = deed(kind, at, name, department=dice.choice(("operations", "risk")))
            plain.take(one)
            merging.take(one)
        if dice.random() < 0.7:
            merging.deliver()
        if dice.random() < 0.2:
            merging.restart()
    merging.deliver()
    for desk in (plain, merging):
        desk.tick(MONDAY + 60 * DAY)
    assert clocks(merging) == clocks(plain)
    # Whoever follows is known to whom it follows, and nobody else is.
    follows = {(name, case.follows) for name, case in merging.cases.items() if case.follows}
    assert follows == {(one.case_id, name) for name, case in merging.cases.items() for one in case.followers}
