"""The cases on their topic: read as they stand, acted on, and what became of the actions."""

import base64
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from kafka import TopicPartition
from msgspec import Struct

from connectors.records import TopicReader
from connectors.reports.case_file import CaseFile, case_file
from connectors.settings import Settings
from connectors.writer import EventWriter
from models.dead_letter import DeadLetter
from models.events import Action
from models.policy import Policy
from models.response.case import Case
from models.response.confidential import is_stub, roles_of
from models.revisions import newest

CONFIDENTIAL = "cases.confidential"
OUTCOMES = ("cases", "dead-letters")
EVERY = 0.5  # seconds between two looks for what became of actions


class Outcome(Struct, frozen=True):
    """What became of an action: the case that took it, or the letter that says why not; neither: not yet known."""

    action: Action
    case: Case | None = None
    refused: DeadLetter | None = None


def read_cases(
    settings: Settings, wanted: Callable[[Case], bool] = lambda case: True, policy: Policy | None = None
) -> dict[str, Case]:
    """The cases that are wanted, each in its newest revision, by case_id.

    Args:
        policy: says whose role sees confidential cases whole; without it, or for another role, these are stubs.

    Raises:
        ReadFailed: a topic could not be read, such as that of confidential cases for want of the broker's leave.
    """
    topics = ("cases", CONFIDENTIAL) if sees_confidential(settings, policy) else ("cases",)
    with TopicReader(settings) as reader:
        told = [case for topic in topics for _, case in reader.events(topic) if wanted(case)]
    # Of one revision the whole case stands on one topic and its stub on the other.
    whole: dict[str, Case] = newest(sorted(told, key=lambda one: not is_stub(one)), lambda one: one.case_id)
    return dict(sorted(whole.items()))


def sees_confidential(settings: Settings, policy: Policy | None) -> bool:
    """Whether LIANDONG_ROLE is one of the roles that see confidential cases."""
    return policy is not None and settings.role in roles_of(policy)


def read_case_file(settings: Settings, case: Case) -> CaseFile:
    """A case with its warnings and the events behind them."""
    ids = {ref.warning_id for ref in case.warnings}
    with TopicReader(settings) as reader:
        warnings = [one for _, one in reader.events("warnings") if one.warning_id in ids]
        named = {event_id for one in warnings for event_id in one.event_ids}
        events = {
            topic: [one for _, one in reader.events(topic) if one.event_id in named] if named else []
            for topic in ("transactions", "reports", "loans")
        }
    return case_file(case, warnings, events)


def act(settings: Settings, actions: Iterable[Action], seconds: float, policy: Policy | None = None) -> list[Outcome]:
    """Send actions, and wait for what becomes of each.

    Args:
        policy: as of `read_cases`; who does not see a confidential case is not told what became of an action on it.
        seconds: to wait at most; what is not known by then has no outcome yet (no worker runs, or it is behind).
    """
    outcomes = {action.action_id: Outcome(action) for action in actions}
    topics = (*OUTCOMES, CONFIDENTIAL) if sees_confidential(settings, policy) else OUTCOMES
    with TopicReader(settings) as reader:
        since = reader.ends(*topics)
        with EventWriter(settings) as writer:
            for one in outcomes.values():
                writer.write("actions", one.action)
        until = time.monotonic() + seconds
        while any(one.case is None and one.refused is None for one in outcomes.values()):
            since = _look(reader, topics, since, outcomes)
            if time.monotonic() >= until:
                break
            time.sleep(EVERY)
    return list(outcomes.values())


def _look(
    reader: TopicReader,
    topics: tuple[str, ...],
    since: Mapping[TopicPartition, int],
    outcomes: dict[str, Outcome],
) -> dict[TopicPartition, int]:
    """Note what has come since; from where to look on."""
    places = dict(since)
    for record, event in reader.events(*topics, since=since):
        places[TopicPartition(record.topic, record.partition)] = record.offset + 1
        if isinstance(event, Case):
            for name, one in outcomes.items():
                if one.action.case_id == event.case_id and event.applied(name):
                    outcomes[name] = Outcome(one.action, case=event)
        elif isinstance(event, DeadLetter) and event.source_topic == "actions":
            name = _action_id(event)
            if name in outcomes:
                outcomes[name] = Outcome(outcomes[name].action, refused=event)
    return places


class _Named(Struct):
    action_id: str = ""


def _action_id(letter: DeadLetter) -> str:
    """Of the action that a letter is about; empty where its bytes are no action."""
    raw: Any = base64.b64decode(letter.raw or "")
    try:
        return msgspec.json.decode(raw, type=_Named).action_id
    except msgspec.DecodeError:
        return ""
