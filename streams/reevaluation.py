"""Judges what stands on the topics again, and tells the workers what they could not know when they judged it."""

import heapq
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

from connectors.records import TopicReader
from connectors.settings import Settings
from connectors.writer import EventWriter
from models.detectors import DETECTORS
from models.policy import PolicyHistory
from models.reevaluation import Difference, Judged, differences, judge_again
from models.revisions import newest
from models.risk_warning import RiskWarning
from models.stage import Record

INPUTS = ("transactions", "reports")
RULES = frozenset(one.id for one in DETECTORS)


def find_differences(
    settings: Settings, policies: PolicyHistory, say: Callable[[int, int], None] = lambda done, of: None
) -> list[Difference]:
    """Judge the whole history of customers again, partition by partition, against the warnings told.

    Args:
        policies: with all reference data of today.
        say: told how many records of how many are judged.
    """
    found: dict[str, Judged] = {}
    with ExitStack() as stack:
        readers = [stack.enter_context(TopicReader(settings)) for _ in INPUTS]
        before = _told(readers[0])  # what is told while history is read is told of events beyond its end
        ends = readers[0].ends(*INPUTS)
        counter = _Counter(sum(ends.values()), say)
        for partition in sorted({place.partition for place in ends}):
            streams = [_records(reader, topic, partition) for reader, topic in zip(readers, INPUTS, strict=True)]
            # One partition holds all of a customer's events; across topics, arrival is the order they were judged in.
            merged = heapq.merge(*streams, key=lambda record: record.ingest_time)
            found |= judge_again(counter.counting(merged), policies)
        told = _told(readers[0])
    return [one for one in differences(found, told) if one.change != "gone" or one.warning_id in before]


def _told(reader: TopicReader) -> dict[str, RiskWarning]:
    """The newest revision of every warning that the customers stage told, by id."""
    told = (warning for _, warning in reader.events("warnings") if warning.detector in RULES)
    return newest(told, lambda one: one.warning_id)


def send(settings: Settings, found: list[Difference]) -> int:
    """Send what is new or graver to the workers; how many."""
    news = [one.news for one in found if one.news is not None]
    if news:
        with EventWriter(settings) as writer:
            for one in news:
                writer.write("reevaluations", one)
    return len(news)


def _records(reader: TopicReader, topic: str, partition: int) -> Iterator[Record]:
    now = datetime.now(UTC)
    for raw, event in reader.events(topic, partition=partition):
        yield Record(topic, partition, raw.offset, datetime.fromtimestamp(raw.timestamp / 1000, UTC), event, now)


class _Counter:
    """Says every thousand records how far it is."""

    def __init__(self, total: int, say: Callable[[int, int], None]) -> None:
        self._total, self._say, self._done = total, say, 0

    def counting(self, records: Iterator[Any]) -> Iterator[Any]:
        for record in records:
            yield record
            self._done += 1
            if self._done % 1000 == 0:
                self._say(self._done, self._total)
