"""A file's whole history by buckets of customers, on disk where it does not fit into memory.

Rules on transactions and reports look at one customer each, so that every bucket can be judged by itself. Loans,
capital and actions are one bucket: rules on loans look at an entity's whole book.
"""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from connectors.sources.errors import SourceError
from connectors.sources.reader import CHUNK_ROWS, MappedFrame, in_time, joined, read_chunks
from connectors.sources.schema import Mapping
from connectors.sources.tables import survey
from connectors.sources.wire import Kind, specs, time_field

# Up to so many events are held in memory; more go to disk, in buckets of about so many.
IN_MEMORY = 1_000_000
BUCKET_EVENTS = 400_000
# Whom a bucket keeps together. A report without a customer is about its branch.
_OWNER: dict[Kind, pl.Expr] = {
    "transactions": pl.col("customer_id"),
    "reports": pl.coalesce("customer_id", "reporter.branch_id"),
}


@dataclass(frozen=True)
class Limits:
    """How much is held at once.

    Args:
        in_memory: events up to which nothing is written to disk.
        bucket: events of a bucket, about.
        chunk: rows of the file that are mapped at a time, about.
    """

    in_memory: int = IN_MEMORY
    bucket: int = BUCKET_EVENTS
    chunk: int = CHUNK_ROWS


DEFAULT = Limits()


class History:
    """A file as events, by buckets.

    Args:
        whole: counts and rejections of the file; its accepted frame is empty where the events are on disk.
        events: accepted ones.
        span: times of the first and the last of them; None where there are none.
        buckets: how many there are; 1 where nothing was spilled.
        load: gives the events of a bucket.
    """

    def __init__(
        self,
        whole: MappedFrame,
        events: int,
        span: tuple[datetime, datetime] | None,
        buckets: int,
        load: Callable[[int], pl.DataFrame],
    ) -> None:
        self.kind: Kind = whole.kind
        self.whole = whole
        self.events = events
        self.span = span
        self.buckets = buckets
        self._load = load

    def __iter__(self) -> Iterator[MappedFrame]:
        """The buckets one after the other, events of each by time and row as `read` gives them.

        Raises:
            SourceError: what was spilled cannot be read back.
        """
        for number in range(self.buckets):
            part = self._load(number)
            yield MappedFrame(self.kind, part, self.whole.rejected.clear(), self.whole.refused.clear(), part.height)


def in_memory(mapped: MappedFrame) -> History:
    """A file that has been read as a whole."""
    times = mapped.accepted[time_field(mapped.kind)]
    span = (times.min(), times.max()) if mapped.events else None
    return History(mapped, mapped.events, span, 1, lambda _: mapped.accepted)  # type: ignore[arg-type]


@contextlib.contextmanager
def history(
    path: Path | str,
    mapping: Mapping,
    folder: Path,
    tell: Callable[[int, int], None] = lambda done, of: None,
    limits: Limits = DEFAULT,
) -> Iterator[History]:
    """Read a file, and keep its events on disk for as long as the context lasts where there are too many.

    Args:
        folder: where a folder for them is made, and removed when the context ends, whatever the reason.
        tell: called with the rows read so far and about how many there are.
        limits: what is held in memory.

    Raises:
        SourceError: the file cannot be read with this mapping, or the disk is full.
    """
    source = survey(path, mapping)

    def chunks() -> Iterator[MappedFrame]:
        done = 0
        for chunk in read_chunks(source, mapping, limits.chunk):
            yield chunk
            done += chunk.rows
            tell(done, max(done, source.rows))

    events = source.rows * (len(mapping.legs) or 1)
    if mapping.kind not in _OWNER or events <= limits.in_memory:
        yield in_memory(joined(list(chunks())))
        return
    with _scratch(folder) as scratch:
        yield _spilled(chunks(), mapping.kind, scratch, -(-events // limits.bucket))


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        made = tempfile.TemporaryDirectory(prefix="backtest-", dir=folder)
    except OSError as error:
        raise SourceError(f"{folder}: events cannot be kept there: {error.strerror}; set LIANDONG_DATA_DIR") from error
    with made as name:
        yield Path(name)


def _spilled(chunks: Iterator[MappedFrame], kind: Kind, scratch: Path, buckets: int) -> History:
    columns, time = [*specs(kind), "row"], pl.col(time_field(kind))
    number = (_OWNER[kind].hash(0) % buckets).alias("bucket")
    files: list[list[Path]] = [[] for _ in range(buckets)]
    parts: list[MappedFrame] = []
    events = 0
    ends: list[datetime] = []
    for chunk in chunks:
        accepted = chunk.accepted.select(*columns, number)
        groups = accepted.partition_by("bucket", include_key=False, as_dict=True, maintain_order=True)
        for (bucket,), part in groups.items():
            file = scratch / f"{bucket}-{len(parts)}.parquet"
            _write(part, file)
            files[bucket].append(file)
        if accepted.height:
            events += accepted.height
            ends += accepted.select(time.min().alias("first"), time.max().alias("last")).row(0)
        # Of the events their types stay: the scale of amounts is that of the file, not of a chunk or a bucket.
        nothing = accepted.clear().select(columns)
        parts.append(MappedFrame(kind, nothing, chunk.rejected, chunk.refused.clear(), chunk.rows))
    whole = joined(parts)
    schema = whole.accepted.schema

    def load(bucket: int) -> pl.DataFrame:
        found = [pl.read_parquet(file, glob=False).cast(schema) for file in files[bucket]]
        return in_time(pl.concat([whole.accepted, *found]), kind)

    return History(whole, events, (min(ends), max(ends)) if ends else None, buckets, load)


def _write(part: pl.DataFrame, file: Path) -> None:
    try:
        part.write_parquet(file, compression="lz4", statistics=False)
    except OSError as error:
        raise SourceError(
            f"{file.parent}: events cannot be kept there: {error}; make room, or set LIANDONG_DATA_DIR to another disk"
        ) from error
