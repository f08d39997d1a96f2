"""frequent_large_transfers a second time: a day with many large transfers, or working days in a row with some."""

from typing import Any

import polars as pl

from models.oracle.classified import reaches, with_entries, with_novelty
from models.oracle.frames import as_warnings, by_span, no_days, no_warnings, with_window_end
from models.policy import Policy, PolicyHistory
from models.risk_warning import SEVERITIES, severity_rank

DETECTOR = "frequent_large_transfers"
SIDE = ("customer_id", "direction")
EPISODE = (*SIDE, "anchor", "within")
DEALING = ("customer_id", "identity", "day")


def frequent_large_transfers(events: pl.DataFrame, policies: PolicyHistory) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The detector's warnings (severity as a rank), and the days on which a report may corroborate each.

    Args:
        events: `classified`.

    Returns:
        Warnings, and (warning_id, subject, day): for a run of days, every day of it.
    """
    transfers = events.filter((pl.col("method") == "transfer") & ~pl.col("exempt"))
    large = by_span(transfers, policies, _large)
    days = large.group_by(*SIDE, "day").agg(pl.len().alias("count"), pl.col("heightened").first())
    evidence = pl.concat([by_span(days, policies, _bursts), _runs(days, policies)])
    judged = [
        _judged(mine.join(large, on=[*SIDE, "day"]), events, policy, policies)
        for policy in policies.versions
        if (mine := evidence.filter(pl.col("version") == policy.version)).height
    ]
    if not judged:
        return no_warnings(), no_days()
    # As grave as any version that judged it says; told by the one under which its last run closed.
    found = pl.concat(judged).sort("closing").with_columns(pl.col("rank").max().over(EPISODE))
    found = found.unique(EPISODE, keep="last", maintain_order=True)
    warnings = []
    for policy in policies.versions:
        mine = with_window_end(found.filter(pl.col("version") == policy.version), policy, "closing")
        mine = mine.with_columns(pl.format("customer:{}", "customer_id").alias("subject"))
        warnings.append(as_warnings(mine, DETECTOR, policy.detectors.frequent_large_transfers))
    made = pl.concat(warnings)
    of_days = evidence.select(pl.format("customer:{}", "customer_id").alias("subject"), "anchor", "day").unique()
    return made, made.join(of_days, on=["subject", "anchor"]).select("warning_id", "subject", "day").unique()


def _large(transfers: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """The transfers that are large on their day, and whether their counterparties are watched or of a risky country."""
    enough = reaches(policy.detectors.frequent_large_transfers.large_from.value)
    if policy.heightened is not None:
        enough = enough | (pl.col("heightened") & reaches(policy.heightened.large_from.value))
    large = transfers.filter(enough)
    risky = pl.col("counterparty.country").is_in(list(policy.counterparties.high_risk_countries)).fill_null(False)
    watched = pl.col("entry").is_not_null()
    return with_entries(large, policy).with_columns(watched.alias("watched"), risky.alias("risky"))


def _bursts(days: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """Days with so many large transfers that they are frequent by themselves."""
    rule = policy.detectors.frequent_large_transfers
    text = pl.format("same_day|{}|{}", "direction", pl.col("day").dt.to_string("%Y-%m-%d"))
    needed: pl.Expr = pl.lit(rule.a_day.whole)
    if policy.heightened is not None:
        needed = pl.when("heightened").then(policy.heightened.a_day.whole).otherwise(needed)
    found = days.filter(pl.col("count") >= needed) if rule.mode != "off" else days.clear()
    return found.select(
        *SIDE,
        text.alias("anchor"),
        pl.lit(0, dtype=pl.Int64).alias("within"),
        pl.lit(policy.version).alias("version"),
        pl.col("day").alias("closing"),
        "day",
    )


def _runs(days: pl.DataFrame, policies: PolicyHistory) -> pl.DataFrame:
    """The days of each block's runs, once for each version that a run of the block closed under: those of the runs
    that had closed by then. `closing` is the day that closed the last of them.
    """
    asked = days.join(_asked(days["day"], policies), left_on="day", right_on="closing").rename({"day": "closing"})
    there = asked.join(days.select(*SIDE, "day"), left_on=[*SIDE, "needs"], right_on=[*SIDE, "day"])
    runs = there.filter(pl.len().over(*SIDE, "closing") == pl.col("length")).with_columns(
        pl.format("consecutive_days|{}|{}", "direction", "block").alias("anchor")
    )
    lasts = runs.group_by(*EPISODE, "version").agg(pl.col("closing").max().alias("last"))
    shown = lasts.join(runs.select(*EPISODE, "closing", "needs"), on=EPISODE).filter(
        pl.col("closing") <= pl.col("last")
    )
    return shown.select(*EPISODE, "version", pl.col("last").alias("closing"), pl.col("needs").alias("day")).unique()


def _asked(closings: pl.Series, policies: PolicyHistory) -> pl.DataFrame:
    """What the figures of each working day ask of a run that it closes: a row for each day that it needs."""
    rows = []
    at_first = policies.versions[0].detectors.frequent_large_transfers.within.whole
    for closing in closings.unique():
        policy = policies.on(closing)
        rule, calendar = policy.detectors.frequent_large_transfers, policy.bank_calendar
        if rule.mode == "off" or not calendar.is_working_day(closing):
            continue
        length, within = rule.consecutive_days.whole, rule.within.whole
        block = f"{closing.year}-{(calendar.working_day_of_year(closing) - 1) // within:02d}"
        if within != at_first:  # the same number would name other days
            block += f"/{within}"
        needs = closing
        for _ in range(length):
            rows.append((closing, needs, length, within, block, policy.version))
            needs = calendar.previous_working_day(needs)
    schema: dict[str, Any] = {"closing": pl.Date, "needs": pl.Date, "length": pl.Int64, "within": pl.Int64}
    return pl.DataFrame(rows, schema=schema | {"block": pl.String, "version": pl.String}, orient="row")


def _judged(
    evidence: pl.DataFrame, transactions: pl.DataFrame, policy: Policy, policies: PolicyHistory
) -> pl.DataFrame:
    """A row a warning: rank of its severity, raised by suspicious counterparties among its transfers."""
    rule = policy.detectors.frequent_large_transfers
    dealings = evidence.select(DEALING).drop_nulls().unique()
    found = (
        evidence.join(with_novelty(dealings, transactions, policy, policies), on=DEALING, how="left")
        .group_by(*EPISODE, "version", "closing")
        .agg(
            pl.col("event_time").max(),
            pl.when(pl.col("within").first() > 0).then(pl.col("day").n_unique()).otherwise(pl.len()).alias("observed"),
            pl.col("watched").any(),
            pl.col("risky").any(),
            pl.col("identity").drop_nulls().n_unique().alias("payees"),
            pl.col("identity").filter(pl.col("new").fill_null(False)).n_unique().alias("new_payees"),
        )
    )
    suspicious = (
        pl.col("risky") | (pl.col("payees") >= rule.many_payees.whole) | (pl.col("new_payees") >= rule.new_payees.whole)
    )
    steps = pl.when("watched").then(2).when(suspicious).then(1).otherwise(0)
    rank = (steps + severity_rank(rule.severity)).clip(upper_bound=len(SEVERITIES) - 1)
    return found.with_columns(rank.alias("rank"), pl.col("observed").cast(pl.String))
