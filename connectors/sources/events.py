"""Accepted rows as the events they stand for."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

import polars as pl
from msgspec import Struct

from connectors.sources.reader import MappedFrame
from connectors.sources.wire import EVENTS, FieldSpec, groups, specs
from models.money import currency_places

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Rows turned into Python objects at a time: enough to be quick, few enough to keep a large file's memory flat.
_CHUNK = 5_000


def to_events(mapped: MappedFrame) -> Iterator[Any]:
    """The events of a mapped file, in the order of its accepted frame.

    Yields:
        `Transaction`, `PostReport`, `LoanEvent`, `CapitalPosition` or `Action`, by `mapped.kind`. Every
        accepted row makes one; amounts have no more places than their currency.
    """
    known, nested = specs(mapped.kind), groups(mapped.kind)
    make = EVENTS[mapped.kind]
    for chunk in mapped.accepted.iter_slices(_CHUNK):
        names: list[str] = []
        columns: list[Iterable[Any]] = []
        for name, spec in known.items():
            if "." not in name and not _all_default(chunk[name], spec):
                names.append(name)
                columns.append(_values(chunk, spec))
        for group, struct in nested.items():
            inner = [spec for name, spec in known.items() if name.startswith(f"{group}.")]
            if not all(_all_default(chunk[spec.name], spec) for spec in inner):
                names.append(group)
                columns.append(_nested(chunk, struct, group, inner))
        for row in zip(*columns, strict=True):
            yield make(**dict(zip(names, row, strict=True)))


def _all_default(column: pl.Series, spec: FieldSpec) -> bool:
    """Whether the Struct's own default says it all, so that the column need not be read."""
    if spec.required:
        return False
    if spec.shape == "list":
        return int(column.list.len().sum()) == 0
    if spec.default is None:
        return column.null_count() == column.len()
    return bool((column == spec.default).all())


def _values(frame: pl.DataFrame, spec: FieldSpec) -> Iterable[Any]:
    """A column as Python values."""
    column = frame[spec.name]
    if spec.shape == "instant":
        return map(_instant, column.to_physical().to_list())
    if spec.shape == "amount":
        return [None if text is None else Decimal(text) for text in _amount_texts(frame, spec.name)]
    if spec.shape == "list":
        return map(tuple, column.to_list())
    return column.to_list()


def _nested(frame: pl.DataFrame, struct: type[Struct], group: str, inner: list[FieldSpec]) -> Iterator[Struct | None]:
    """A nested part a row; None where the row has nothing for it."""
    used = [spec for spec in inner if not _all_default(frame[spec.name], spec)]
    names = [spec.name.removeprefix(f"{group}.") for spec in used]
    nothing = tuple(() if spec.shape == "list" else spec.default for spec in used)
    build: Callable[..., Struct] = struct
    required = any(spec.required for spec in inner)
    for values in zip(*(_values(frame, spec) for spec in used), strict=True):
        yield build(**dict(zip(names, values, strict=True))) if required or values != nothing else None


def _amount_texts(frame: pl.DataFrame, name: str) -> list[str | None]:
    """Amounts with the places of their own currency: a column has one scale, but 100.00 is no amount of yen."""
    dtype = frame.schema[name]
    scale = dtype.scale if isinstance(dtype, pl.Decimal) else 0
    text = pl.col(name).cast(pl.String)
    shown = text
    for code in frame["currency"].unique():
        if (surplus := scale - currency_places(code)) > 0:
            cut = text.str.head(-surplus).str.strip_suffix(".")
            shown = pl.when(pl.col("currency") == code).then(cut).otherwise(shown)
    return frame.select(shown.alias(name))[name].to_list()


@lru_cache(maxsize=65_536)
def _instant(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)
