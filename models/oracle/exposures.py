"""Running exposures of many names, in order of size: who is above an amount, and the largest together."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator


class Exposures:
    """Exposure by name, as integers; names without any are not kept.

    A move costs the same for any number of moves before it.
    """

    def __init__(self) -> None:
        self._of: dict[str, int] = {}
        self._ranked: list[tuple[int, str]] = []

    def __getitem__(self, name: str) -> int:
        return self._of.get(name, 0)

    def __len__(self) -> int:
        return len(self._of)

    def add(self, name: str, amount: int) -> None:
        before = self._of.pop(name, 0)
        if before:
            del self._ranked[bisect_left(self._ranked, (before, name))]
        if now := before + amount:
            self._of[name] = now
            insort(self._ranked, (now, name))

    def from_(self, least: int) -> Iterator[str]:
        """Names with at least so much."""
        return (name for _, name in self._ranked[bisect_left(self._ranked, (least, "")) :])

    def largest(self, count: int) -> int:
        """What the largest names have together."""
        return sum(amount for amount, _ in self._ranked[-count:])


class MonthEnds:
    """What each name had at the end of every month in which it moved, from moves in the order of time."""

    def __init__(self) -> None:
        self._months: dict[str, list[int]] = {}
        self._amounts: dict[str, list[int]] = {}

    def note(self, name: str, month: int, amount: int) -> None:
        months, amounts = self._months.setdefault(name, []), self._amounts.setdefault(name, [])
        if months and months[-1] == month:
            amounts[-1] = amount
        else:
            months.append(month)
            amounts.append(amount)

    def at(self, name: str, month: int) -> int:
        """What a name had at the end of a month; nothing before its first move."""
        index = bisect_right(self._months.get(name, []), month)
        return self._amounts[name][index - 1] if index else 0
