"""Stream against oracle, over what stands on the topics."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import polars as pl
from msgspec import Struct

from connectors.records import TopicReader
from connectors.settings import Settings
from models import oracle
from models.drill import drill_of
from models.messages import Suspensions
from models.policy import PolicyHistory
from models.risk_warning import RiskWarning, severity_rank

INPUTS = ("transactions", "reports", "loans", "capital")


class Line(Struct, frozen=True):
    """One warning that differs."""

    warning_id: str
    detector: str
    subject: str
    severity: str


class Comparison(Struct, frozen=True):
    """What was read, and where the stream and the oracle part.

    Args:
        read: records by topic.
        by_detector: (on both sides, missing on the topic, only on the topic).
        other_severity: the same warning, judged differently grave; told, but no disagreement on what was found.
    """

    agrees: bool
    read: dict[str, int]
    by_detector: dict[str, tuple[int, int, int]]
    missing: list[Line]
    extra: list[Line]
    other_severity: list[Line]


def compare(settings: Settings, policies: PolicyHistory) -> Comparison:
    """Read the input topics, `suspensions` and `warnings` to their ends, and hold them against each other.

    Some rules look at more than the events that stand on the topics, and are compared as far as those go:

    - `silence`: in the topics it is as late as their newest event, in the workers it goes on being later while
      nothing comes. Only days that the newest event closes are compared, so of each warning the revision of its
      newest such day; a day that only the workers' clock has closed is left out. Rules are series by the first
      revisions on `warnings`. An event that came when its day had been judged, and would have changed the verdict,
      shows as a difference.
    - `inspection`: likewise, by months; a transaction that came when its month had been drawn is in no sample.
    - `missing_rate`: a currency that has been given a rate for the day since its warning is left out, as nothing of
      that day would be refused now.
    - `approval_during_suspension`: the newest revision of each case says when nothing might be approved. What was
      told is not taken back, and approvals are remembered for `events.lateness`: an approval that overtook the lift
      which allows it shows as one too many, and one that was forgotten before a start that governs it came shows as
      missing.
    """
    counts: dict[str, int] = {}
    frames: dict[str, Any] = {}
    with TopicReader(settings) as reader:
        for topic in INPUTS:
            records = list(reader.events(topic))
            counts[topic] = len(records)
            if records:
                frames[topic] = oracle.from_events(
                    [event for _, event in records],
                    ingest_times=[datetime.fromtimestamp(record.timestamp / 1000, UTC) for record, _ in records],
                )
        suspensions = [message for _, message in reader.events("suspensions")]
        warnings: list[RiskWarning] = [warning for _, warning in reader.events("warnings")]
    counts |= {"suspensions": len(suspensions), "warnings": len(warnings)}
    closed = oracle.closed_until(
        transactions=frames.get("transactions"), reports=frames.get("reports"), policies=policies
    )
    found: dict[str, RiskWarning] = {}
    for warning in warnings:
        before = found.get(warning.warning_id)
        newest = before is None or warning.revision >= before.revision
        if newest and _compared(warning, closed, policies):
            found[warning.warning_id] = warning
    frames |= {"told": _told(warnings), "suspensions": suspension_frame(suspensions)}
    expected = {
        row["warning_id"]: Line(row["warning_id"], row["detector"], row["subject"], row["severity"])
        for row in oracle.warnings(**frames, policies=policies).iter_rows(named=True)
    }
    seen = {key: Line(key, one.detector, one.subject, one.severity) for key, one in found.items()}
    missing = [expected[key] for key in sorted(expected.keys() - seen.keys())]
    extra = [seen[key] for key in sorted(seen.keys() - expected.keys())]
    both = sorted(expected.keys() & seen.keys())
    tally = {
        side: Counter(line.detector for line in lines)
        for side, lines in (("both", [expected[key] for key in both]), ("missing", missing), ("extra", extra))
    }
    names = sorted(set(tally["both"]) | set(tally["missing"]) | set(tally["extra"]))
    return Comparison(
        agrees=not missing and not extra,
        read=counts,
        by_detector={name: (tally["both"][name], tally["missing"][name], tally["extra"][name]) for name in names},
        missing=missing,
        extra=extra,
        other_severity=[
            seen[key]
            for key in both
            if severity_rank(seen[key].severity) != severity_rank(expected[key].severity)  # type: ignore[arg-type]
        ],
    )


def suspension_frame(messages: Iterable[Suspensions]) -> pl.DataFrame:
    """What cases say of their suspensions, as `oracle.warnings` reads it: one row a suspension.

    Args:
        messages: in any order and any number of times; the newest revision of a case counts.

    Returns:
        subject, case_id, started_at, lifted_at (null while it is in force).
    """
    newest: dict[str, Suspensions] = {}
    for message in messages:
        known = newest.get(message.case_id)
        if known is None or message.revision > known.revision:
            newest[message.case_id] = message
    rows = [
        (one.subject, one.case_id, span.started_at, span.lifted_at) for one in newest.values() for span in one.spans
    ]
    instant = pl.Datetime("us", "UTC")
    schema: dict[str, Any] = {"subject": pl.String, "case_id": pl.String, "started_at": instant, "lifted_at": instant}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _told(warnings: list[RiskWarning]) -> pl.DataFrame:
    """When each warning was told for the first time: a record sent again after a worker's death is no other."""
    real = (one for one in warnings if one.mode != "drill" and drill_of(one.subject) is None)
    first = {one.warning_id: one for one in real if one.revision == 1}
    rows = [(one.detector, one.event_time) for one in first.values()]
    return pl.DataFrame(rows, schema={"detector": pl.String, "event_time": pl.Datetime("us", "UTC")}, orient="row")


def _compared(warning: RiskWarning, closed: datetime | None, policies: PolicyHistory) -> bool:
    if warning.detector in ("silence", "inspection"):
        return closed is not None and warning.window.end <= closed
    if warning.detector == "missing_rate":
        currency = warning.subject.removeprefix("currency:")
        return currency not in policies.at(warning.window.start).rates
    return True
