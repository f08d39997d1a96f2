"""What loans prove of a measure a second time: who is on a review list, who is left, since when it is worked off."""

from datetime import UTC, datetime
from typing import NamedTuple

import polars as pl

LOAN = ["borrower_id", "entity", "loan_id"]


class Reviewed(NamedTuple):
    """A review list as it stands.

    Args:
        done_at: when the last loan left it; None while any is left.
    """

    listed: int
    left: int
    done_at: datetime | None


def in_subject(subject: str) -> pl.Expr:
    """The steps of loans that are part of a subject of a book."""
    kind, entity, name = subject.split(":", 2)
    own = pl.col("entity") == entity
    match kind:
        case "industry":
            return own & (pl.col("member") == name)
        case "real_estate":
            what = ["development", "mortgage"] if name == "total" else [name]
            return own & pl.col("real_estate").is_in(what)
        case "group":
            return own & (pl.col("group_id") == name)
        case _:
            return own & (pl.col("borrower_id") == name)


def review_list(steps: pl.DataFrame, subject: str, since: datetime) -> Reviewed:
    """The list of a subject's loans that were there at a time, after all steps.

    Args:
        steps: as of `lending.accepted_loans`.
        since: loans opened by then are on it, reviews from then on count.
    """
    since = since.astimezone(UTC)
    rows = steps.filter(in_subject(subject))
    review = (pl.col("kind") == "reviewed") & (pl.col("happened") >= since)
    when = pl.col("happened")
    loans = (
        rows.group_by(LOAN)
        .agg(
            when.filter(pl.col("kind") == "disbursed").min().alias("opened"),
            pl.col("own").sum().alias("balance"),
            when.filter(review).min().alias("reviewed"),
            when.filter(pl.col("own") != 0).max().alias("moved"),
        )
        .filter(pl.col("opened") <= since)
        # A loan is closed by the newest of its movements; what was reviewed before that had left the list already.
        .with_columns(pl.when(pl.col("balance") == 0).then("moved").alias("closed"))
    )
    there = loans.filter(pl.col("balance") > 0)
    left = there.filter(pl.col("reviewed").is_null()).height
    if left:
        return Reviewed(there.height, left, None)
    last: datetime | None = loans.select(pl.min_horizontal("reviewed", "closed").max()).item()
    return Reviewed(there.height, 0, max(since, last) if last is not None else since)


def reclassified(steps: pl.DataFrame, subject: str, since: datetime) -> datetime | None:
    """The earliest reclassification of one of a subject's loans from a time on; None where there is none."""
    after = pl.col("happened") >= since.astimezone(UTC)
    rows = steps.filter(in_subject(subject), pl.col("kind") == "reclassified", after)
    first: datetime | None = rows["happened"].min()  # type: ignore[assignment]
    return first
