"""The indices of a book while it moves: a change costs the same however many members there are.

Sums are kept as whole numbers, so that after any changes in any order they equal those of the book as it stands;
nothing drifts. What needs ranks (Gini, Hall-Tideman) is read from the whole book by `indices`.
"""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

from sortedcontainers import SortedList  # type: ignore[import-untyped]

from models.credit.indices import Indices, indices
from models.credit.indices_exact import Sums, amount_of, places_of, ranked, six_places, units


class RunningBook:
    """Exposures by member, with the measures that can be read at once.

    A change takes O(log n) for n members; share, HHI, normalised HHI, effective number and Theil are then read in
    O(1), CR_k in O(k). The first amount with more decimal places than any before it counts the book anew, O(n).

    Args:
        exposures: the book to begin with, all in one currency.

    Raises:
        ValueError: an exposure below zero or not finite; the message names the member.

    >>> book = RunningBook({"a": Decimal(30), "b": Decimal(30)})
    >>> for member, delta in (("c", 40), ("c", -20), ("d", 20)):
    ...     book.add(member, Decimal(delta))
    >>> str(book.share("a")), str(book.hhi), str(book.cr(2)), str(book.effective_number)
    ('0.300000', '0.260000', '0.600000', '3.846154')
    """

    def __init__(self, exposures: Mapping[str, Decimal] | None = None) -> None:
        self._places = 0
        self._values: dict[str, int] = {}
        self._sums = Sums()
        self._count(exposures or {})

    def _count(self, exposures: Mapping[str, Decimal]) -> None:
        book = ranked(exposures)
        if book is not None:
            self._places = max(self._places, book.places)
            factor = 10 ** (self._places - book.places)
            self._values = {name: value * factor for name, value in zip(book.names, book.values, strict=True)}
            self._sums = book.sums
            if factor > 1:
                self._sums = Sums()
                for value in self._values.values():
                    self._sums = self._sums.moved(0, value)
        self._order = SortedList(self._values.values())

    def add(self, member: str, delta: Decimal) -> None:
        """Move a member's exposure by `delta`, which may be below zero.

        Raises:
            ValueError: the exposure would fall below zero, or `delta` is not finite. Nothing has changed then.
        """
        factor, before, after = self._step(member, delta)
        if factor > 1:
            held, self._places = self.exposures, places_of(delta)
            self._count(held)
        self._sums = self._sums.moved(before, after)
        if before:
            self._order.remove(before)
        if after:
            self._order.add(after)
            self._values[member] = after
        else:
            self._values.pop(member, None)

    def _step(self, member: str, delta: Decimal) -> tuple[int, int, int]:
        """What a member has and would have, in units so many times finer that both are whole numbers."""
        if not delta.is_finite():
            raise ValueError(f"{delta} is not a finite amount for {member!r}")
        places = max(self._places, places_of(delta))
        factor = 10 ** (places - self._places)
        before = self._values.get(member, 0) * factor
        after = before + units(delta, places)
        if after < 0:
            raise ValueError(f"the exposure of {member!r} would fall to {amount_of(after, places)}")
        return factor, before, after

    @property
    def exposures(self) -> dict[str, Decimal]:
        """A copy of the book, members above zero alone."""
        return {name: amount_of(value, self._places) for name, value in self._values.items()}

    @property
    def sums(self) -> Sums:
        """The exact sums, in units of 10^-places; its indices are undefined while the book is empty."""
        return self._sums

    @property
    def total(self) -> Decimal:
        """Exact."""
        return amount_of(self._sums.total, self._places)

    @property
    def members(self) -> int:
        """How many have an exposure above zero."""
        return self._sums.members

    def exposure(self, member: str) -> Decimal:
        """Exact; 0 for a member that is not in the book."""
        return amount_of(self._values.get(member, 0), self._places)

    def exact_share(self, member: str) -> Fraction | None:
        """A member's share unrounded, or None while the book is empty."""
        return Fraction(self._values.get(member, 0), self._sums.total) if self._sums.total else None

    def share(self, member: str) -> Decimal | None:
        """A member's part of the book, six places; None while the book is empty."""
        found = self.exact_share(member)
        return None if found is None else six_places(found)

    @property
    def hhi(self) -> Decimal | None:
        """As `indices.hhi`; None while the book is empty, here and below."""
        return six_places(self._sums.hhi) if self.members else None

    @property
    def hhi_normalised(self) -> Decimal | None:
        """As `indices.hhi_normalised`."""
        return six_places(self._sums.hhi_normalised) if self.members else None

    @property
    def effective_number(self) -> Decimal | None:
        """As `indices.effective_number`."""
        return six_places(self._sums.effective_number) if self.members else None

    @property
    def theil(self) -> Decimal | None:
        """As `indices.theil`."""
        return six_places(self._sums.theil) if self.members else None

    def cr(self, largest: int = 4) -> Decimal | None:
        """As `indices.cr`: the share of the so many largest members."""
        return six_places(Fraction(self.largest(largest)) / Fraction(self.total)) if self.members else None

    def largest(self, count: int) -> Decimal:
        """What the so many largest members have together, exact.

        Raises:
            ValueError: `count` is below 1.
        """
        return self.largest_with("", Decimal(0), count)

    def largest_with(self, member: str, delta: Decimal, count: int) -> Decimal:
        """The same if a member's exposure were moved by `delta`; nothing is changed. Errors as of `add`, too."""
        if count < 1:
            raise ValueError(f"the largest of a book are one member or more, not {count}")
        factor, before, after = self._step(member, delta)
        top = [value * factor for value in self._order[-count - 1 :]]
        if before in top:
            top.remove(before)
        return amount_of(sum(sorted([*top, after])[-count:]), max(self._places, places_of(delta)))

    def hhi_with(self, member: str, delta: Decimal) -> Decimal | None:
        """The book's HHI if a member's exposure were moved by `delta`; nothing is changed. O(1).

        Raises:
            ValueError: as of `add`.
        """
        factor, before, after = self._step(member, delta)
        sums = self._sums.scaled(factor).moved(before, after)
        return six_places(sums.hhi) if sums.members else None

    def indices(self) -> Indices | None:
        """Every measure, read from the whole book: O(n log n)."""
        return indices(self.exposures)
