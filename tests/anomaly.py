"""Rows of features for the tests of models, and histories in files."""

from datetime import date, timedelta
from pathlib import Path

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


MAPPING = """
name = "mine"
kind = "transactions"
description = "a test's own"
format = "csv"
timezone = "Asia/Shanghai"

[fields]
event_id = { column = "id" }
event_time = { column = "time" }
customer_id = { column = "customer" }
customer_kind = { const = "person" }
account_id = { column = "customer" }
direction = { const = "out" }
amount = { column = "amount" }
currency = { const = "CNY" }
method = { const = "transfer" }
"""


def write_history(folder: Path, days: int, customers: int, amount: int = 100) -> Path:
    """A file of a payment a customer and day, beside `mapping.toml`, which maps it."""
    lines = ["id,time,customer,amount"]
    for day in range(days):
        on = date(2026, 3, 2) + timedelta(days=day)
        lines += [f"e{day}-{n},{on}T10:{n % 60:02}:00,C{n},{amount + 7 * n + day}" for n in range(customers)]
    (folder / "mapping.toml").write_text(MAPPING, encoding="utf-8")
    file = folder / "history.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file
