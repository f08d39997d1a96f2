"""Warnings, actions and records for the tests of the response, and a stage with one partition to play on."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from models.events import Action, Actor
from models.messages import Suspensions
from models.pipeline import MemoryStates
from models.policy import Policy, PolicyHistory, parse_policy
from models.response.case import Case, Task
from models.response.subject import SubjectCases
from models.risk_warning import RiskWarning, Window
from models.stage import Emit, Record, Refused, Tick
from models.stages.cases import CasesStage
from tests.data import ROOT

TEXT = (ROOT / "deploy" / "policy" / "cn.toml").read_text(encoding="utf-8")
POLICY: Policy = parse_policy(TEXT)
# Monday, 10:00 in Shanghai: acknowledge (medium) at 14:00, complete three working days later at 10:00.
MONDAY = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SUBJECT = "customer:C42"
INDUSTRY = "industry:B1:K"


def warning(at: datetime = MONDAY, **fields: Any) -> RiskWarning:
    """A medium warning to operations with one measure."""
    values: dict[str, Any] = {
        "warning_id": "w1",
        "revision": 1,
        "detector": "teller_report",
        "detector_version": 1,
        "policy_version": POLICY.version,
        "mode": "live",
        "severity": "medium",
        "subject": SUBJECT,
        "departments": ("operations",),
        "reasons": (),
        "event_ids": ("e1",),
        "event_count": 1,
        "window": Window(at, at),
        "measures": ("investigate_transactions",),
        "event_time": at,
        "detected_at": at,
        "notify": True,
    }
    return RiskWarning(**values | fields)


def on_industry(at: datetime = MONDAY, **fields: Any) -> RiskWarning:
    """A warning that asks credit to suspend approvals in an industry."""
    values: dict[str, Any] = {
        "subject": INDUSTRY,
        "detector": "industry_concentration",
        "departments": ("credit",),
        "measures": ("suspend_approvals",),
    }
    return warning(at, **values | fields)


_COUNT = iter(range(1, 10**9))


def action(kind: str, at: datetime, **fields: Any) -> Action:
    """An action of Ling in operations on the first case; who approves or rejects is a supervisor."""
    role = fields.pop("role", "supervisor" if kind in ("approve", "reject") else "officer")
    who = Actor(employee_id=fields.pop("who", "ling"), department=fields.pop("department", "operations"), role=role)
    values: dict[str, Any] = {
        "action_id": f"a{next(_COUNT)}",
        "event_time": at,
        "case_id": f"{SUBJECT}#1",
        "actor": who,
        "kind": kind,
    }
    return Action(**values | fields)


def of_credit(kind: str, hours: float, number: int = 1, **fields: Any) -> Action:
    """An action of Ling in credit on a case of the industry, so many hours after Monday."""
    values = {"case_id": f"{INDUSTRY}#{number}", "department": "credit"}
    return action(kind, MONDAY + hours * HOUR, **values | fields)


def unreminded(task: Task) -> Task:
    """A task without what was sent out: that depends on when the clock ran, and a deed may have come late."""
    measures = tuple(replace(one, reminded_at=None) for one in task.measures)
    return replace(task, measures=measures, acknowledge_reminded_at=None, reminded_at=None)


class Desk:
    """One partition of the stage, with what it put out."""

    def __init__(self, *policies: Policy) -> None:
        self._policies = PolicyHistory(*(policies or (POLICY,)))
        self.stage = CasesStage(self._policies)
        self.states = MemoryStates()
        self.cases: dict[str, Case] = {}
        self.suspensions: dict[str, Suspensions] = {}
        self.letters: list[Any] = []
        self.refused: list[Refused] = []
        self._offset = 0

    def take(self, *events: Any, ingest: datetime | None = None) -> list[Emit]:
        """One batch. What is refused is kept in `refused`."""
        emits: list[Emit] = []
        for event in events:
            topic = "actions" if isinstance(event, Action) else "warnings"
            at = ingest or event.event_time
            self._offset += 1
            try:
                emits += self.stage.apply(self.states, Record(topic, 0, self._offset, at, event, at))
            except Refused as refused:
                self.refused.append(refused)
        emits += self.stage.flush(self.states)
        return self._keep(emits)

    def tick(self, now: datetime, caught_up: bool = True) -> list[Emit]:
        return self._keep(self.stage.tick(self.states, Tick(now, caught_up, 1.0)))

    def restart(self) -> None:
        """A new worker: a new stage, and states from their bytes."""
        self.states.through_bytes()
        states, self.states = self.states, MemoryStates()
        self.states.values = states.values
        self.stage = CasesStage(self._policies)

    def subject(self, subject: str = SUBJECT) -> SubjectCases:
        state = self.states.load(subject, SubjectCases)
        assert state is not None
        return state

    def case(self, number: int = 1, subject: str = SUBJECT) -> Case:
        return self.subject(subject).cases[number]

    def _keep(self, emits: Iterable[Emit]) -> list[Emit]:
        kept = list(emits)
        for emit in kept:
            if emit.topic == "cases":
                assert emit.key == emit.value.case_id
                assert emit.route == emit.value.subject
                before = self.cases.get(emit.key)
                assert before is None or emit.value.revision > before.revision
                self.cases[emit.key] = emit.value
            elif emit.topic == "suspensions":
                told = self.suspensions.get(emit.key)
                assert (emit.key, emit.route) == (emit.value.case_id, emit.value.entity)
                assert told is None or emit.value.revision > told.revision
                assert told is None or emit.value.spans != told.spans
                self.suspensions[emit.key] = emit.value
            else:
                self.letters.append(emit.value)
        return kept
