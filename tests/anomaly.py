"""Rows of features for the tests of models, without a history behind them."""

from datetime import date, timedelta

import numpy as np
import polars as pl

from models.anomaly.candidates import Kind
from models.anomaly.features import FEATURES
from models.anomaly.model import Floats, Model
from models.anomaly.training import train

FIRST = date(2026, 3, 2)
NAMES = [one.id for one in FEATURES]


def frame(days: int = 20, customers: int = 40, seed: int = 5) -> pl.DataFrame:
    """A row a customer and day: ordinary ones, as of `models.anomaly.batch.feature_frame`."""
    rng = np.random.default_rng(seed)
    rows = [(f"C{customer}", FIRST + timedelta(days=day)) for day in range(days) for customer in range(customers)] * 2
    table = pl.DataFrame(rows, schema=["customer_id", "day"], orient="row")
    values = pl.DataFrame(rng.normal(size=(len(rows), len(NAMES))), schema=NAMES)
    return table.with_row_index("event_id").with_columns(pl.format("e{}", "event_id").alias("event_id")).hstack(values)


def model(kind: Kind = "isolation_forest", seed: int = 7, **fields: int) -> Model:
    """A small model of such rows."""
    params: dict[str, float] = {"n_estimators": 20} if kind == "isolation_forest" else {}
    return train(frame(**fields), kind=kind, seed=seed, policy_version="cn-test", params=params)


def strange(count: int = 1) -> Floats:
    """Rows far from all that a model has seen."""
    return np.full((count, len(NAMES)), 9.0)
