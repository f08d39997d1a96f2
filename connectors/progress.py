"""How far the workers have come: committed offsets of their group against the ends of the topics."""

import time
from types import TracebackType

from kafka import TopicPartition
from kafka.errors import RetriableError

from connectors.admin import connected
from connectors.errors import LiandongError
from connectors.records import TopicReader
from connectors.settings import Settings


class NotThrough(LiandongError):
    """The workers did not come to the end in time."""


class GroupProgress:
    """Watches the workers' consumer group. Use as a context manager."""

    def __init__(self, settings: Settings) -> None:
        self._group = settings.app_id
        self._reader = TopicReader(settings)
        self._admin = connected(settings, "liandong-progress")

    def __enter__(self) -> "GroupProgress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._admin.close()
        self._reader.close()

    def behind(self, ends: dict[TopicPartition, int]) -> int:
        """How many records before `ends` are not committed yet."""
        places = [place for place, end in ends.items() if end > 0]
        if not places:
            return 0
        try:
            committed = self._admin.list_group_offsets({self._group: places})[self._group]
        except RetriableError:  # the broker is still finding out which of its nodes looks after the group
            committed = {}
        return sum(max(0, ends[place] - max(0, _offset(committed.get(place)))) for place in places)

    def wait_through(self, *topics: str, timeout: float = 60.0) -> None:
        """Return once all that stands on the topics now is committed.

        Raises:
            NotThrough: it is not, within `timeout` seconds.
        """
        ends = self._reader.ends(*topics)
        deadline = time.monotonic() + timeout
        while left := self.behind(ends):
            if time.monotonic() > deadline:
                raise NotThrough(
                    f"{left:,} records of {', '.join(topics)} are not worked through after {timeout:.0f} s",
                    "look at the workers' logs",
                )
            time.sleep(0.2)

    def settle(self, idle_seconds: float, timeout: float = 60.0, *, loans: bool = True) -> None:
        """Return once everything sent so far has gone through all stages.

        Args:
            idle_seconds: the workers' LIANDONG_IDLE_SECONDS: so long deltas of the loan book may wait for order.
            loans: whether there are loans among it.
        """
        self.wait_through("transactions", "reports", "loans", "capital", timeout=timeout)
        if loans:
            # A delta is judged when each loans partition has said that it is caught up: once an interval, at a tick.
            time.sleep(2 * idle_seconds + 2)
            self.wait_through("portfolio.deltas", timeout=timeout)
        self.wait_through("warnings", "actions", "proofs", "case-links", timeout=timeout)


def _offset(committed: object) -> int:
    return int(getattr(committed, "offset", -1))
