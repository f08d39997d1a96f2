"""name_concentration a second time: borrowers, groups of them and the ten largest against an entity's limits."""

import polars as pl

from models.oracle.limits import Move, Part, limit_warnings
from models.policy import PolicyHistory

LARGEST = 10


def _borrower(move: Move) -> str:
    return move.borrower_id


def _group(move: Move) -> str | None:
    return move.group_id


def _on_borrower(entity: str, name: str) -> str:
    return f"borrower:{entity}:{name}"


def _on_group(entity: str, name: str) -> str:
    return f"group:{entity}:{name}"


_PARTS = (
    Part("single", _borrower, _on_borrower),
    Part("single_tier1", _borrower, _on_borrower),
    Part("group", _group, _on_group),
    Part("group_tier1", _group, _on_group),
    Part("top_ten", _borrower, lambda entity, _: f"top_ten:{entity}", LARGEST),
)


def name_concentrations(loans: pl.DataFrame, capital: pl.DataFrame, policies: PolicyHistory) -> pl.DataFrame:
    """The detector's warnings (severity as a rank), one an episode.

    Args:
        loans: accepted loan events that move a book.
        capital: accepted capital positions.
    """
    return limit_warnings(loans, capital, policies, "name_concentration", _PARTS)
