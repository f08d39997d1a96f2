"""Rules of a mapping as Polars expressions over a table of text."""

import polars as pl

from connectors.sources.schema import Leg, Mapping, Rule, When
from connectors.sources.template import parse_template
from models.credit.industry import industry_member


def cell(column: str, mapping: Mapping) -> pl.Expr:
    """A raw cell as the mapping reads it: NFC, without blanks around it, and null where it is empty."""
    text = pl.col(column).map_batches(_in_nfc, return_dtype=pl.String)
    if mapping.trim:
        text = text.str.strip_chars()
    return pl.when(~text.is_in(["", *mapping.empty])).then(text)


def with_cells(frame: pl.DataFrame, mapping: Mapping) -> pl.DataFrame:
    """The table with every raw cell as the mapping reads it: once, however many rules read it."""
    return frame.with_columns(cell(name, mapping) for name in frame.columns if name != "row")


def _in_nfc(texts: pl.Series) -> pl.Series:
    # ASCII is, as it stands.
    return texts if (texts.str.len_bytes() == texts.str.len_chars()).all() else texts.str.normalize("NFC")


def text_of(rule: Rule, leg: Leg | None) -> tuple[pl.Expr, pl.Expr]:
    """A rule's text (null where there is none), and whether its cell was missed by the rule's `map`.

    Both are expressions over a table `with_cells`.
    """
    value = _source(rule, leg)
    missed = pl.lit(False)
    if rule.map is not None:
        keys = list(rule.map)
        target = pl.Series([_plain(item) for item in rule.map.values()], dtype=pl.String)
        found = value.fill_null("").replace_strict(pl.Series(keys, dtype=pl.String), target, default=None)
        missed = value.is_not_null() & ~value.is_in(keys)
        # What was missed is shown with its rejection, or makes room for the default.
        value = pl.when(missed).then(value).otherwise(found) if rule.default is None else found
    if rule.default is not None:
        value = value.fill_null(_plain(rule.default))
        missed = pl.lit(False)
    value = pl.when(value == "").then(None).otherwise(value)
    if rule.scheme is not None:
        scheme = rule.scheme
        value = value.fill_null("").map_batches(
            lambda codes: codes.replace_strict(
                unique := codes.unique(), pl.Series([industry_member(code, scheme) for code in unique], dtype=pl.String)
            ),
            return_dtype=pl.String,
        )
    return value, missed


def _source(rule: Rule, leg: Leg | None) -> pl.Expr:
    if rule.column is not None:
        return pl.col(rule.column)
    if rule.columns is not None:
        return pl.coalesce(*rule.columns)
    if rule.const is not None:
        return pl.lit(_plain(rule.const))
    if rule.template is not None:
        return pl.concat_str([_piece(*piece, leg) for piece in parse_template(rule.template)])
    out = pl.lit(None, pl.String)
    for item in reversed(rule.when or ()):
        out = pl.when(_holds(item)).then(pl.lit(item.then)).otherwise(out)
    return out


def _piece(is_name: bool, text: str, leg: Leg | None) -> pl.Expr:
    """A piece of a template; an empty cell makes the whole text empty."""
    if not is_name:
        return pl.lit(text)
    if text == "row":
        return pl.col("row").cast(pl.String)
    if text == "leg":
        return pl.lit(leg.name if leg else "")
    return pl.col(text)


def _holds(item: When) -> pl.Expr:
    value, out = pl.col(item.column), pl.lit(True)
    if item.equals is not None:
        out &= value.is_in(list(item.equals)).fill_null(False)
    if item.empty is not None:
        out &= value.is_null() == item.empty
    if item.below_zero is not None:
        negative = (value.str.starts_with("-") & value.str.contains("[1-9]")).fill_null(False)
        out &= value.is_not_null() & (negative == item.below_zero)
    return out


def _plain(value: str | bool | int) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
