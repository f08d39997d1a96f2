"""The tables of a mapping file, as Structs. `connectors.sources.mapping` reads and checks them."""

from typing import Literal

from msgspec import Struct

from connectors.sources.template import parse_template
from connectors.sources.wire import KEYS, Kind
from models.credit.industry import Scheme

Format = Literal["auto", "csv", "jsonl", "parquet"]
Unit = Literal["days", "hours", "minutes", "seconds", "milliseconds", "microseconds"]


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the mapping file."""


class When(Part, frozen=True, kw_only=True):
    """One condition on a cell and the value it gives. All conditions that are stated must hold."""

    column: str
    equals: tuple[str, ...] | None = None
    empty: bool | None = None
    below_zero: bool | None = None
    then: str


class Rule(Part, frozen=True, kw_only=True):
    """Where one field comes from (exactly one of the first five) and how its text is read."""

    column: str | None = None
    columns: tuple[str, ...] | None = None  # the first that is not empty
    const: str | bool | int | None = None
    template: str | None = None  # "{State}-{row}"
    when: tuple[When, ...] | None = None  # the first that holds
    optional: bool = False  # the file may lack the column
    map: dict[str, str | bool | int] | None = None
    default: str | bool | int | None = None
    format: str | None = None
    formats: tuple[str, ...] = ()
    timezone: str | None = None
    unit: Unit | None = None
    epoch: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    absolute: bool = False
    split: str | None = None
    scheme: Scheme | None = None


class Numbers(Part, frozen=True, kw_only=True):
    """How amounts are written in this file."""

    decimal: str = "."
    thousands: str = ""
    trailing_zeros: bool = False  # zeros beyond the currency's places are dropped instead of refused


class Filter(Part, frozen=True, kw_only=True):
    """Rows to leave out: they are rejected as `filtered_out`, so that no row is lost from the count."""

    column: str
    keep: tuple[str, ...] | None = None
    drop: tuple[str, ...] | None = None


class Leg(Part, frozen=True, kw_only=True):
    """One of the two events that a row stands for: its rules override the mapping's own."""

    name: str
    key: Rule | None = None
    fields: dict[str, Rule] = {}


class Mapping(Part, frozen=True, kw_only=True):
    """A mapping file, validated. Use `load_mapping`, `parse_mapping` or `wire_mapping` to make one."""

    name: str
    kind: Kind
    description: str = ""
    format: Format = "auto"
    encoding: str = "utf-8"
    separator: str = ","
    quote: str = '"'
    header: tuple[str, ...] = ()  # names of the columns of a CSV file that has no header line
    skip_lines: int = 0
    timezone: str = "UTC"
    trim: bool = True
    empty: tuple[str, ...] = ()
    key: Rule | None = None
    numbers: Numbers = Numbers()
    filters: tuple[Filter, ...] = ()
    fields: dict[str, Rule] = {}
    legs: tuple[Leg, ...] = ()
    columns: dict[str, Rule] = {}

    def rules(self, leg: Leg | None) -> dict[str, Rule]:
        """The rule of every wire field for one leg, the key's field among them."""
        out = dict(self.fields)
        for key, fields in ((self.key, {}), (leg.key, leg.fields)) if leg else ((self.key, {}),):
            if key:
                out[KEYS[self.kind]] = key
            out.update(fields)
        return out

    def wanted(self) -> dict[str, bool]:
        """Every column of the file that some rule reads, and whether the file may lack it."""
        out: dict[str, bool] = {}
        every = [rule for leg in self.legs or (None,) for rule in self.rules(leg).values()]
        for rule in [*every, *self.columns.values()]:
            for column in _reads(rule):
                out[column] = out.get(column, True) and rule.optional
        return out | {item.column: False for item in self.filters}


def _reads(rule: Rule) -> list[str]:
    """The columns a rule reads."""
    if rule.template is not None:
        return [name for is_name, name in parse_template(rule.template) if is_name and name not in ("row", "leg")]
    when = [item.column for item in rule.when or ()]
    return [*([rule.column] if rule.column else []), *(rule.columns or ()), *when]
