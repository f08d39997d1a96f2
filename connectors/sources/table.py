"""What every format is read as: a table of text."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import polars as pl

from connectors.sources.errors import SourceError, nearest


class Broken(NamedTuple):
    """A row that could not be split into cells."""

    row: int
    reason: str
    value: str


class Table(NamedTuple):
    """A file's cells as text, or those of some successive rows of it.

    Args:
        frame: a String column for every column, and `row` (the 1-based data row of the file).
        broken: the rows that are not in `frame`.
        rows: how many there are, the broken ones too.
    """

    frame: pl.DataFrame
    broken: list[Broken]
    rows: int

    @classmethod
    def numbered(cls, frame: pl.DataFrame, before: int) -> "Table":
        """Of rows that are all sound; `before`: how many came before them."""
        numbers = pl.int_range(before + 1, before + 1 + frame.height, dtype=pl.Int64, eager=True).alias("row")
        return cls(frame.insert_column(0, numbers), [], frame.height)


def check_columns(have: Iterable[str], wanted: dict[str, bool], path: Path) -> None:
    """Refuse a file that lacks a column which some rule wants and which is not optional.

    Raises:
        SourceError: naming the first such column and those that the file has.
    """
    have = list(have)
    for name, optional in wanted.items():
        if name not in have and not optional:
            raise SourceError(f'{path}: no column "{name}"{nearest(name, have)}; the file has {", ".join(have)}')


def with_wanted(frame: pl.DataFrame, wanted: Iterable[str]) -> pl.DataFrame:
    """`row` and the wanted columns alone, those that are absent empty."""
    names = [name for name in wanted if name != "row"]
    absent = [pl.lit(None, pl.String).alias(name) for name in names if name not in frame.columns]
    return frame.with_columns(absent).select("row", *names)
