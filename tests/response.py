"""Warnings, actions and records for the tests of the response, and a stage with one partition to play on."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from models.events import Action, Actor
from models.links import CaseLink
from models.messages import Suspensions
from models.pipeline import MemoryStates
from models.policy import Policy, PolicyHistory, parse_policy
from models.proofs import ProofAsk, Proved
from models.response.case import Case, Task
from models.response.subject import SubjectCases
from models.risk_warning import Reason, RiskWarning, Window
from models.stage import Emit, Record, Refused, Tick
from models.stages.cases import CasesStage
from tests.data import ROOT

TEXT = (ROOT / "deploy" / "policy" / "cn.toml").read_text(encoding="utf-8")
POLICY: Policy = parse_policy(TEXT)
# In which the department's word is enough, as where the stream cannot prove a measure.
BY_WORD = TEXT.replace('proof = "loans_reviewed"\n', "").replace('proof = "reclassified"\n', "")
# Monday, 10:00 in Shanghai: acknowledge (medium) at 14:00, complete three working days later at 10:00.
MONDAY = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SUBJECT = "customer:C42"
INDUSTRY = "industry:B1:K"
REASON = Reason(
    code="daily_sum",
    observed="620000",
    threshold="500000",
    unit="CNY",
    text_zh="合计620000 CNY。",
    text_en="2 transactions sum to 620000 CNY.",
)


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


TOPICS: dict[type, str] = {Action: "actions", Proved: "proofs", CaseLink: "case-links"}
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
        "evidence": ("e1",) if kind == "find" else (),
        "about": "customer:elsewhere#1" if kind == "merge" else None,
    }
    return Action(**values | fields)


def of_credit(kind: str, hours: float, number: int = 1, **fields: Any) -> Action:
    """An action of Ling in credit on a case of the industry, so many hours after Monday."""
    values = {"case_id": f"{INDUSTRY}#{number}", "department": "credit"}
    return action(kind, MONDAY + hours * HOUR, **values | fields)


def proved(of: ProofAsk, hours: float | None, partition: int = 0, revision: int = 1, **fields: Any) -> Proved:
    """An answer to an ask: proved so many hours after Monday, or not."""
    values: dict[str, Any] = {"partitions": 1, "done_at": None if hours is None else MONDAY + hours * HOUR}
    name = {"case_id": of.case_id, "subject": of.subject, "measure": of.measure, "since": of.since}
    return Proved(**name, partition=partition, revision=revision, **values | fields)


def unreminded(task: Task) -> Task:
    """A task without what was sent out: that depends on when the clock ran, and a deed may have come late."""
    measures = tuple(replace(one, reminded_at=None) for one in task.measures)
    return replace(task, measures=measures, acknowledge_reminded_at=None, reminded_at=None)


def _time_of(event: Any) -> datetime:
    if isinstance(event, Proved):
        return event.done_at or event.since
    at: datetime = event.at if isinstance(event, CaseLink) else event.event_time
    return at


class Desk:
    """One partition of the stage, with what it put out.

    Args:
        partitions: of the loans.
    """

    def __init__(self, *policies: Policy, partitions: int = 1) -> None:
        self._policies, self._partitions = PolicyHistory(*(policies or (POLICY,))), partitions
        self.stage = CasesStage(self._policies, partitions)
        self.states = MemoryStates()
        self.cases: dict[str, Case] = {}
        self.suspensions: dict[str, Suspensions] = {}
        self.asks: dict[str, ProofAsk] = {}  # as they were last told
        self.confidential: dict[str, Case] = {}
        self.links: list[CaseLink] = []  # sent, and not delivered yet
        self.letters: list[Any] = []
        self.refused: list[Refused] = []
        self._offset = 0

    def take(self, *events: Any, ingest: datetime | None = None) -> list[Emit]:
        """One batch. What is refused is kept in `refused`."""
        emits: list[Emit] = []
        for event in events:
            topic = next((topic for kind, topic in TOPICS.items() if isinstance(event, kind)), "warnings")
            at = ingest or _time_of(event)
            self._offset += 1
            try:
                emits += self.stage.apply(self.states, Record(topic, 0, self._offset, at, event, at))
            except Refused as refused:
                self.refused.append(refused)
        emits += self.stage.flush(self.states)
        return self._keep(emits)

    def deliver(self, ingest: datetime | None = None) -> "Desk":
        """Bring every message between cases to where it goes, and those that it brings about."""
        while self.links:
            self.take(self.links.pop(0), ingest=ingest)
        return self

    def tick(self, now: datetime, caught_up: bool = True) -> list[Emit]:
        return self._keep(self.stage.tick(self.states, Tick(now, caught_up, 1.0)))

    def restart(self) -> None:
        """A new worker: a new stage, and states from their bytes."""
        self.states.through_bytes()
        states, self.states = self.states, MemoryStates()
        self.states.values = states.values
        self.stage = CasesStage(self._policies, self._partitions)

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
            elif emit.topic == "cases.confidential":
                self.confidential[emit.key] = emit.value
            elif emit.topic == "case-links":
                assert emit.route == emit.value.subject
                self.links.append(emit.value)
            elif emit.topic in ("reviews", "resamples"):
                assert emit.key == emit.value.key
                self.asks[emit.key] = emit.value
            else:
                self.letters.append(emit.value)
        return kept
