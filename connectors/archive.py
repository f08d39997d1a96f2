"""An archive: what stands on the topics, record by record, in Parquet files that any tool reads.

    FOLDER/manifest.json                    what there is; written last, so a folder with it is whole
    FOLDER/transactions/0-0000000000.parquet   partition and first offset in the name

States are not in it: workers make them again from the records.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
from msgspec import Struct

from connectors.errors import LiandongError
from connectors.records import TopicReader
from connectors.settings import Settings
from connectors.topics import TOPICS

MANIFEST = "manifest.json"
RECORDS_A_FILE = 50_000
_SCHEMA: dict[str, Any] = {
    "offset": pl.Int64,
    "timestamp": pl.Int64,
    "key": pl.Binary,
    "value": pl.Binary,
    "headers": pl.List(pl.Struct({"name": pl.String, "value": pl.Binary})),
}


class Archived(Struct, frozen=True):
    """A record as it stood.

    Args:
        timestamp: when the broker took it (inputs) or its writer wrote it, in milliseconds since 1970.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    @property
    def place(self) -> str:
        """As dead letters call it: `topic/partition/offset`."""
        return f"{self.topic}/{self.partition}/{self.offset}"


class Manifest(Struct, frozen=True):
    """What an archive holds.

    Args:
        release: of Liandong that made it.
        behind: records that the workers had not worked through; 0 where they were drained.
        records: by topic.
    """

    release: str
    made_at: datetime
    app_id: str
    partitions: int
    behind: int
    records: dict[str, int]


def write_archive(
    reader: TopicReader,
    settings: Settings,
    folder: Path,
    behind: int,
    advance: Callable[[int], None] = lambda count: None,
) -> Manifest:
    """Read every topic of the catalogue to its end.

    Args:
        settings: for the manifest.
        folder: a new or an empty one.
        behind: for the manifest.
        advance: told how many records were read.

    Raises:
        LiandongError: the folder is not empty; a topic is missing or cannot be read.
    """
    if folder.exists() and any(folder.iterdir()):
        raise LiandongError(f"{folder} is not empty", "give a new folder")
    counts: dict[str, int] = {}
    for topic in TOPICS:
        counts[topic] = 0
        (folder / topic).mkdir(parents=True)
        for part in _parts(reader.records(topic)):
            first = part[0]
            name = f"{first.partition}-{first.offset:010}.parquet"
            as_frame(part).write_parquet(folder / topic / name)
            counts[topic] += len(part)
            advance(len(part))
    manifest = Manifest(version("liandong"), datetime.now(UTC), settings.app_id, settings.partitions, behind, counts)
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    (folder / MANIFEST).write_bytes(text + b"\n")
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """What an archive holds.

    Raises:
        LiandongError: it is none, or not a whole one.
    """
    try:
        return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError) as error:
        raise LiandongError(
            f"{folder} is no whole archive: {MANIFEST}: {error}", "give a folder that `liandong archive` has finished"
        ) from error


def archived(folder: Path, *topics: str, lead: Mapping[str, int] | None = None) -> Iterator[Archived]:
    """The records of some topics, merged by their times; what a partition holds stays in its own order.

    Args:
        lead: by topic, milliseconds by which its records go before others of the same time.
    """
    ahead = lead or {}
    ways = []
    for topic in topics:
        files: dict[int, list[Path]] = {}
        for file in sorted((folder / topic).glob("*.parquet")):
            files.setdefault(int(file.name.partition("-")[0]), []).append(file)
        ways += [_partition(topic, partition, found) for partition, found in files.items()]
    return heapq.merge(*ways, key=lambda one: one.timestamp - ahead.get(one.topic, 0))


def _parts(records: Iterable[Any]) -> Iterator[list[Any]]:
    """Records of one partition each, as many as go into a file."""
    part: list[Any] = []
    for record in records:
        if part and (record.partition != part[0].partition or len(part) >= RECORDS_A_FILE):
            yield part
            part = []
        part.append(record)
    if part:
        yield part


def as_frame(records: Sequence[Any]) -> pl.DataFrame:
    """Records of one partition as a file holds them."""
    rows = [
        (
            one.offset,
            one.timestamp,
            one.key,
            one.value,
            [{"name": name, "value": value} for name, value in one.headers],
        )
        for one in records
    ]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def _partition(topic: str, partition: int, files: list[Path]) -> Iterator[Archived]:
    for file in files:
        for offset, timestamp, key, value, headers in pl.read_parquet(file).iter_rows():
            named = tuple((one["name"], one["value"]) for one in headers)
            yield Archived(topic, partition, offset, timestamp, key, value, named)
