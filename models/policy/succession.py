"""Which of a pipeline's versions hold, and whether one may follow or replace another."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from models.policy.figures import PolicyError
from models.policy.version import Policy


def in_force(versions: Sequence[Policy]) -> tuple[Policy, ...]:
    """Versions by the day from which they hold, without those that others replace; in whatever order they came.

    Raises:
        PolicyError: two bear one name, hold from one instant, or may not follow one another.
    """
    ordered = sorted(versions, key=lambda policy: policy.policy.valid_from)
    named = {policy.version: policy for policy in ordered}
    for name in named:
        if sum(policy.version == name for policy in ordered) > 1:
            raise PolicyError(f"there are two policies called {name}; a version is immutable, give the new one a name")
    replaced = set()
    for policy in ordered:
        old = named.get(policy.policy.replaces or "")
        if old is not None:
            _raise(_replacement_problems(old, policy))
            replaced.add(old.version)
    held = tuple(policy for policy in ordered if policy.version not in replaced)
    if lost := {policy.policy.valid_from for policy in ordered} - {policy.policy.valid_from for policy in held}:
        names = (policy.version for policy in ordered if policy.policy.valid_from in lost)
        raise PolicyError(f"{' and '.join(names)} replace one another, so that none is left")
    for one, other in pairwise(held):
        _raise(_successor_problems(one, other))
    return held


def _raise(problems: Iterator[str]) -> None:
    if found := list(problems):
        raise PolicyError("; ".join(found))


def _successor_problems(one: Policy, other: Policy) -> Iterator[str]:
    """Why a version cannot follow another in one pipeline, each as a sentence that names the key."""
    if one.policy.valid_from == other.policy.valid_from:
        yield (
            f"{one.version} and {other.version} hold from the same instant; a version that is to hold in place of "
            f'another says so: policy.replaces = "{one.version}"'
        )
    yield from _meaning(one, other)


def _replacement_problems(old: Policy, new: Policy) -> Iterator[str]:
    """Why a version cannot hold in place of another, likewise."""
    if old.policy.valid_from != new.policy.valid_from:
        yield (
            f"{new.version} has policy.replaces {old.version}, which holds from {old.policy.valid_from.isoformat()}: "
            "its own policy.valid_from must be the same"
        )
    yield from _meaning(old, new)


def _meaning(one: Policy, other: Policy) -> Iterator[str]:
    """What may never change in one pipeline, and what a change of figures asks for."""
    for what, mine, theirs in (
        ("calendar.timezone", one.calendar.timezone, other.calendar.timezone),
        ("money.base", one.money.base, other.money.base),
        ("money.foreign", one.money.foreign, other.money.foreign),
    ):
        if mine != theirs:
            yield (
                f"{other.version} has {what} {theirs}, {one.version} had {mine}: sums and days under way would change "
                "their meaning; start a pipeline of its own"
            )
    yield from _late_events(*sorted((one, other), key=lambda policy: policy.policy.valid_from))


def _late_events(one: Policy, other: Policy) -> Iterator[str]:
    """What a later version looks back on must be over, however late the events of the one before it may come."""
    late = one.events.lateness.whole
    for what, days, least in (
        ("detectors.scatter_gather.within", other.detectors.scatter_gather.within.whole, late + 2),
        ("counterparties.new_after", other.counterparties.new_after.whole, late + 2),
    ):
        if days < least:
            yield (
                f"{other.version} has {what} {days}, which must be at least {least}: under {one.version} events may "
                f"come {late} days late, and would change what has been judged"
            )
