"""What a stage saw in one batch of a topic partition, packed for `activity`: a few bytes an event."""

import base64
import sys
from array import array
from collections.abc import Iterator
from datetime import date, datetime

from models.events import PostReport, Transaction
from models.messages import ActivityBatch, ActivityLabel, LargeBooking, MissingRate, Told
from models.stage import Record

# Offsets that one message speaks of. Each with names of its own, they still fit into what a broker takes.
SPAN = 2048
# Longest name of a series: as long as an id may be. A sender's free text is no channel.
MAX_NAME = 200


class ActivityLog:
    """Gathers one batch of one topic partition, in the order of its offsets.

    Entries are offsets with what they count for, (day, branch, channel); None where that is nothing.
    """

    def __init__(self) -> None:
        self._offsets: list[int] = []
        self._labels: list[tuple[date, str | None, str | None] | None] = []
        self._told: list[Told] = []
        self._missing: list[MissingRate] = []
        self._large: list[LargeBooking] = []
        self._newest: datetime | None = None
        self._arrived: datetime | None = None

    def accepted(self, record: Record, day: date | None) -> None:
        """An event that was accepted for the first time, and its day at the bank.

        Args:
            day: None for an event of a drill, which counts for nothing and tells no time.
        """
        event: Transaction | PostReport = record.event
        if day is None:
            self._offsets.append(record.offset)
            self._labels.append(None)
            return
        label: tuple[date, str | None, str | None]
        if isinstance(event, Transaction):
            channel = event.channel
            label = (day, event.branch_id, channel if channel and len(channel) <= MAX_NAME else None)
        else:
            label = (day, event.reporter.branch_id, None)
        self._offsets.append(record.offset)
        self._labels.append(label)
        if self._newest is None or event.event_time > self._newest:
            self._newest, self._arrived = event.event_time, record.ingest_time

    def told(self, offset: int, detector: str, day: date) -> None:
        """The event at this offset, accepted just before, made a rule tell a new warning."""
        self._told.append(Told(offset, detector, day))

    def large(self, booking: LargeBooking) -> None:
        """The event at this offset, accepted just before, is one that inspections draw from."""
        self._large.append(booking)

    def refused(self, offset: int, currency: str, event_id: str, event_time: datetime) -> None:
        """The record at this offset was refused: its currency has no rate on its day."""
        self._offsets.append(offset)
        self._labels.append(None)
        self._missing.append(MissingRate(offset, currency, event_id, event_time))

    def batches(self, topic: str, partition: int) -> Iterator[ActivityBatch]:
        """The messages for `activity`; none where nothing was seen.

        The last one alone says how far time has come: a day must not be over before all of its events are told.
        """
        for start, end in self._stretches():
            final = end == len(self._offsets)
            first, last = self._offsets[start], self._offsets[end - 1]
            cells, labels = array("H", bytes(2 * (last - first + 1))), dict[tuple[date, str | None, str | None], int]()
            for offset, label in zip(self._offsets[start:end], self._labels[start:end], strict=True):
                if label is not None:
                    cells[offset - first] = labels.setdefault(label, len(labels) + 1)
            yield ActivityBatch(
                topic=topic,
                partition=partition,
                first_offset=first,
                labels=tuple(ActivityLabel(*label) for label in labels),
                cells=_text(cells),
                told=tuple(one for one in self._told if first <= one.offset <= last),
                missing=tuple(one for one in self._missing if first <= one.offset <= last),
                large=tuple(one for one in self._large if first <= one.offset <= last),
                newest=self._newest if final else None,
                arrived=self._arrived if final else None,
            )

    def _stretches(self) -> Iterator[tuple[int, int]]:
        """(first, last + 1) of the entries of each message: no more than `SPAN` offsets."""
        start = 0
        for number, offset in enumerate(self._offsets):
            if offset - self._offsets[start] >= SPAN:
                yield start, number
                start = number
        if self._offsets:
            yield start, len(self._offsets)


def counted(batch: ActivityBatch, taken: int) -> Iterator[tuple[ActivityLabel, int]]:
    """What the offsets beyond `taken` count for, with how many they are."""
    cells = _cells(batch.cells)[max(0, taken + 1 - batch.first_offset) :]
    numbers = [0] * (len(batch.labels) + 1)
    for cell in cells:
        numbers[cell] += 1
    return ((label, number) for label, number in zip(batch.labels, numbers[1:], strict=True) if number)


def last_offset(batch: ActivityBatch) -> int:
    """The highest offset that a batch speaks of."""
    return batch.first_offset + len(base64.b64decode(batch.cells)) // 2 - 1


def _text(cells: "array[int]") -> str:
    if sys.byteorder == "big":
        cells.byteswap()
    return base64.b64encode(cells).decode()


def _cells(text: str) -> "array[int]":
    cells = array("H", base64.b64decode(text))
    if sys.byteorder == "big":
        cells.byteswap()
    return cells
