"""Why bytes are refused: `Undecodable`, and how msgspec's messages become a reason and a field."""

import re

import msgspec

from models.money import InvalidField


class Undecodable(Exception):
    """A record that is no valid event: it goes to the dead letters, its neighbours go on.

    Args:
        reason: a short code, e.g. `missing`, `not_a_number`, `key_mismatch`.
        field: the field at fault as on the wire (`counterparty.country`); empty for the record as a whole.
        detail: for a person: what is wrong and what would be right.
    """

    def __init__(self, reason: str, field: str, detail: str) -> None:
        super().__init__(f"{reason}: {field or 'record'}: {detail}")
        self.reason = reason
        self.field = field
        self.detail = detail


_PATH = re.compile(r" - at `(?:key in )?\$(?P<path>.*)`$", re.DOTALL)
_MISSING = re.compile(r"missing required field `(?P<name>[^`]*)`")
_BYTE = re.compile(r"\(byte (?P<at>[0-9]+)\)")
_BARE = re.compile(rb'"(?P<name>[A-Za-z0-9_]{1,60})"\s*:\s*(?P<value>[-+.0-9A-Za-z]{1,60})')
# In this order: the first pattern that occurs in msgspec's message names the reason.
_REASONS = (
    (re.compile(r"missing required field"), "missing"),
    (re.compile(r"got `null`"), "null"),
    (re.compile(r"Invalid decimal string"), "not_a_number"),
    (re.compile(r"Invalid enum value"), "unknown_value"),
    (re.compile(r"timezone component"), "naive_time"),
    (re.compile(r"Invalid RFC3339"), "not_a_time"),
    (re.compile(r"of length >="), "blank"),
    (re.compile(r"of length <="), "too_long"),
    (re.compile(r"matching regex"), "malformed"),
    (re.compile(r"out of range|Expected `(?:int|float)` [<>]"), "out_of_range"),
    (re.compile(r"Expected .* got "), "wrong_type"),
)


def from_validation(error: msgspec.ValidationError) -> Undecodable:
    """The refusal that says what msgspec found: JSON, but no such event."""
    text = str(error)
    match = _PATH.search(text)
    path = re.sub(r"\[[^]]*\]", "", match["path"]).lstrip(".") if match else ""
    detail = text[: match.start()] if match else text
    cause = error.__cause__
    if isinstance(cause, InvalidField):
        return Undecodable(cause.reason, _joined(path, cause.field), cause.detail)
    if missing := _MISSING.search(detail):
        field = _joined(path, missing["name"])
        return Undecodable("missing", field, f"{field} is required")
    reason = next((code for pattern, code in _REASONS if pattern.search(detail)), "invalid")
    if not path and reason in ("wrong_type", "null"):
        reason = "not_an_object"
    return Undecodable(reason, path, detail)


def from_malformed(value: bytes, error: msgspec.DecodeError) -> Undecodable:
    """The refusal of what is no JSON at all. A bare NaN, Infinity or 05 is told apart, with its field."""
    if at := _BYTE.search(str(error)):
        position = int(at["at"])
        start = max(0, position - 150)
        for bare in _BARE.finditer(value, start, position + 60):
            if bare.start("value") <= position <= bare.end("value"):
                return Undecodable("not_a_number", bare["name"].decode(), f"{bare['value'].decode()} is no JSON number")
    return Undecodable("not_json", "", str(error))


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
