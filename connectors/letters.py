"""The dead letter of a record that cannot be taken, whoever refuses it."""

import base64
from datetime import datetime
from typing import Any, Protocol

from connectors.topics import MAX_INPUT_BYTES
from models.dead_letter import DeadLetter


class Refusal(Protocol):
    """What `connectors.refusals.Undecodable` and `models.stage.Refused` have in common."""

    reason: str
    field: str
    detail: str


def dead_letter_of(record: Any, refusal: Refusal, refused_at: datetime) -> DeadLetter:
    """The letter of a consumed record, with its place and its own bytes.

    Args:
        record: as aiokafka or kafka-python give it.
        refused_at: with an offset.
    """
    key = record.key
    try:
        text = None if key is None else key.decode()
    except UnicodeDecodeError:
        text = ""
    # An empty key is not none, and a text with U+0000 is one that nobody takes (`connectors.texts`).
    if key is not None and (not text or "\x00" in text):
        text = "base64:" + base64.b64encode(key).decode()
    # A packed record may unpack to more than a dead letter can carry: then the source topic keeps the bytes, and the
    # letter says where.
    whole = record.value is not None and len(record.value) <= MAX_INPUT_BYTES
    return DeadLetter(
        dead_letter_id=f"{record.topic}/{record.partition}/{record.offset}",
        source_topic=record.topic,
        source_partition=record.partition,
        source_offset=record.offset,
        source_key=text,
        reason=refusal.reason,
        field=refusal.field,
        detail=refusal.detail,
        raw=base64.b64encode(record.value).decode() if whole else None,
        refused_at=refused_at,
    )
