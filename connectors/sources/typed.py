"""Text columns into typed ones, exactly, each with the reason why a row's text cannot be taken.

A function here returns (typed, reason): two expressions over a frame of text, `reason` null where the text
is good. A text that is absent (null) is neither good nor bad here; whether it may be is the reader's affair.
"""

from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec
import polars as pl

from connectors.sources.schema import Mapping, Rule
from connectors.sources.wire import FieldSpec
from models.money import MAX_AMOUNT

Checked = tuple[pl.Expr, pl.Expr]

_NUMBER = r"^-?[0-9]+(\.[0-9]+)?$"
_EXPONENT = r"^-?[0-9]+(\.[0-9]+)?[eE][+-]?[0-9]{1,2}$"
# Date, or date and time to at most nanoseconds, with an offset or without: RFC 3339 and its everyday variants.
_ISO = (
    r"^([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[Tt ]([0-9]{2}:[0-9]{2})(:[0-5][0-9](?:\.[0-9]{1,9})?)?"
    r"([Zz]|[+-][0-9]{2}:?[0-9]{2})?)?$"
)
_TRUE, _FALSE = ["true", "1"], ["false", "0"]
_MICROSECONDS = {
    "days": 86_400_000_000, "hours": 3_600_000_000, "minutes": 60_000_000, "seconds": 1_000_000,
    "milliseconds": 1000, "microseconds": 1,
}  # fmt: skip
# Whole digits of the smallest amount that is too large.
_MAX_DIGITS = len(str(int(MAX_AMOUNT))) - 1


def first_reason(*conditions: tuple[pl.Expr, str]) -> pl.Expr:
    """The reason of the first condition that holds, else null."""
    out = pl.lit(None, pl.String)
    for condition, reason in reversed(conditions):
        out = pl.when(condition).then(pl.lit(reason)).otherwise(out)
    return out


def checked_text(text: pl.Expr, spec: FieldSpec) -> Checked:
    """Text within its length and pattern; one of the allowed values for a choice."""
    length = text.str.len_chars()
    conditions = [(length < spec.min_length, "too_short")] if spec.min_length > 1 else []
    if spec.max_length is not None:
        conditions.append((length > spec.max_length, "too_long"))
    if spec.pattern is not None:
        conditions.append((~text.str.contains(spec.pattern), "malformed"))
    if spec.values:
        conditions.append((~text.is_in(list(spec.values)), "not_allowed"))
    return text, first_reason(*conditions)


def checked_boolean(text: pl.Expr) -> Checked:
    """`true` and `1`, `false` and `0`; other words need a `map`."""
    low = text.str.to_lowercase()
    typed = pl.when(low.is_in(_TRUE)).then(True).when(low.is_in(_FALSE)).then(False)
    return typed, first_reason((text.is_not_null() & typed.is_null(), "not_a_boolean"))


def checked_integer(text: pl.Expr, spec: FieldSpec) -> Checked:
    typed = pl.when(text.str.contains(r"^-?[0-9]{1,15}$")).then(text).cast(pl.Int64)
    too_small = (typed < spec.least, "too_small") if spec.least is not None else (pl.lit(False), "")
    return typed, first_reason((text.is_not_null() & typed.is_null(), "not_an_integer"), too_small)


def checked_list(text: pl.Expr, rule: Rule | None, spec: FieldSpec) -> Checked:
    """A JSON array of texts, or items between the rule's `split` mark."""
    mark = rule.split if rule else None

    def parts(values: pl.Series) -> pl.Series:
        if values.null_count() == values.len():
            return pl.Series(values.name, [None], pl.List(pl.String)).new_from_index(0, values.len())
        return pl.Series([None if value is None else _items(value, mark) for value in values], dtype=pl.List(pl.String))

    typed = text.map_batches(parts, return_dtype=pl.List(pl.String))
    lengths = typed.list.eval(pl.element().str.len_chars())
    bad = lengths.list.min() < spec.min_length
    too_long = lengths.list.max() > (spec.max_length or 2**31)
    return typed, first_reason((text.is_not_null() & typed.is_null(), "not_a_list"), (bad | too_long, "malformed"))


def _items(text: str, mark: str | None) -> list[str] | None:
    if mark:
        return [item.strip() for item in text.split(mark) if item.strip()]
    if not text.startswith("["):
        return [text]
    try:
        return msgspec.json.decode(text, type=list[str])
    except msgspec.DecodeError:
        return None


