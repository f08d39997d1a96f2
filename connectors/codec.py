"""Bytes to events and back: the one gate through which every record of every topic passes.

`decode` returns an event that keeps every rule of its type, or raises `Undecodable` with a reason and a field;
never anything else, whatever the bytes. `encode` writes JSON with CloudEvents 1.0 headers in Kafka's binary mode.

The common case (ASCII, no escapes) costs one decode, one more that looks at the money alone, and a few searches
in C; texts are walked one by one only where something in the bytes asks for it.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from connectors.refusals import Undecodable, from_malformed, from_validation
from connectors.texts import check_fields
from connectors.topics import MAX_INPUT_BYTES, TOPICS, Message, TopicSpec
from models.events import Event, in_nfc
from models.money import InvalidField, read_amount

__all__ = ["Codec", "Headers", "Undecodable", "decode", "encode"]

Headers = Sequence[tuple[str, bytes | None]]

SOURCE = "/liandong"
SPEC_VERSION = ("ce_specversion", b"1.0")
CONTENT_TYPE = ("content-type", b"application/json")
# Beyond these years calendars and time zones have nothing to say, and arithmetic on times overflows.
FIRST_YEAR, LAST_YEAR = 1900, 2199

# The bytes of models.money.read_amount, with or without quotes; what does not match is read once more, slowly.
_AMOUNT = re.compile(rb'"?-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,2})?"?')
_CE_TYPE = re.compile(r"liandong\.(?P<name>.+)\.v(?P<version>[0-9]{1,9})")


class _Reader:
    """How one type of message is read."""

    def __init__(self, message: Message) -> None:
        fields = {field.name: field for field in msgspec.structs.fields(message.struct)}
        self.message = message
        self.header = ("ce_type", message.ce_type.encode())
        self.external = issubclass(message.struct, Event)
        self.decoder = msgspec.json.Decoder(message.struct)
        self.time = next((name for name in ("event_time", "as_of") if name in fields), None)
        money = [name for name, field in fields.items() if field.type in (Decimal, Decimal | None)]
        self.money = tuple(money) if self.external else ()
        shape = msgspec.defstruct("Money", [(name, msgspec.Raw, msgspec.Raw()) for name in self.money])
        self.money_decoder = msgspec.json.Decoder(shape)

    def wrote(self, headers: Headers) -> bool:
        """Whether the headers are those that `encode` writes for this very type."""
        return self.header in headers and SPEC_VERSION in headers and CONTENT_TYPE in headers

    def read(self, value: bytes) -> Any:
        if self.external and len(value) > MAX_INPUT_BYTES:
            raise Undecodable("too_long", "", f"{len(value)} bytes are more than {MAX_INPUT_BYTES}")
        try:
            text = value.decode()  # all of it: msgspec does not look into what it skips
            event = self.decoder.decode(value)
            if self.money:
                self.check_money(value)
        except msgspec.ValidationError as error:
            raise self._refusal(value, error) from error
        except msgspec.DecodeError as error:
            raise from_malformed(value, error) from error
        except UnicodeDecodeError as error:
            raise Undecodable("not_utf8", "", f"byte {error.start} is not UTF-8") from error
        except RecursionError as error:
            raise Undecodable("too_deep", "", "the JSON is nested too deeply") from error
        if not self.external:
            check_fields(event)
            return event
        if _needs_care(text):
            event = self._mended(event)
        if self.time is not None and not FIRST_YEAR <= getattr(event, self.time).year <= LAST_YEAR:
            raise Undecodable("out_of_range", self.time, f"its year is not in {FIRST_YEAR} to {LAST_YEAR}")
        return event

    def check_money(self, value: bytes) -> None:
        """Refuse amounts that Decimal would take and this contract does not: `"1_000"`, `" 12 "`, full-width digits."""
        raws = self.money_decoder.decode(value)
        for name in self.money:
            view = getattr(raws, name)
            if _AMOUNT.fullmatch(view):
                continue
            raw = bytes(view)
            if raw in (b"", b"null"):  # an optional amount that is not there
                continue
            text = msgspec.json.decode(raw) if raw.startswith(b'"') else raw.decode()
            try:
                read_amount(text, name)
            except InvalidField as error:
                raise Undecodable(error.reason, error.field, error.detail) from error

    def _refusal(self, value: bytes, error: msgspec.ValidationError) -> Undecodable:
        refusal = from_validation(error)
        if refusal.reason in ("not_a_number", "not_finite") and refusal.field in self.money:
            try:
                self.check_money(value)
            except Undecodable as better:  # says what a number looks like here
                return better
            except (msgspec.DecodeError, RecursionError):  # the JSON breaks off after the amount
                return refusal
        return refusal

    def _mended(self, event: Any) -> Any:
        try:
            event = in_nfc(event)
        except InvalidField as error:
            raise Undecodable(error.reason, error.field, error.detail) from error
        check_fields(event)
        return event


class Codec:
    """The codec of one process.

    Args:
        source: `ce_source` of what it writes: a URI reference that names the writer, e.g. `/liandong/workers`.
        topics: more topics than the catalogue's, for tests.

    >>> codec = Codec()
    >>> codec.decode("capital", b"B1", b'{"entity":"B1","as_of":"2026-01-01","net_capital":"9","tier1_capital":8}').key
    'B1'
    """

    def __init__(self, source: str = SOURCE, topics: Iterable[TopicSpec] | None = None) -> None:
        self.source = source
        self._readers: dict[str, tuple[_Reader, ...]] = {}
        self._types: dict[tuple[str, type[Struct]], bytes] = {}
        self._specs = {spec.name: spec for spec in (TOPICS.values() if topics is None else topics)}
        for spec in self._specs.values():
            self._readers[spec.name] = tuple(_Reader(message) for message in spec.messages)
            for message in spec.messages:
                self._types[spec.name, message.struct] = message.ce_type.encode()
        self._encoder = msgspec.json.Encoder()

    def decode(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()) -> Any:
        """The event in a record.

        Args:
            topic: a topic of the catalogue.
            key: the record's key; must be the event's own, in NFC, or one customer would be judged in two places.
            value: the record's value.
            headers: as the client gives them; none are needed.

        Raises:
            Undecodable: for any bytes that are not such an event.
            KeyError: the topic is not in the catalogue.
        """
        event = self.read(topic, value, headers, key)
        expected = event.key
        if key is None or key != expected.encode():
            raise _key_mismatch(self._specs[topic], event, key, expected)
        return event

    def read(self, topic: str, value: bytes | None, headers: Headers = (), key: bytes | None = None) -> Any:
        """The event in a record's value, whatever key the record bears; else as `decode`.

        Args:
            key: tells the types of a topic apart that has several, where the headers do not.
        """
        readers = self._readers[topic]
        if not value:
            raise Undecodable("empty", "", "the record has no value")
        reader = readers[0]
        if len(readers) > 1 or (headers and not reader.wrote(headers)):
            reader = _reader_for(readers, key, headers)
        return reader.read(value)

    def encode(
        self, topic: str, value: Struct, *, event_id: str | None = None, time: datetime | None = None
    ) -> tuple[bytes, list[tuple[str, bytes]]]:
        """A value as JSON, with the headers of its CloudEvent.

        Args:
            topic: where it goes.
            value: of a type that the topic carries.
            event_id: `ce_id`; by default the event's own id, a warning's id and revision, or a hash of the content,
                so that writing the same value twice gives the same CloudEvent.
            time: `ce_time`; by default the value's `event_time` or `as_of`. Left out where there is none.

        Raises:
            TypeError: the topic does not carry this type.
        """
        ce_type = self._types.get((topic, type(value)))
        if ce_type is None:
            raise TypeError(f"topic {topic} does not carry {type(value).__name__}")
        body = self._encoder.encode(value)
        headers = [
            SPEC_VERSION,
            ("ce_id", (event_id or _identity(value, body)).encode()),
            ("ce_type", ce_type),
            ("ce_source", self.source.encode()),
            CONTENT_TYPE,
        ]
        moment = time or _moment(value)
        if moment is not None:
            headers.append(("ce_time", moment.isoformat().encode()))
        return body, headers


def decode(topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()) -> Any:
    """`Codec.decode` with the catalogue's topics."""
    return _DEFAULT.decode(topic, key, value, headers)


