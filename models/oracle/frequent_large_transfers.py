"""frequent_large_transfers a second time: a day with many large transfers, or working days in a row with some."""

from datetime import date

import polars as pl

from models.oracle.classified import reaches, with_entries
from models.oracle.frames import as_warnings, by_span, by_version, no_days, no_warnings, with_window_end
from models.policy import Policy, PolicyHistory
from models.risk_warning import severity_rank

SIDE = ("customer_id", "direction")


def frequent_large_transfers(events: pl.DataFrame, policies: PolicyHistory) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The detector's warnings (severity as a rank), and the days on which a report may corroborate each.

    Args:
        events: `classified`.

    Returns:
        Warnings, and (warning_id, subject, day): for a run of days, every day of it.
    """
    transfers = events.filter((pl.col("method") == "transfer") & ~pl.col("exempt"))
    large = by_span(transfers, policies, _large)
    days = large.group_by(*SIDE, "day").agg(pl.len().alias("count"))
    warnings = [no_warnings()]
    judged_days = [no_days()]
    for policy, first, end in by_version(policies):
        rule = policy.detectors.frequent_large_transfers
        if rule.mode == "off":
            continue
        bursts = _same_day(days.filter((pl.col("day") >= first) & (pl.col("day") < end)), rule.a_day.whole)
        # A block with a run that closes under this version is judged with what it held before, too.
        runs = _consecutive(days, policy).filter(pl.col("closing") < end)
        runs = runs.filter((pl.col("closing") >= first).any().over(*SIDE, "anchor")).drop("closing").unique()
        evidence = pl.concat([bursts, runs]).join(large, on=[*SIDE, "day"])
        if not evidence.height:
            continue
        found = _judged(evidence, events, policy)
        observed = pl.concat(
            [
                bursts.join(days, on=[*SIDE, "day"]).select(*SIDE, "anchor", "day", pl.col("count").alias("observed")),
                runs.group_by(*SIDE, "anchor").agg(pl.col("day").max(), pl.len().alias("observed")),
            ],
            how="diagonal",
        )
        frame = with_window_end(found.join(observed, on=[*SIDE, "anchor"]), policy).with_columns(
            pl.format("customer:{}", "customer_id").alias("subject"), pl.col("observed").cast(pl.String)
        )
        made = as_warnings(frame, "frequent_large_transfers", rule)
        of_days = pl.concat([bursts, runs]).with_columns(pl.format("customer:{}", "customer_id").alias("subject"))
        warnings.append(made)
        judged_days.append(made.join(of_days, on=["subject", "anchor"]).select("warning_id", "subject", "day"))
    return pl.concat(warnings), pl.concat(judged_days)


def _large(transfers: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """The transfers that are large on their day, and whether their counterparties are watched or of a risky country."""
    large = transfers.filter(reaches(policy.detectors.frequent_large_transfers.large_from.value))
    risky = pl.col("counterparty.country").is_in(list(policy.counterparties.high_risk_countries)).fill_null(False)
    watched = pl.col("entry").is_not_null()
    return with_entries(large, policy).with_columns(watched.alias("watched"), risky.alias("risky"))


def _same_day(days: pl.DataFrame, a_day: int) -> pl.DataFrame:
    text = pl.format("same_day|{}|{}", "direction", pl.col("day").dt.to_string("%Y-%m-%d"))
    return days.filter(pl.col("count") >= a_day).select(*SIDE, text.alias("anchor"), "day")


def _consecutive(days: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """The days a block's runs are made of, with the block's anchor and the day that closes a run."""
    length = policy.detectors.frequent_large_transfers.consecutive_days.whole
    worked = days.join(_working_days(days["day"], policy), on="day").sort(*SIDE, "day")
    follows = (pl.col("day").shift(1).over(SIDE) == pl.col("before")).fill_null(False)
    worked = worked.with_columns((~follows).cum_sum().over(SIDE).alias("run"))
    run = (*SIDE, "run")
    worked = worked.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).over(run).alias("position"))
    closing = worked.filter(pl.col("position") >= length - 1).with_columns(
        pl.format("consecutive_days|{}|{}", "direction", "block").alias("anchor")
    )
    members = (
        closing.select(*run, "anchor", "position", pl.col("day").alias("closing"))
        .join(pl.DataFrame({"back": range(length)}, schema={"back": pl.Int64}), how="cross")
        .select(*run, "anchor", pl.col("position") - pl.col("back"), "closing")
        .unique()
    )
    made_of = members.join(worked.select(*run, "position", "day"), on=[*run, "position"])
    return made_of.select(*SIDE, "anchor", "day", "closing")


def _working_days(days: pl.Series, policy: Policy) -> pl.DataFrame:
    """Of these days the worked ones: the working day before each, and the name of its block in the year."""
    calendar, within = policy.bank_calendar, policy.detectors.frequent_large_transfers.within.whole
    worked: list[date] = [day for day in days.unique() if calendar.is_working_day(day)]
    blocks = [f"{day.year}-{(calendar.working_day_of_year(day) - 1) // within:02d}" for day in worked]
    return pl.DataFrame(
        {"day": worked, "before": [calendar.previous_working_day(day) for day in worked], "block": blocks},
        schema={"day": pl.Date, "before": pl.Date, "block": pl.String},
    )


def _judged(evidence: pl.DataFrame, transactions: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """A row a warning: rank of its severity, raised by suspicious counterparties among its transfers."""
    rule = policy.detectors.frequent_large_transfers
    found = (
        evidence.join(
            _new_payees(evidence, transactions, policy.counterparties.new_after.whole), on=_DEALING, how="left"
        )
        .group_by(*SIDE, "anchor")
        .agg(
            pl.col("event_time").max(),
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
    return found.with_columns((steps + severity_rank(rule.severity)).clip(upper_bound=3).alias("rank"))


_DEALING = ["customer_id", "identity", "day"]


def _new_payees(evidence: pl.DataFrame, transactions: pl.DataFrame, after: int) -> pl.DataFrame:
    """The (customer, identity, day) without a dealing of the two in the days before, where the customer is known."""
    own = transactions.join(evidence.select("customer_id").unique(), on="customer_id", how="semi")
    known = own.group_by("customer_id").agg(pl.col("day").min().alias("since"))
    dealings = own.filter(pl.col("identity").is_not_null()).select(_DEALING).unique().sort(_DEALING)
    previous = pl.col("day").shift(1).over("customer_id", "identity")
    stale = pl.col("day") - pl.duration(days=after)
    return (
        dealings.with_columns(previous.alias("previous"))
        .join(known, on="customer_id")
        .filter((pl.col("since") <= stale) & (pl.col("previous").is_null() | (pl.col("previous") < stale)))
        .select(*_DEALING, pl.lit(True).alias("new"))
    )
