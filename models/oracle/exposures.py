"""Running exposures of many names: who has at least so much, and the largest together."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from heapq import nlargest

_AHEAD = 4  # so many times as many of the largest are put in order as are asked for


class Exposures:
    """Exposure by name, as integers; names without any are not kept.

    Only those with at least a floor are kept in order, and the floor follows at a distance what is asked for: of a
    hundred thousand names a few are near a limit. A move of any other costs the same for any number of names.
    """

    def __init__(self) -> None:
        self._of: dict[str, int] = {}
        self._floor = 1
        self._ranked: list[tuple[int, str]] = []
        self._most = 0  # in order before the floor is raised

    def __getitem__(self, name: str) -> int:
        return self._of.get(name, 0)

    def __len__(self) -> int:
        return len(self._of)

    def add(self, name: str, amount: int) -> int:
        """What the name has then."""
        before = self._of.get(name, 0)
        now = before + amount
        if now:
            self._of[name] = now
        elif before:
            del self._of[name]
        if before >= self._floor:
            del self._ranked[bisect_left(self._ranked, (before, name))]
        if now >= self._floor:
            insort(self._ranked, (now, name))
        return now

    def from_(self, least: int) -> Iterator[str]:
        """Names with at least so much, those with less first."""
        if least < self._floor or len(self._ranked) > self._most:
            self._rank_from(least // 2)
        return (name for _, name in self._ranked[bisect_left(self._ranked, (least, "")) :])

    def most_below(self, least: int) -> int:
        """No name that has less than this has more than that; to be asked after `from_`."""
        index = bisect_left(self._ranked, (least, ""))
        return self._ranked[index - 1][0] if index else self._floor

    def largest(self, count: int) -> int:
        """What the largest names have together."""
        return sum(amount for amount, _ in self._largest(count))

    def least_of_largest(self, count: int) -> int:
        """What the name has that is the last of so many largest ones; nothing where there are fewer."""
        largest = self._largest(count)
        return largest[0][0] if len(largest) == count else 0

    def _largest(self, count: int) -> list[tuple[int, str]]:
        if len(self._ranked) < min(count, len(self._of)) or len(self._ranked) > self._most:
            ahead = nlargest(_AHEAD * count, self._of.values())
            self._rank_from(ahead[-1] if len(ahead) == _AHEAD * count else 1)
        return self._ranked[-count:]

    def _rank_from(self, floor: int) -> None:
        self._floor = max(floor, 1)
        self._ranked = sorted((amount, name) for name, amount in self._of.items() if amount >= self._floor)
        self._most = 2 * len(self._ranked) + 100  # not raised again for nothing: each time so many have come


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
