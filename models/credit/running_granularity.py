"""The granularity adjustment of a book while it moves, at the same cost however many borrowers there are."""

from collections.abc import Mapping
from decimal import Decimal

from models.credit.indices_exact import checked, places_of, units
from models.credit.indices_granularity import GranularitySums, Risk, rates


class RunningGranularity:
    """Exposure and risk by borrower, with GA read in O(1) after any change, itself O(1).

    Sums are whole numbers: after any changes in any order they equal those of the book as it stands. The first
    amount with more decimal places than any before it multiplies every exposure once, O(n).

    >>> book = RunningGranularity()
    >>> for i in range(100):
    ...     book.put(f"b{i}", Decimal(1), Risk(Decimal("0.01"), Decimal("0.45")))
    >>> str(book.adjustment), str(book.with_loan(Decimal(10), Risk(Decimal("0.01"), Decimal("0.45"))))
    ('0.012660', '0.020926')
    """

    def __init__(self, exposures: Mapping[str, Decimal] | None = None, risks: Mapping[str, Risk] | None = None) -> None:
        self._places = 0
        self._held: dict[str, tuple[int, Risk]] = {}
        self._sums = GranularitySums()
        for member, exposure in (exposures or {}).items():
            if risks is None or member not in risks:
                raise ValueError(f"no probability of default and loss given default for {member!r}")
            self.put(member, exposure, risks[member])

    def put(self, member: str, exposure: Decimal, risk: Risk) -> None:
        """Set what a borrower has and how risky it is; an exposure of 0 takes it out.

        Raises:
            ValueError: the exposure is below zero or not finite. Nothing has changed then.
        """
        value = self._whole(checked(member, exposure))
        held = self._held.pop(member, None)
        sums = self._sums if held is None else self._sums.moved(held[0], 0, rates(held[1]))
        if value:
            sums = sums.moved(0, value, rates(risk))
            self._held[member] = (value, risk)
        self._sums = sums

    def risk(self, member: str) -> Risk | None:
        """A borrower's risk, or None for one that is not in the book."""
        held = self._held.get(member)
        return None if held is None else held[1]

    @property
    def adjustment(self) -> Decimal | None:
        """As `granularity_adjustment`; None for an empty book or one that bears no capital."""
        return self._sums.adjustment

    def with_loan(self, amount: Decimal, risk: Risk, member: str | None = None) -> Decimal | None:
        """GA if a borrower took so much more; nothing is changed.

        Args:
            risk: of a borrower who is not in the book yet; one who is keeps their own.
            member: None for a new borrower.

        Raises:
            ValueError: the amount is below zero or not finite.
        """
        places = max(self._places, places_of(checked(member or "the new borrower", amount)))
        factor = 10 ** (places - self._places)
        value, own = self._held.get(member, (0, risk)) if member is not None else (0, risk)
        before = value * factor
        return self._sums.scaled(factor).moved(before, before + units(amount, places), rates(own)).adjustment

    def _whole(self, amount: Decimal) -> int:
        if places_of(amount) > self._places:
            factor = 10 ** (places_of(amount) - self._places)
            self._places = places_of(amount)
            self._held = {name: (value * factor, risk) for name, (value, risk) in self._held.items()}
            self._sums = self._sums.scaled(factor)
        return units(amount, self._places)
