"""What a part of the book came to at the end of each month, as far back as a figure on growth asks."""

from datetime import date
from decimal import Decimal

from msgspec import Struct, field

from models.credit.indices_exact import EXACT

GROWTH_MONTHS = 36


def month_of(day: date) -> int:
    """Months since the year 0: the month `GROWTH_MONTHS` before is so many less.

    >>> month_of(date(2026, 3, 31)) - month_of(date(2023, 3, 1))
    36
    """
    return day.year * 12 + day.month - 1


def month_before(day: date, months: int) -> str:
    """The month so many months before that of the day.

    >>> month_before(date(2026, 3, 31), 1), month_before(date(2026, 1, 1), 36)
    ('2026-02', '2023-01')
    """
    year, month = divmod(month_of(day) - months, 12)
    return f"{year}-{month + 1:02d}"


class MonthEnds(Struct):
    """Closings by month: an entry for each of the last `GROWTH_MONTHS` in which something changed, and one before.

    >>> ends = MonthEnds()
    >>> ends.add(date(2023, 3, 5), Decimal(100))
    >>> ends.add(date(2026, 3, 5), Decimal(50))
    >>> str(ends.before(date(2026, 3, 31))), str(ends.now), ends.before(date(2026, 2, 1))
    ('100', '150', None)
    >>> str(ends.before(date(2026, 3, 31), months=1))
    '100'
    """

    closings: dict[int, Decimal] = field(default_factory=dict)

    @property
    def now(self) -> Decimal:
        """After all that was added."""
        return self.closings[max(self.closings)] if self.closings else Decimal(0)

    def add(self, day: date, amount: Decimal) -> None:
        """Count a change from its day on; one that comes late changes the closings since."""
        month = month_of(day)
        if month not in self.closings:
            self.closings[month] = self._at(month) or Decimal(0)
            horizon = max(self.closings) - GROWTH_MONTHS
            for one in sorted(one for one in self.closings if one <= horizon)[:-1]:
                del self.closings[one]
        for one in self.closings:
            if one >= month:
                self.closings[one] = EXACT.add(self.closings[one], amount)

    def before(self, day: date, months: int = GROWTH_MONTHS) -> Decimal | None:
        """At the end of the month so many months before that of the day.

        Args:
            months: 1 to `GROWTH_MONTHS`; what was before is forgotten.

        Returns:
            None where history does not reach so far.

        Raises:
            ValueError: more months, or fewer.
        """
        if not 1 <= months <= GROWTH_MONTHS:
            raise ValueError(f"month ends are known for 1 to {GROWTH_MONTHS} months before, not for {months}")
        return self._at(month_of(day) - months)

    def outgrown(self, day: date, least: Decimal, months: int = GROWTH_MONTHS) -> tuple[str, Decimal] | None:
        """What it has grown from by this share or more: the month, such as 2023-03, and the exposure at its end.

        Returns:
            None where it has grown by less, was nothing then, or history does not reach so far.

        Raises:
            ValueError: as of `before`.
        """
        before = self.before(day, months)
        if not before or self.now < EXACT.multiply(1 + least, before):
            return None
        return month_before(day, months), before

    def _at(self, month: int) -> Decimal | None:
        if month in self.closings:
            return self.closings[month]
        past = [one for one in self.closings if one <= month]
        return self.closings[max(past)] if past else None