def checked_amount(
    text: pl.Expr, places: pl.Expr, rule: Rule | None, mapping: Mapping, scale: int, exponents: bool
) -> Checked:
    """An exact amount above zero.

    Args:
        text: as the file writes it.
        places: how many the row's currency has; null when the currency itself is refused.
        rule, mapping: decimal and thousands marks.
        scale: places of the typed column.
        exponents: whether 1.5e3 is a number; in a CSV file it is the trace of a spreadsheet that rounded.
    """
    decimal = (rule.decimal if rule else None) or mapping.numbers.decimal
    thousands = rule.thousands if rule and rule.thousands is not None else mapping.numbers.thousands
    plain = text
    if thousands:
        # Only where marks stand between groups of three: 1.234 with "." for thousands, but not 12.34.
        grouped = rf"^-?[0-9]{{1,3}}(\{thousands}[0-9]{{3}})*(\{decimal}[0-9]+)?$"
        stripped = plain.str.replace_all(thousands, "", literal=True)
        plain = pl.when(plain.str.contains(grouped)).then(stripped).otherwise(plain)
    if decimal != ".":
        # A full stop means nothing here any more, so it must not be read as the mark.
        plain = plain.str.replace_all(".", "?", literal=True).str.replace(decimal, ".", literal=True)
    if exponents:
        plain = plain.map_batches(_without_exponents, return_dtype=pl.String)
    negative = plain.str.starts_with("-")
    if rule and rule.absolute:
        plain, negative = plain.str.strip_prefix("-"), pl.lit(False)
    whole = plain.str.extract(r"^-?0*([0-9]*)", 1).str.len_chars()
    fraction = plain.str.extract(r"\.([0-9]+)$", 1).fill_null("")
    if mapping.numbers.trailing_zeros:
        fraction = fraction.str.strip_chars_end("0")
        shown = pl.when(fraction != "").then("." + fraction).otherwise(pl.lit(""))
        plain = pl.when(_is_number(plain)).then(plain.str.extract(r"^(-?[0-9]+)", 1) + shown).otherwise(plain)
    reason = first_reason(
        (text.is_not_null() & ~_is_number(plain), "not_a_number"),
        (negative | ~plain.str.contains("[1-9]"), "not_positive"),
        (whole > _MAX_DIGITS, "too_large"),
        (fraction.str.len_chars() > places, "too_many_places"),
    )
    good = reason.is_null() & (fraction.str.len_chars() <= scale)
    return pl.when(good).then(plain).cast(pl.Decimal(38, scale)), reason


def _is_number(text: pl.Expr) -> pl.Expr:
    return text.str.contains(_NUMBER).fill_null(False)


def _without_exponents(values: pl.Series) -> pl.Series:
    """`1.5e3` as `1500`. JSON and Parquet write large or tiny floats so."""
    found = values.str.contains(_EXPONENT).fill_null(False)
    if not found.any():
        return values
    texts = [format(Decimal(value), "f") if hit else value for value, hit in zip(values, found, strict=True)]
    return pl.Series(values.name, texts, pl.String)


def checked_time(text: pl.Expr, naive: pl.Expr, typed: pl.Expr, as_date: bool = False) -> Checked:
    """What `parsed_times` made of a text, with the reason where it made nothing."""
    # Python's datetime ends at both; one day's margin leaves room for any zone.
    in_range = naive.is_between(datetime(1, 1, 2), datetime(9999, 12, 30))  # noqa: DTZ001 - local times have no zone
    reason = first_reason(
        (text.is_not_null() & naive.is_null(), "not_a_date" if as_date else "not_a_time"),
        (~in_range, "out_of_range"),
        (naive.is_not_null() & typed.is_null(), "nonexistent_time"),
    )
    return typed, reason


def parsed_times(text: pl.Series, rule: Rule | None, mapping: Mapping, as_date: bool = False) -> pl.DataFrame:
    """Texts as `naive` (local time) and `typed` (an instant in UTC, or a calendar day), null where they are neither.

    A time without an offset is one of the mapping's zone. A local time that a change of the clocks skips is no
    instant; one that it repeats is the first of the two. A day without a time of day begins at its first instant,
    skipped midnight or not.
    """
    zone = (rule.timezone if rule else None) or mapping.timezone
    frame = _parsed(text.alias("text").to_frame(), rule)
    naive, offset = pl.col("naive"), pl.col("offset")
    if as_date:
        return frame.select("naive", naive.dt.date().alias("typed"))
    typed = (naive - pl.duration(minutes=offset)).dt.replace_time_zone("UTC")
    if frame["offset"].null_count():  # looking up zones is slow: not for a file in which every time has its offset
        local = naive.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
        if frame["day_only"].any():
            later = naive.dt.offset_by("1h").dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
            local = pl.when("day_only").then(local.fill_null(later)).otherwise(local)
        typed = pl.when(offset.is_not_null()).then(typed).otherwise(local.dt.convert_time_zone("UTC"))
    return frame.select("naive", typed.alias("typed"))


