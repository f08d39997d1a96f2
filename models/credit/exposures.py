"""Who has how much: the names of a book in the order of their exposures, with the book's indices.

Borrowers may be a hundred thousand: whoever is near a limit, or among the largest, is found without asking the others.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal

from sortedcontainers import SortedList  # type: ignore[import-untyped]

from models.credit.running import RunningBook


class NamedBook:
    """The exposures of one dimension by name. A change takes O(log n) for n names.

    Args:
        exposures: the book to begin with, all in one currency; names without exposure do not count.

    Raises:
        ValueError: an exposure below zero or not finite.

    >>> book = NamedBook({"a": Decimal(30), "b": Decimal(20)})
    >>> book.move("c", Decimal(0), Decimal(50))
    >>> list(book.at_least(Decimal(30))), book.largest(2), str(book.largest_total(2))
    (['a', 'c'], ['c', 'a'], '80')
    """

    def __init__(self, exposures: Mapping[str, Decimal] | None = None) -> None:
        self.running = RunningBook(exposures)
        self._order = SortedList((exposure, name) for name, exposure in (exposures or {}).items() if exposure)

    def move(self, name: str, before: Decimal, after: Decimal) -> None:
        """Take a name from one exposure to another.

        Raises:
            ValueError: `after` is below zero, or `before` is not what the name has. Nothing has changed then.
        """
        if self.running.exposure(name) != before:
            raise ValueError(f"{name!r} has {self.running.exposure(name)}, not {before}")
        self.running.add(name, after - before)
        if before:
            self._order.remove((before, name))
        if after:
            self._order.add((after, name))

    def at_least(self, line: Decimal) -> Iterator[str]:
        """The names with this much or more, smallest first, equal ones by name."""
        return (name for _, name in self._order.irange(minimum=(line, "")))

    def largest(self, count: int) -> list[str]:
        """The so many largest names, largest first."""
        return [name for _, name in reversed(self._order[-count:])]

    def largest_total(self, count: int) -> Decimal:
        """What these have together, exact."""
        return self.running.largest(count)
