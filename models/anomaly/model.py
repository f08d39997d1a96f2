"""A trained model with its card: scores rows, and says from which score on a warning is due.

A model says how strange a row is. How strange is too strange is not its matter but the budget's: so many warnings a
day as operations can look into. The score that on the days of validation gave so many stands in the card's `tail`.
"""

from collections.abc import Sequence
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from models.anomaly.candidates import Kind
from models.anomaly.features import FEATURE_VERSION, FEATURES
from models.anomaly.forest import Forest
from models.policy.rules import MAX_BUDGET

Floats = NDArray[np.float64]


class Reference(Struct, frozen=True, kw_only=True):
    """How a feature, or the score, lay when the model was trained.

    Args:
        name: of the feature; `score`.
        edges: inner edges of its bins, ascending; a value on an edge belongs to the bin above.
        counts: rows in each bin, one more than `edges`.
        low, median, high: 5, 50 and 95 of 100 rows are at most so high.
    """

    name: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    low: float
    median: float
    high: float

    def bins(self, values: Floats) -> NDArray[np.int64]:
        """In which bin each value lies."""
        return np.searchsorted(np.asarray(self.edges), values, side="right").astype(np.int64)


class Card(Struct, frozen=True, kw_only=True, tag="anomaly"):
    """What a model is and what it was made of; part of its file.

    Args:
        data_hash: SHA-256 over the ids, days and features of the rows it was trained and validated on.
        features: ids, in the order of the columns; of `feature_version`.
        policy_version: by whose rates and calendar the features were computed.
        rows, customers: of the whole history.
        fitted, validated: first and last bank day of either part; the second comes after the first.
        fitted_rows: on which it was fitted, drawn from the first part.
        days: of the second part on which anything was; `customer_days`: customers on a day, summed up.
        tail: the highest scores of customers on a day in the second part, highest first: at most `MAX_BUDGET` a day.
        reference: of each feature over the fitted rows; `scores`: of the score over the second part.
        params: of the detector, other than its defaults.
        versions: of what took part in the arithmetic.
        metrics: what was measured of it, by name.
    """

    kind: Kind
    seed: int
    feature_version: int
    features: tuple[str, ...]
    policy_version: str
    data_hash: str
    rows: int
    customers: int
    fitted: tuple[date, date]
    fitted_rows: int
    validated: tuple[date, date]
    days: int
    customer_days: int
    tail: tuple[float, ...]
    reference: tuple[Reference, ...]
    scores: Reference
    params: dict[str, float]
    versions: dict[str, str]
    metrics: dict[str, float]

    def threshold(self, budget: float) -> float:
        """The lowest score that, on the days of validation, no more than `budget` customers a day reached.

        Raises:
            ValueError: a budget that is not above zero, or beyond what the card can answer.
        """
        if not 0 < budget <= MAX_BUDGET:
            raise ValueError(f"a budget is above 0 and at most {MAX_BUDGET} warnings a day, not {budget:g}")
        allowed = int(budget * self.days)
        if allowed >= len(self.tail):
            return self.tail[-1] if self.tail else float("inf")
        above = [score for score in self.tail[:allowed] if score > self.tail[allowed]]
        return above[-1] if above else float(np.nextafter(self.tail[0], np.inf))

    def quantile(self, budget: float) -> float:
        """Of all customers on a day, the share that stayed below `threshold`."""
        return 1 - sum(score >= self.threshold(budget) for score in self.tail) / self.customer_days


class Model:
    """A fitted pipeline and its card.

    Raises:
        ValueError: not a pipeline of ours; features other than those of this release; a forest that is not sound.
    """

    def __init__(self, pipeline: Pipeline, card: Card) -> None:
        if not isinstance(pipeline, Pipeline) or list(pipeline.named_steps) != ["scale", "detect"]:
            raise ValueError("a model is a pipeline that scales and then detects")
        if (card.feature_version, card.features) != (FEATURE_VERSION, tuple(one.id for one in FEATURES)):
            raise ValueError(
                f"the model judges version {card.feature_version} of the features, this release computes version "
                f"{FEATURE_VERSION}: train it anew"
            )
        self.pipeline = pipeline
        self.card = card
        self._scale: Any = pipeline.named_steps["scale"]
        self._detect: Any = pipeline.named_steps["detect"]
        self._forest = Forest(self._detect, len(card.features)) if card.kind == "isolation_forest" else None

    @cached_property
    def medians(self) -> Floats:
        """Of each feature."""
        return np.array([one.median for one in self.card.reference])

    def score(self, rows: Floats | Sequence[Sequence[float]]) -> Floats:
        """How strange each row is; the higher the stranger.

        Args:
            rows: a column a feature, as in the card.

        Raises:
            ValueError: other columns, or a value that is missing or not finite: such a row would look usual.
        """
        matrix = np.asarray(rows, dtype=np.float64)
        if matrix.size == 0:
            return np.empty(0)
        if matrix.ndim != 2 or matrix.shape[1] != len(self.card.features):
            raise ValueError(f"rows need the {len(self.card.features)} features of the model, not {matrix.shape}")
        if not np.isfinite(matrix).all():
            row, column = np.argwhere(~np.isfinite(matrix))[0]
            raise ValueError(f"row {row}: {self.card.features[column]} is {matrix[row, column]}: it cannot be scored")
        scaled = self._scale.transform(matrix)
        if self._forest is not None:
            return self._forest.score(scaled)
        return -np.asarray(self._detect.score_samples(scaled))
