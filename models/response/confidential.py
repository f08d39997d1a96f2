"""Confidential cases: whole for named roles only, for everybody else no more than that they are there.

The broker keeps them apart: they stand on a topic of their own, `cases.confidential`, whose readers its access rules
name. What departments are told by warnings stays theirs: a case adds who did what, and why.
"""

from datetime import datetime

from msgspec.structs import replace

from models.events import Action, ActionKind
from models.policy import Policy
from models.response.case import SYSTEM, Case, Entry, acted, noted
from models.risk_warning import RiskWarning
from models.stage import Refused

CONFINING: frozenset[ActionKind] = frozenset({"restrict", "release"})


def roles_of(policy: Policy) -> tuple[str, ...]:
    """Who sees confidential cases."""
    return policy.response.confidential.roles if policy.response.confidential is not None else ()


def confine(case: Case, action: Action, policy: Policy, recorded_at: datetime) -> Case:
    """The case after `restrict` or `release`.

    Raises:
        Refused: `role`; `illegal_move` where it is so already.
    """
    roles = roles_of(policy)
    if action.actor.role not in roles:
        who = f"{action.actor.employee_id} is {action.actor.role}"
        whose = ", ".join(roles) or "nobody, as the policy has no response.confidential"
        raise Refused("role", "actor.role", f"{who}; {action.kind} is for {whose}")
    wanted = action.kind == "restrict"
    if case.confidential == wanted:
        raise Refused("illegal_move", "kind", f"{case.case_id} is {'' if wanted else 'not '}confidential already")
    kind = "restricted" if wanted else "released"
    return noted(replace(case, confidential=wanted), replace(acted(action, recorded_at, ""), kind=kind))


def confined(case: Case, warning: RiskWarning, policy: Policy, recorded_at: datetime) -> Case:
    """The case, confidential where the policy says so of the detector of a warning that has just come in."""
    rule = policy.response.confidential
    if case.confidential or rule is None or warning.detector not in rule.detectors:
        return case
    entry = Entry(
        at=warning.event_time,
        recorded_at=recorded_at,
        actor=SYSTEM,
        kind="restricted",
        detail=f"{warning.detector} is for {', '.join(rule.roles)}",
        warning_id=warning.warning_id,
    )
    return noted(replace(case, confidential=True), entry)


def was_confined(case: Case) -> bool:
    """Whether it is, or once was, confidential: then both topics have a version of it."""
    return case.confidential or any(entry.kind == "restricted" for entry in case.history)


def stub(case: Case) -> Case:
    """What everybody may see of a case that is kept elsewhere."""
    return replace(case, warnings=(), tasks=(), history=(), suspensions=(), followers=(), follows=None, head="")


def is_stub(case: Case) -> bool:
    """Whether this is no more than a sign that there is a case: a whole one has a history always."""
    return not case.history
