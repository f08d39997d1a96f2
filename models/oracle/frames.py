"""Canonical frames: the events as columns, in arrival order, and the exact arithmetic the oracle does on them.

One column per field on the wire, nested fields flat with dots (`counterparty.account_id`). Amounts are Decimal
columns; sums and comparisons are made on their scaled integers, so nothing here is ever rounded.
"""

import math
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from typing import Any, Literal

import polars as pl
from msgspec import Struct

from models.events import CapitalPosition, LoanEvent, PostReport, Transaction
from models.policy import Policy, PolicyHistory, Rule
from models.risk_warning import SEVERITIES, warning_id

Kind = Literal["transactions", "reports", "loans", "capital"]
INSTANT = pl.Datetime("us", "UTC")
MONEY = pl.Decimal(38, 2)
TEXTS = pl.List(pl.String)
VERSION = 1  # of every detector the oracle repeats
_DRILL = "^drill~[^~]"  # how every id of a drill begins

SCHEMAS: dict[Kind, dict[str, Any]] = {
    "transactions": {
        "event_id": pl.String,
        "event_time": INSTANT,
        "customer_id": pl.String,
        "customer_kind": pl.String,
        "account_id": pl.String,
        "direction": pl.String,
        "amount": MONEY,
        "currency": pl.String,
        "method": pl.String,
        "cross_border": pl.Boolean,
        "counterparty.account_id": pl.String,
        "counterparty.name": pl.String,
        "counterparty.bank": pl.String,
        "counterparty.country": pl.String,
        "channel": pl.String,
        "branch_id": pl.String,
        "teller_id": pl.String,
        "controls.identity_verified": pl.Boolean,
        "controls.approved_by": TEXTS,
        "purpose": pl.String,
        "origin": pl.String,
    },
    "reports": {
        "report_id": pl.String,
        "event_time": INSTANT,
        "reporter.employee_id": pl.String,
        "reporter.post": pl.String,
        "reporter.branch_id": pl.String,
        "kind": pl.String,
        "customer_id": pl.String,
        "account_id": pl.String,
        "transaction_ids": TEXTS,
        "narrative": pl.String,
    },
    "loans": {
        "event_id": pl.String,
        "event_time": INSTANT,
        "entity": pl.String,
        "loan_id": pl.String,
        "borrower_id": pl.String,
        "group_id": pl.String,
        "kind": pl.String,
        "industry": pl.String,
        "region": pl.String,
        "amount": MONEY,
        "currency": pl.String,
        "classification": pl.String,
        "days_past_due": pl.Int64,
        "real_estate": pl.String,
        "branch_id": pl.String,
        "approver_id": pl.String,
    },
    "capital": {
        "entity": pl.String,
        "as_of": pl.Date,
        "net_capital": MONEY,
        "tier1_capital": MONEY,
        "currency": pl.String,
    },
}
_KINDS: dict[type[Struct], Kind] = {
    Transaction: "transactions",
    PostReport: "reports",
    LoanEvent: "loans",
    CapitalPosition: "capital",
}
_DEFAULTS: dict[str, Any] = {"cross_border": False, "origin": "customer"}

WARNINGS: dict[str, Any] = {
    "warning_id": pl.String,
    "detector": pl.String,
    "subject": pl.String,
    "anchor": pl.String,
    "severity": pl.String,
    "departments": TEXTS,
    "event_time": INSTANT,
    "window_end": INSTANT,
    "observed": pl.String,
}


def canonical(frame: pl.DataFrame | None, kind: Kind) -> pl.DataFrame:
    """The frame with every column of its kind, absent ones null or at their default, text in NFC.

    Args:
        frame: rows in arrival order; None for no events. `ingest_time` is kept where it is given.

    Raises:
        ValueError: an amount column that went through a binary float, or a time without a zone.
    """
    schema = SCHEMAS[kind]
    if frame is None or not frame.height:
        return pl.DataFrame(schema=schema).with_row_index("arrival")
    extra = {"ingest_time": INSTANT} if "ingest_time" in frame.columns else {}
    columns: list[Any] = [
        _typed(frame[name], dtype) if name in frame.columns else pl.lit(None, dtype=dtype).alias(name)
        for name, dtype in (schema | extra).items()
    ]
    defaults = _DEFAULTS | ({"currency": "CNY"} if kind == "capital" else {})
    fills = [pl.col(name).fill_null(value) for name, value in defaults.items() if name in schema]
    return frame.with_columns(columns).select(*schema, *extra).with_columns(fills).with_row_index("arrival")


