"""Judging history again: a policy version, a rate or a watch list entry came after events that it governs.

The live states keep counts, not events, so what such an event would have meant is found from the history itself, by
the same stage that judges live. What is new or graver goes back to the stage as `Reevaluated` and is told, marked
late; what was told and would not be told now stands, since somebody has acted on it.
Rules are judged again, not models: a version names one for days to come.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from models.episodes import Episode
from models.events import PostReport, Transaction
from models.messages import Reevaluated
from models.pipeline import MemoryStates
from models.policy import PolicyHistory
from models.risk_warning import RiskWarning, severity_rank
from models.stage import Record, Refused
from models.stages.customers import CustomersStage, CustomerState, state_key


class Judged(Struct, frozen=True):
    """An episode as the whole history leaves it, and whose it is."""

    customer_id: str | None
    branch_id: str | None
    episode: Episode


class Difference(Struct, frozen=True):
    """One warning that history gives otherwise than it was told.

    Args:
        change: `new`, `graver`, or `gone` (told, and would not be told now).
    """

    change: Literal["new", "graver", "gone"]
    warning_id: str
    detector: str
    news: Reevaluated | None = None


def judge_again(records: Iterable[Record], policies: PolicyHistory) -> dict[str, Judged]:
    """Every episode of a history, by warning id.

    Args:
        records: transactions and reports; each customer's in the order of their arrival.
    """
    stage, states = CustomersStage(policies, scoring=False), MemoryStates()
    found: dict[str, Judged] = {}
    for record in records:
        event: Transaction | PostReport = record.event
        try:
            emits = list(stage.apply(states, record))
        except Refused:
            continue
        told = [emit.value for emit in emits if emit.topic == "warnings"]
        if told:
            state = states.load(state_key(event), CustomerState)
            assert state is not None  # noqa: S101 - the stage has just told of it
            branch = None if event.customer_id else event.key
            for warning in told:
                found[warning.warning_id] = Judged(event.customer_id, branch, state.episodes[warning.warning_id])
    return found


def differences(found: Mapping[str, Judged], told: Mapping[str, RiskWarning]) -> Iterator[Difference]:
    """What history says now against what was told.

    Args:
        found: as of `judge_again`.
        told: the newest revision of every warning of the same rules, by id.
    """
    for name in sorted(found.keys() | told.keys()):
        now, before = found.get(name), told.get(name)
        if now is None:
            assert before is not None  # noqa: S101 - one of the two has it
            yield Difference("gone", name, before.detector)
        elif before is None:
            yield Difference("new", name, now.episode.detector, _news(now, None))
        elif severity_rank(now.episode.total_severity) > severity_rank(before.severity):
            yield Difference("graver", name, now.episode.detector, _news(now, before))


def _news(now: Judged, before: RiskWarning | None) -> Reevaluated:
    episode = now.episode
    return Reevaluated(
        customer_id=now.customer_id,
        branch_id=now.branch_id,
        detector=episode.detector,
        version=episode.version,
        finding=replace(episode.finding, severity=episode.severity),
        partners=episode.partners,
        revision=before.revision if before is not None else 0,
        told_severity=before.severity if before is not None else None,
        told_count=before.event_count if before is not None else 0,
    )