def encode(
    topic: str,
    value: Struct,
    *,
    event_id: str | None = None,
    time: datetime | None = None,
    source: str = SOURCE,
) -> tuple[bytes, list[tuple[str, bytes]]]:
    """`Codec.encode` with the catalogue's topics."""
    codec = _DEFAULT if source == SOURCE else Codec(source)
    return codec.encode(topic, value, event_id=event_id, time=time)


def _needs_care(text: str) -> bool:
    """Whether a JSON text may hold an id of blanks, an invisible character or a text that is not in NFC.

    Invisible ASCII comes as an escape or as DEL; a blank id begins with a blank. A text in NFC has all its parts in
    NFC. What this lets pass needs no walk through the fields, and most records pass.
    """
    if "\\" in text or '" ' in text or "\x7f" in text:
        return True
    return not (text.isascii() or (text.isprintable() and unicodedata.is_normalized("NFC", text)))


def _reader_for(readers: tuple[_Reader, ...], key: bytes | None, headers: Headers) -> _Reader:
    """The reader that the headers name; on a topic with several types the key tells, where they name none."""
    for name, raw in headers:
        if raw is None:
            continue
        if name == "ce_specversion" and raw != b"1.0":
            raise Undecodable("unsupported_version", name, f"{_shown(raw)} is not CloudEvents 1.0")
        if name == "content-type" and not raw.lower().startswith(b"application/json"):
            raise Undecodable("unsupported_content", name, f"{_shown(raw)} is not application/json (binary mode)")
        if name == "ce_type" and (match := _CE_TYPE.fullmatch(raw.decode("utf-8", "replace"))):
            for reader in readers:
                if match["name"] == reader.message.name:
                    if int(match["version"]) == reader.message.version:
                        return reader
                    raise Undecodable(
                        "unsupported_version", name, f"{_shown(raw)}: this release reads {reader.message.ce_type}"
                    )
            raise Undecodable("wrong_type", name, f"{_shown(raw)} does not belong on this topic")
    text = None if key is None else key.decode("utf-8", "replace")
    return next((reader for reader in readers if text is not None and reader.message.key == text), readers[0])


