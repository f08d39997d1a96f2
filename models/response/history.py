"""The history of a case: a line for each thing that happened, each chained to the one before by its hash."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from models.events import Action

SYSTEM = "system"  # the actor of what no person did
_HEX_DIGITS = 32


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a case's history.

    Args:
        at: event time.
        recorded_at: when the broker took the event or, for what a timer found, when it looked.
        actor: employee id, or `system`.
        kind: of an action, or `opened`, `joined`, `revised`, `severity_rose`, `task_opened`, `measures_added`,
            `proposal_withdrawn`, `breached`, `escalated`, `breach_withdrawn`, `escalation_withdrawn`, `resolved`,
            `reopened` (by a warning), `suspended`, `suspended_already`, `lift_proposed`, `lift_rejected`, `lifted`,
            `countersign_asked`, `countersigned`, `countersign_rejected`, `reminded`, `claimed` (done, and to be
            proved), `proved`, `not_proved`, `found` (something wrong, by `find`); of cases that follow one another
            `merged`, `split`, `merge_refused`, `leads`, `left`, `passed_on`, `not_taken`; `restricted`, `released`.
        action_id, warning_id: what brought it about; neither for what a timer found.
        hash: of this line and, through the one before, of all before it (`link`); empty in lines that were written
            by releases without a chain.
    """

    at: datetime
    recorded_at: datetime
    actor: str
    kind: str
    detail: str = ""
    department: str | None = None
    measure: str | None = None
    action_id: str | None = None
    warning_id: str | None = None
    note: str = ""
    evidence: tuple[str, ...] = ()
    hash: str = ""


def acted(action: Action, recorded_at: datetime, detail: str) -> Entry:
    """The line of an action."""
    return Entry(
        at=action.event_time,
        recorded_at=recorded_at,
        actor=action.actor.employee_id,
        kind=action.kind,
        detail=detail,
        department=action.actor.department,
        measure=action.measure,
        action_id=action.action_id,
        note=action.note,
        evidence=action.evidence,
    )


def canonical(entry: Entry) -> bytes:
    """An entry as it is hashed: JSON with sorted keys, without its hash, times in UTC as stores give them back."""
    at, recorded_at = entry.at.astimezone(UTC), entry.recorded_at.astimezone(UTC)
    return msgspec.json.encode(replace(entry, at=at, recorded_at=recorded_at, hash=""), order="sorted")


def link(before: str, entry: Entry) -> str:
    """The hash of an entry: the first 32 hex digits of SHA-256 over the previous hash and the entry's JSON.

    Args:
        before: `seed` for the first entry that has a hash.
    """
    return _digest(before, canonical(entry))


def seed(case_id: str, unchained: Sequence[Entry]) -> str:
    """What stands for the previous hash where a chain begins: the case, and the lines that were there already.

    So a chain that begins late proves from there on what it found.
    """
    if not unchained:
        return case_id
    return _digest(case_id, b"[" + b",".join(canonical(entry) for entry in unchained) + b"]")


def chained(case_id: str, history: Sequence[Entry], entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """New entries with their hashes, as they follow on a history."""
    before = (history[-1].hash if history else "") or seed(case_id, history)
    found = []
    for entry in entries:
        before = link(before, entry)
        found.append(replace(entry, hash=before))
    return tuple(found)


def _digest(before: str, json: bytes) -> str:
    return hashlib.sha256(before.encode() + json).hexdigest()[:_HEX_DIGITS]
