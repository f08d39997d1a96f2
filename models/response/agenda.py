"""When which subject is due next: an index that can always be built again from the cases themselves."""

import heapq
from datetime import datetime


class Agenda:
    """Subjects by their next due instant.

    >>> from datetime import UTC, datetime
    >>> agenda = Agenda()
    >>> agenda.plan("customer:C1", datetime(2026, 3, 2, tzinfo=UTC))
    >>> agenda.take(datetime(2026, 3, 2, tzinfo=UTC)), agenda.take(datetime(2026, 3, 3, tzinfo=UTC))
    (None, 'customer:C1')
    """

    def __init__(self) -> None:
        self._planned: dict[str, datetime] = {}
        self._heap: list[tuple[datetime, str]] = []

    def __len__(self) -> int:
        return len(self._planned)

    def plan(self, subject: str, at: datetime | None) -> None:
        """Set or, with None, clear a subject's next due instant."""
        if at is None:
            self._planned.pop(subject, None)
        elif self._planned.get(subject) != at:
            self._planned[subject] = at
            heapq.heappush(self._heap, (at, subject))
            # What was planned anew leaves its old line behind.
            if len(self._heap) > 1000 + 4 * len(self._planned):
                self._heap = [(when, name) for name, when in self._planned.items()]
                heapq.heapify(self._heap)

    def take(self, before: datetime) -> str | None:
        """Remove and return the subject that is due first, strictly before an instant; None when none is."""
        while self._heap and self._heap[0][0] < before:
            at, subject = heapq.heappop(self._heap)
            if self._planned.get(subject) == at:
                del self._planned[subject]
                return subject
        return None
