"""structuring a second time: transactions below their threshold, summed over the working days up to each day."""

from datetime import date, timedelta

import polars as pl

from models.calendar import BankCalendar
from models.oracle.classified import ONE, in_bucket, is_times, reaches
from models.oracle.frames import as_warnings, by_span, no_warnings, rate_places, scale_of, with_window_end
from models.policy import Policy, PolicyHistory
from models.risk_warning import severity_rank

SERIES = ("customer_id", "class", "direction", "bucket")
EPISODE = (*SERIES, "block")


def structuring(events: pl.DataFrame, policies: PolicyHistory) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The detector's warnings (severity as a rank), and (warning_id, subject, day) for each day of their evidence.

    Args:
        events: `classified`.
    """
    near = by_span(events.filter(~pl.col("exempt")), policies, _near)
    days = near.group_by(*SERIES, "day").agg(
        pl.len().alias("count"),
        pl.col("value").sum(),
        pl.col("event_time").max(),
        pl.col("threshold", "strict").first(),
    )
    # One row for each day of each window that reaches the threshold of the day that closes it.
    ends = days.join(_windows(days["day"], policies), on="day").select(
        *EPISODE, pl.col("day").alias("closing"), "begins", "at_least", "grade", "threshold", "strict"
    )
    held = ends.join(days.drop("threshold", "strict"), on=SERIES).filter(
        pl.col("day").is_between(pl.col("begins"), pl.col("closing"))
    )
    window = (*SERIES, "closing")
    held = held.with_columns(
        pl.col("count").sum().over(window), pl.col("value").sum().over(window).alias("sum")
    ).filter((pl.col("count") >= pl.col("at_least")) & reaches(ONE, "sum"))
    evidence = (
        held.group_by(*EPISODE, "day")
        .agg(pl.col("grade", "closing").max(), pl.col("value", "event_time").first())
        .with_columns(
            pl.format("customer:{}", "customer_id").alias("subject"),
            pl.concat_str("class", "direction", "bucket", "block", separator="|").alias("anchor"),
        )
    )
    # The day that closes the last window is a day of it.
    found = evidence.group_by("subject", "anchor", "bucket").agg(
        pl.col("day", "event_time").max(), pl.col("grade").max().alias("rank"), pl.col("value").sum()
    )
    scale, places = scale_of(events), rate_places(policies)

    def told(rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
        texts = in_bucket(rows.select("bucket", "value").iter_rows(), policy, scale, places)
        frame = with_window_end(rows, policy).with_columns(pl.Series("observed", texts, dtype=pl.String))
        return as_warnings(frame, "structuring", policy.detectors.structuring)

    warnings = by_span(found, policies, told) if found.height else no_warnings()
    return warnings, warnings.join(evidence, on=["subject", "anchor"]).select("warning_id", "subject", "day")


def _near(rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """Transactions from the share of the threshold on (the share itself is near) that do not reach the threshold."""
    near = is_times(policy.detectors.structuring.near_from.value)
    if policy.heightened is not None:
        near = near | (pl.col("heightened") & is_times(policy.heightened.near_from.value))
    return rows.filter(near & ~reaches(ONE)).select(*SERIES, "event_time", "day", "value", "threshold", "strict")


def _windows(days: pl.Series, policies: PolicyHistory) -> pl.DataFrame:
    """For each day the window it closes and the block that names it, by the day's own figures; none where it is off."""
    rows = []
    for day in days.unique():
        policy = policies.on(day)
        rule, calendar = policy.detectors.structuring, policy.bank_calendar
        if rule.mode != "off":
            within = rule.within.whole
            begins, block = _begins(calendar, day, within), _block(calendar, day, within)
            # Versions whose blocks are longer or shorter than those at first count them anew.
            block += f"/{within}" if within != policies.versions[0].detectors.structuring.within.whole else ""
            rows.append((day, begins, block, rule.at_least.whole, severity_rank(rule.severity)))
    schema = {"day": pl.Date, "begins": pl.Date, "block": pl.String, "at_least": pl.Int64, "grade": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _begins(calendar: BankCalendar, day: date, within: int) -> date:
    """The working day from which on there are so many up to `day`; a `day` off comes on top of them."""
    while True:
        within -= calendar.is_working_day(day)
        if not within:
            return day
        day -= timedelta(days=1)


def _block(calendar: BankCalendar, day: date, within: int) -> str:
    new_year = date(day.year, 1, 1)
    worked = sum(calendar.is_working_day(new_year + timedelta(days=n)) for n in range((day - new_year).days + 1))
    return f"{day.year}-{max(worked - 1, 0) // within:02d}"
