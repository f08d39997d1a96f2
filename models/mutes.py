"""Which mutes there are, by subject and rule."""

from datetime import datetime

from models.reference import Mute
from models.risk_warning import Severity


class Mutes:
    """The mutes as they stand, the newest record of each."""

    def __init__(self) -> None:
        self._by_id: dict[str, Mute] = {}
        self._by_rule: dict[tuple[str, str], dict[str, Mute]] = {}

    def take(self, mute: Mute) -> bool:
        """Take a mute in place of an earlier record of the same id; True when that changes anything."""
        before = self._by_id.get(mute.mute_id)
        if before == mute:
            return False
        if before is not None:
            del self._by_rule[before.subject, before.detector][mute.mute_id]
        self._by_id[mute.mute_id] = mute
        self._by_rule.setdefault((mute.subject, mute.detector), {})[mute.mute_id] = mute
        return True

    def muting(self, subject: str, detector: str, severity: Severity, at: datetime) -> Mute | None:
        """The mute that covers a warning of this severity and event time; of several, the one that ends last."""
        covering = [mute for mute in self._by_rule.get((subject, detector), {}).values() if mute.covers(severity, at)]
        return max(covering, key=lambda mute: (mute.ends, mute.mute_id), default=None)
