"""Of what is told again and again, such as warnings and cases, the newest revision."""

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar


class Revised(Protocol):
    """Something with a revision, which grows with every change."""

    @property
    def revision(self) -> int: ...


R = TypeVar("R", bound=Revised)


def newest(revisions: Iterable[R], name: Callable[[R], str]) -> dict[str, R]:
    """Of each id the highest revision, of equal ones the last; ids in the order in which they first came.

    Args:
        name: gives the id.
    """
    found: dict[str, R] = {}
    for one in revisions:
        known = found.get(name(one))
        if known is None or one.revision >= known.revision:
            found[name(one)] = one
    return found
