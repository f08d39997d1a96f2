"""JSON lines as a table of text. Numbers are kept as they are written, never as a binary float."""

from collections.abc import Iterator

import msgspec
import polars as pl

_LINE = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXT = msgspec.json.Decoder(str)


def read_jsonl(text: str, wanted: list[str]) -> tuple[pl.DataFrame, list[tuple[int, str, str]], int]:
    """The wanted columns (nested ones by dotted name) of every line that is one JSON object.

    Returns:
        The frame, with `row` and those of the wanted columns that occur in any line (other columns too when
        none occurs, so that an error can list them); the broken lines; the number of lines. Blank lines are
        no rows. A value that is no text comes as its JSON text: `1.10`, `true`, `["a"]`; null as empty.
    """
    wishes = set(wanted)
    columns: dict[str, list[str | None]] = {name: [] for name in wanted}
    seen: dict[str, None] = {}
    numbers: list[int] = []
    broken: list[tuple[int, str, str]] = []
    count = 0
    for line in text.split("\n"):
        if not line or line.isspace():
            continue
        count += 1
        try:
            cells = dict(_cells(_LINE.decode(line), "", wishes))
        except (msgspec.DecodeError, UnicodeEncodeError):
            broken.append((count, "bad_json", line.strip()[:200]))
            continue
        seen.update(dict.fromkeys(cells))
        numbers.append(count)
        for name, column in columns.items():
            column.append(cells.get(name))
    frame = pl.DataFrame({"row": numbers}, schema={"row": pl.Int64})
    present = [pl.Series(name, column, pl.String) for name, column in columns.items() if name in seen]
    others = [pl.lit(None, pl.String).alias(name) for name in seen if name not in columns and name != "row"]
    return frame.with_columns(*present, *others), broken, count


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
