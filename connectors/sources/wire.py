"""The wire fields of every kind of event, read off the Structs in `models.events`.

What a file must give is decided there and nowhere else: a field added to an event is at once a field that
a mapping may name, with its type, its allowed values and whether it is required.
"""

from functools import cache
from typing import Any, Literal, cast

import polars as pl
from msgspec import NODEFAULT, Struct, UnsetType, inspect

from connectors.sources.errors import MappingError
from models.events import Action, CapitalPosition, LoanEvent, PostReport, Transaction

Kind = Literal["transactions", "reports", "loans", "capital", "actions"]
Shape = Literal["text", "choice", "amount", "instant", "date", "boolean", "integer", "list"]

EVENTS: dict[Kind, type[Struct]] = {
    "transactions": Transaction,
    "reports": PostReport,
    "loans": LoanEvent,
    "capital": CapitalPosition,
    "actions": Action,
}
# The field a topic is keyed by. An action's key is the part of its case_id before `#`.
KEYS: dict[Kind, str] = {
    "transactions": "customer_id",
    "reports": "customer_id",
    "loans": "borrower_id",
    "capital": "entity",
    "actions": "case_id",
}
_SHAPES: dict[type[inspect.Type], Shape] = {
    inspect.StrType: "text",
    inspect.LiteralType: "choice",
    inspect.DecimalType: "amount",
    inspect.DateTimeType: "instant",
    inspect.DateType: "date",
    inspect.BoolType: "boolean",
    inspect.IntType: "integer",
    inspect.VarTupleType: "list",
}


class FieldSpec(Struct, frozen=True, kw_only=True):
    """One wire field.

    Args:
        name: as on the wire, nested ones with a dot: `counterparty.account_id`.
        shape: what its text is turned into.
        required: whether a row without it is rejected.
        default: what stands where a row gives none.
        values: the allowed ones, for a choice.
        min_length, max_length: in characters, for text and for each item of a list.
        pattern: a regular expression the text must match.
        least: the smallest allowed integer.
    """

    name: str
    shape: Shape
    required: bool
    default: Any = None
    values: tuple[str, ...] = ()
    min_length: int = 0
    max_length: int | None = None
    pattern: str | None = None
    least: int | None = None

    def dtype(self, scale: int = 2) -> pl.DataType:
        """The column's type in an accepted frame; `scale` is the decimal places of the frame's amounts."""
        types: dict[Shape, pl.DataType] = {
            "amount": pl.Decimal(38, scale),
            "instant": pl.Datetime("us", "UTC"),
            "date": pl.Date(),
            "boolean": pl.Boolean(),
            "integer": pl.Int64(),
            "list": pl.List(pl.String),
        }
        return types.get(self.shape, pl.String())


@cache
def specs(kind: Kind) -> dict[str, FieldSpec]:
    """The wire fields of a kind by name, in the order of the Struct.

    >>> specs("transactions")["direction"].values
    ('in', 'out')
    """
    if kind not in EVENTS:
        raise MappingError(f"kind: {kind!r} is none of {', '.join(EVENTS)}")
    return {spec.name: spec for spec in _fields(EVENTS[kind], "", True)}


@cache
def groups(kind: Kind) -> dict[str, type[Struct]]:
    """The nested Structs of a kind, e.g. `counterparty`."""
    info = cast(inspect.StructType, inspect.type_info(EVENTS[kind]))
    found = {field.name: _bare(field.type) for field in info.fields}
    return {name: kind.cls for name, kind in found.items() if isinstance(kind, inspect.StructType)}


def time_field(kind: Kind) -> str:
    """The field that orders events of a kind."""
    return "as_of" if kind == "capital" else "event_time"


def _fields(struct: type[Struct], prefix: str, outer_required: bool) -> list[FieldSpec]:
    out: list[FieldSpec] = []
    for field in cast(inspect.StructType, inspect.type_info(struct)).fields:
        bare = _bare(field.type)
        if isinstance(bare, inspect.StructType):
            # A nested part that is optional as a whole may be absent, so none of its fields is required.
            out += _fields(bare.cls, f"{prefix}{field.name}.", outer_required and field.required)
            continue
        text = bare.item_type if isinstance(bare, inspect.VarTupleType) else bare
        out.append(
            FieldSpec(
                name=prefix + field.name,
                shape=_SHAPES[type(bare)],
                required=outer_required and field.required,
                default=_default(field),
                values=tuple(map(str, bare.values)) if isinstance(bare, inspect.LiteralType) else (),
                min_length=getattr(text, "min_length", None) or 0,
                max_length=getattr(text, "max_length", None),
                pattern=getattr(text, "pattern", None),
                least=getattr(bare, "ge", None),
            )
        )
    return out


def _bare(kind: inspect.Type) -> inspect.Type:
    """The type without `| None` and without metadata around it."""
    if isinstance(kind, inspect.Metadata):
        return _bare(kind.type)
    if isinstance(kind, inspect.UnionType):
        return next(_bare(part) for part in kind.types if not isinstance(part, inspect.NoneType))
    return kind


def _default(field: inspect.Field) -> Any:
    if field.default is NODEFAULT or isinstance(field.default, UnsetType):
        return None
    return list(field.default) if isinstance(field.default, tuple) else field.default
