"""What a policy is made of: figures that carry their unit and their source."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

from msgspec import Struct

from models.events import Currency

Level = Literal["observation", "warning", "control"]
LEVELS: tuple[Level, ...] = ("observation", "warning", "control")


class PolicyError(ValueError):
    """A policy that must not be used. The message names the key and the remedy."""


class Part(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the policy file."""


class Figure(Part, frozen=True, kw_only=True, dict=True):
    """One number: its value, its unit and where it comes from."""

    value: Decimal
    unit: str
    source: str

    @cached_property
    def whole(self) -> int:
        return int(self.value)


class Amounts(Part, frozen=True, kw_only=True):
    """One threshold in several currencies. An amount in another currency is converted to `money.foreign`.

    Args:
        amounts: the threshold by currency.
        op: whether it is reached at the amount (`>=`) or only above it (`>`).
        reported: for `detectors.large_transaction`: whether what reaches it is reported. Where no law asks for
            that, the figure still says which transactions other rules call large.
        source: where it comes from.
    """

    amounts: dict[Currency, Decimal]
    op: Literal[">=", ">"] = ">="
    reported: bool = True
    source: str

    def reached(self, value: Decimal, threshold: Decimal) -> bool:
        """Whether a value, in the threshold's own unit, reaches it."""
        return value > threshold if self.op == ">" else value >= threshold


class LevelFigures(Part, frozen=True, kw_only=True):
    """A figure for each level of concentration; all are reached at the figure (>=)."""

    observation: Figure
    warning: Figure
    control: Figure

    def __getitem__(self, level: Level) -> Decimal:
        value: Figure = getattr(self, level)
        return value.value


def parts(value: object, path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, part) of everything inside a table, itself too: `detectors.structuring.within`, and what it is."""
    yield path, value
    prefix = f"{path}." if path else ""
    if isinstance(value, Struct):
        for name in value.__struct_fields__:
            yield from parts(getattr(value, name), f"{prefix}{name}")
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from parts(inner, f"{prefix}{key}")
