"""Parquet as tables of text, chunk by chunk."""

import contextlib
import io
from collections.abc import Iterator

import msgspec
import polars as pl

from connectors.sources.errors import SourceError
from connectors.sources.raw import Raw
from connectors.sources.table import Table, check_columns


def parquet_rows(raw: Raw) -> int:
    """How many rows the file has."""
    with _scanned(raw) as file:
        return int(file.select(pl.len()).collect().item())


def parquet_tables(raw: Raw, wanted: dict[str, bool], rows: int) -> Iterator[Table]:
    """The rows of a Parquet file in tables of `rows`, fields of structs as columns by dotted names.

    Raises:
        SourceError: no Parquet file, a column called `row`, or a wanted column that it lacks.
    """
    with _scanned(raw) as file:
        schema = file.collect_schema()
        columns = _flat(pl.DataFrame(schema=schema)).columns
        if "row" in columns:
            raise SourceError(f'{raw.path}: a column may not be called "row"; rename it')
        if columns:
            check_columns(columns, wanted, raw.path)
        # Of the columns that nobody asks for none is read, except where there is nothing else to count rows by.
        used = [name for name in schema if any(f"{one}.".startswith(f"{name}.") for one in wanted)] or list(schema)
        first = 0
        while True:
            frame = _flat(file.select(used).slice(first, rows).collect())
            text = frame.select(_as_text(name, dtype) for name, dtype in frame.schema.items())
            if text.height or not first:
                yield Table.numbered(text, first)
            first += text.height
            if text.height < rows:
                return


@contextlib.contextmanager
def _scanned(raw: Raw) -> Iterator[pl.LazyFrame]:
    try:
        if raw.is_plain_file():
            yield pl.scan_parquet(raw.path, glob=False, hive_partitioning=False)
            return
        with raw.opened() as stream:
            yield pl.scan_parquet(io.BytesIO(stream.read()))
    except pl.exceptions.PolarsError as error:
        raise SourceError(f"{raw.path}: no Parquet file: {error}") from error


def _flat(frame: pl.DataFrame) -> pl.DataFrame:
    while structs := [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Struct)]:
        for name in structs:
            frame = frame.with_columns(pl.col(name).name.prefix_fields(f"{name}.")).unnest(name)
    return frame


def _as_text(name: str, dtype: pl.DataType) -> pl.Expr:
    """A typed column as the text a person would write: no exponent of a decimal, no zeros its scale added."""
    column = pl.col(name)
    if isinstance(dtype, pl.Decimal):
        text = column.cast(pl.String)
        short = text.str.strip_chars_end("0").str.strip_chars_end(".")
        return pl.when(text.str.contains(".", literal=True)).then(short).otherwise(text).alias(name)
    if dtype.is_float():
        # The shortest text that reads back as the same float: 149937.29, not 149937.290000000008.
        return column.cast(pl.String).str.strip_suffix(".0")
    if isinstance(dtype, pl.Datetime):
        naive = dtype.time_zone is None
        utc = column if naive else column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return utc.dt.strftime("%Y-%m-%dT%H:%M:%S%.6f" + ("" if naive else "Z"))
    if isinstance(dtype, pl.Date):
        return column.dt.strftime("%Y-%m-%d")
    if isinstance(dtype, pl.List):
        return column.map_batches(_lists_as_json, return_dtype=pl.String)
    return column.cast(pl.String)


def _lists_as_json(lists: pl.Series) -> pl.Series:
    texts = [None if items is None else msgspec.json.encode([str(item) for item in items]).decode() for items in lists]
    return pl.Series(lists.name, texts, pl.String)
