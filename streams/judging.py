"""The oracle's judgement of a history, bucket by bucket, and how fast it goes."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import polars as pl
from rich.progress import Progress

from connectors.sources.spill import History
from models import oracle
from models.oracle.frames import WARNINGS
from models.oracle.parts import PartKind, Tally, tally, warnings_across, warnings_within
from models.policy import PolicyHistory


class Pace:
    """A task of a progress bar that says how many rows it does a second. Call it with what is done, and of how much."""

    def __init__(self, progress: Progress, what: str) -> None:
        self._progress = progress
        self._what = what
        self._task = progress.add_task(what, total=None)
        self._began = time.monotonic()

    def __call__(self, done: int, of: int) -> None:
        rate = done / max(time.monotonic() - self._began, 0.001)
        self._progress.update(
            self._task, completed=done, total=of, description=f"{self._what}, {rate:,.0f} rows a second"
        )


class Judgement(NamedTuple):
    """What one set of figures says of a history.

    Args:
        found: the warnings, as of `oracle.warnings`.
        refused: events that the rules could not take, by reason.
    """

    found: pl.DataFrame
    refused: Counter[str]


def judge(history: History, several: Sequence[PolicyHistory], tell: Callable[[int, int], None]) -> list[Judgement]:
    """Judge a history by the oracle: once for each set of figures, each bucket being read once.

    Args:
        tell: called with the events judged so far and all that there are, several sets counting several times.
    """
    if history.kind == "actions":
        return [Judgement(pl.DataFrame(schema=WARNINGS), Counter()) for _ in several]
    done, total = 0, history.events * len(several)
    if history.buckets == 1:
        (part,) = history
        whole = []
        for policies in several:
            frames: dict[str, Any] = {history.kind: part.accepted}
            refused = oracle.refusals(**frames, policies=policies)["reason"]
            whole.append(Judgement(oracle.warnings(**frames, policies=policies), Counter(refused)))
            tell(done := done + part.events, total)
        return whole
    kind = cast(PartKind, history.kind)
    found: list[list[pl.DataFrame]] = [[] for _ in several]
    tallies: list[list[Tally]] = [[] for _ in several]
    for part in history:
        for policies, mine, counts in zip(several, found, tallies, strict=True):
            mine.append(warnings_within(kind, part.accepted, policies))
            counts.append(tally(kind, part.accepted, policies))
            tell(done := done + part.events, total)
    return [
        Judgement(
            pl.concat([*mine, warnings_across(kind, counts, policies)]).sort("warning_id"),
            sum((one.refused for one in counts), Counter()),
        )
        for policies, mine, counts in zip(several, found, tallies, strict=True)
    ]
