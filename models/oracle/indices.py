"""The measures of concentration a second time, as queries over a whole book; nothing here is shared with the stream.

Whole numbers are summed as whole numbers (in two halves, so that squares cannot overflow) and divided as fractions.
Only what has logarithms or the normal distribution in it (Theil, the granularity adjustment) goes through doubles.
"""

import math
from decimal import Decimal
from fractions import Fraction
from statistics import NormalDist
from typing import Any

import polars as pl

from models.oracle.frames import big, scale_of

_HALF = 1 << 40
_SIX = pl.Decimal(38, 6)
MEASURES = ("hhi", "hhi_normalised", "effective_number", "cr1", "cr4", "cr10", "gini", "theil", "hall_tideman")


def index_table(exposures: pl.DataFrame) -> pl.DataFrame:
    """One row a book, in the order of `book`: `total` (as text), `members`, and every measure to six places.

    Args:
        exposures: `book`, `member` and `exposure` (Decimal), any number of rows a member. A member whose rows come
            to nothing does not count, and a book without any has no row.

    Raises:
        ValueError: a member whose rows come to less than nothing.
    """
    places = scale_of(exposures, "exposure")
    rows = exposures.select("book", "member", pl.col("exposure").to_physical().cast(pl.Int128).alias("x"))
    held = rows.group_by("book", "member").agg(pl.col("x").sum()).filter(pl.col("x") != 0)
    below = held.filter(pl.col("x") < 0)
    if below.height:
        raise ValueError(f"the exposure of {below['member'].min()!r} is below zero")
    held = held.sort("book", pl.col("x"), descending=[False, True]).with_columns(
        pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("book").cast(pl.Int128).alias("rank"),
        (pl.col("x") // big(_HALF)).alias("high"),
        (pl.col("x") % big(_HALF)).alias("low"),
    )
    share = pl.col("x").cast(pl.Float64) / pl.col("x").sum().over("book").cast(pl.Float64)
    per_head = pl.len().over("book").cast(pl.Float64)
    held = held.with_columns((share * (share * per_head).log()).alias("entropy"))
    high, low, rank = pl.col("high"), pl.col("low"), pl.col("rank")
    sums = held.group_by("book", maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("members"),
        pl.col("x").sum().alias("total"),
        (high * high).sum().alias("high_high"),
        (high * low).sum().alias("high_low"),
        (low * low).sum().alias("low_low"),
        (rank * high).sum().alias("rank_high"),
        (rank * low).sum().alias("rank_low"),
        *(pl.col("x").filter(rank <= largest).sum().alias(f"top{largest}") for largest in (1, 4, 10)),
        pl.col("entropy").sum(),
    )
    schema: dict[str, Any] = {"book": exposures.schema["book"], "total": pl.String, "members": pl.Int64}
    schema |= dict.fromkeys(MEASURES, _SIX)
    return pl.DataFrame([_measures(row, places) for row in sums.iter_rows(named=True)], schema=schema)


def _measures(row: dict[str, Any], places: int) -> dict[str, Any]:
    count, total = row["members"], row["total"]
    squares = row["high_high"] * _HALF**2 + 2 * row["high_low"] * _HALF + row["low_low"]
    mean_rank = Fraction(row["rank_high"] * _HALF + row["rank_low"], total)
    hhi = Fraction(squares, total * total)
    least = Fraction(1, count)
    found = {
        "hhi": hhi,
        "hhi_normalised": Fraction(1) if count == 1 else (hhi - least) / (1 - least),
        "effective_number": 1 / hhi,
        **{f"cr{largest}": Fraction(row[f"top{largest}"], total) for largest in (1, 4, 10)},
        "gini": 1 + (1 - 2 * mean_rank) / count,
        "theil": Fraction(row["entropy"]),
        "hall_tideman": 1 / (2 * mean_rank - 1),
    }
    text = str(total).rjust(places + 1, "0")
    return {
        "book": row["book"],
        "total": f"{text[:-places]}.{text[-places:]}" if places else text,
        "members": count,
        **{name: _six(value) for name, value in found.items()},
    }


def _six(value: Fraction) -> Decimal:
    """Half-even: a tie goes to the even last place."""
    doubled = value * 2_000_000
    whole = (doubled.numerator // doubled.denominator + 1) // 2
    if doubled.denominator == 1 and doubled.numerator % 2 and whole % 2:
        whole -= 1
    digits = str(abs(whole)).rjust(7, "0")
    return Decimal(f"{'-' if whole < 0 else ''}{digits[:-6]}.{digits[-6:]}")


def granularity_table(exposures: pl.DataFrame) -> pl.DataFrame:
    """One row a book that bears capital, in the order of `book`, with `adjustment` to six places.

    Gordy & Lütkebohmert (2007), all terms, with the one-year IRB capital of corporates, γ = ξ = 0.25, q = 99.9 %.

    Args:
        exposures: `book`, `member`, `exposure` (Decimal) above zero, `pd` and `lgd` (Float64), one row a member.
    """
    risks = exposures.select("pd", "lgd").unique()
    normal = NormalDist()
    worst = normal.inv_cdf(0.999)

    def capital(pd: float, lgd: float) -> float:
        if pd <= 0 or pd >= 1:
            return 0.0
        rho = 0.24 - 0.12 * (1 - math.exp(-50 * pd)) / (1 - math.exp(-50))
        return lgd * normal.cdf((normal.inv_cdf(pd) + rho**0.5 * worst) / (1 - rho) ** 0.5) - pd * lgd

    k = pl.Series("k", [capital(pd, lgd) for pd, lgd in risks.iter_rows()], dtype=pl.Float64)
    rated = exposures.join(risks.with_columns(k), on=["pd", "lgd"])
    s = pl.col("exposure").cast(pl.Float64) / pl.col("exposure").cast(pl.Float64).sum().over("book")
    rated = rated.with_columns(s.alias("s")).filter(pl.col("k") > 0)
    mean, charge = pl.col("lgd"), pl.col("k")
    variance = 0.25 * mean * (1 - mean)
    reserve = charge + pl.col("pd") * mean
    spread = (mean**2 + variance) / mean
    ratio = variance / mean**2
    bracket = 4.8336 * (spread * reserve + reserve**2 * ratio) - charge * (spread + 2 * reserve * ratio)
    adjustment = (pl.col("s") ** 2 * bracket).sum() / (2 * (pl.col("s") * charge).sum())
    found = rated.group_by("book").agg(adjustment.alias("value")).sort("book")
    told = [_six(Fraction(value)) for value in found["value"]]
    return found.select("book", pl.Series("adjustment", told, dtype=_SIX))
