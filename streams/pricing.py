"""A backtest of two policies over one file: what changing from one to the other brings and costs."""

from collections.abc import Set
from pathlib import Path

import polars as pl
from rich.progress import Progress

from connectors.errors import LiandongError
from connectors.sources.errors import nearest
from connectors.sources.reader import MappedFrame
from connectors.sources.wire import time_field
from models import oracle
from models.policy import PolicyHistory
from models.pricing import Price, price

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
    mapped: MappedFrame, before: PolicyHistory, after: PolicyHistory, labels: Set[str], progress: Progress
) -> Price:
    """Judge a mapped file by both policies with the oracle, and compare.

    Args:
        labels: ids of known cases; empty where nothing is known.
        progress: shows which policy is being judged.

    Raises:
        LiandongError: nothing in the file can be judged.
    """
    if mapped.kind in ("actions", "capital") or not mapped.accepted.height:
        raise LiandongError(f"the file has no {mapped.kind} to judge", "give transactions, reports or loans")
    found = []
    with progress:
        task = progress.add_task("judging", total=2)
        for policies in (before, after):
            progress.update(task, description=f"judging by {policies.latest.version}")
            frames = {mapped.kind: mapped.accepted}
            found.append((policies.latest, oracle.warnings(**frames, policies=policies)))
            progress.advance(task)
    calendar = before.latest.bank_calendar
    times = mapped.accepted[time_field(mapped.kind)]
    span = (calendar.day_of(times.min()), calendar.day_of(times.max()))  # type: ignore[arg-type]
    return price(found[0], found[1], span, labels)
