"""A mapping says in TOML how the rows of a bank's own export become events; `docs/mapping.md` is its manual.

`load_mapping` reads one, refusing unknown keys, fields and contradictions with the key named. A mapping
never holds code: a rule takes a cell, a constant, a template or the first condition that holds.
"""

from pathlib import Path
from typing import Any

import msgspec

from connectors.sources.errors import MappingError, nearest
from connectors.sources.problems import problems
from connectors.sources.schema import Filter, Format, Leg, Mapping, Numbers, Rule, When
from connectors.sources.wire import KEYS, Kind, groups, specs

__all__ = ["Mapping", "load_mapping", "parse_mapping", "wire_mapping"]


def load_mapping(path: Path | str) -> Mapping:
    """Read a mapping file.

    Raises:
        MappingError: no such file, or a mapping that contradicts itself; the key at fault is named.
    """
    path = Path(path)
    try:
        text = path.read_bytes()
    except OSError as error:
        raise MappingError(f"{path}: cannot be read: {error.strerror}") from error
    return parse_mapping(text, path.name)


def parse_mapping(text: bytes | str, origin: str = "mapping") -> Mapping:
    """Read a mapping from TOML text; `origin` is what errors call it.

    >>> parse_mapping("seperator = 1", "x")
    Traceback (most recent call last):
    connectors.sources.errors.MappingError: x: Object contains unknown field `seperator` (did you mean "separator"?)
    """
    try:
        raw = msgspec.toml.decode(text)
    except msgspec.DecodeError as error:
        raise MappingError(f"{origin}: not TOML: {error}") from error
    try:
        mapping = msgspec.convert(_spelled_out(raw), Mapping)
    except msgspec.ValidationError as error:
        raise MappingError(f"{origin}: {error}{_near_key(str(error))}") from error
    found = list(problems(mapping))
    if found:
        raise MappingError(f"{origin}: " + "; ".join(found))
    return mapping


def wire_mapping(kind: Kind, format: Format = "auto") -> Mapping:
    """The mapping of a file that already has the wire's own field names, e.g. JSON lines of `transactions`."""
    rules = {
        name: Rule(column=name, optional=not spec.required, default="" if not spec.required else None)
        for name, spec in specs(kind).items()
    }
    return Mapping(name=f"wire-{kind}", kind=kind, format=format, trim=False, fields=rules)


def _spelled_out(raw: dict[str, Any]) -> dict[str, Any]:
    """Short forms written out: `amount = "Column"`, and nested tables as dotted names."""

    def rule(value: Any) -> Any:
        return {"column": value} if isinstance(value, str) else value

    def fields(table: Any) -> Any:
        if not isinstance(table, dict):
            return table
        out: dict[str, Any] = {}
        for name, value in table.items():
            if name in nested and isinstance(value, dict):
                out |= {f"{name}.{inner}": rule(item) for inner, item in value.items()}
            else:
                out[name] = rule(value)
        return out

    kind = raw.get("kind")
    nested = groups(kind) if kind in KEYS else {}
    out = dict(raw)
    for table in (out, *(out["legs"] if isinstance(out.get("legs"), list) else ())):
        if isinstance(table, dict):
            if "key" in table:
                table["key"] = rule(table["key"])
            if "fields" in table:
                table["fields"] = fields(table["fields"])
    if isinstance(out.get("columns"), dict):
        out["columns"] = {name: rule(value) for name, value in out["columns"].items()}
    return out


def _near_key(message: str) -> str:
    if "unknown field" not in message:
        return ""
    known = [name for part in (Mapping, Rule, When, Numbers, Filter, Leg) for name in part.__struct_fields__]
    return nearest(message.split("`")[1], known)
