"""Merged cases: one follows another, and what is done on the leader is done on its followers as well.

Nothing is moved. A follower keeps its tasks and their clocks, in its own partition; only what departments do on the
leader is passed on to it. So no deadline can move, nothing can be lost on the way, and to split is to follow no more.
A leader follows nobody: there are no chains. It is open for as long as any of its followers is.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import NoReturn

from msgspec.structs import replace

from models.drill import drill_of
from models.events import Action, ActionKind
from models.links import CaseLink
from models.policy import Policy
from models.response.case import SYSTEM, Case, Entry, Follower, acted, concluded, noted
from models.response.four_eyes import check_role
from models.stage import Refused

LINKING: frozenset[ActionKind] = frozenset({"merge", "split"})
# What a department does on a leader and so on its followers. A comment speaks of one case.
PASSED_ON: frozenset[ActionKind] = frozenset(
    {"acknowledge", "start", "complete", "dismiss", "approve", "reject", "reopen", "assign", "find"}
)


def relink(case: Case, action: Action, policy: Policy, recorded_at: datetime) -> Case:
    """The case after a `merge` or a `split`.

    Raises:
        Refused: `role`; `illegal_move`, with what stands against it.
    """
    check_role(action, policy)
    if action.kind == "split":
        if case.follows is None:
            _illegal("kind", f"{case.case_id} follows no other case: there is nothing to split")
        entry = replace(acted(action, recorded_at, f"follows {case.follows} no more"), kind="split")
        return noted(replace(case, follows=None), entry)
    leader = action.about or ""
    if case.state != "open":
        _illegal("case_id", f"{case.case_id} is resolved: there is nothing to do on it together with another")
    if case.follows is not None:
        _illegal("kind", f"{case.case_id} follows {case.follows} already; split it first")
    if case.followers:
        names = ", ".join(one.case_id for one in case.followers)
        _illegal("kind", f"{case.case_id} leads {names}: merge those into {leader} instead")
    if leader.rpartition("#")[0] == case.subject:
        _illegal("about", f"{leader} is on the same subject as {case.case_id}: they are open one after the other")
    if drill_of(leader) != drill_of(case.subject):
        _illegal("about", f"{leader} is not of the same drill as {case.case_id}, or one of them is of none")
    entry = replace(acted(action, recorded_at, f"follows {leader}; its deadlines stay its own"), kind="merged")
    return noted(replace(case, follows=leader), entry)


def link_of(case: Case) -> CaseLink | None:
    """What a follower has to tell its leader; None from a case that follows nobody."""
    if case.follows is None:
        return None
    return CaseLink(
        from_=case.case_id,
        to=case.follows,
        kind="follow",
        mode=case.mode,
        at=case.history[-1].at,
        revision=case.revision,
        departments=tuple(dict.fromkeys(task.department for task in case.tasks if task.active)),
        open=case.state == "open",
    )


def news(before: CaseLink | None, case: Case) -> Iterable[CaseLink]:
    """The messages that make a leader that knows `before` know how the case stands.

    Args:
        before: as `link_of` gave it last.
    """
    after = link_of(case)
    if before is not None and (after is None or after.to != before.to):
        yield replace(before, kind="leave", at=case.history[-1].at, revision=case.revision)
    if after is not None and (before is None or _said(after) != _said(before)):
        yield after


def _said(link: CaseLink) -> tuple[object, ...]:
    return link.to, link.departments, link.open


def against(case: Case | None, link: CaseLink) -> str | None:
    """Why a case may not lead the one that wants to follow it; None where it may."""
    if case is None:
        return f"there is no case {link.to}"
    if case.mode != link.mode:
        return f"{link.to} is {'a drill' if case.mode == 'drill' else 'no drill'}"
    if any(one.case_id == link.from_ for one in case.followers):
        return None
    if case.state != "open":
        return f"{link.to} is resolved"
    if case.follows is not None:
        return f"{link.to} follows {case.follows}: merge into that"
    return None


def led(case: Case, link: CaseLink, recorded_at: datetime) -> Case:
    """The leader after news of a follower: `follow`, or `leave`. The same object where it knew them already."""
    known = next((one for one in case.followers if one.case_id == link.from_), None)
    others = tuple(one for one in case.followers if one.case_id != link.from_)
    if known is not None and link.revision <= known.revision:
        return case
    if link.kind == "leave":
        if known is None:
            return case
        case = noted(
            replace(case, followers=others), _entry(link, recorded_at, "left", f"{link.from_} follows no more")
        )
    else:
        follower = Follower(
            case_id=link.from_,
            since=known.since if known is not None else link.at,
            at=link.at,
            open=link.open,
            departments=link.departments,
            revision=link.revision,
        )
        case = replace(case, followers=(*others, follower))
        if known is None:
            case = noted(case, _entry(link, recorded_at, "leads", f"{link.from_} follows"))
    # A follower that is opened again opens no leader: another case of its subject may be open by now.
    return concluded(case, recorded_at) if case.state == "open" else case


def turned_down(case: Case, link: CaseLink, recorded_at: datetime) -> Case:
    """The would-be follower after `refuse`."""
    if case.follows != link.from_:
        return case
    detail = f"does not follow {link.from_}: {link.why}"
    return noted(replace(case, follows=None), _entry(link, recorded_at, "merge_refused", detail))


def passed_on(case: Case, action: Action) -> Iterable[CaseLink]:
    """An action that was taken on a leader, for each of its followers."""
    if action.kind not in PASSED_ON:
        return
    for one in case.followers:
        yield CaseLink(
            from_=case.case_id,
            to=one.case_id,
            kind="act",
            mode=case.mode,
            at=action.event_time,
            revision=case.revision,
            action=action,
        )


def only_followers(case: Case, action: Action) -> bool:
    """Whether an action is none of the leader's own, but of a follower's: its department owes something there alone."""
    department = action.actor.department
    owed = any(department in one.departments for one in case.followers)
    return action.kind in PASSED_ON and owed and case.task(department) is None


def noted_only(case: Case, action: Action, recorded_at: datetime) -> Case:
    """The leader with an action that it only passes on."""
    return noted(case, replace(acted(action, recorded_at, "passed on to the cases that follow"), kind="passed_on"))


def not_taken(case: Case, action: Action, refusal: Refused, recorded_at: datetime) -> Case:
    """The follower with an action that was taken on its leader, and that it cannot take."""
    return noted(case, replace(acted(action, recorded_at, refusal.detail), kind="not_taken"))


def _entry(link: CaseLink, recorded_at: datetime, kind: str, detail: str) -> Entry:
    return Entry(at=link.at, recorded_at=recorded_at, actor=SYSTEM, kind=kind, detail=detail)


def _illegal(field: str, detail: str) -> NoReturn:
    raise Refused("illegal_move", field, detail)
