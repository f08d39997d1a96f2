"""What the types cannot say about texts and times: no blank ids, no invisible characters in them, no naive times."""

import unicodedata
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any

from msgspec import Struct
from msgspec import inspect as kinds

from connectors.refusals import Undecodable

# Cc, Cf, Zl, Zp: controls, zero-width and direction marks, line separators. Two ids that look the same must be one.
_INVISIBLE = frozenset({"Cc", "Cf", "Zl", "Zp"})


def check_fields(value: Struct, path: str = "") -> None:
    """Walk a decoded value.

    Args:
        value: an event or message, with its parts.
        path: where it stands in the whole, with a dot at its end; for the refusal's field.

    Raises:
        Undecodable: `blank`, `control_character`, `naive_time` or `not_finite`, with the field.
    """
    ids = id_fields(type(value))
    for name in value.__struct_fields__:
        item = getattr(value, name)
        if isinstance(item, tuple):
            for part in item:
                _check(part, f"{path}{name}", name in ids)
        else:
            _check(item, f"{path}{name}", name in ids)


def _check(value: Any, field: str, is_id: bool) -> None:
    if isinstance(value, str):
        if is_id:
            _check_id(value, field)
        elif "\x00" in value:  # no database keeps it in a text
            raise Undecodable("control_character", field, "it holds the character U+0000")
    elif isinstance(value, datetime):
        if value.tzinfo is None:
            raise Undecodable("naive_time", field, "it has no offset from UTC")
    elif isinstance(value, Struct):
        check_fields(value, f"{field}.")
    elif isinstance(value, Decimal) and not value.is_finite():
        raise Undecodable("not_finite", field, f"{value} is not a finite number")


def _check_id(text: str, field: str) -> None:
    if not text.strip():
        raise Undecodable("blank", field, "it is blank")
    for character in text:
        if unicodedata.category(character) in _INVISIBLE:
            raise Undecodable("control_character", field, f"it holds the invisible character U+{ord(character):04X}")


@cache
def id_fields(struct: type[Struct]) -> frozenset[str]:
    """The fields that hold ids: texts that must not be empty, alone or in a list."""
    info = kinds.type_info(struct)
    fields = info.fields if isinstance(info, kinds.StructType) else ()
    return frozenset(field.name for field in fields if _is_id(field.type))


def _is_id(kind: kinds.Type) -> bool:
    if isinstance(kind, kinds.StrType):
        return bool(kind.min_length)
    if isinstance(kind, kinds.UnionType):
        return any(_is_id(part) for part in kind.types)
    return isinstance(kind, kinds.VarTupleType) and _is_id(kind.item_type)