def real(frame: pl.DataFrame) -> pl.DataFrame:
    """The events of a canonical frame that are of no drill, by whose they are: what is counted leaves drills out.

    A frame that no longer says whose they are is as it was.
    """
    keys = ("customer_id", "reporter.branch_id") if "customer_id" in frame.columns else ("borrower_id",)
    known = [name for name in keys if name in frame.columns]
    if not known:
        return frame
    whose = pl.coalesce(known)
    return frame.filter(~whose.str.contains(_DRILL).fill_null(False))


def _typed(column: pl.Series, dtype: Any) -> pl.Series:
    if isinstance(dtype, pl.Decimal):
        if column.dtype.is_float():
            raise ValueError(f"{column.name} is a binary float: read it as Decimal, which is exact")
        return (
            column
            if column.dtype.is_decimal()
            else column.cast(MONEY if column.dtype == pl.Null else pl.Decimal(38, 0))
        )
    if isinstance(dtype, pl.Datetime):
        if isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone is None:
            raise ValueError(f"{column.name} has no time zone")
        return column.cast(INSTANT)
    column = column.cast(dtype)
    if dtype == pl.String and (column.str.len_bytes() != column.str.len_chars()).any():
        return column.str.normalize("NFC")
    return column


def from_events(events: Iterable[Struct], *, ingest_times: Sequence[datetime] | None = None) -> pl.DataFrame:
    """Events of one type as the canonical frame, in the order given.

    Args:
        events: Transactions, PostReports, LoanEvents or CapitalPositions.
        ingest_times: when each arrived, where future events are to be judged.

    Raises:
        ValueError: events of several types, or of one that the oracle does not read.
    """
    rows = list(events)
    kinds = {type(event) for event in rows}
    if not rows:
        return pl.DataFrame()
    if len(kinds) != 1 or not kinds <= _KINDS.keys():
        raise ValueError(f"one type of event is needed, of {sorted(kind.__name__ for kind in _KINDS)}")
    schema = dict(SCHEMAS[_KINDS[kinds.pop()]])
    flat = [_flat(event) for event in rows]
    for name, dtype in schema.items():
        if isinstance(dtype, pl.Decimal):
            schema[name] = pl.Decimal(38, max(2, *(_places(row.get(name)) for row in flat), 0))
    data: dict[str, Any] = {name: [row.get(name) for row in flat] for name in schema}
    frame = pl.DataFrame(data, schema=schema)
    if ingest_times is not None:
        frame = frame.with_columns(pl.Series("ingest_time", ingest_times, dtype=INSTANT))
    return frame


def _flat(event: Struct, prefix: str = "") -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if isinstance(value, Struct):
            row |= _flat(value, f"{prefix}{name}.")
        elif isinstance(value, tuple):
            row[prefix + name] = list(value)
        elif value is not None:
            row[prefix + name] = value
    return row


def _places(amount: Decimal | None) -> int:
    return 0 if amount is None else max(0, -int(amount.as_tuple()[2]))


def nfc(texts: Iterable[str]) -> list[str]:
    return [unicodedata.normalize("NFC", text) for text in texts]


# ---------------------------------------------------------------- exact amounts


def scale_of(frame: pl.DataFrame, column: str = "amount") -> int:
    """Decimal places of an amount column: its integers are amounts times ten to this power."""
    dtype = frame.schema[column]
    if not isinstance(dtype, pl.Decimal):
        raise TypeError(f"{column} is {dtype}, not Decimal")
    return dtype.scale


def rate_places(policies: PolicyHistory) -> int:
    """Decimal places of the finest rate of any day: base money is counted in 10^-(scale of amounts + these)."""
    return max(_places(rate) for policy, _, _ in policies.spans() for rate in policy.rates.values())


def scaled_rates(policy: Policy, places: int) -> dict[str, int]:
    """The rates as integers, multiplied with ten to the power of `places`."""
    return {code: int(Fraction(rate) * 10**places) for code, rate in policy.rates.items()}


def in_base(column: str, policy: Policy, places: int) -> pl.Expr:
    """An amount in `money.base`, as an integer of 10^-(scale + `places`); null without a rate."""
    return pl.col(column).to_physical().cast(pl.Int128) * by_value("currency", scaled_rates(policy, places))


def by_span(
    frame: pl.DataFrame, policies: PolicyHistory, judge: Callable[[pl.DataFrame, Policy], pl.DataFrame]
) -> pl.DataFrame:
    """What `judge` makes of the rows of each stretch of days without a change of figures, put together.

    Args:
        frame: with a column `day`.
        judge: given rows and the figures of their days; must give the same columns for every stretch.
    """
    spans = policies.spans()
    if len(spans) == 1:
        return judge(frame, spans[0][0])
    parts = []
    for policy, first, end in spans:
        rows = frame.filter((pl.col("day") >= first) & (pl.col("day") < end))
        if rows.height:
            parts.append(judge(rows, policy))
    return pl.concat(parts) if parts else judge(frame, policies.latest)