def _parsed(frame: pl.DataFrame, rule: Rule | None) -> pl.DataFrame:
    """Of `text`: `naive` (local time), `offset` in minutes where it has one, `day_only` for a day without a time."""
    text, none = pl.col("text"), pl.lit(None, pl.Int64)
    if rule and rule.unit and rule.epoch:
        start = datetime.fromisoformat(rule.epoch)
        fixed = pl.lit(0, pl.Int64) if start.tzinfo else none
        start = start.astimezone(ZoneInfo("UTC")).replace(tzinfo=None) if start.tzinfo else start
        steps = pl.when(text.str.contains(r"^-?[0-9]{1,17}$")).then(text).cast(pl.Int64)
        # 300,000 years either way: beyond it the product would leave 64 bits.
        steps = pl.when(steps.abs() < 9 * 10**18 // _MICROSECONDS[rule.unit] // 2).then(steps)
        moved = pl.lit(start, pl.Datetime("us")) + (steps * _MICROSECONDS[rule.unit]).cast(pl.Duration("us"))
        return _times(frame, moved, fixed, pl.lit(rule.unit == "days"))
    formats = [*([rule.format] if rule and rule.format else []), *(rule.formats if rule else ())]
    if not formats:
        return _iso(frame)
    attempts = [_by_format(text, item) for item in formats]
    naive = pl.coalesce([item[0] for item in attempts])
    zoned = pl.coalesce([item[1] for item in attempts])
    day = pl.coalesce([pl.when(item[0].is_not_null()).then(item[2]) for item in attempts])
    return _times(frame, naive, zoned, day.fill_null(False))


def _times(frame: pl.DataFrame, naive: pl.Expr, offset: pl.Expr, day_only: pl.Expr) -> pl.DataFrame:
    # A frame's columns all have its height, also where an expression is one value for all.
    return frame.with_columns(naive=naive, offset=offset, day_only=day_only)


def _by_format(text: pl.Expr, form: str) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    if "%z" in form or "%:z" in form or "%#z" in form:
        parsed = text.str.to_datetime(form, strict=False, time_unit="us").dt.convert_time_zone("UTC")
        return parsed.dt.replace_time_zone(None), pl.when(parsed.is_not_null()).then(pl.lit(0, pl.Int64)), pl.lit(False)
    parsed = text.str.to_datetime(form, strict=False, time_unit="us")
    timed = any(mark in form for mark in ("%H", "%I", "%T", "%R", "%r", "%X", "%c", "%k", "%l", "%s"))
    return parsed, pl.lit(None, pl.Int64), pl.lit(not timed)


def _iso(frame: pl.DataFrame) -> pl.DataFrame:
    # In steps: within one query the groups would be searched anew for each of their uses.
    parts = frame.select(pl.col("text").str.extract_groups(_ISO).struct.unnest())
    seconds, zone = pl.col("3"), pl.col("4").str.replace_all(":", "", literal=True)
    fractions = (parts["3"].str.len_bytes().max() or 0) > len(":00")  # type: ignore[operator]
    parts = parts.select(
        stamp=pl.col("1") + "T" + pl.col("2").fill_null("00:00") + seconds.fill_null(":00"),
        day_only=pl.col("2").is_null(),
        zulu=pl.col("4").str.to_lowercase() == "z",
        sign=zone.str.starts_with("-"),
        hours=zone.str.slice(1, 2).cast(pl.Int64, strict=False),
        minutes=zone.str.slice(3, 2).cast(pl.Int64, strict=False),
        zoned=zone.is_not_null(),
    )
    minutes = pl.col("hours") * 60 + pl.col("minutes")
    signed = pl.when("sign").then(-minutes).otherwise(minutes)
    # An offset of a day or more is none; the time is refused rather than read as local.
    bad = pl.col("zoned") & ((minutes >= 24 * 60) | (pl.col("minutes") > 59))
    form = "%Y-%m-%dT%H:%M:%S" + ("%.f" if fractions else "")
    naive = pl.col("stamp").str.to_datetime(form, strict=False, time_unit="us")
    return parts.select(
        naive=pl.when(~bad.fill_null(False)).then(naive),
        offset=pl.when("zulu").then(pl.lit(0, pl.Int64)).otherwise(signed),
        day_only="day_only",
    )
