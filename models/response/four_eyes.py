"""Who may do what, and what takes two."""

from datetime import datetime

from models.events import Action
from models.policy import Policy
from models.stage import Refused

SECOND = "risk"  # may decide on what is proposed of a measure, beside its own department


def check_role(action: Action, policy: Policy) -> None:
    """Check that the actor's role may do this kind of action.

    Raises:
        Refused: `role`, with the roles that may.
    """
    roles = policy.response.roles.get(action.kind)
    if roles is not None and action.actor.role not in roles:
        who = f"{action.actor.employee_id} is {action.actor.role}"
        raise Refused("role", "actor.role", f"{who}; {action.kind} is for {', '.join(roles)}")


def second_pair(action: Action, proposer: str, proposed_at: datetime, who_may: str, what: str, policy: Policy) -> None:
    """Check that an approval is another employee's than the proposal, and not dated back before it.

    Args:
        who_may: of which departments an employee may approve; `what`: what was proposed. Both for the refusal.

    Raises:
        Refused: `four_eyes`, `before_proposal`.
    """
    if action.actor.employee_id == proposer:
        why = f"{proposer} proposed {what}: another employee of {who_may} must approve"
        raise Refused("four_eyes", "actor.employee_id", why)
    if action.event_time < proposed_at - policy.future_tolerance:
        # Else two employees could date it back, over what was done, or was due, meanwhile.
        raise Refused(
            "before_proposal",
            "event_time",
            f"{action.event_time.isoformat()} is before {proposed_at.isoformat()}, when {proposer} proposed {what}: "
            "approve it with the time at which it is approved",
        )
