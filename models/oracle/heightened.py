"""Which transactions fall on days on which their customer is judged more strictly, because a teller has reported it."""

import polars as pl

from models.oracle.frames import by_span
from models.oracle.teller_report import FIRING
from models.policy import Policy, PolicyHistory


def with_heightened(events: pl.DataFrame, reports: pl.DataFrame, policies: PolicyHistory) -> pl.DataFrame:
    """The events with `heightened`: a report on their customer was made on their day, or at most so many days before.

    Args:
        events: of customers, with their `day`.
        reports: those that count, with their `day`; a report says by its own day's policy for how long.
    """
    on_customers = reports.filter(pl.col("kind").is_in(FIRING) & pl.col("customer_id").is_not_null())

    def spans(rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
        days = policy.heightened.days.whole if policy.heightened is not None else 0
        covered = pl.date_ranges("day", pl.col("day") + pl.duration(days=days - 1))
        found = rows.select("customer_id", covered.alias("day")) if days else rows.select("customer_id", "day").clear()
        return found.explode("day") if days else found

    stricter = by_span(on_customers.select("customer_id", "day"), policies, spans).unique()
    marked = stricter.with_columns(pl.lit(True).alias("heightened"))
    joined = events.drop("heightened").join(marked, on=["customer_id", "day"], how="left", maintain_order="left")
    return joined.with_columns(pl.col("heightened").fill_null(False))
