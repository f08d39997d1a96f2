"""How well departments act together: indicators of a month, from events alone, each with the ids behind it.

A figure speaks of what was done by the end of its month: what is done later changes no figure of that month, as a whole
or by department (by branch and detector, and for credit's risk events, see `indicators`). Quarters and years are their
months put together (`together`), so that an annual figure can be followed down to an event.

The formulas are ours, after the indicators that the bank's policy names: completion of joint work, timeliness of
information, risk events, complaints, and false alarms beside them.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from msgspec import Struct

from models.credit.indices_exact import six_places

Kpi = Literal[
    "completion",  # tasks finished by their frozen due_at / tasks due
    "joint_completion",  # cases of several departments all of whose tasks were / such cases
    "timeliness",  # tasks acknowledged by their due time / tasks whose time to acknowledge ran out
    "risk_events",  # confirmed cases / 10,000 customer transactions, or loans in motion for credit
    "false_positives",  # cases dismissed by four eyes / cases decided
    "complaints",  # complaints / 10,000 customer transactions
    "arrival",  # clock: event to broker
    "detection",  # clock: broker to warning
    "acknowledgement",  # clock: warning to acknowledgement
    "handling",  # clock: acknowledgement to the end of the task
    "resolution",  # clock: warning to the end of the task; of faults, the time to restore
]
By = Literal["all", "department", "branch", "detector"]
PER_TRANSACTIONS = 10_000


class Key(Struct, frozen=True, order=True):
    """Which figure: an indicator, and over what."""

    kpi: Kpi
    by: By = "all"
    member: str = ""


class Ratio(Struct, frozen=True):
    """A share, or a rate.

    Args:
        part: ids of what counts above the line.
        whole: ids of what counts below it; only their number where they are counted by the thousand.
        per: so many of the whole make one.
    """

    part: frozenset[str]
    whole: frozenset[str] | int
    per: int = 1

    @property
    def count(self) -> int:
        return self.whole if isinstance(self.whole, int) else len(self.whole)

    @property
    def value(self) -> Decimal | None:
        """Six places; None where there is nothing to count.

        >>> str(Ratio(frozenset({"a"}), 20_000, per=10_000).value)
        '0.500000'
        """
        return six_places(Fraction(len(self.part) * self.per, self.count)) if self.count else None

    def together(self, other: "Ratio") -> "Ratio":
        """Of two months."""
        if isinstance(self.whole, int) or isinstance(other.whole, int):
            return Ratio(self.part | other.part, self.count + other.count, self.per)
        return Ratio(self.part | other.part, self.whole | other.whole, self.per)


class Spread(Struct, frozen=True):
    """How long things took.

    Args:
        spans: by id.
    """

    spans: Mapping[str, timedelta]

    def percentile(self, share: Fraction) -> timedelta | None:
        """The least span that so large a share of them does not exceed (nearest rank); None where there is none.

        >>> Spread({"a": timedelta(1), "b": timedelta(5)}).percentile(Fraction(1, 2))
        datetime.timedelta(days=1)
        """
        ordered = sorted(self.spans.values())
        if not ordered:
            return None
        rank = share * len(ordered)
        return ordered[max(0, -(-rank.numerator // rank.denominator) - 1)]

    @property
    def p50(self) -> timedelta | None:
        return self.percentile(Fraction(50, 100))

    @property
    def p95(self) -> timedelta | None:
        return self.percentile(Fraction(95, 100))

    def together(self, other: "Spread") -> "Spread":
        """Of two months."""
        return Spread({**self.spans, **other.spans})


Figures = Mapping[Key, Ratio | Spread]


def together(months: Iterable[Figures]) -> dict[Key, Ratio | Spread]:
    """A quarter's or a year's figures from its months'."""
    found: dict[Key, Ratio | Spread] = {}
    for figures in months:
        for key, figure in figures.items():
            known = found.get(key)
            found[key] = figure if known is None else _joined(known, figure)
    return dict(sorted(found.items()))


def _joined(one: Ratio | Spread, other: Ratio | Spread) -> Ratio | Spread:
    if isinstance(one, Ratio) and isinstance(other, Ratio):
        return one.together(other)
    if isinstance(one, Spread) and isinstance(other, Spread):
        return one.together(other)
    raise TypeError("a rate and a clock are not one figure")
