"""How far event time has come in all partitions of `customers`: days before it may be judged."""

from datetime import datetime

from msgspec import Struct, field

from models.messages import ActivityBatch, ActivityWatermark

# The topics whose events tell the time: those of a customers partition that are counted.
SOURCES = ("transactions", "reports")


class Reach(Struct):
    """What is known of one partition.

    Args:
        newest: by topic, the newest event time that was accepted.
        caught_up_at: every event that the broker had taken by this instant is judged.
        complete_to: the newest event time there was when the partition was last caught up.
    """

    newest: dict[str, datetime] = field(default_factory=dict)
    caught_up_at: datetime | None = None
    complete_to: datetime | None = None

    def frontier(self) -> datetime | None:
        """Up to where every source of the partition has come; None when one of them may still bring anything.

        A worker that catches up reads a day's few reports at once, and that day's transactions for minutes: the topic
        that is ahead proves nothing, until the partition has caught up.
        """
        proven = min(self.newest.values()) if len(self.newest) == len(SOURCES) else None
        return later(proven, self.complete_to)


class Clock(Struct):
    """Event time as all partitions together show it. It follows the events, and the wall clock when there are none.

    Args:
        partitions: how many there are; 0 before the first has spoken.
        newest, arrived: the newest event time of all, and when the broker took that event.
        now: the latest time shown; it never goes back.
    """

    partitions: int = 0
    reach: dict[int, Reach] = field(default_factory=dict)
    newest: datetime | None = None
    arrived: datetime | None = None
    now: datetime | None = None

    def seen(self, batch: ActivityBatch) -> None:
        """Take in how far a batch of events has come."""
        if batch.newest is None:
            return
        reach = self.reach.setdefault(batch.partition, Reach())
        reach.newest[batch.topic] = max(batch.newest, reach.newest.get(batch.topic, batch.newest))
        if self.newest is None or batch.newest > self.newest:
            self.newest, self.arrived = batch.newest, batch.arrived

    def caught_up(self, mark: ActivityWatermark) -> None:
        """Take in that a partition has judged all there was. What it judged has been told before."""
        self.partitions = mark.partitions
        reach = self.reach.setdefault(mark.partition, Reach())
        reach.caught_up_at = later(reach.caught_up_at, mark.caught_up_at)
        reach.complete_to = max(reach.newest.values(), default=None)

    def advance(self) -> datetime | None:
        """The present time, after what was taken in; None before every partition has spoken."""
        if self.partitions and len(self.reach) == self.partitions:
            self.now = later(self.now, later(self._slowest(), self._idle()))
        return self.now

    def _slowest(self) -> datetime | None:
        # A partition that never had an event says nothing of time; that it is caught up lets the others go on.
        frontiers = [reach.frontier() for reach in self.reach.values() if reach.newest]
        known = [one for one in frontiers if one is not None]
        return min(known) if known and len(known) == len(frontiers) else None

    def _idle(self) -> datetime | None:
        """With nothing under way since the newest event arrived, time goes on from it by the wall clock."""
        marks = [reach.caught_up_at for reach in self.reach.values() if reach.caught_up_at is not None]
        if self.newest is None or self.arrived is None or len(marks) < self.partitions or min(marks) < self.arrived:
            return None
        return self.newest + (min(marks) - self.arrived)


def later(one: datetime | None, other: datetime | None) -> datetime | None:
    """The later of two times, or the one that is known."""
    if one is None or other is None:
        return one or other
    return max(one, other)
