"""Reads a policy from TOML, and says where it is wrong."""

import difflib
import re
import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Struct

from models.calendar import calendar_of
from models.policy.checks import contradictions
from models.policy.figures import PolicyError
from models.policy.version import Policy

_AT = re.compile(r" - at (?:`key` in )?`\$.*`$")


def parse_policy(text: bytes | str, origin: str = "policy") -> Policy:
    """Read a policy from TOML.

    Args:
        text: the TOML text, in UTF-8 if bytes.
        origin: what to call it in errors, e.g. the file's name.

    Raises:
        PolicyError: not TOML, a key that is missing, unknown (with the nearest known one) or of a wrong type,
            or figures that contradict one another. The message gives the key's full path.
    """
    try:
        raw = msgspec.toml.decode(text)
        policy = msgspec.convert(raw, Policy, strict=False)
    except msgspec.ValidationError as error:
        raise PolicyError(f"{origin}: {_where(raw, Policy, '') or error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PolicyError(f"{origin}: not TOML: {error}") from error
    try:
        calendar_of(policy.calendar)
    except ValueError as error:
        raise PolicyError(f"{origin}: {error}") from error
    problems = list(contradictions(policy))
    if problems:
        raise PolicyError(f"{origin}: " + "; ".join(problems))
    return policy


def _where(raw: Any, kind: Any, path: str) -> str | None:
    """The first mistake in a value with the path of its key, by converting its parts by themselves; None if none.

    The library's own message says `[...]` for a key of a dict.
    """
    try:
        msgspec.convert(raw, kind, strict=False)
    except msgspec.ValidationError as error:
        inner = (_where(part, part_kind, name) for part, part_kind, name in _parts(raw, kind, path))
        if found := next((one for one in inner if one), None):
            return found
        reason = _AT.sub("", str(error))
        return f"{path}: {reason}{_nearest(reason, kind)}" if path else f"{reason}{_nearest(reason, kind)}"
    return None


def _parts(raw: Any, kind: Any, path: str) -> Iterator[tuple[Any, Any, str]]:
    """(value, its type, its path) of everything inside a value, keys of dicts too."""
    prefix = f"{path}." if path else ""
    if get_origin(kind) in (Union, types.UnionType):
        for one in get_args(kind):
            yield from _parts(raw, one, path)
    elif isinstance(raw, dict) and isinstance(kind, type) and issubclass(kind, Struct):
        for field in msgspec.structs.fields(kind):
            if field.name in raw:
                yield raw[field.name], field.type, f"{prefix}{field.name}"
    elif isinstance(raw, dict) and get_origin(kind) is dict:
        of_key, of_value = get_args(kind)
        for key, value in raw.items():
            yield key, of_key, f"{prefix}{key}"
            yield value, of_value, f"{prefix}{key}"
    elif isinstance(raw, list) and get_origin(kind) is tuple:
        for number, value in enumerate(raw):
            yield value, get_args(kind)[0], f"{path}[{number}]"


def _nearest(reason: str, kind: Any) -> str:
    """For an unknown key or word: the known one that it is probably meant to be."""
    if "unknown field" in reason:
        wrong, known = reason.split("`")[1], [field.name for field in msgspec.structs.fields(kind)]
    elif "Invalid enum value" in reason and get_origin(kind) is Literal:
        wrong, known = reason.split("'")[1], list(get_args(kind))
    else:
        return ""
    close = difflib.get_close_matches(wrong, known, n=1)
    return f' (did you mean "{close[0]}"?)' if close else f" (known are {', '.join(known)})"
