"""A drill on the topics: what it has brought so far, and the wait for what must come of it."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from kafka import TopicPartition
from msgspec import Struct, field

from connectors.records import TopicReader
from connectors.settings import Settings
from connectors.sources.simulator.drills import scenario_of
from models.drill import drill_of
from models.events import LoanEvent
from models.response.case import Case
from models.response.drill_score import Expected
from models.revisions import newest
from models.risk_warning import RiskWarning

OUTPUTS = ("warnings", "cases")
INPUTS = ("reports", "transactions", "loans")
EVERY = 0.5  # seconds between two looks


class Played(Struct, frozen=True):
    """A drill that was played.

    Args:
        scenario: whose name its events bear.
        at: when it first showed.
        warnings: all revisions; none where nothing came of it.
    """

    scenario: str
    at: datetime
    warnings: tuple[RiskWarning, ...] = ()


class Brought(Struct):
    """What has come of what was sent: the newest revision of each warning and case."""

    warnings: dict[str, RiskWarning] = field(default_factory=dict)
    cases: dict[str, Case] = field(default_factory=dict)

    def missing(self, expected: Iterable[Expected]) -> list[Expected]:
        """Those of which no warning, or no case, has come."""
        told = {(one.detector, one.subject) for one in self.warnings.values() if one.mode == "drill"}
        held = {one.subject for one in self.cases.values()}
        return [one for one in expected if (one.detector, one.subject) not in told or one.subject not in held]


def played(settings: Settings, drill: str) -> Played | None:
    """What was played under a name; None where nothing was.

    Its warnings say so; where it has none, its events do.
    """
    with TopicReader(settings) as reader:
        warnings = tuple(one for _, one in reader.events("warnings") if drill_of(one.subject) == drill)
        named = [name for one in warnings for event_id in one.event_ids if (name := scenario_of(event_id))]
        if named:
            return Played(named[0], min(one.event_time for one in warnings), warnings)
        for topic in INPUTS:
            for _, event in reader.events(topic):
                if drill_of(event.key) == drill and (name := scenario_of(event.event_id)):
                    return Played(name, event.event_time)
    return None


def loans_of(settings: Settings, drill: str) -> list[LoanEvent]:
    """All loan events of a drill."""
    with TopicReader(settings) as reader:
        return [event for _, event in reader.events("loans") if drill_of(event.key) == drill]


def brought(
    settings: Settings, drill: str, expected: Sequence[Expected], seconds: float, send: Callable[[], Any]
) -> Brought:
    """Send events, and wait until the warnings that must come are there and in cases.

    Args:
        seconds: to wait at most, from when all is sent.
    """
    found = Brought()
    with TopicReader(settings) as reader:
        since: Mapping[TopicPartition, int] = reader.ends(*OUTPUTS)
        send()
        until = time.monotonic() + seconds
        while True:
            since = _look(reader, since, drill, found)
            if not found.missing(expected) or time.monotonic() >= until:
                return found
            time.sleep(EVERY)


def _look(
    reader: TopicReader, since: Mapping[TopicPartition, int], drill: str, found: Brought
) -> dict[TopicPartition, int]:
    """Note what has come since; from where to look on."""
    places = dict(since)
    for record, event in reader.events(*OUTPUTS, since=since):
        places[TopicPartition(record.topic, record.partition)] = record.offset + 1
        if drill_of(event.subject) != drill:
            continue
        if isinstance(event, Case):
            found.cases = newest((*found.cases.values(), event), lambda one: one.case_id)
        else:
            found.warnings = newest((*found.warnings.values(), event), lambda one: one.warning_id)
    return places
