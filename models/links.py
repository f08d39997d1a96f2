"""What a case that follows another one, and the one that it follows, say to each other across partitions."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

from models.events import Action


class CaseLink(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Topic `case-links`, in the partition of `to`'s subject, key `from_`.

    Args:
        kind: `follow`: `from_` follows `to` from now on, or tells it anew how it stands; `leave`: it does so no more;
            `refuse`: `to` may not follow `from_`, for the reason in `why`; `act`: an action on `from_`, the leader,
            that its follower `to` takes as well.
        mode: of the case that speaks.
        at: event time of what is behind it.
        revision: of the case that speaks; of what one case says to another the greater counts.
        departments: of `follow`: those that owe something on the follower.
        open: of `follow`: the follower is open.
        action: of `act`, as it was sent to the leader.
    """

    from_: str
    to: str
    kind: Literal["follow", "leave", "refuse", "act"]
    mode: Literal["live", "drill"]
    at: datetime
    revision: int
    departments: tuple[str, ...] = ()
    open: bool = True
    why: str = ""
    action: Action | None = None

    @property
    def subject(self) -> str:
        """Of the case that is spoken to: where the message goes."""
        return self.to.rpartition("#")[0]

    @property
    def key(self) -> str:
        return self.from_
