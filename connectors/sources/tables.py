"""Files as tables of text: nothing is guessed, so that `007` stays an id and `0.10` stays ten cents.

Every reader gives one String column per column of the file and a `row` column (the 1-based data row), plus
the rows that are no rows at all (a broken line, a line with too many cells), each with its reason.
"""

import csv
import gzip
import io
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import polars as pl

from connectors.sources.errors import SourceError, nearest
from connectors.sources.jsonlines import read_jsonl
from connectors.sources.schema import Format, Mapping

_SUFFIXES: dict[str, Format] = {
    ".csv": "csv", ".tsv": "csv", ".txt": "csv",
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl",
    ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip


class Broken(NamedTuple):
    """A row that could not be split into cells."""

    row: int
    reason: str
    value: str


class Table(NamedTuple):
    """A file's cells as text.

    Args:
        frame: a String column for every column that the mapping wants, and `row`.
        broken: the rows that are not in `frame`.
        rows: how many there are, the broken ones too.
        damaged: some bytes could not be decoded; U+FFFD stands for them.
        exponents: the format itself may write a number as 1.5e3.
    """

    frame: pl.DataFrame
    broken: list[Broken]
    rows: int
    damaged: bool = False
    exponents: bool = False


def read_table(path: Path, mapping: Mapping) -> Table:
    """Read the columns that a mapping wants.

    Raises:
        SourceError: no such file, an unknown suffix, a file of another format, or a column that it lacks.
    """
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except (OSError, EOFError) as error:
        raise SourceError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    kind = mapping.format if mapping.format != "auto" else _by_suffix(path)
    wanted = mapping.wanted()
    if kind == "parquet":
        table = _read_parquet(content, path)
    else:
        text, damaged = _decoded(content, mapping.encoding)
        if kind == "csv":
            table = _read_csv(text, path, mapping)
        else:
            frame, broken_lines, rows = read_jsonl(text, list(wanted))
            table = Table(frame, [Broken(*line) for line in broken_lines], rows)
        table = table._replace(damaged=damaged)
    return table._replace(frame=_with_wanted(table, wanted, path), exponents=kind != "csv")


def _by_suffix(path: Path) -> Format:
    for suffix in reversed([part.lower() for part in path.suffixes]):
        if suffix in _SUFFIXES:
            return _SUFFIXES[suffix]
    raise SourceError(f"{path}: the format cannot be told from the name; set format to csv, jsonl or parquet")


def _decoded(content: bytes, encoding: str) -> tuple[str, bool]:
    """The text, and whether some bytes had to be replaced: the rows that hold them are rejected later."""
    if encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
        encoding = "utf-8-sig"
    try:
        return content.decode(encoding), False
    except UnicodeDecodeError:
        return content.decode(encoding, errors="replace"), True


def _with_wanted(table: Table, wanted: dict[str, bool], path: Path) -> pl.DataFrame:
    frame = table.frame
    if len(frame.columns) <= 1:  # an empty file, or one of broken lines alone, has no columns to compare with
        return pl.DataFrame(schema={"row": pl.Int64} | dict.fromkeys(wanted, pl.String))
    have = [name for name in frame.columns if name != "row"]
    for name, optional in wanted.items():
        if name not in frame.columns and not optional:
            raise SourceError(f'{path}: no column "{name}"{nearest(name, have)}; the file has {", ".join(have)}')
    absent = [pl.lit(None, pl.String).alias(name) for name in wanted if name not in frame.columns]
    return frame.with_columns(absent).select("row", *(name for name in wanted if name != "row"))


def _read_csv(text: str, path: Path, mapping: Mapping) -> Table:
    for _ in range(mapping.skip_lines):
        text = text.partition("\n")[2]
    plain = _read_plain_csv(text, path, mapping)
    if plain is not None:
        return plain
    rows = _csv_rows(text, path, mapping)
    first: list[str] | str = list(mapping.header) or next(rows, [])
    if isinstance(first, str):
        raise SourceError(f"{path}: the header cannot be read: {first}")
    header = first
    _check_header(header, path)
    cells: list[list[str]] = []
    numbers: list[int] = []
    broken: list[Broken] = []
    count = 0
    for count, row in enumerate(rows, 1):
        if isinstance(row, str):
            broken.append(Broken(count, "bad_row", row))
        elif len(row) != len(header):
            broken.append(Broken(count, "bad_row", f"{len(row)} cells instead of {len(header)}"))
        else:
            cells.append(row)
            numbers.append(count)
    data = dict(zip(header, zip(*cells, strict=True) if cells else itertools.repeat(()), strict=False))
    frame = pl.DataFrame({name: list(column) for name, column in data.items()}, schema=dict.fromkeys(header, pl.String))
    return Table(frame.insert_column(0, pl.Series("row", numbers, pl.Int64)), broken, count)


def _check_header(header: list[str], path: Path) -> None:
    """A name that stands twice, or that rules keep for the row number, would make rules ambiguous."""
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice or "row" in header:
        names = ", ".join(f'"{name}"' for name in twice or ["row"])
        problem = "stands twice in the header" if twice else "is kept for the number of the row"
        raise SourceError(f"{path}: column {names} {problem}; skip the header (skip_lines = 1) and name the columns")


def _read_plain_csv(text: str, path: Path, mapping: Mapping) -> Table | None:
    """The quick way, for a file without quotes in which every line has the same number of cells."""
    if mapping.quote in text or "\r" in text.replace("\r\n", ""):
        return None
    lines = pl.Series(text.replace("\r\n", "\n").rstrip("\n").split("\n"))
    marks = lines.str.count_matches(mapping.separator, literal=True)
    if len(lines) < 2 or marks.n_unique() != 1 or not marks[0]:
        return None
    _check_header(list(mapping.header) or lines[0].split(mapping.separator), path)
    frame = pl.read_csv(
        io.BytesIO(text.encode()),
        separator=mapping.separator,
        quote_char=None,
        has_header=not mapping.header,
        new_columns=list(mapping.header) or None,
        infer_schema_length=0,
    )
    if frame.height != len(lines) - (not mapping.header):
        return None
    return Table(frame.with_row_index("row", 1).with_columns(pl.col("row").cast(pl.Int64)), [], frame.height)


def _csv_rows(text: str, path: Path, mapping: Mapping) -> Iterator[list[str] | str]:
    """Rows of cells; a row that breaks the quoting rules comes as the message that says so."""
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=mapping.separator, quotechar=mapping.quote, strict=True
    )
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end" in str(error):
                raise SourceError(f"{path}: a quote is opened and never closed; the file ends inside it") from error
            yield f"line {reader.line_num}: {error}"
            continue
        if row:  # a blank line is no row
            yield row


def _read_parquet(content: bytes, path: Path) -> Table:
    try:
        frame = pl.read_parquet(io.BytesIO(content))
    except pl.exceptions.PolarsError as error:
        raise SourceError(f"{path}: no Parquet file: {error}") from error
    while structs := [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Struct)]:
        for name in structs:
            frame = frame.with_columns(pl.col(name).name.prefix_fields(f"{name}.")).unnest(name)
    if "row" in frame.columns:
        raise SourceError(f'{path}: a column may not be called "row"; rename it')
    frame = frame.select(_as_text(name, dtype) for name, dtype in frame.schema.items())
    return Table(frame.with_row_index("row", 1).with_columns(pl.col("row").cast(pl.Int64)), [], frame.height)


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
