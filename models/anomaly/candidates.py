"""The unsupervised detectors to choose among, each a scikit-learn pipeline that scales and then scores.

All of them give higher `score_samples` to what is more usual, as scikit-learn's own do, and the same to a row whatever
rows it comes with: what is scored with it is chance. Which one judges is chosen by measurement
(`benchmarks/bench_anomaly.py`), not by taste.
"""

from collections.abc import Callable
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import RobustScaler, StandardScaler

Kind = Literal["hbos", "isolation_forest", "robust_z"]
Floats = NDArray[np.float64]


class Histograms(BaseEstimator):  # type: ignore[misc]
    """HBOS: a histogram a feature, a row is as usual as the product of its features' densities.

    Args:
        bins: of equal width between the least and the greatest value that was seen.

    Source: Goldstein and Dengel, Histogram-based Outlier Score, KI 2012.
    """

    def __init__(self, bins: int = 20) -> None:
        self.bins = bins

    def fit(self, rows: Floats, labels: None = None) -> Self:
        edges, heights = [], []
        for column in rows.T:
            count, edge = np.histogram(column, bins=self.bins)
            # Half a row in every bin, and beside the outermost: what was never seen is rare, not impossible.
            share = (np.concatenate([[0], count, [0]]) + 0.5) / (len(column) + (self.bins + 2) / 2)
            edges.append(edge)
            heights.append(np.log(share))
        self.edges_, self.heights_ = np.array(edges), np.array(heights)
        return self

    def score_samples(self, rows: Floats) -> Floats:
        total = np.zeros(len(rows))
        for column, edge, height in zip(rows.T, self.edges_, self.heights_, strict=True):
            place = np.searchsorted(edge, column, side="right")
            place = np.where(column == edge[-1], len(edge) - 1, place)  # the last bin has both of its ends
            total += height[place]
        return total


class FarthestFeature(BaseEstimator):  # type: ignore[misc]
    """A row is as strange as the feature that is farthest from the middle; for rows that are scaled robustly."""

    def fit(self, rows: Floats, labels: None = None) -> Self:
        self.features_ = rows.shape[1]
        return self

    def score_samples(self, rows: Floats) -> Floats:
        return np.asarray(-np.abs(rows).max(axis=1))


_MADE: dict[Kind, Callable[[int, dict[str, Any]], tuple[Any, Any]]] = {
    "hbos": lambda seed, params: (StandardScaler(), Histograms(**params)),
    "isolation_forest": lambda seed, params: (
        StandardScaler(),
        IsolationForest(**{"n_estimators": 100, "max_samples": 256} | params, random_state=seed, n_jobs=1),
    ),
    "robust_z": lambda seed, params: (RobustScaler(), FarthestFeature()),
}
KINDS: tuple[Kind, ...] = tuple(_MADE)


def candidate(kind: Kind, seed: int, params: dict[str, Any]) -> Pipeline:
    """A pipeline that is not fitted yet.

    Args:
        params: of the detector, in place of its defaults.

    Raises:
        TypeError: a parameter that the detector does not have.
    """
    scale, detect = _MADE[kind](seed, params)
    return Pipeline([("scale", scale), ("detect", detect)])
