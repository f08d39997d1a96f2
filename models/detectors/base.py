"""The contract of a detector: one rule family over one subject's events.

A detector is pure: what `step` returns depends on the state, the event and the policy alone. It sees each
event once (the customers' stage drops duplicates), possibly out of order within the policy's lateness, and
its findings must not depend on that order: an anchor names a fixed window (a day, a block of working days,
a report), never "the first event I happened to see".
"""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, Protocol, runtime_checkable

from msgspec import Struct

from models.events import PostReport
from models.policy import Policy, PolicyHistory, Rule
from models.risk_warning import Finding


class Detector(Protocol):
    """What every entry of `DETECTORS` offers.

    `state_type` is a msgspec Struct that survives a round trip through bytes and is made without arguments.
    `step` may change the state it is given and returns what holds after the event; the caller goes on with
    that same state. It never raises for a valid event.
    """

    @property
    def id(self) -> str: ...

    @property
    def version(self) -> int:
        """Part of every warning id: raised when the meaning of the rule changes."""
        ...

    @property
    def consumes(self) -> type[Struct]: ...

    @property
    def state_type(self) -> type[Struct]: ...

    def rule(self, policy: Policy) -> Rule:
        """The detector's own table in the policy."""
        ...

    def step(self, state: Any, event: Any, policy: Policy, policies: PolicyHistory) -> Iterable[Finding]:
        """Take one event in; return the conditions that now hold and that this event touched.

        Args:
            policy: in force at the event's own time.
            policies: for an anchor that judges another day than the event's: the figures of that day.
        """
        ...

    def expire(self, state: Any, before: datetime, policies: PolicyHistory) -> None:
        """Forget what no event at or after `before` can touch any more: keeps the state bounded."""
        ...


@runtime_checkable
class Heightenable(Protocol):
    """A detector whose figures are stricter after a teller's report: it judges again what it has kept."""

    def rejudge(
        self, state: Any, event: PostReport, days: tuple[date, date], policies: PolicyHistory
    ) -> Iterable[Finding]:
        """What holds now that a report came in.

        Args:
            days: the first and the last that it heightens.
            policies: as in `step`, with the figures of those days.
        """
        ...
