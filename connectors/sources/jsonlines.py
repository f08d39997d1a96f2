"""JSON lines as tables of text, chunk by chunk. Numbers are kept as they are written, never as a binary float."""

from collections.abc import Iterable, Iterator

import msgspec
import polars as pl

from connectors.sources.raw import Source, blocks
from connectors.sources.table import Broken, Table, check_columns

_LINE = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXT = msgspec.json.Decoder(str)


def jsonl_tables(source: Source, wanted: dict[str, bool], rows: int) -> Iterator[Table]:
    """The lines that are one JSON object each, in tables of about `rows` with the wanted columns that occur in them.

    Nested columns have dotted names. Blank lines are no rows. A value that is no text comes as its JSON text:
    `1.10`, `true`, `["a"]`; null as empty.

    Raises:
        SourceError: no line has a wanted column; this is known, and said, only after the last.
    """
    seen: dict[str, None] = {}
    number = 0
    with source.text(newline="\n") as stream:
        for lines in blocks(stream, rows):
            table = _table(lines, list(wanted), number, seen)
            number += table.rows
            yield table
    if seen:
        have = [*(name for name in wanted if name in seen), *(name for name in seen if name not in wanted)]
        check_columns([name for name in have if name != "row"], wanted, source.path)


def _table(lines: Iterable[str], wanted: list[str], before: int, seen: dict[str, None]) -> Table:
    """The lines as a table; `seen` learns of the columns that occur, wanted or not."""
    wishes = set(wanted)
    columns: dict[str, list[str | None]] = {name: [] for name in wanted}
    numbers: list[int] = []
    broken: list[Broken] = []
    count = before
    for line in lines:
        if line.isspace():
            continue
        count += 1
        try:
            cells = dict(_cells(_LINE.decode(line), "", wishes))
        except (msgspec.DecodeError, UnicodeEncodeError):
            broken.append(Broken(count, "bad_json", line.strip()[:200]))
            continue
        seen.update(dict.fromkeys(cells))
        numbers.append(count)
        for name, column in columns.items():
            column.append(cells.get(name))
    frame = pl.DataFrame({"row": numbers}, schema={"row": pl.Int64})
    texts = [pl.Series(name, column, pl.String) for name, column in columns.items() if name != "row"]
    return Table(frame.with_columns(texts), broken, count - before)


def _cells(parts: dict[str, msgspec.Raw], prefix: str, wishes: set[str]) -> Iterator[tuple[str, str | None]]:
    for key, raw in parts.items():
        name = prefix + key
        mark = memoryview(raw)[:1].tobytes()
        if mark == b"{" and name not in wishes:
            yield from _cells(_LINE.decode(raw), f"{name}.", wishes)
        elif mark == b'"':
            yield name, _TEXT.decode(raw) if name in wishes else None
        else:
            yield name, None if mark == b"n" else bytes(raw).decode()
