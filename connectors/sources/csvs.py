"""CSV as tables of text, chunk by chunk."""

import csv
import io
import itertools
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from connectors.sources.errors import SourceError
from connectors.sources.raw import Source, blocks
from connectors.sources.schema import Mapping
from connectors.sources.table import Broken, Table, check_columns


def csv_tables(source: Source, mapping: Mapping, wanted: dict[str, bool], rows: int) -> Iterator[Table]:
    """The rows of a CSV file in tables of about `rows`, all columns of the file in each.

    Raises:
        SourceError: an ambiguous header, a wanted column that it lacks, or a quote that is never closed.
    """
    with source.text(newline="") as stream:
        for _ in range(mapping.skip_lines):
            while (line := stream.readline()) and not line.endswith("\n"):
                pass
        header, taken = list(mapping.header), 0
        if not header:
            header, taken = _header(stream, source.path, mapping)
        if not header:
            return
        _check_header(header, source.path)
        check_columns(header, wanted, source.path)
        number = 0
        for lines in blocks(stream, rows):
            table = _plain(lines, header, mapping, number)
            if table is None:
                table, read = _quoted(lines, stream, header, source.path, mapping, number, taken)
                taken += read
            else:
                taken += len(lines)
            number += table.rows
            yield table


def _check_header(header: list[str], path: Path) -> None:
    """A name that stands twice, or that rules keep for the row number, would make rules ambiguous."""
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice or "row" in header:
        names = ", ".join(f'"{name}"' for name in twice or ["row"])
        problem = "stands twice in the header" if twice else "is kept for the number of the row"
        raise SourceError(f"{path}: column {names} {problem}; skip the header (skip_lines = 1) and name the columns")


def _header(stream: io.TextIOWrapper, path: Path, mapping: Mapping) -> tuple[list[str], int]:
    """The first row that is not blank, and how many lines it took; none in an empty file."""
    reader = _Rows(iter(stream.readline, ""), path, mapping)
    for row in reader:
        if isinstance(row, str):
            raise SourceError(f"{path}: the header cannot be read: {row}")
        if row:
            return row, reader.lines
    return [], reader.lines


def _plain(lines: list[str], header: list[str], mapping: Mapping, before: int) -> Table | None:
    """The quick way, for lines without quotes that all have the header's number of cells."""
    text = "".join(lines)
    if mapping.quote in text or "\r" in text.replace("\r\n", "") or len(header) < 2 or text[0] == "\ufeff":
        return None  # a byte order mark in the midst of a file is a sign like any other, but polars drops it
    body = text.replace("\r\n", "\n").rstrip("\n")
    marks = pl.Series(lines).str.count_matches(mapping.separator, literal=True)
    if not body or marks.min() != len(header) - 1 or marks.max() != len(header) - 1:
        return None
    schema: dict[str, type[pl.DataType]] = dict.fromkeys(header, pl.String)
    frame = pl.read_csv(
        io.BytesIO(body.encode()), separator=mapping.separator, quote_char=None, has_header=False, schema=schema
    )
    if frame.height != len(lines):
        return None
    return Table.numbered(frame, before)


def _quoted(
    lines: list[str],
    stream: io.TextIOWrapper,
    header: list[str],
    path: Path,
    mapping: Mapping,
    before: int,
    taken: int,
) -> tuple[Table, int]:
    """The careful way, and the lines it took: more than given where the last row goes on in the stream."""
    reader = _Rows(itertools.chain(lines, iter(stream.readline, "")), path, mapping, taken)
    cells: list[list[str]] = []
    numbers: list[int] = []
    broken: list[Broken] = []
    count = before
    while reader.lines < len(lines) and (row := next(reader, None)) is not None:
        if not row:  # a blank line is no row
            continue
        count += 1
        if isinstance(row, str):
            broken.append(Broken(count, "bad_row", row))
        elif len(row) != len(header):
            broken.append(Broken(count, "bad_row", f"{len(row)} cells instead of {len(header)}"))
        else:
            cells.append(row)
            numbers.append(count)
    columns = zip(*cells, strict=True) if cells else itertools.repeat(())
    data = {name: list(column) for name, column in zip(header, columns, strict=False)}
    frame = pl.DataFrame(data, schema=dict.fromkeys(header, pl.String))
    return Table(frame.insert_column(0, pl.Series("row", numbers, pl.Int64)), broken, count - before), reader.lines


class _Rows:
    """Rows of cells, blank ones too; one that breaks the quoting rules comes as the message that says so."""

    def __init__(self, lines: Iterator[str], path: Path, mapping: Mapping, before: int = 0) -> None:
        self._reader = csv.reader(lines, delimiter=mapping.separator, quotechar=mapping.quote, strict=True)
        self._path = path
        self._before = before

    @property
    def lines(self) -> int:
        """Taken so far."""
        return self._reader.line_num

    def __iter__(self) -> Iterator[list[str] | str]:
        return self

    def __next__(self) -> list[str] | str:
        try:
            return next(self._reader)
        except csv.Error as error:
            if "unexpected end" in str(error):
                raise SourceError(
                    f"{self._path}: a quote is opened and never closed; the file ends inside it"
                ) from error
            return f"line {self._before + self.lines}: {error}"
