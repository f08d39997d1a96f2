"""What became of a message that was refused: enough to see why, to mend it and to send it again."""

import base64
from datetime import datetime
from typing import Literal, Protocol

import msgspec
from msgspec import Struct

from models.stage import Refused


class DeadLetter(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A refused message. Topic `dead-letters`, key the source key.

    Args:
        dead_letter_id: `topic/partition/offset` of the source, so refusing it twice is one dead letter.
        source_topic, source_partition, source_offset: where the message stands in the broker.
        source_key: its key as text; `base64:` and the bytes where it is not UTF-8; None where it had none.
        reason: a short code, e.g. `too_late`, `not_json`, `missing`.
        field: the field at fault, as on the wire.
        detail: for a person: what is wrong, and the remedy.
        raw: the message's own bytes in base64; None where it had no value or was larger than an input may be.
        refused_at: wall clock of the worker, with an offset.
    """

    dead_letter_id: str
    source_topic: str
    source_partition: int
    source_offset: int
    source_key: str | None
    reason: str
    field: str
    detail: str
    raw: str | None
    refused_at: datetime

    @property
    def key(self) -> str:
        return self.source_key or self.dead_letter_id


class Redrive(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a dead letter that was sent again. Topic `redrives`, key `dead_letter_id`, compacted.

    Args:
        dead_letter_id: which letter.
        state: `claimed` before the message is sent, `sent` once the broker has acknowledged it.
        by: who did it.
        at: wall clock, with an offset.
        repaired: the message differs from the one refused.
        topic, partition, offset: where it stands now; the last two only when sent.
    """

    dead_letter_id: str
    state: Literal["claimed", "sent"]
    by: str
    at: datetime
    repaired: bool
    topic: str
    partition: int | None = None
    offset: int | None = None

    @property
    def key(self) -> str:
        return self.dead_letter_id


class Keyed(Protocol):
    """An event of a topic, such as `models.events.Action`."""

    @property
    def key(self) -> str: ...


def letter_after_waiting(
    event: Keyed, place: tuple[str, int, int], refusal: Refused, refused_at: datetime
) -> DeadLetter:
    """The letter of an event that a stage refuses after it had waited in its state.

    The message's own bytes are gone by then: `raw` is the event written anew.

    Args:
        event: a Struct.
        place: topic, partition and offset of the event.
        refused_at: with an offset.
    """
    topic, partition, offset = place
    return DeadLetter(
        dead_letter_id=f"{topic}/{partition}/{offset}",
        source_topic=topic,
        source_partition=partition,
        source_offset=offset,
        source_key=event.key,
        reason=refusal.reason,
        field=refusal.field,
        detail=refusal.detail,
        raw=base64.b64encode(msgspec.json.encode(event)).decode(),
        refused_at=refused_at,
    )
