"""Champion and challenger: what two models find of the same days, and what became of it."""

from collections import Counter
from collections.abc import Iterable
from datetime import date
from typing import Any

from msgspec import Struct

# (detector, subject, day, confirmed) of a warning; confirmed is None while nobody has decided.
Told = tuple[str, str, date, bool | None]


class Standing(Struct, frozen=True):
    """Two models beside each other; the unit is a customer's day.

    Args:
        found: how many each finds.
        by_day: likewise, by day.
        both: found by both.
        overlap: `both` of all that either finds (Jaccard); 1 where neither finds any.
        decided: of what each finds, how many were confirmed (True) and dismissed (False), by any detector's warning.
    """

    found: dict[str, int]
    by_day: dict[str, Counter[date]]
    both: int
    overlap: float
    decided: dict[str, Counter[bool]]

    def plain(self) -> dict[str, Any]:
        """As JSON shows it."""
        return {
            "overlap": self.overlap,
            "both": self.both,
            "models": {
                name: {
                    "found": self.found[name],
                    "confirmed": self.decided[name][True],
                    "dismissed": self.decided[name][False],
                    "by_day": {str(day): count for day, count in sorted(self.by_day[name].items())},
                }
                for name in self.found
            },
        }


def compared(told: Iterable[Told], names: tuple[str, str]) -> Standing:
    """Hold two detectors against each other.

    Args:
        told: every warning on a customer, once, of whatever detector: a challenger is told to nobody, so what became
            of its days is known only where somebody else warned as well.
        names: the detectors.
    """
    days: dict[str, set[tuple[str, date]]] = {name: set() for name in names}
    verdicts: dict[tuple[str, date], bool] = {}
    for detector, subject, day, confirmed in told:
        if detector in days:
            days[detector].add((subject, day))
        if confirmed is not None:
            # One confirmed warning makes the day worth its while.
            verdicts[subject, day] = confirmed or verdicts.get((subject, day), False)
    first, second = (days[name] for name in names)
    either = len(first | second)
    return Standing(
        found={name: len(days[name]) for name in names},
        by_day={name: Counter(day for _, day in days[name]) for name in names},
        both=len(first & second),
        overlap=len(first & second) / either if either else 1.0,
        decided={name: Counter(verdicts[one] for one in days[name] if one in verdicts) for name in names},
    )
