"""Training: from a history's features to a model with its card, the same bytes for the same history and seed.

The days are split by time: the detector is fitted on the first four fifths, the last fifth says which score is how
rare. Nothing is shuffled across that line: a model is asked about days that it has not seen.
"""

import hashlib
import platform
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.anomaly.candidates import Kind, candidate
from models.anomaly.features import FEATURE_VERSION, FEATURES
from models.anomaly.model import Card, Floats, Model, Reference
from models.policy.rules import MAX_BUDGET

MOST_FITTED = 200_000  # rows: a tree looks at 256 of them, the scaler's means do not move any more
LEAST_DAYS, LEAST_ROWS = 10, 1000
BINS = 10
VALIDATED = 5  # one of so many days


class Untrainable(ValueError):
    """The history is no basis for a model: what is wrong with it, and what would be enough."""


def train(
    frame: pl.DataFrame,
    *,
    kind: Kind,
    seed: int,
    policy_version: str,
    params: dict[str, float] | None = None,
    metrics: dict[str, float] | None = None,
) -> Model:
    """Fit a detector on a history and measure how its scores lie.

    Args:
        frame: as of `models.anomaly.batch.feature_frame`, in any order.
        seed: of the sample and of the detector.
        policy_version: by whose figures the features were computed.
        params: of the detector, in place of its defaults.
        metrics: what else was measured, for the card.

    Raises:
        Untrainable: too few days or rows, or a feature that is not finite in some row.
    """
    # So that the order in which a history lies in files makes no other model.
    frame = frame.sort("day", "customer_id", "event_id")
    fitted, validated = _split(frame)
    rows, later = _matrix(fitted), _matrix(validated)
    rng = np.random.default_rng(seed)
    if len(rows) > MOST_FITTED:
        rows = rows[np.sort(rng.choice(len(rows), MOST_FITTED, replace=False))]
    names = tuple(one.id for one in FEATURES)
    pipeline = candidate(kind, seed, dict(params or {})).fit(rows)
    card = Card(
        kind=kind,
        seed=seed,
        feature_version=FEATURE_VERSION,
        features=names,
        policy_version=policy_version,
        data_hash=_data_hash(frame),
        rows=frame.height,
        customers=frame["customer_id"].n_unique(),
        fitted=_span(fitted),
        fitted_rows=len(rows),
        validated=_span(validated),
        days=validated["day"].n_unique(),
        customer_days=0,
        tail=(),
        reference=tuple(_reference(name, column) for name, column in zip(names, rows.T, strict=True)),
        scores=Reference(name="score", edges=(), counts=(0,), low=0, median=0, high=0),
        params=dict(params or {}),
        versions={name: version(name) for name in ("numpy", "polars", "scikit-learn")}
        | {"python": platform.python_version()},
        metrics=metrics or {},
    )
    return Model(pipeline, _measured(card, Model(pipeline, card).score(later), validated))


def customer_days(scores: Floats, frame: pl.DataFrame) -> pl.DataFrame:
    """The highest score of each customer on each day: what a warning would be about.

    Args:
        scores: a row each of `frame`, which has customer_id and day.

    Returns:
        customer_id, day, score.
    """
    scored = frame.select("customer_id", "day").with_columns(pl.Series("score", scores, dtype=pl.Float64))
    return scored.group_by("customer_id", "day").agg(pl.col("score").max()).sort("day", "customer_id")


def _measured(card: Card, scores: Floats, validated: pl.DataFrame) -> Card:
    by_day = customer_days(scores, validated)
    # One more than any budget may ask for, so that what is allowed can be told from what comes next.
    tail = by_day["score"].sort(descending=True).head(MAX_BUDGET * card.days + 1).to_list()
    fields = {name: getattr(card, name) for name in Card.__struct_fields__}
    return Card(**fields | {"customer_days": by_day.height, "tail": tuple(tail), "scores": _reference("score", scores)})


def _split(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    days: Sequence[date] = frame["day"].unique().sort().to_list()
    if len(days) < LEAST_DAYS or frame.height < LEAST_ROWS:
        raise Untrainable(
            f"{frame.height:,} transactions of customers on {len(days)} days: a model needs {LEAST_ROWS:,} on at "
            f"least {LEAST_DAYS} days; give a longer history"
        )
    first = days[len(days) - max(1, len(days) // VALIDATED)]
    return frame.filter(pl.col("day") < first), frame.filter(pl.col("day") >= first)


def _matrix(frame: pl.DataFrame) -> Floats:
    matrix: Floats = frame.select(one.id for one in FEATURES).to_numpy().astype(np.float64)
    if not np.isfinite(matrix).all():
        row, column = np.argwhere(~np.isfinite(matrix))[0]
        raise Untrainable(f"{frame['event_id'][int(row)]}: {FEATURES[column].id} is {matrix[row, column]}")
    return np.ascontiguousarray(matrix)


def _span(frame: pl.DataFrame) -> tuple[date, date]:
    first: Any = frame["day"].min()
    last: Any = frame["day"].max()
    return first, last


def _reference(name: str, values: Floats) -> Reference:
    edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1]))
    low, median, high = (float(one) for one in np.quantile(values, (0.05, 0.5, 0.95)))
    places: NDArray[np.int64] = np.searchsorted(edges, values, side="right")
    counts = np.bincount(places, minlength=len(edges) + 1)
    return Reference(
        name=name,
        edges=tuple(float(one) for one in edges),
        counts=tuple(int(one) for one in counts),
        low=low,
        median=median,
        high=high,
    )


def _data_hash(frame: pl.DataFrame) -> str:
    """Over ids, days and features, in the order of `train`."""
    digest = hashlib.sha256()
    for name, day in frame.select("event_id", pl.col("day").cast(pl.String)).iter_rows():
        digest.update(f"{name}\x1f{day}\x1e".encode())
    digest.update(_matrix(frame).astype("<f8").tobytes())
    return digest.hexdigest()
