"""The industry of a code a second time: section and division of GB/T 4754-2017, sector of NAICS."""

import polars as pl

UNKNOWN = "unknown"
# GB/T 4754-2017: the last division (first two digits) of each section, A from 01 to T 97.
_SECTIONS = {
    "A": 5, "B": 12, "C": 43, "D": 46, "E": 50, "F": 52, "G": 60, "H": 62, "I": 65, "J": 69,
    "K": 70, "L": 72, "M": 75, "N": 79, "O": 82, "P": 83, "Q": 85, "R": 90, "S": 96, "T": 97,
}  # fmt: skip
# NAICS sectors; 99 is what the Census Bureau writes for unclassified establishments.
_SECTORS = "11 21 22 23 31-33 42 44-45 48-49 51 52 53 54 55 56 61 62 71 72 81 92 99".split()


def _divisions() -> dict[str, str]:
    table: dict[str, str] = {}
    first = 1
    for letter, last in _SECTIONS.items():
        table |= {f"{division:02d}": letter for division in range(first, last + 1)}
        first = last + 1
    return table


def _prefixes() -> dict[str, str]:
    table: dict[str, str] = {}
    for sector in _SECTORS:
        first, _, last = sector.partition("-")
        table |= {str(prefix): sector for prefix in range(int(first), int(last or first) + 1)}
    return table


def member(column: str, scheme: str) -> pl.Expr:
    """The industry an exposure is counted under, from its code: section, sector, or the code itself."""
    code = _code(column)
    if scheme == "as_given":
        return pl.when(code == "").then(pl.lit(UNKNOWN)).otherwise(code)
    if scheme == "naics":
        return code.str.slice(0, 2).replace_strict(_prefixes(), default=UNKNOWN, return_dtype=pl.String)
    return pl.coalesce(_letter(code), _section(code), pl.lit(UNKNOWN))


def division(column: str, scheme: str) -> pl.Expr:
    """The two digits of GB/T 4754 in a code; unknown where it has none, or its letter is of another section."""
    if scheme != "gbt4754":
        return pl.lit(UNKNOWN)
    code = _code(column)
    agrees = _section(code) == pl.coalesce(_letter(code), _section(code))
    return pl.when(agrees).then(_digits(code)).otherwise(pl.lit(UNKNOWN))


def _code(column: str) -> pl.Expr:
    return pl.col(column).fill_null("").str.strip_chars()


def _letter(code: pl.Expr) -> pl.Expr:
    """The section's letter that a code begins with, null without one: the first letter of a word is none."""
    return code.str.extract("^([A-Ta-t])(?:[^A-Za-z]|$)").str.to_uppercase()


def _digits(code: pl.Expr) -> pl.Expr:
    return code.str.extract("^[A-Ta-t]?([0-9]{2})")


def _section(code: pl.Expr) -> pl.Expr:
    return _digits(code).replace_strict(_divisions(), default=None, return_dtype=pl.String)
