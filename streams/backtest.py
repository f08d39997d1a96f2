"""A backtest: a file's whole history judged in this process, by the streaming rules or by the oracle."""

import enum
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import polars as pl
from rich.progress import Progress

from connectors.sources.events import to_events
from connectors.sources.reader import MappedFrame
from models import oracle
from models.pipeline import LocalPipeline
from models.policy import PolicyHistory
from models.risk_warning import RiskWarning


class Engine(enum.StrEnum):
    """What judges: the rules of the stream, or the independent Polars queries."""

    STREAM = "stream"
    ORACLE = "oracle"


class Result:
    """What a backtest found.

    Args:
        mapped: the file as events.
        details: one entry a warning: a RiskWarning (stream) or a row of the oracle's frame.
        refused: events that the rules themselves could not take, by reason.
    """

    def __init__(self, mapped: MappedFrame, details: Iterable[Any], refused: Counter[str]) -> None:
        self.mapped = mapped
        self.details = sorted(details, key=_id)
        self.refused = dict(sorted(refused.items()))
        self.rows, self.accepted, self.rejected = mapped.rows, mapped.accepted_rows, mapped.rejected_rows

    @property
    def ids(self) -> list[str]:
        return [_id(one) for one in self.details]

    @property
    def warnings(self) -> dict[str, int]:
        """Count by detector."""
        found = Counter(one["detector"] if isinstance(one, dict) else one.detector for one in self.details)
        return dict(sorted(found.items()))

    @property
    def digest(self) -> str:
        """SHA-256 over the sorted warning ids, one a line: equal for equal sets of warnings."""
        return hashlib.sha256("".join(f"{one}\n" for one in self.ids).encode()).hexdigest()

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


def _id(one: RiskWarning | dict[str, Any]) -> str:
    return str(one["warning_id"]) if isinstance(one, dict) else one.warning_id


def run_backtest(mapped: MappedFrame, policies: PolicyHistory, engine: Engine, progress: Progress) -> Result:
    """Judge a mapped file.

    Args:
        progress: shows how far the stream engine has come.
    """
    if engine is Engine.ORACLE:
        frames: dict[str, pl.DataFrame] = {mapped.kind: mapped.accepted}
        found = oracle.warnings(**frames, policies=policies) if mapped.kind != "actions" else pl.DataFrame()
        refused = oracle.refusals(**frames, policies=policies) if mapped.kind != "actions" else pl.DataFrame()
        return Result(mapped, found.to_dicts(), Counter(refused["reason"] if refused.height else ()))
    pipeline = LocalPipeline(policies)
    with progress:
        task = progress.add_task("judging", total=mapped.events)
        for event in _ticking(to_events(mapped), progress, task):
            pipeline.feed(mapped.kind, event)
        pipeline.finish()
    return Result(mapped, pipeline.warnings.values(), Counter(one.reason for one in pipeline.refusals))


def _ticking(events: Iterable[Any], progress: Progress, task: Any, every: int = 1000) -> Iterator[Any]:
    for number, event in enumerate(events, 1):
        yield event
        if number % every == 0:
            progress.update(task, completed=number)
