"""name_concentration a second time: borrowers, groups of them and the ten largest against an entity's limits."""

import polars as pl

from models.oracle.limits import Part, limit_warnings
from models.policy import PolicyHistory

LARGEST = 10
_BORROWER, _GROUP = pl.col("borrower_id"), pl.col("group_id")

_PARTS = (
    Part("single", _BORROWER, "borrower:{entity}:{name}"),
    Part("single_tier1", _BORROWER, "borrower:{entity}:{name}"),
    Part("group", _GROUP, "group:{entity}:{name}"),
    Part("group_tier1", _GROUP, "group:{entity}:{name}"),
    Part("top_ten", _BORROWER, "top_ten:{entity}", LARGEST),
)


def name_concentrations(loans: pl.DataFrame, capital: pl.DataFrame, policies: PolicyHistory) -> pl.DataFrame:
    """The detector's warnings (severity as a rank), one an episode.

    Args:
        loans: accepted loan events that move a book.
        capital: accepted capital positions.
    """
    return limit_warnings(loans, capital, policies, "name_concentration", _PARTS)
