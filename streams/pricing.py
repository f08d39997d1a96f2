"""A backtest of two policies over one file: what changing from one to the other brings and costs."""

from collections.abc import Set
from pathlib import Path

import polars as pl
from rich.progress import Progress

from connectors.errors import LiandongError
from connectors.sources.errors import nearest
from connectors.sources.spill import History
from models.policy import PolicyHistory
from models.pricing import Price, price
from streams.judging import Pace, judge

TRUE = ("1", "true", "yes", "t", "y")


def read_labels(path: Path, id_column: str, label_column: str) -> frozenset[str]:
    """The ids of the customers that a CSV file, gzipped or not, marks as cases.

    Raises:
        LiandongError: the file cannot be read, lacks a column, or marks nobody.
    """
    try:
        frame = pl.read_csv(path, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise LiandongError(f"cannot read the labels {path}: {error}", "give a CSV file with a header") from error
    for column in (id_column, label_column):
        if column not in frame.columns:
            raise LiandongError(
                f"{path} has no column {column}{nearest(column, frame.columns)}",
                "name the columns with --label-id and --label",
            )
    marked = frame.filter(pl.col(label_column).str.to_lowercase().is_in(TRUE))
    if not marked.height:
        raise LiandongError(
            f"{path} marks nobody in the column {label_column}", f"a case is marked by one of {', '.join(TRUE)}"
        )
    return frozenset(marked[id_column].drop_nulls())


def run_pricing(
    history: History, before: PolicyHistory, after: PolicyHistory, labels: Set[str], progress: Progress
) -> Price:
    """Judge a file's history by both policies with the oracle, and compare. Every bucket of it is read once.

    Args:
        labels: ids of known cases; empty where nothing is known.
        progress: shows how far it has come.

    Raises:
        LiandongError: nothing in the file can be judged.
    """
    if history.kind in ("actions", "capital") or history.span is None:
        raise LiandongError(f"the file has no {history.kind} to judge", "give transactions, reports or loans")
    pace = Pace(progress, f"judging by {before.latest.version} and {after.latest.version}")
    old, new = judge(history, [before, after], pace)
    calendar = before.latest.bank_calendar
    span = (calendar.day_of(history.span[0]), calendar.day_of(history.span[1]))
    return price((before.latest, old.found), (after.latest, new.found), span, labels)
