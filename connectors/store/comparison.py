"""Whether the database holds what the topics do."""

from collections.abc import Iterable
from typing import Any

from msgspec import Struct
from sqlalchemy import Engine, select

from connectors.records import TopicReader
from connectors.settings import Settings
from connectors.store.projection import TARGETS

Key = tuple[Any, ...]


class Comparison(Struct, frozen=True):
    """Of one topic: how many messages both hold, and the keys of those that do not stand as they should.

    Args:
        missing: on the topic and not in the database.
        stale: in the database in another revision than on the topic.
        extra: in the database alone.
    """

    topic: str
    same: int
    missing: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        return not (self.missing or self.stale or self.extra)


def compare_store(settings: Settings, engine: Engine) -> list[Comparison]:
    """Hold every row against its topic, read whole; what comes while it is read may show as missing or stale."""
    with TopicReader(settings) as reader:
        return [_compare(topic, reader, engine) for topic in TARGETS]


def _compare(topic: str, reader: TopicReader, engine: Engine) -> Comparison:
    target = TARGETS[topic]
    newest: dict[Key, tuple[Any, str]] = {}
    for record, message in reader.events(topic):
        row = target.row(message)
        name, rank = tuple(row[column] for column in target.key), row[target.newer_by]
        if name not in newest or rank >= newest[name][0]:
            newest[name] = (rank, record.value.decode())
    columns = [target.table.c[column] for column in (*target.key, "document")]
    with engine.connect() as connection:
        found = {tuple(row[:-1]): row[-1] for row in connection.execute(select(*columns))}
    both = newest.keys() & found.keys()
    stale = [name for name in both if newest[name][1] != found[name]]
    return Comparison(
        topic,
        len(both) - len(stale),
        missing=_shown(newest.keys() - found.keys()),
        stale=_shown(stale),
        extra=_shown(found.keys() - newest.keys()),
    )


def _shown(keys: Iterable[Key]) -> tuple[str, ...]:
    return tuple("|".join(map(str, key)) for key in sorted(keys))
