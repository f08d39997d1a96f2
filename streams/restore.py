"""Plays an archive into topics that are made anew: another number of partitions, another cluster.

What feeds, posts and departments have sent is sent again, in the order in which it came; all else follows from it, by
the same stages. In a slice of time events go first and actions after them, once what the events say has been told:
so an action meets the case that it met before.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple, TypeVar

from msgspec import Struct

from connectors.admin import delete_topics, ensure_topics
from connectors.archive import Archived, archived
from connectors.codec import Codec
from connectors.progress import GroupProgress
from connectors.records import decoded
from connectors.settings import Settings
from connectors.topics import TOPICS
from connectors.writer import EventWriter
from models.dead_letter import DeadLetter, Redrive
from models.response.case import Case
from models.risk_warning import RiskWarning
from streams.wiring import changelog_topics

S = TypeVar("S", bound=Struct)

ACTIONS, LOANS = "actions", frozenset({"loans", "capital"})
# Actions first, see `turns`.
INPUTS = (ACTIONS, *(spec.name for spec in TOPICS.values() if spec.direction == "input" and spec.name != ACTIONS))
REFERENCES = tuple(spec.name for spec in TOPICS.values() if spec.direction == "reference")


# Nobody answers within a second of an event's arrival what is told because of it, and the times of two partitions say
# no better than that which of two records came first.
LEAD = {ACTIONS: 1000}
AT_ONCE = 10_000  # events that are held in memory


class LeftOut(NamedTuple):
    """Records that are not sent again, by their places.

    Args:
        mended: refused, then repaired and sent once more: what was repaired stands on the topic as well.
        future: refused since they were stamped ahead of their arrival, which is the present now.
    """

    mended: frozenset[str]
    future: frozenset[str]

    @property
    def places(self) -> frozenset[str]:
        return self.mended | self.future


class Outcome(Struct, frozen=True):
    """What stands on the topics after, beside what stood on them before.

    Args:
        both, missing, extra: ids on both sides, only before, only now; by `warnings` and `cases`.
    """

    both: dict[str, int]
    missing: dict[str, list[str]]
    extra: dict[str, list[str]]

    @property
    def same(self) -> bool:
        return not any(self.missing.values()) and not any(self.extra.values())


def make_anew(settings: Settings, folder: Path) -> None:
    """Delete and create all topics, then put back what judges events: policy, rates, watch list, mutes.

    Raises:
        AdminError: workers are running; the broker refuses.
    """
    changelogs = changelog_topics(settings)
    delete_topics(settings, [*TOPICS, *(spec.name for spec in changelogs)])
    ensure_topics(settings, changelogs)
    newest: dict[tuple[str, bytes | None], Archived] = {}
    for record in archived(folder, *REFERENCES):
        newest[record.topic, record.key] = record
    with EventWriter(settings) as writer:
        for record in sorted(newest.values(), key=lambda one: one.timestamp):
            writer.write_bytes(record.topic, record.key, record.value, record.headers)


def play(
    settings: Settings,
    folder: Path,
    length: timedelta,
    advance: Callable[[int], None] = lambda count: None,
    timeout: float = 3600.0,
) -> LeftOut:
    """Send the inputs again, while workers are running.

    Args:
        length: of a slice: the shorter, the more exactly in the order of arrival, and the longer it takes.
        advance: told how many records were sent.
        timeout: seconds for the workers to be through with a slice.

    Raises:
        LiandongError: the broker does not take a record; the workers are not through in time.
    """
    left_out = left_out_of(folder)
    with EventWriter(settings) as writer, GroupProgress(settings) as workers:

        def send(records: list[Archived]) -> None:
            for record in records:
                if record.place not in left_out.places:
                    writer.write_bytes(record.topic, record.key, record.value, record.headers)
            writer.flush()
            advance(len(records))

        told: set[str] = set()  # topics of events that may not be judged yet
        for some in turns(archived(folder, *INPUTS, lead=LEAD), length):
            if some[0].topic != ACTIONS:
                send(some)
                told |= {record.topic for record in some}
                continue
            if told:
                workers.settle(settings.idle_seconds, timeout, loans=bool(told & LOANS))
                told.clear()
            send(some)
            workers.wait_through(ACTIONS, timeout=timeout)
        workers.settle(settings.idle_seconds, timeout)
    return left_out


def turns(records: Iterable[Archived], length: timedelta) -> Iterator[list[Archived]]:
    """Events or actions, each to be played when those before are through: at most `AT_ONCE` events together.

    Args:
        records: by their times, actions as long before others as nobody can have answered these.
        length: of a slice of time, in which events go before actions; none: they take turns as they came.
    """
    milliseconds = length // timedelta(milliseconds=1)
    events: list[Archived] = []
    actions: list[Archived] = []
    now: object = None
    for one in records:
        turn = one.timestamp // milliseconds if milliseconds else one.topic == ACTIONS
        if turn != now or len(events) >= AT_ONCE:
            yield from (some for some in (events, actions if turn != now else []) if some)
            events, actions, now = [], actions if turn == now else [], turn
        (actions if one.topic == ACTIONS else events).append(one)
    yield from (some for some in (events, actions) if some)


def left_out_of(folder: Path) -> LeftOut:
    """What is not to be sent again."""
    mended = {one.dead_letter_id for one in _decoded(folder, "redrives", Redrive) if one.state == "sent"}
    future = {
        one.dead_letter_id for one in _decoded(folder, "dead-letters", DeadLetter) if one.reason == "in_the_future"
    }
    return LeftOut(frozenset(mended), frozenset(future - mended))


def outcome(folder: Path, now: Mapping[str, set[str]]) -> Outcome:
    """Hold ids on `warnings` and `cases` now against those in the archive."""
    before = {
        "warnings": {one.warning_id for one in _decoded(folder, "warnings", RiskWarning)},
        "cases": {one.case_id for one in _decoded(folder, "cases", Case)},
    }
    return Outcome(
        both={topic: len(ids & now[topic]) for topic, ids in before.items()},
        missing={topic: sorted(ids - now[topic]) for topic, ids in before.items()},
        extra={topic: sorted(now[topic] - ids) for topic, ids in before.items()},
    )


def _decoded(folder: Path, topic: str, kind: type[S]) -> Iterator[S]:
    return (value for _, value in decoded(archived(folder, topic), Codec()) if isinstance(value, kind))
