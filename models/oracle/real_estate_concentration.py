"""real_estate_concentration a second time: an entity's loans for real estate against its limits."""

import polars as pl

from models.oracle.limits import Part, limit_warnings
from models.policy import PolicyHistory

_KINDS = {"total": ("development", "mortgage"), "development": ("development",), "mortgage": ("mortgage",)}


def real_estate_concentrations(loans: pl.DataFrame, capital: pl.DataFrame, policies: PolicyHistory) -> pl.DataFrame:
    """The detector's warnings (severity as a rank), one an episode.

    Args:
        loans: accepted loan events that move a book.
        capital: accepted capital positions.
    """
    parts = [_part(limit, kinds) for limit, kinds in _KINDS.items()]
    return limit_warnings(loans, capital, policies, "real_estate_concentration", parts)


def _part(limit: str, kinds: tuple[str, ...]) -> Part:
    name = pl.when(pl.col("real_estate").is_in(kinds)).then(pl.lit(limit)).otherwise(None)
    return Part(limit, name, "real_estate:{entity}:{name}")
