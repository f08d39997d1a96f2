"""Seeded chance for the simulator: every draw goes through here, so one seed gives one bank on any machine."""

from collections.abc import Sequence
from decimal import Decimal
from random import Random
from typing import TypeVar

from models.money import currency_places

T = TypeVar("T")


class Dice:
    """A named stream of chance: `Dice(7, "loans")` draws the same whatever the other streams have drawn.

    >>> Dice(7, "loans").between(1, 6) == Dice(7, "loans").between(1, 6)
    True
    """

    def __init__(self, seed: int, name: str) -> None:
        # Chance for made-up data, not for secrets; a text seed is hashed by SHA-512, alike on every platform.
        self._random = Random(f"{seed}/{name}")  # noqa: S311

    def chance(self, share: float) -> bool:
        """True in `share` of the cases."""
        return self._random.random() < share

    def between(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + int(self._random.random() * (high - low + 1))

    def uniform(self, low: float, high: float) -> float:
        return low + self._random.random() * (high - low)

    def lognormal(self, median: float, sigma: float) -> float:
        """A positive number with this median, skewed as amounts of money are."""
        value: float = median * self._random.lognormvariate(0, sigma)
        return value

    def pick(self, items: Sequence[T]) -> T:
        return items[int(self._random.random() * len(items))]

    def sample(self, items: Sequence[T], count: int) -> list[T]:
        """`count` different items, in chance order; all of them when there are fewer."""
        return self._random.sample(items, min(count, len(items)))

    def count(self, mean: float) -> int:
        """A whole number around `mean`, spread about as counts of independent events are."""
        return max(0, round(self._random.gauss(mean, mean**0.5))) if mean > 0 else 0


def money(value: float, currency: str) -> Decimal:
    """An amount with exactly the currency's places, at least its smallest unit.

    >>> money(1234.5, "CNY"), money(0, "JPY")
    (Decimal('1234.50'), Decimal('1'))
    """
    places = currency_places(currency)
    return Decimal(max(1, round(value * 10**places))).scaleb(-places)
