"""Suspensions: a measure that can be proved puts one in force, and two employees lift it again.

Which suspension there is depends on event times: an action that came in late begins it where it would have begun.
What was decided by a lift stands: an action that was taken before it, and begins later, is not looked at again.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import NoReturn

from msgspec.structs import replace

from models.credit.industry import UNKNOWN
from models.events import Action, ActionKind
from models.messages import Suspension, Suspensions
from models.policy import Policy
from models.response.case import Case, CaseSuspension, Entry, LiftProposal, SuspensionState, acted, noted
from models.response.four_eyes import SECOND, second_pair
from models.stage import Refused
from models.subjects import entity_of

# `start` and `complete` begin a suspension; from there it goes by this table. `approve` and `reject` are about it
# where they name its measure.
SUSPENSION_MOVES: dict[SuspensionState, dict[ActionKind, SuspensionState]] = {
    "in_force": {"lift": "lift_proposed"},
    "lift_proposed": {"approve": "lifted", "reject": "in_force"},
    "lifted": {},
}
_KINDS: dict[ActionKind, str] = {"lift": "lift_proposed", "approve": "lifted", "reject": "lift_rejected"}


def can_suspend(subject: str) -> bool:
    """Whether an approval says that it is in the subject, so that a suspension of it can be verified.

    >>> [can_suspend(one) for one in ("industry:B1:K", "real_estate:B1:total", "top_ten:B1", "book:B1")]
    [True, True, False, False]
    """
    kind, _, rest = subject.partition(":")
    name = rest.partition(":")[2]
    if not entity_of(subject) or not name:
        return False
    match kind:
        case "industry":
            return name != UNKNOWN
        case "real_estate":
            return name in ("development", "mortgage", "total")
        case _:
            return kind in ("borrower", "group")


def in_force(case: Case) -> CaseSuspension | None:
    """The suspension that is not lifted; a case has one at most."""
    return next((one for one in case.suspensions if one.lifted_at is None), None)


def spans(case: Case) -> tuple[Suspension, ...]:
    """The case's suspensions as others are told of them."""
    return tuple(
        Suspension(
            started_at=one.started_at, started_by=one.started_by, lifted_at=one.lifted_at, lifted_by=one.lifted_by
        )
        for one in case.suspensions
    )


def suspensions_of(case: Case) -> Suspensions:
    """The message on a case's suspensions.

    Raises:
        ValueError: a case on a subject of no book.
    """
    entity = entity_of(case.subject)
    if entity is None:
        raise ValueError(f"{case.subject} is in no entity's book")
    return Suspensions(
        case_id=case.case_id,
        subject=case.subject,
        entity=entity,
        revision=case.suspended_revision,
        spans=spans(case),
    )


def suspend(
    case: Case,
    codes: Iterable[str],
    action: Action,
    policy: Policy,
    recorded_at: datetime,
    others: Iterable[Case] = (),
    department: str | None = None,
) -> Case:
    """The case with the suspension that an action begins by these measures of its department's.

    Args:
        codes: started or completed by the action.
        others: the subject's other cases of the same mode: nothing begins where one of them suspends already.
        department: whose the measures are, where it is not the actor's.
    """
    if not can_suspend(case.subject):
        return case
    for code in codes:
        measure = policy.response.measures.get(code)
        if measure is not None and measure.proof == "no_approvals":
            case = _begin(case, code, action, recorded_at, tuple(others), department or action.actor.department)
    return case


def _begin(
    case: Case, code: str, action: Action, recorded_at: datetime, others: tuple[Case, ...], department: str
) -> Case:
    at, who = action.event_time, action.actor.employee_id
    held = next(
        ((holder, one) for holder in (case, *others) for one in holder.suspensions if one.covers(at)),
        None,
    )
    later = next((one for one in case.suspensions if one.started_at > at), None)
    if held is None and later is None:
        held = next(((other, one) for other in others if (one := in_force(other)) is not None), None)
    if held is not None:
        holder, one = held
        until = "" if one.lifted_at is None else f" to {one.lifted_at.isoformat()}"
        why = f"{case.subject} is suspended by {holder.case_id} from {one.started_at.isoformat()}{until}"
        return noted(case, _entry(action, recorded_at, why, "suspended_already", code))
    if later is not None:
        why = f"{case.subject} from {at.isoformat()}, not only from {later.started_at.isoformat()}"
        begun = tuple(replace(one, started_at=at, started_by=who) if one is later else one for one in case.suspensions)
    else:
        why = f"{case.subject} from {at.isoformat()}: nothing may be approved in it"
        new = CaseSuspension(measure=code, department=department, started_at=at, started_by=who)
        begun = (*case.suspensions, new)
    return noted(replace(case, suspensions=begun), _entry(action, recorded_at, why, "suspended", code))