def _key_mismatch(spec: TopicSpec, event: Any, key: bytes | None, expected: str) -> Undecodable:
    field = next((name for name in spec.key_fields if getattr(event, name, None)), spec.key_fields[-1])
    if key is None:
        return Undecodable("key_mismatch", field, f"the record has no key: it must be {spec.key}")
    text = key.decode("utf-8", "replace")
    # The producer chose the partition by these bytes: the same text in another form is in another partition.
    same = unicodedata.normalize("NFC", text) == expected
    remedy = "write the key in NFC" if same else f"it must be {spec.key}"
    return Undecodable("key_mismatch", field, f"the record's key {text[:80]!r} is not {expected[:80]!r}: {remedy}")


def _identity(value: Any, body: bytes) -> str:
    if identity := getattr(value, "event_id", None):
        return str(identity)
    if hasattr(value, "warning_id"):
        return f"{value.warning_id}.{value.revision}"
    return hashlib.sha256(body).hexdigest()[:32]


def _moment(value: Any) -> date | None:
    for name in ("event_time", "as_of", "refused_at"):
        moment = getattr(value, name, None)
        if isinstance(moment, datetime):
            return moment
    return None


def _shown(raw: bytes) -> str:
    return repr(raw[:60].decode("utf-8", "replace"))


_DEFAULT = Codec()