def by_version(policies: PolicyHistory) -> list[tuple[Policy, date, date]]:
    """(policy, first day, first day after it) of each version: for what depends on no rate and no watch list.

    A window of days under new rates every day is one window, and is judged as one.
    """
    versions = [list(spans) for _, spans in groupby(policies.spans(), lambda span: span[0].version)]
    return [(spans[-1][0], spans[0][1], spans[-1][2]) for spans in versions]


def by_value(column: str, values: Mapping[str, int]) -> pl.Expr:
    """A column looked up in a small table of integers; null where it has no entry."""
    found = pl.lit(None, dtype=pl.Int128)
    for key, value in values.items():
        found = pl.when(pl.col(column) == key).then(big(value)).otherwise(found)
    return found


def big(value: int) -> pl.Expr:
    return pl.lit(value, dtype=pl.Int128)


def at_least(amount: Decimal | Fraction, unit: int | Fraction) -> int:
    """The smallest integer of 1/unit that reaches an amount: `x >= amount` is `integer >= at_least(...)`."""
    return math.ceil(Fraction(amount) * unit)


def six_places(value: Fraction) -> str:
    """Half-even to six places: Fraction's round() is."""
    millionths = round(value * 10**6)
    sign = "-" if millionths < 0 else ""
    return f"{sign}{abs(millionths) // 10**6}.{abs(millionths) % 10**6:06d}"


def trimmed(value: Fraction) -> str:
    """As `six_places`, without noughts at the end."""
    return six_places(value).rstrip("0").rstrip(".")


# --------------------------------------------------------------- days, warnings


def day(policies: PolicyHistory) -> pl.Expr:
    """The calendar day of `event_time` in the bank's zone."""
    return pl.col("event_time").dt.convert_time_zone(policies.latest.calendar.timezone).dt.date()


def settled(day: date, policies: PolicyHistory) -> date:
    """The first day from which on events may still be under way when one of `day` comes."""
    calendar = policies.latest.bank_calendar
    return calendar.day_of(calendar.day_window(day)[0].astimezone(UTC) - policies.lateness)


def with_window_end(frame: pl.DataFrame, policy: Policy, column: str = "day") -> pl.DataFrame:
    """Adds `window_end`, the instant at which the day in `column` is over for the bank."""
    days: list[date] = frame[column].unique().to_list()
    ends = [policy.bank_calendar.day_window(one)[1] for one in days]
    table = pl.DataFrame({column: days, "window_end": ends}, schema={column: pl.Date, "window_end": INSTANT})
    return frame.join(table, on=column, how="left", maintain_order="left")


def as_warnings(frame: pl.DataFrame, detector: str, rule: Rule) -> pl.DataFrame:
    """Warnings of one detector from its subject, anchor, rank (of severity), event_time, window_end, observed."""
    pairs = zip(frame["subject"], frame["anchor"], strict=True)
    ids = [warning_id(detector, VERSION, subject, anchor) for subject, anchor in pairs]
    return frame.select(
        pl.Series("warning_id", ids, dtype=pl.String),
        pl.lit(detector).alias("detector"),
        "subject",
        "anchor",
        pl.col("rank").cast(pl.Int8),
        pl.lit(pl.Series([list(rule.departments)], dtype=TEXTS)).first().alias("departments"),
        "event_time",
        "window_end",
        "observed",
    )


def with_days(found: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A rule's warnings, and the (warning_id, subject, day) of each, from warnings with their `day`."""
    return found.drop("day"), found.select("warning_id", "subject", "day")


def finished(frame: pl.DataFrame) -> pl.DataFrame:
    """Ranks as severities, in order of warning_id; a warning judged by several sets of figures is its gravest."""
    frame = frame.sort("rank", maintain_order=True).unique("warning_id", keep="last", maintain_order=True)
    names = pl.DataFrame({"rank": range(len(SEVERITIES)), "severity": SEVERITIES}, schema_overrides={"rank": pl.Int8})
    return frame.join(names, on="rank", how="left").select(WARNINGS.keys()).sort("warning_id")


def no_days() -> pl.DataFrame:
    """A frame of the days of warnings, with none in it."""
    return pl.DataFrame(schema={"warning_id": pl.String, "subject": pl.String, "day": pl.Date})


def no_warnings() -> pl.DataFrame:
    """A frame of warnings before `finished`, with none in it."""
    return pl.DataFrame(
        schema={
            ("rank" if name == "severity" else name): pl.Int8 if name == "severity" else dtype
            for name, dtype in WARNINGS.items()
        }
    )
