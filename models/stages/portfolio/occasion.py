"""What gives the occasion to judge a book, and how a finding of it is told."""

from collections.abc import Iterator
from datetime import date, datetime

from msgspec import Struct

from models.episodes import Episode, observe, tell
from models.messages import CapitalVersion
from models.mutes import Mutes
from models.policy import Policy, Rule
from models.risk_warning import Finding, Reason, Severity, Window
from models.stage import Emit
from models.stages.customers import warning_emits

VERSION = 1


class Occasion(Struct, frozen=True, kw_only=True):
    """A change of a book, or of the capital that it is held against.

    Args:
        at: the moment as of which is judged.
        event_id: what changed.
        capital: as valid on that day.
        now: the runner's clock, for `detected_at` alone.
        late: what changed belongs before what was judged already.
    """

    entity: str
    at: datetime
    event_id: str
    capital: CapitalVersion | None
    policy: Policy
    mutes: Mutes
    now: datetime
    late: bool

    @property
    def day(self) -> date:
        return self.policy.bank_calendar.day_of(self.at)

    def finding(
        self, rule: Rule, severity: Severity, subject: str, anchor: str, reasons: tuple[Reason, ...], count: int
    ) -> Finding:
        """What a rule says of the book on this occasion."""
        return Finding(
            subject=subject,
            anchor=anchor,
            severity=severity,
            departments=rule.departments,
            reasons=reasons,
            event_ids=(self.event_id,),
            event_count=count,
            window=Window(*self.policy.bank_calendar.day_window(self.day)),
            measures=rule.measures,
            event_time=self.at,
        )

    def tell(
        self, detector: str, rule: Rule, finding: Finding, episodes: dict[str, Episode], slot: str
    ) -> Iterator[Emit]:
        """Take a finding into the episodes; the warning, where it says something new.

        Args:
            episodes: the newest of each slot.
        """
        held = episodes.get(slot)
        # Only the present episode can still change: the one before it is over.
        if held is not None and held.finding.anchor != finding.anchor:
            held = None
        episode = episodes[slot] = observe(held, detector, VERSION, finding)
        warning = tell(episode, rule, self.policy, self.mutes, event_time=self.at, now=self.now, late=self.late)
        if warning is not None:
            yield from warning_emits(warning)
