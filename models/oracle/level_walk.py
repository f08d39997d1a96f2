"""From what the figures of subjects say after each event to the levels that they rise to."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from fractions import Fraction
from typing import NamedTuple

from models.oracle.frames import six_places
from models.oracle.level_episodes import Rise


class Change(NamedTuple):
    """What the figures of a subject say from one event on.

    Args:
        kind: what the anchor of an episode begins with, before the day on which it began.
        level: what the figures reach, 0 for nothing.
        stays: the highest level at which they would keep the subject.
        size: how many loans are behind it.
    """

    subject: str
    kind: str
    event_time: datetime
    day: date
    level: int
    stays: int
    size: int
    observed: Fraction


def rises(changes: Iterable[Change]) -> Iterator[Rise]:
    """Walk each subject through its levels: up at once, down only when the level it is at would be left.

    Args:
        changes: those of one subject in the order in which they are judged. Saying the same again changes nothing.
    """
    at: dict[str, tuple[int, str]] = {}  # the level of a subject that is at one, and the anchor of its episode
    for change in changes:
        level, anchor = at.get(change.subject, (0, f"{change.kind}{change.day.isoformat()}"))
        if change.level > level:
            at[change.subject] = change.level, anchor
            size, observed = change.size, six_places(change.observed)
            yield Rise(change.subject, anchor, change.level, size, change.event_time, change.day, observed)
        elif change.level < level and level > change.stays:
            at[change.subject] = change.level, anchor
            if change.level == 0:
                del at[change.subject]
