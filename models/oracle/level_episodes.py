"""Episodes of levels: what began on which day, and what is told of it as it goes on."""

from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Any, NamedTuple

import polars as pl

from models.oracle.frames import as_warnings, by_span, no_warnings, with_window_end
from models.policy import Policy, PolicyHistory, Rule
from models.risk_warning import Severity, severity_rank


class Rise(NamedTuple):
    """A level that rises, at the beginning of an episode or in the middle of one.

    Args:
        level: 1 and up; what it means for the severity is the rule's.
        size: how many loans, or largest borrowers, are behind it.
        day: of `event_time`, by whose figures the severity is read.
    """

    subject: str
    anchor: str
    level: int
    size: int
    event_time: datetime
    day: date
    observed: str


class _Told(NamedTuple):
    """The newest rise that said something new, and the gravest severity so far."""

    rise: Rise
    rank: int


def episode_warnings(
    rises: Iterable[Rise],
    detector: str,
    policies: PolicyHistory,
    severity: Callable[[Any, int], Severity],
) -> pl.DataFrame:
    """The warnings (severity as a rank) of a detector, one for each subject and anchor.

    Args:
        rises: those of one subject and anchor in the order in which they are judged.
        severity: of a level, by the detector's rule.
    """
    told: dict[tuple[str, str], _Told] = {}
    for rise in rises:
        policy = policies.on(rise.day)
        rank = severity_rank(severity(getattr(policy.detectors, detector), rise.level))
        known = told.get((rise.subject, rise.anchor))
        if known is None or rank > known.rank or _has_grown(rise.size, known.rise.size, policy):
            told[rise.subject, rise.anchor] = _Told(rise, max(rank, known.rank) if known else rank)
    if not told:
        return no_warnings()
    schema: dict[str, Any] = {"day": pl.Date, "event_time": pl.Datetime("us", "UTC")}
    rows = [one.rise for one in told.values()]
    frame = pl.DataFrame(rows, schema=list(Rise._fields), schema_overrides=schema, orient="row")
    frame = frame.with_columns(pl.Series("rank", [one.rank for one in told.values()], dtype=pl.Int8))

    def judge(rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
        rule: Rule = getattr(policy.detectors, detector)
        return as_warnings(with_window_end(rows, policy), detector, rule)

    return by_span(frame, policies, judge)


def _has_grown(size: int, told: int, policy: Policy) -> bool:
    """Whether more is behind a warning than was told: each one more at first, later at each doubling."""
    return size > told and (size <= policy.episodes.every_event_until.whole or size >= 2 * told)
