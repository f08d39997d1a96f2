"""approval_during_suspension: approvals held against what the cases say is suspended, whichever comes first.

An approval is judged at once by the suspensions known. A suspension, or an earlier start of one, that comes after
approvals it governs judges them then, and marks their warnings late. It reaches back to `events.lateness` behind the
entity's newest approval: for so long each approval is remembered, in a small state of its own.

What was told stays told: a lift that comes after an approval it would have allowed takes back no warning, and an
earlier start does not change the start that a warning names.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from models.credit.approval_during_suspension import DETECTOR, approved_while_suspended, covers
from models.messages import Approval, Suspensions
from models.policy import PolicyHistory
from models.stage import Emit, States
from models.stages.portfolio.occasion import Occasion
from models.stages.portfolio.states import RESERVED
from models.subjects import loan_subjects

_APPROVAL = f"{RESERVED}approval|"
_SUSPENSIONS = f"{RESERVED}suspensions|"


class Remembered(Struct, omit_defaults=True):
    """An approval that a suspension told later may still be about.

    Args:
        entity: in whose book.
        told: the subjects in which it was warned of.
    """

    entity: str
    approval: Approval
    told: tuple[str, ...] = ()


def approval_key(entity: str, approval: Approval) -> str:
    """Key of an approval's state. An event's id is its borrower's own, and the lengths tell where each name ends.

    >>> from datetime import UTC, datetime
    >>> from decimal import Decimal
    >>> now = datetime(2026, 3, 2, tzinfo=UTC)
    >>> one = Approval(offset=0, event_id="e1", event_time=now, loan_id="L1", borrower="B7", member="K",
    ...     amount=Decimal(1), currency="CNY")
    >>> approval_key("BANK1", one)
    '~approval|5|BANK1|2|B7|e1'
    """
    borrower = approval.borrower
    return f"{_APPROVAL}{len(entity)}|{entity}|{len(borrower)}|{borrower}|{approval.event_id}"


def suspensions_key(case_id: str) -> str:
    """Key of the state of what a case has suspended, which is the newest revision of its message.

    >>> suspensions_key("industry:BANK1:K#1")
    '~suspensions|industry:BANK1:K#1'
    """
    return f"{_SUSPENSIONS}{case_id}"


class Approvals:
    """One partition's approvals and suspensions, with what is derived from their states to find them.

    It is built again when the runner shows the partition in a new `States`, so nothing but states has to survive.

    Args:
        states: of the partition.
        policies: for the rule and the calendar, by event time, and the lateness.
    """

    def __init__(self, states: States, policies: PolicyHistory) -> None:
        self.states = states
        self._policies = policies
        self._recent: dict[str, list[tuple[datetime, str]]] = {}  # by entity, in order: event time and key
        self._suspensions: dict[str, set[str]] = {}  # keys by subject
        for key in states.keys():
            if key.startswith(_APPROVAL):
                if (kept := states.load(key, Remembered)) is not None:
                    self._recent.setdefault(kept.entity, []).append((kept.approval.event_time, key))
            elif key.startswith(_SUSPENSIONS):
                if (message := states.load(key, Suspensions)) is not None:
                    self._suspensions.setdefault(message.subject, set()).add(key)
        for recent in self._recent.values():
            recent.sort()

    def take(self, entity: str, approvals: Iterable[Approval], now: datetime) -> list[Emit]:
        """Judge approvals that have not come before, remember them, and forget those that are too old by now."""
        emits: list[Emit] = []
        recent = self._recent.setdefault(entity, [])
        for approval in approvals:
            kept = Remembered(entity, approval)
            for subject in _subjects(kept):
                emits += self._judge(kept, subject, now, late=False)
            key = approval_key(entity, approval)
            self.states.save(key, kept)
            insort(recent, (approval.event_time, key))
        if recent:
            # How late an action may come is said by its own day's version: for as long as any of them says.
            old = bisect_left(recent, (recent[-1][0] - self._policies.lateness, ""))
            for _, key in recent[:old]:
                self.states.delete(key)
            del recent[:old]
        return emits

    def suspend(self, message: Suspensions, now: datetime) -> list[Emit]:
        """Take what a case suspends, and judge the approvals that it governs; an older revision changes nothing."""
        key = suspensions_key(message.case_id)
        known = self.states.load(key, Suspensions)
        if known is not None and known.revision >= message.revision:
            return []
        self.states.save(key, message)
        self._suspensions.setdefault(message.subject, set()).add(key)
        recent = self._recent.get(message.entity, [])
        emits: list[Emit] = []
        for span in message.spans:
            first = bisect_left(recent, (span.started_at, ""))
            end = bisect_left(recent, (span.lifted_at, "")) if span.lifted_at is not None else len(recent)
            for _, at in recent[first:end]:
                kept = self.states.load(at, Remembered)
                if kept is None or message.subject in kept.told or message.subject not in _subjects(kept):
                    continue
                if found := self._judge(kept, message.subject, now, late=True):
                    emits += found
                    self.states.save(at, kept)
        return emits

    def _judge(self, kept: Remembered, subject: str, now: datetime, *, late: bool) -> list[Emit]:
        """The warning of an approval in a subject, if that is suspended; notes in `kept` that it is told."""
        approval = kept.approval
        policy = self._policies.at(approval.event_time)
        rule = policy.detectors.approval_during_suspension
        held = self._held(subject, approval.event_time) if rule.mode != "off" else None
        if held is None:
            return []
        started_at, case_id = held
        occasion = Occasion(
            entity=kept.entity,
            at=approval.event_time,
            event_id=approval.event_id,
            capital=None,
            policy=policy,
            mutes=self._policies.mutes,
            now=now,
            late=late,
        )
        reasons = (approved_while_suspended(approval, subject, case_id, started_at, policy),)
        finding = occasion.finding(rule, rule.severity, subject, approval.event_id, reasons, 1)
        kept.told = (*kept.told, subject)
        return list(occasion.tell(DETECTOR, rule, replace(finding, disproves=case_id), {}, subject))

    def _held(self, subject: str, at: datetime) -> tuple[datetime, str] | None:
        """Since when, and by which case, nothing may be approved in a subject at an instant; of several the first."""
        found = []
        for key in self._suspensions.get(subject, ()):
            message = self.states.load(key, Suspensions)
            if message is not None:
                found += [(span.started_at, message.case_id) for span in message.spans if covers(span, at)]
        return min(found, default=None)


def _subjects(kept: Remembered) -> tuple[str, ...]:
    one = kept.approval
    return loan_subjects(kept.entity, one.member, one.real_estate, one.borrower, one.group)
