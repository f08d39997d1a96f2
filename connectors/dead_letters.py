"""Dead letters read, repaired and sent again, once each.

A redrive is noted on the compacted topic `redrives` before the message is sent (`claimed`) and after (`sent`). A
claim without an end is a crash in between: whether the message went out shows in the source topic, where it bears
the letter's id in its header `redriven_from`.
"""

import base64
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from kafka import KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from connectors.codec import Codec
from connectors.errors import LiandongError
from connectors.records import TopicReader
from connectors.refusals import Undecodable
from connectors.settings import Settings
from connectors.topics import TOPICS
from models.dead_letter import DeadLetter, Redrive

LETTERS, REDRIVES = "dead-letters", "redrives"
HEADER = "redriven_from"


class Letter(NamedTuple):
    """A dead letter, and what became of it (None: nothing yet)."""

    letter: DeadLetter
    redrive: Redrive | None

    @property
    def open(self) -> bool:
        return self.redrive is None or self.redrive.state != "sent"


def read_letters(reader: TopicReader) -> dict[str, Letter]:
    """Every dead letter by its id, in the order of refusal."""
    outcomes = {one.dead_letter_id: one for _, one in reader.events(REDRIVES)}
    letters = {one.dead_letter_id: one for _, one in reader.events(LETTERS)}
    ordered = sorted(letters.values(), key=lambda one: (one.refused_at, one.dead_letter_id))
    return {one.dead_letter_id: Letter(one, outcomes.get(one.dead_letter_id)) for one in ordered}


def message_of(letter: DeadLetter, reader: TopicReader) -> bytes:
    """The refused message's bytes: from the letter, or from its source topic where the letter could not hold them.

    Raises:
        LiandongError: neither has them.
    """
    if letter.raw is not None:
        return base64.b64decode(letter.raw)
    place = TopicPartition(letter.source_topic, letter.source_partition)
    for record in reader.records(letter.source_topic, since={place: letter.source_offset}):
        here = TopicPartition(record.topic, record.partition)
        if here == place and record.offset == letter.source_offset and record.value:
            return bytes(record.value)
    raise LiandongError(
        f"the message of {letter.dead_letter_id} is not kept any more",
        "send it again from the system it came from",
    )


def with_changes(message: bytes, changes: Mapping[str, Any]) -> bytes:
    """A JSON message with some fields set; dotted names reach into nested objects.

    >>> with_changes(b'{"a":1,"b":{"c":2}}', {"b.c": "3"})
    b'{"a":1,"b":{"c":"3"}}'

    Raises:
        LiandongError: the message is no JSON object, or a name leads through something that is none.
    """
    try:
        value = msgspec.json.decode(message)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise LiandongError(f"the message is no JSON: {error}", "give a whole one with --file") from error
    for name, new in changes.items():
        *path, last = name.split(".")
        part = value
        for step in path:
            part = part.setdefault(step, {}) if isinstance(part, dict) else None
        if not isinstance(part, dict):
            raise LiandongError(f"{name} leads nowhere in the message", "name fields as the letter shows them")
        part[last] = new
    return msgspec.json.encode(value)


class Redriver:
    """Sends dead letters again. Use as a context manager.

    Args:
        settings: the broker and its security.
        reader: to look for what a crash left undone.
        by: who does it; noted.
    """

    def __init__(self, settings: Settings, reader: TopicReader, by: str) -> None:
        self._reader = reader
        self._by = by
        self._codec = Codec(source="/liandong/redrive")
        self._producer = KafkaProducer(**settings.kafka_python_options(), acks="all", client_id="liandong-redrive")

    def __enter__(self) -> "Redriver":
        return self

    def __exit__(self, *_: object) -> None:
        self._producer.close(timeout=5)

    def redrive(self, one: Letter, message: bytes, now: datetime) -> Redrive:
        """Send a letter's message to its source topic, unless that was done before.

        Args:
            one: the letter, as just read.
            message: the original bytes or a repaired message.
            now: wall clock.

        Raises:
            LiandongError: it was sent before (when, by whom, where), the message would be refused again (the field
                and the reason), or the broker did not take it.
        """
        letter, before = one
        if before is not None and before.state == "sent":
            raise LiandongError(
                f"{letter.dead_letter_id} was redriven on {before.at.isoformat()} by {before.by}: it is "
                f"{before.topic}/{before.partition} offset {before.offset}"
            )
        topic = letter.source_topic
        if topic not in TOPICS:
            raise LiandongError(f"{letter.dead_letter_id} comes from {topic}, which is no topic of Liandong's")
        event, headers = self._checked(letter, message)
        repaired = letter.raw is not None and message != base64.b64decode(letter.raw)
        if before is not None and (found := self._find(letter, before.at)) is not None:
            return self._note(letter, before.by, now, before.repaired, found)
        self._note(letter, self._by, now, repaired, None)
        sent = self._send(topic, event.key.encode(), message, [*headers, (HEADER, letter.dead_letter_id.encode())])
        return self._note(letter, self._by, now, repaired, sent)

    def _checked(self, letter: DeadLetter, message: bytes) -> tuple[Any, list[tuple[str, bytes]]]:
        """The event in the message, under whatever key it asks for (a wrong one may have been what was refused), and
        its headers."""
        try:
            event = self._codec.read(letter.source_topic, message)
        except Undecodable as refusal:
            raise LiandongError(
                f"{letter.dead_letter_id} would be refused again: {refusal.field or 'message'}: {refusal.detail}",
                "repair it with --set or --file",
            ) from refusal
        return event, self._codec.encode(letter.source_topic, event)[1]

    def _find(self, letter: DeadLetter, since: datetime) -> tuple[int, int] | None:
        """Where the message stands that an interrupted redrive sent, if it did."""
        # The broker's clock stamps the records: leave room for its being behind this one's.
        starts = self._reader.offsets_at(letter.source_topic, since - timedelta(minutes=10))
        for record in self._reader.records(letter.source_topic, since=starts):
            if (HEADER, letter.dead_letter_id.encode()) in record.headers:
                return record.partition, record.offset
        return None

    def _note(self, letter: DeadLetter, by: str, at: datetime, repaired: bool, sent: tuple[int, int] | None) -> Redrive:
        note = Redrive(
            dead_letter_id=letter.dead_letter_id,
            state="claimed" if sent is None else "sent",
            by=by,
            at=at,
            repaired=repaired,
            topic=letter.source_topic,
            partition=None if sent is None else sent[0],
            offset=None if sent is None else sent[1],
        )
        value, headers = self._codec.encode(REDRIVES, note)
        self._send(REDRIVES, note.key.encode(), value, headers)
        return note

    def _send(self, topic: str, key: bytes, value: bytes, headers: list[tuple[str, bytes]]) -> tuple[int, int]:
        try:
            at = self._producer.send(topic, key=key, value=value, headers=headers).get(timeout=60)
        except KafkaError as error:
            raise LiandongError(f"the broker did not take it: {error}", "check the broker, then try again") from error
        return at.partition, at.offset
