"""A backtest: a file's whole history judged in this process, by the streaming rules or by the oracle."""

import enum
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, cast

import msgspec
import polars as pl
from rich.progress import Progress

from connectors.sources.events import to_events
from connectors.sources.spill import History
from models.oracle.frames import INSTANT
from models.oracle.parts import ACROSS, PartKind, Tally, tally, warnings_across
from models.pipeline import LocalPipeline
from models.policy import PolicyHistory
from streams.judging import Pace, judge

_LINES: dict[str, Any] = {"warning_id": pl.String, "detector": pl.String, "line": pl.Binary}


class Engine(enum.StrEnum):
    """What judges: the rules of the stream, or the independent Polars queries."""

    STREAM = "stream"
    ORACLE = "oracle"


class Result:
    """What a backtest found.

    Args:
        history: the file as events.
        found: a row a warning with warning_id and detector, and with `line` (its JSON) or the oracle's columns.
        refused: events that the rules themselves could not take, by reason.
    """

    def __init__(self, history: History, found: pl.DataFrame, refused: Counter[str]) -> None:
        self.mapped = history.whole
        self.rows, self.rejected = self.mapped.rows, self.mapped.rejected_rows
        self.accepted = self.rows - self.rejected
        self.refused = dict(sorted(refused.items()))
        self._found = found.sort("warning_id")

    @property
    def ids(self) -> list[str]:
        return self._found["warning_id"].to_list()

    @property
    def warnings(self) -> dict[str, int]:
        """Count by detector."""
        return dict(sorted(Counter(self._found["detector"]).items()))

    @property
    def digest(self) -> str:
        """SHA-256 over the sorted warning ids, one a line: equal for equal sets of warnings."""
        return hashlib.sha256("".join(f"{one}\n" for one in self.ids).encode()).hexdigest()

    def lines(self) -> Iterator[bytes]:
        """Each warning as JSON, in order of its id."""
        if "line" in self._found.columns:
            yield from self._found["line"]
        else:
            yield from map(msgspec.json.encode, self._found.iter_rows(named=True))

    def summary(self) -> dict[str, Any]:
        """What `--format json` prints."""
        return {
            "rows": self.rows,
            "accepted": self.accepted,
            "rejected": self.rejected,
            "warnings": self.warnings,
            "digest": self.digest,
            "refused": self.refused,
            "rejections": self.mapped.rejected.to_dicts(),
        }


def run_backtest(history: History, policies: PolicyHistory, engine: Engine, progress: Progress) -> Result:
    """Judge a file's history.

    A history of several buckets is judged bucket by bucket, by either engine; what looks across customers is then
    judged by the oracle's queries, from what the stream or the oracle made of the buckets.

    Args:
        progress: shows how far it has come.
    """
    pace = Pace(progress, f"judging by {policies.latest.version}")
    if engine is Engine.ORACLE:
        ((found, refused),) = judge(history, [policies], pace)
        return Result(history, found, refused)
    return _streamed(history, policies, pace)


def _streamed(history: History, policies: PolicyHistory, tell: Callable[[int, int], None]) -> Result:
    lines: list[tuple[str, str, bytes]] = []
    refused: Counter[str] = Counter()
    told: list[tuple[str, datetime]] = []
    tallies: list[Tally] = []
    done, in_parts = 0, history.buckets > 1
    kind = cast(PartKind, history.kind)
    for part in history:
        pipeline = LocalPipeline(policies)
        for event in to_events(part):
            for emit in pipeline.feed(history.kind, event):
                if in_parts and emit.topic == "warnings" and emit.value.revision == 1:
                    told.append((emit.value.detector, emit.value.event_time))
            done += 1
            if done % 1000 == 0:
                tell(done, history.events)
        pipeline.finish()
        refused.update(one.reason for one in pipeline.refusals)
        lines += [
            (one.warning_id, one.detector, msgspec.json.encode(one))
            for one in pipeline.warnings.values()
            if not (in_parts and one.detector in ACROSS)
        ]
        if in_parts:
            tallies.append(tally(kind, part.accepted, policies))
    if in_parts:
        first_told = pl.DataFrame(told, schema={"detector": pl.String, "event_time": INSTANT}, orient="row")
        across = warnings_across(kind, tallies, policies, first_told)
        lines += [
            (one["warning_id"], one["detector"], msgspec.json.encode(one)) for one in across.iter_rows(named=True)
        ]
    return Result(history, pl.DataFrame(lines, schema=_LINES, orient="row"), refused)
