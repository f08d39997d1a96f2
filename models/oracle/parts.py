"""The oracle's judgement of a history that is too long for one frame: by buckets of whole customers.

Almost every rule looks at one customer, so that a bucket of them is judged by itself. What looks across customers
(`silence`, `missing_rate` and `inspection`) is judged at the end, by the few columns that it needs of all of them.
"""

from collections import Counter
from typing import Literal, NamedTuple

import polars as pl

from models import oracle
from models.oracle.acceptance import accepted_reports, accepted_transactions
from models.oracle.classified import classified
from models.oracle.frames import canonical, finished, no_warnings, real
from models.oracle.inspection import inspections, large_bookings
from models.oracle.missing_rate import Judged, missing_rates
from models.oracle.silence import closed_days, silence
from models.policy import PolicyHistory

ACROSS = ("silence", "missing_rate", "inspection")
PartKind = Literal["transactions", "reports"]


class Tally(NamedTuple):
    """What is kept of a bucket beside its warnings.

    Args:
        refused: how many events were refused, by reason.
        counted: what rules across customers need of the events that count: day, event_time, where.
        unrated: event_id, currency and event_time of those without a rate.
        large: what inspections draw from.
    """

    refused: Counter[str]
    counted: pl.DataFrame
    unrated: pl.DataFrame
    large: pl.DataFrame


def warnings_within(kind: PartKind, frame: pl.DataFrame, policies: PolicyHistory) -> pl.DataFrame:
    """The warnings of rules that look at one customer, in the columns of `oracle.warnings`.

    Args:
        kind, frame: all events of some customers in arrival order; amounts of the same scale in every bucket.
        policies: as for `oracle.warnings`.
    """
    return oracle.warnings(**{kind: frame}, policies=policies).filter(~pl.col("detector").is_in(ACROSS))


def tally(kind: PartKind, frame: pl.DataFrame, policies: PolicyHistory) -> Tally:
    """What `warnings_across` and a count of refusals need of a bucket.

    Args:
        kind, frame, policies: as for `warnings_within`.
    """
    events = canonical(frame, kind)
    if kind == "transactions":
        counted, refused = accepted_transactions(events, policies)
        places, known = ["branch_id", "channel"], ["event_id", "currency", "event_time"]
    else:
        counted, refused = accepted_reports(events, policies)
        places, known = ["reporter.branch_id"], []
    inspected = kind == "transactions" and _any_on("inspection", policies)
    large = large_bookings(classified(counted, policies)) if inspected else pl.DataFrame()
    if not _any_on("silence", policies) and not _any_on("inspection", policies):
        counted = counted.clear()
    no_rate = refused.filter(pl.col("reason") == "no_rate")
    return Tally(
        refused=Counter(refused["reason"]),
        counted=real(counted).select("day", "event_time", *places),
        unrated=events.join(no_rate, on="arrival", how="semi").select(known),
        large=large,
    )


def warnings_across(
    kind: PartKind, tallies: list[Tally], policies: PolicyHistory, told: pl.DataFrame | None = None
) -> pl.DataFrame:
    """The warnings of rules across customers: with those within all buckets they are what `oracle.warnings` gives.

    Args:
        tallies: of all buckets.
        kind, policies: as for `warnings_within`.
        told: as for `oracle.warnings`.
    """
    found = [no_warnings()]
    counted = pl.concat([one.counted for one in tallies])
    none = (
        accepted_transactions(canonical(None, "transactions"), policies).frame,
        accepted_reports(canonical(None, "reports"), policies).frame,
    )
    topics = (counted, none[1]) if kind == "transactions" else (none[0], counted)
    if _any_on("silence", policies):
        found.append(silence(*topics, told, policies))
    if kind == "transactions" and _any_on("inspection", policies):
        large = pl.concat([one.large for one in tallies])
        found.append(inspections(large, closed_days(*topics, policies), policies))
    if kind == "transactions" and _any_on("missing_rate", policies):
        unrated = pl.concat([one.unrated for one in tallies]).with_row_index("arrival")
        refused = unrated.select("arrival", "event_id", pl.lit("no_rate").alias("reason"))
        found.append(missing_rates((Judged(unrated, refused),), policies))
    return finished(pl.concat(found))


def _any_on(detector: str, policies: PolicyHistory) -> bool:
    return any(getattr(policy.detectors, detector).mode != "off" for policy in policies.versions)
