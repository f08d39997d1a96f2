"""Notices that work is left and none of it is done.

Faust drops a record without a word where it takes it for outdated, and then never delivers it again. None of the
races known to cause that is left, but a pipeline that stands still must not depend on that being all of them.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from faust.types import TP


class Stalls:
    """Which partitions stand still.

    Args:
        after: seconds without progress that are too many.
        clock: for tests.
    """

    def __init__(self, after: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.after = after
        self._clock = clock
        self._seen: dict[TP, tuple[Any, float]] = {}

    def look(self, marks: Mapping[TP, Any]) -> set[TP]:
        """The partitions whose mark has not changed for too long; each is told once, then watched anew.

        Args:
            marks: how far each partition held is, as anything that can be compared; None where nothing is left to do.
        """
        now = self._clock()
        stalled = set()
        seen: dict[TP, tuple[Any, float]] = {}
        for tp, mark in marks.items():
            if mark is None:
                continue
            before, since = self._seen.get(tp, (None, now))
            if before != mark:
                since = now
            elif now - since >= self.after:
                stalled.add(tp)
                since = now
            seen[tp] = (mark, since)
        self._seen = seen
        return stalled
