"""What departments decided, as labels; and a re-ranker that learns from them which warnings to look into first.

It orders the queue and decides nothing: no warning is left out, however low it stands. What it learns is what people
found worth their while so far, and so it can see nothing that nobody has looked for.
"""

import hashlib
import platform
from collections.abc import Iterable
from datetime import date, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
import polars as pl
from msgspec import Struct
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from models.anomaly.features import FEATURES
from models.anomaly.forest import check_tree
from models.anomaly.model import Floats
from models.anomaly.training import Untrainable
from models.response.case import Case

# Whose warnings on customers are queued; the order is that of the columns.
DETECTORS = (
    "anomaly",
    "dormant_reactivation",
    "frequent_large_transfers",
    "large_transaction",
    "missing_control",
    "scatter_gather",
    "structuring",
    "suspicious_counterparty",
    "teller_report",
)
COLUMNS = ("rank", "warnings", *DETECTORS, *(one.id for one in FEATURES))
LEAST_DECIDED, LEAST_OF_EACH = 50, 10
_TREES = 100


class Decision(Struct, frozen=True):
    """What became of one warning on a customer.

    Args:
        confirmed: its case was worked through; False where all of its tasks were dismissed, by four eyes.
        decided_at: event time at which the case was resolved.
    """

    warning_id: str
    customer_id: str
    detector: str
    event_time: datetime
    confirmed: bool
    decided_at: datetime


class RerankerCard(Struct, frozen=True, kw_only=True, tag="reranker"):
    """What a re-ranker was made of; part of its file.

    Args:
        columns: of a row, in their order.
        decided, confirmed: customers' days with a decision, and those confirmed.
        days: first and last of them.
        data_hash: SHA-256 over the rows and their labels.
    """

    seed: int
    columns: tuple[str, ...]
    decided: int
    confirmed: int
    days: tuple[date, date]
    data_hash: str
    versions: dict[str, str]


class Reranker:
    """A fitted classifier and its card.

    Raises:
        ValueError: not a pipeline of ours, other columns than this release's, or a tree that is not sound.
    """

    def __init__(self, pipeline: Pipeline, card: RerankerCard) -> None:
        if not isinstance(pipeline, Pipeline) or list(pipeline.named_steps) != ["scale", "rank"]:
            raise ValueError("a re-ranker is a pipeline that scales and then ranks")
        if card.columns != COLUMNS:
            raise ValueError("the re-ranker ranks by other columns than this release makes: train it anew")
        for tree in pipeline.named_steps["rank"].estimators_.ravel():
            check_tree(tree.tree_, len(COLUMNS))
        self.pipeline, self.card = pipeline, card

    def rank(self, queue: pl.DataFrame) -> Floats:
        """How likely each row is to be confirmed, as log odds: higher first.

        Args:
            queue: as of `queue_frame`.
        """
        if not queue.height:
            return np.empty(0)
        return np.asarray(self.pipeline.decision_function(_matrix(queue)))


def decisions(cases: Iterable[Case]) -> list[Decision]:
    """What was decided on customers' warnings, in the order of cases and their warnings. Drills decide nothing."""
    found = []
    for case in cases:
        kind, _, customer = case.subject.partition(":")
        if kind != "customer" or case.mode != "live" or case.state != "resolved" or case.resolved_at is None:
            continue
        confirmed = any(task.state == "completed" for task in case.tasks)
        for ref in case.warnings:
            one = (ref.warning_id, customer, ref.detector, ref.event_time, confirmed, case.resolved_at)
            found.append(Decision(*one))
    return found


def queue_frame(warnings: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """What there is to look into: a row for each customer and day with warnings.

    Args:
        warnings: customer_id, day, detector, rank (of the severity, 0 to 3); a row a warning.
        rows: as of `models.anomaly.batch.feature_frame`.

    Returns:
        customer_id, day, then `COLUMNS`: the gravest rank, how many warnings, which detectors, and of each feature
        the highest value of the day; in order of day and customer.
    """
    keys = ["customer_id", "day"]
    told = warnings.group_by(keys).agg(
        pl.col("rank").max().cast(pl.Float64),
        pl.len().cast(pl.Float64).alias("warnings"),
        *((pl.col("detector") == name).any().cast(pl.Float64).alias(name) for name in DETECTORS),
    )
    highest = rows.group_by(keys).agg(pl.col(one.id).max() for one in FEATURES)
    joined = told.join(highest, on=keys, how="left")
    # A report may come on a day without a transaction: then nothing is unusual about it.
    filled = joined.with_columns(pl.col(one.id).fill_null(0.0) for one in FEATURES)
    return filled.select(*keys, *COLUMNS).sort("day", "customer_id")


def learn(queue: pl.DataFrame, *, seed: int) -> Reranker:
    """Fit a re-ranker on decided days.

    Args:
        queue: as of `queue_frame`, with `confirmed` (bool).

    Raises:
        Untrainable: too few decisions, or hardly any of one kind.
    """
    queue = queue.sort("day", "customer_id")
    decided, confirmed = queue.height, int(queue["confirmed"].sum())
    if decided < LEAST_DECIDED or min(confirmed, decided - confirmed) < LEAST_OF_EACH:
        raise Untrainable(
            f"{decided} customers' days are decided, {confirmed} of them confirmed: a re-ranker needs {LEAST_DECIDED}, "
            f"with at least {LEAST_OF_EACH} confirmed and as many dismissed"
        )
    matrix, labels = _matrix(queue), queue["confirmed"].to_numpy().astype(np.int64)
    classifier = GradientBoostingClassifier(n_estimators=_TREES, max_depth=3, subsample=0.8, random_state=seed)
    pipeline = Pipeline([("scale", StandardScaler()), ("rank", classifier)]).fit(matrix, labels)
    digest = hashlib.sha256(matrix.astype("<f8").tobytes() + labels.astype("<i8").tobytes()).hexdigest()
    first: Any = queue["day"].min()
    last: Any = queue["day"].max()
    card = RerankerCard(
        seed=seed,
        columns=COLUMNS,
        decided=decided,
        confirmed=confirmed,
        days=(first, last),
        data_hash=digest,
        versions={name: version(name) for name in ("numpy", "polars", "scikit-learn")}
        | {"python": platform.python_version()},
    )
    return Reranker(pipeline, card)


def _matrix(queue: pl.DataFrame) -> Floats:
    matrix: Floats = queue.select(COLUMNS).to_numpy().astype(np.float64)
    if not np.isfinite(matrix).all():
        row, column = np.argwhere(~np.isfinite(matrix))[0]
        raise ValueError(f"row {row}: {COLUMNS[column]} is {matrix[row, column]}: it cannot be ranked")
    return np.ascontiguousarray(matrix)
