"""Drift: how far what a model sees now lies from what it was trained on, as the population stability index.

PSI = sum over bins of (now - then) ln(now / then), of the shares of rows in each bin. Bins are the tenths of the
training rows, so that then's shares are about even. Half a row is put into every bin: an empty one would make it
infinite. Below 0.10 nothing has moved, above 0.25 the model judges what it has not learned.

Source: Siddiqi, Credit Risk Scorecards, Wiley 2006, for the index and its two limits.
"""

from collections.abc import Sequence
from math import log
from typing import Literal

import numpy as np
from msgspec import Struct, field

from models.anomaly.model import Card, Floats, Model, Reference

Stability = Literal["stable", "shifting", "drifted"]
SHIFTING, DRIFTED = 0.10, 0.25
_HALF = 0.5


def psi(then: Sequence[int], now: Sequence[int]) -> float:
    """The index between two sets of counts over the same bins; 0 where they are alike.

    Raises:
        ValueError: other numbers of bins, or no rows on one side.

    >>> round(psi([100, 100], [100, 100]), 6), round(psi([50, 50], [90, 10]), 3)
    (0.0, 0.849)
    """
    if len(then) != len(now):
        raise ValueError(f"{len(then)} bins cannot be compared with {len(now)}")
    if not sum(then) or not sum(now):
        raise ValueError("the index needs rows on both sides")
    before, after = sum(then) + _HALF * len(then), sum(now) + _HALF * len(now)
    shares = (((old + _HALF) / before, (new + _HALF) / after) for old, new in zip(then, now, strict=True))
    return sum((new - old) * log(new / old) for old, new in shares)


def stability(index: float) -> Stability:
    """What an index says.

    >>> [stability(one) for one in (0.099, 0.1, 0.25, 0.251)]
    ['stable', 'shifting', 'shifting', 'drifted']
    """
    if index < SHIFTING:
        return "stable"
    return "shifting" if index <= DRIFTED else "drifted"


class Counts(Struct):
    """How many rows fell into each bin of each feature, and of the score; sums of counts are counts of the sum.

    Args:
        bins: a list a feature in the order of the card, then that of the score.
        refused: rows that could not be scored.
    """

    bins: list[list[int]] = field(default_factory=list)
    refused: int = 0

    @property
    def rows(self) -> int:
        return sum(self.bins[0]) if self.bins else 0

    def add(self, other: "Counts") -> None:
        """Take in what somebody else counted by the same card."""
        self.refused += other.refused
        if not self.bins:
            self.bins = [list(one) for one in other.bins]
        else:
            for mine, theirs in zip(self.bins, other.bins, strict=True):
                mine[:] = [one + another for one, another in zip(mine, theirs, strict=True)]


class Drift(Struct, frozen=True, kw_only=True):
    """How far one feature, or the score, has moved."""

    name: str
    index: float
    stability: Stability


def references(card: Card) -> tuple[Reference, ...]:
    """What is watched: each feature, then the score."""
    return (*card.reference, card.scores)


def count(model: Model, rows: Floats, scores: Floats) -> Counts:
    """Count rows with their scores into the bins of the model's card."""
    columns = [*rows.T, scores]
    found = []
    for reference, column in zip(references(model.card), columns, strict=True):
        places = reference.bins(np.asarray(column))
        found.append([int(one) for one in np.bincount(places, minlength=len(reference.counts))])
    return Counts(bins=found)


def expected(reference: Reference) -> tuple[float, ...]:
    """The share of rows in each bin when the model was trained; no bin is empty, as in `psi`."""
    total = sum(reference.counts) + _HALF * len(reference.counts)
    return tuple((one + _HALF) / total for one in reference.counts)


def drifts(card: Card, counts: Counts) -> tuple[Drift, ...]:
    """How far each feature and the score have moved from the card.

    Raises:
        ValueError: no rows were counted.
    """
    if not counts.rows:
        raise ValueError("the index needs rows on both sides")
    found = []
    for reference, now in zip(references(card), counts.bins, strict=True):
        index = psi(reference.counts, now)
        found.append(Drift(name=reference.name, index=index, stability=stability(index)))
    return tuple(found)
