"""What a customer's transactions of a day, and of the days before it, add up to: the sums behind the features.

Sums are integers, so a day that leaves the window leaves nothing behind, and whoever adds up the same days in another
way gets the same numbers.
"""

from math import sqrt
from operator import add, sub

from msgspec import Struct, field

HABIT_DAYS = 30  # before today
BIN_HOURS = 4

OUT, IN = 0, 1  # directions
# Places in `Sums.counts`; up to MILLIONS, those of a direction.
COUNT, LEVELS, SQUARES, PARTIES, CENTS, MILLIONS, CASH, CROSS_BORDER, BINS = 0, 2, 4, 6, 8, 10, 12, 13, 14
# Money is summed in two parts, since a state holds 64 bits: millions of the largest amounts stay below them.
_PART = 10**12

# What everybody starts with: transactions around 1,000, two in three of them within a factor of five.
_PRIOR, _PRIOR_LEVEL, _PRIOR_SPREAD = 5, 3000, 700
_PRIOR_SQUARE = _PRIOR_LEVEL**2 + _PRIOR_SPREAD**2
_LEAST_VARIANCE = 100**2

_NEW = 4  # beside 1 << direction, a mark on a counterparty met today


class Sums(Struct, array_like=True):
    """What transactions add up to. Where the two directions stand apart, `OUT` comes before `IN`.

    Args:
        counts: for each direction how many, the sum of their levels and of the squares of these, how many
            counterparties not met this way on the same day, and the money in cents and million millions of cents;
            how many were cash or cross-border; from `BINS` on, how many by four hours of the bank's day.
        greatest: greatest level by direction.
        channels: how many by channel.
    """

    counts: list[int] = field(default_factory=lambda: [0] * (BINS + 24 // BIN_HOURS))
    greatest: list[int] = field(default_factory=lambda: [0, 0])
    channels: dict[str, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return self.counts[COUNT + OUT] + self.counts[COUNT + IN]

    def money(self) -> tuple[int, int]:
        """Hundredths of the base currency that went out, and that came in."""
        counts = self.counts
        return (
            counts[MILLIONS + OUT] * _PART + counts[CENTS + OUT],
            counts[MILLIONS + IN] * _PART + counts[CENTS + IN],
        )

    def deviations(self, level: int, direction: int) -> float:
        """How many standard deviations a level is above the mean of these."""
        counts = self.counts
        count = counts[COUNT + direction] + _PRIOR
        mean = (counts[LEVELS + direction] + _PRIOR * _PRIOR_LEVEL) / count
        variance = (counts[SQUARES + direction] + _PRIOR * _PRIOR_SQUARE) / count - mean * mean
        return (level - mean) / sqrt(variance if variance > _LEAST_VARIANCE else _LEAST_VARIANCE)

    def above_greatest(self, level: int, direction: int) -> int:
        """How far a level is above the greatest of these."""
        return level - (self.greatest[direction] if self.counts[COUNT + direction] else _PRIOR_LEVEL)


class Day(Sums, array_like=True):
    """The sums of one day; `number` is its proleptic ordinal, 0 where there was none yet."""

    number: int = 0

    def take(self, direction: int, cents: int, level: int) -> None:
        """Take in the money of one transaction."""
        counts = self.counts
        counts[COUNT + direction] += 1
        counts[LEVELS + direction] += level
        counts[SQUARES + direction] += level * level
        counts[CENTS + direction] += cents % _PART
        counts[MILLIONS + direction] += cents // _PART
        if level > self.greatest[direction]:
            self.greatest[direction] = level


class Habit(Struct, array_like=True):
    """The days that are over, oldest first, and their sums."""

    days: list[Day] = field(default_factory=list)
    sums: Sums = field(default_factory=Sums)

    def close(self, day: Day) -> None:
        """Take in a day that is over."""
        self.days.append(day)
        sums = self.sums
        sums.counts = list(map(add, sums.counts, day.counts))
        sums.greatest = list(map(max, sums.greatest, day.greatest))
        for channel, count in day.channels.items():
            sums.channels[channel] = sums.channels.get(channel, 0) + count

    def day(self, number: int) -> Day | None:
        """The newest day, if it has this number."""
        return self.days[-1] if self.days and self.days[-1].number == number else None

    def forget(self, before: int) -> None:
        """Drop the days of a smaller number."""
        gone = 0
        while gone < len(self.days) and self.days[gone].number < before:
            self._take_back(self.days[gone])
            gone += 1
        if not gone:
            return
        left, self.days = self.days[:gone], self.days[gone:]
        greatest = self.sums.greatest
        for direction in (OUT, IN):
            if greatest[direction] in [day.greatest[direction] for day in left]:
                greatest[direction] = max((day.greatest[direction] for day in self.days), default=0)

    def _take_back(self, day: Day) -> None:
        sums = self.sums
        sums.counts = list(map(sub, sums.counts, day.counts))
        for channel, count in day.channels.items():
            left = sums.channels[channel] - count
            if left:
                sums.channels[channel] = left
            else:
                del sums.channels[channel]


class Dealings(Struct, array_like=True):
    """With whom the customer dealt, either way. An identity stands in one of the two only.

    Args:
        today: marks on those met today.
        before: number of the last day of dealing with the others; as days only go up, in the order of these.
        new_payees: how many were paid today and new when first met today.
    """

    today: dict[str, int] = field(default_factory=dict)
    before: dict[str, int] = field(default_factory=dict)
    new_payees: int = 0

    def meet(self, identity: str, direction: int) -> tuple[bool, bool]:
        """Take in a dealing with a counterparty.

        Returns:
            (whether it is new, whether it was not met this way today).
        """
        known = self.today.get(identity)
        new = known is None and self.before.pop(identity, None) is None
        marks = known or (_NEW if new else 0)
        first = not marks & 1 << direction
        if first:
            self.today[identity] = marks | 1 << direction
            if direction == OUT and marks & _NEW:
                self.new_payees += 1
        return new, first

    def close(self, number: int) -> None:
        """Today, which has this number, is over."""
        for identity in self.today:
            self.before[identity] = number
        self.today, self.new_payees = {}, 0

    def forget(self, before: int) -> None:
        """Drop those last met on a day of a smaller number."""
        gone = []
        for identity, last in self.before.items():
            if last >= before:
                break
            gone.append(identity)
        for identity in gone:
            del self.before[identity]