def about_suspension(action: Action) -> bool:
    """Whether an action is about a suspension: to lift it, or to decide on that."""
    return action.kind == "lift" or (action.kind in ("approve", "reject") and action.measure is not None)


def decide(case: Case, action: Action, policy: Policy, recorded_at: datetime, others: Iterable[Case] = ()) -> Case:
    """The case after an action that is `about_suspension`; its tasks stay as they are.

    Args:
        policy: in force at the action's event time, for how far two clocks may be apart.
        others: as of `suspend`.

    Raises:
        Refused: `unknown_measure`, `no_suspension`, `illegal_move`, `four_eyes`, `before_suspension`,
            `before_proposal`.
    """
    one = _named(case, action, others)
    own = action.kind == "lift"
    if action.actor.department != one.department and (own or action.actor.department != SECOND):
        _illegal(
            "actor.department",
            f"{case.case_id}: {action.kind} on {one.measure} is not {action.actor.department}'s; "
            + (f"{one.department} proposes to lift it" if own else f"{one.department} and {SECOND} decide on it"),
        )
    if action.kind not in SUSPENSION_MOVES[one.state]:
        _illegal("kind" if own else "measure", f"{case.case_id}: {_other_move(one)}")
    if action.kind == "lift":
        if any(done.proposal for task in case.tasks for done in task.measures if done.code == one.measure):
            _illegal(
                "measure", f"{case.case_id}: {one.measure} waits to be countersigned; decide on that before a lift"
            )
        detail = f"{one.measure}: to be lifted, proposed by {action.actor.employee_id}"
        after = replace(one, proposal=LiftProposal(employee_id=action.actor.employee_id, at=action.event_time))
    else:
        after, detail = _decided(case, one, action, policy)
    changed = tuple(after if old is one else old for old in case.suspensions)
    entry = _entry(action, recorded_at, detail, _KINDS[action.kind], one.measure)
    return noted(replace(case, suspensions=changed), entry)


def _named(case: Case, action: Action, others: Iterable[Case]) -> CaseSuspension:
    """The suspension that an action names, or means where it names none."""
    held, code = in_force(case), action.measure
    known = {measure.code for task in case.tasks for measure in task.measures}
    known |= {one.measure for one in case.suspensions}
    if code is not None and code not in known:
        codes = ", ".join(sorted(known)) or "none"
        raise Refused("unknown_measure", "measure", f"{case.case_id} has no {code}; it has {codes}")
    if held is None:
        where = next((other.case_id for other in others if in_force(other) is not None), None)
        remedy = f"{where} does: act there" if where else f"{case.subject} is not suspended: there is nothing to lift"
        raise Refused("no_suspension", "case_id", f"{case.case_id} holds no suspension in force; {remedy}")
    if code not in (None, held.measure):
        raise Refused(
            "no_suspension", "measure", f"{case.case_id}: {code} suspends nothing; {held.measure} does: name that"
        )
    return held


def _decided(case: Case, one: CaseSuspension, action: Action, policy: Policy) -> tuple[CaseSuspension, str]:
    assert one.proposal is not None  # noqa: S101 - the table lets nothing be decided that is not proposed
    at, who, proposer = action.event_time, action.actor.employee_id, one.proposal.employee_id
    if action.kind == "reject":
        return replace(one, proposal=None), f"{one.measure}: lift proposed by {proposer}, rejected by {who}"
    second_pair(action, proposer, one.proposal.at, f"{one.department} or {SECOND}", f"to lift {one.measure}", policy)
    if at < one.started_at:
        raise Refused(
            "before_suspension",
            "event_time",
            f"{at.isoformat()} is before {case.case_id} suspended {case.subject} at {one.started_at.isoformat()}: "
            "approve it with the time at which it is approved",
        )
    detail = f"{one.measure}: lift proposed by {proposer}, approved by {who}"
    return replace(one, proposal=None, lifted_at=at, lifted_by=(proposer, who)), detail


def _other_move(one: CaseSuspension) -> str:
    """What can be done with a suspension that is in force."""
    if one.proposal is None:
        return (
            f"no lift of {one.measure} is proposed; {one.department} may propose one with lift, "
            "and approve or reject without a measure is about the dismissal or the reopening"
        )
    return (
        f"{one.proposal.employee_id} has proposed to lift {one.measure} at {one.proposal.at.isoformat()} already; "
        "another employee may approve or reject it, naming the measure"
    )


def _illegal(field: str, detail: str) -> NoReturn:
    raise Refused("illegal_move", field, detail)


def _entry(action: Action, recorded_at: datetime, detail: str, kind: str, measure: str) -> Entry:
    return replace(acted(action, recorded_at, detail), kind=kind, measure=measure)
