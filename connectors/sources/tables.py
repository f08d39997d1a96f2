"""Files as tables of text: nothing is guessed, so that `007` stays an id and `0.10` stays ten cents.

Every format gives one String column per wanted column of the file and a `row` column (the 1-based data row), plus
the rows that are no rows at all (a broken line, a line with too many cells), each with its reason.
"""

import codecs
import io
from collections.abc import Iterator
from pathlib import Path

from connectors.sources.csvs import csv_tables
from connectors.sources.errors import SourceError
from connectors.sources.jsonlines import jsonl_tables
from connectors.sources.parquets import parquet_rows, parquet_tables
from connectors.sources.raw import Raw, Source
from connectors.sources.schema import Format, Mapping
from connectors.sources.table import Table, with_wanted

_SUFFIXES: dict[str, Format] = {
    ".csv": "csv", ".tsv": "csv", ".txt": "csv",
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl",
    ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip
_BLOCK = 1 << 20  # bytes


def survey(path: Path | str, mapping: Mapping) -> Source:
    """Look through a file once: its format, about how many rows it has, and whether all of it can be decoded.

    Raises:
        SourceError: no such file, or a name that tells no format.
    """
    path = Path(path)
    try:
        raw = Raw(path, None if path.is_file() else path.read_bytes())
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
    encoding = mapping.encoding
    if encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
        encoding = "utf-8-sig"
    with raw.opened() as stream:
        kind = mapping.format if mapping.format != "auto" else _by_suffix(path)
        rows, damaged = (0, False) if kind == "parquet" else _lines(stream, encoding)
    return Source(raw, kind, encoding, parquet_rows(raw) if kind == "parquet" else rows, damaged)


def tables(source: Source, mapping: Mapping, rows: int) -> Iterator[Table]:
    """The columns that a mapping wants, in tables of about `rows` successive rows.

    Raises:
        SourceError: a file of another format, a column that it lacks, or bytes that cannot be read.
    """
    wanted = mapping.wanted()
    if source.format == "csv":
        found = csv_tables(source, mapping, wanted, rows)
    elif source.format == "jsonl":
        found = jsonl_tables(source, wanted, rows)
    else:
        found = parquet_tables(source.raw, wanted, rows)
    for table in found:
        yield table._replace(frame=with_wanted(table.frame, wanted))


def _by_suffix(path: Path) -> Format:
    for suffix in reversed([part.lower() for part in path.suffixes]):
        if suffix in _SUFFIXES:
            return _SUFFIXES[suffix]
    raise SourceError(f"{path}: the format cannot be told from the name; set format to csv, jsonl or parquet")


def _lines(stream: io.BufferedReader, encoding: str) -> tuple[int, bool]:
    """About how many lines there are, and whether some bytes cannot be decoded."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    feeds = returns = 0
    damaged = False
    while True:
        block = stream.read(_BLOCK)
        feeds += block.count(b"\n")
        returns += block.count(b"\r")
        if not damaged:
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError:
                damaged = True
        if not block:
            return max(feeds, returns) + 1, damaged
