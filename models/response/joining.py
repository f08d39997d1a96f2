"""How a warning opens a case or joins one, and what it, or a finding, asks of the departments."""

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from models.policy import Policy
from models.response.case import (
    SYSTEM,
    Case,
    CaseMode,
    Entry,
    Task,
    TaskMeasure,
    WarningRef,
    concluded,
    noted,
    with_task,
)
from models.response.deadlines import measure_due, remind_time, task_dues
from models.response.proving import OF_LOANS, proof_of, taken_back
from models.risk_warning import RiskWarning, Severity, severity_rank


def open_case(number: int, mode: CaseMode, warning: RiskWarning, policy: Policy, recorded_at: datetime) -> Case:
    """A new case with the tasks that its first warning asks for.

    Args:
        policy: in force at the warning's event time; it gives the deadlines.
    """
    case = Case(
        case_id=f"{warning.subject}#{number}",
        subject=warning.subject,
        number=number,
        mode=mode,
        severity=warning.severity,
        policy_version=policy.version,
        opened_at=warning.event_time,
    )
    case = noted(case, _entry(warning, recorded_at, "opened", f"policy {policy.version}"))
    return join(case, warning, policy, recorded_at)


def join(case: Case, warning: RiskWarning, policy: Policy, recorded_at: datetime) -> Case:
    """An open case with this warning, or a newer revision of it, worked in.

    A warning that is new to the case, or told anew (`notify`), asks for all its measures: those not pending are
    added to the department's task, in a new round where it had finished. A quiet revision asks only for what was
    never asked for, unless it opens a resolved case again (`reopen`). No deadline that stands is moved, whatever the
    severity.

    Returns:
        the same object where this revision, or a newer one, is in the case already.
    """
    known = case.warning(warning.warning_id)
    if known is not None and warning.revision <= known.revision:
        return case
    asks = known is None or warning.notify or case.state == "resolved"
    case = record(case, warning, recorded_at)
    why = Why(
        severity=warning.severity,
        at=warning.event_time,
        recorded_at=recorded_at,
        said="a warning came in",
        warning_id=warning.warning_id,
    )
    for department, codes in wanted(warning, policy).items():
        case = ask(case, department, codes, why, policy, asks)
    return concluded(case, recorded_at)


def reopen(case: Case, warning: RiskWarning, policy: Policy, recorded_at: datetime) -> Case:
    """A resolved case, opened again by a warning that shows its measure not to be kept: all is asked for again.

    Its departments' finished tasks keep their times; what is owed now is a new round of each.
    """
    entry = _entry(warning, recorded_at, "reopened", f"{warning.detector} shows that a measure is not kept")
    return join(noted(case, entry), warning, policy, recorded_at)


def record(case: Case, warning: RiskWarning, recorded_at: datetime) -> Case:
    """The case with this revision in its list of warnings and in its history, and nothing asked of anybody."""
    known = case.warning(warning.warning_id)
    ref = WarningRef(
        warning_id=warning.warning_id,
        revision=warning.revision,
        detector=warning.detector,
        severity=warning.severity,
        event_time=warning.event_time,
        policy_version=warning.policy_version,
    )
    others = tuple(one for one in case.warnings if one.warning_id != ref.warning_id)
    kind = "joined" if known is None else "revised"
    detail = f"{warning.detector} revision {warning.revision}, {warning.severity}"
    case = noted(replace(case, warnings=(*others, ref)), _entry(warning, recorded_at, kind, detail))
    if severity_rank(warning.severity) > severity_rank(case.severity):
        detail = f"{case.severity} to {warning.severity}; deadlines that stand are not moved"
        case = noted(case, _entry(warning, recorded_at, "severity_rose", detail))
        case = replace(case, severity=warning.severity)
    return case


def wanted(warning: RiskWarning, policy: Policy) -> dict[str, list[str]]:
    """Departments with the measures that are theirs.

    A department named without a measure is to acknowledge and decide. The owner of a measure is asked for it though
    the warning does not name the department; a measure that the policy no longer knows goes to the first one named.
    """
    asked: dict[str, list[str]] = {department: [] for department in warning.departments}
    for code in dict.fromkeys(warning.measures):
        measure = policy.response.measures.get(code)
        if measure is not None:
            asked.setdefault(measure.department, []).append(code)
        elif asked:
            next(iter(asked.values())).append(code)
    return asked


def new_task(
    subject: str,
    policy: Policy,
    department: str,
    severity: Severity,
    codes: Iterable[str],
    start: datetime,
    round_: int = 1,
    owner: str | None = None,
) -> Task:
    """A task with deadlines from `start`, frozen from here on.

    Args:
        subject: of the case: it decides which measures the stream can prove.
    """
    dues = task_dues(policy, severity, start)
    liaison = next((name for key, name in policy.response.owners.items() if key == department), department)
    return Task(
        department=department,
        owner=owner or liaison,
        round=round_,
        severity=severity,
        due_severity=severity,
        policy_version=policy.version,
        created_at=start,
        measures=_measures(subject, policy, severity, codes, start, dues.due_at),
        acknowledge_due_at=dues.acknowledge_due_at,
        due_at=dues.due_at,
        ladder=policy.response.escalation,
        acknowledge_steps=dues.acknowledge_steps,
        steps=dues.steps,
        acknowledge_remind_at=remind_time(policy, dues.acknowledge_due_at, start),
        remind_at=remind_time(policy, dues.due_at, start),
    )


def _measures(
    subject: str, policy: Policy, severity: Severity, codes: Iterable[str], start: datetime, task_due: datetime
) -> tuple[TaskMeasure, ...]:
    def measure(code: str) -> TaskMeasure:
        due = measure_due(policy, code, severity, start)
        remind = remind_time(policy, due, start) if due != task_due else None
        proof = proof_of(code, subject, policy)
        since = start if proof in OF_LOANS else None
        return TaskMeasure(code=code, asked_at=start, due_at=due, remind_at=remind, proof=proof, proof_since=since)

    return tuple(measure(code) for code in codes)


class Why(Struct, frozen=True, kw_only=True):
    """What asks something of a department: a warning, or something that was found.

    Args:
        at: event time; what it asks for is due from then.
        said: for who is asked anew, in a few words.
    """

    severity: Severity
    at: datetime
    recorded_at: datetime
    said: str
    warning_id: str | None = None

    def entry(self, kind: str, detail: str, department: str) -> Entry:
        return Entry(
            at=self.at,
            recorded_at=self.recorded_at,
            actor=SYSTEM,
            kind=kind,
            detail=detail,
            department=department,
            warning_id=self.warning_id,
        )


def ask(case: Case, department: str, codes: list[str], why: Why, policy: Policy, asks: bool = True) -> Case:
    """The case with measures asked for: those not pending are added to the department's task, or to a new one.

    Args:
        asks: the department is told of it; else only what was never asked for is added.
    """
    task = case.task(department)
    if task is None:
        return _opened(case, new_task(case.subject, policy, department, why.severity, codes, why.at), why)
    if not asks:
        before = {one.code for old in case.tasks if old.department == department for one in old.measures}
        codes = [code for code in codes if code not in before]
    if not task.active:
        if not asks and not codes:
            return case
        if task.proposal is not None:
            # Another round is owed anyhow.
            case = with_task(case, replace(task, proposal=None))
            case = noted(case, why.entry("proposal_withdrawn", why.said, department))
        round_, owner = task.round + 1, task.owner
        task = new_task(case.subject, policy, department, why.severity, codes, why.at, round_, owner)
        return _opened(case, task, why)
    changed = task
    if severity_rank(why.severity) > severity_rank(task.severity):
        changed = replace(changed, severity=why.severity)
    if asks and task.proposal is not None:
        # Who proposed to dismiss had not seen this.
        changed = replace(changed, state=task.proposal.before, proposal=None)
        case = noted(case, why.entry("proposal_withdrawn", why.said, department))
    if asks:
        # Nor had who said that what is asked for again is done.
        changed, unsaid = taken_back(changed, codes)
        if unsaid:
            detail = f"{', '.join(unsaid)}: asked for again, {why.said}"
            case = noted(case, why.entry("proposal_withdrawn", detail, department))
    pending = {one.code for one in task.measures if one.completed_at is None}
    if missing := [code for code in codes if code not in pending]:
        added = _measures(case.subject, policy, why.severity, missing, why.at, task.due_at)
        changed = replace(changed, measures=changed.measures + added)
        case = noted(case, why.entry("measures_added", ", ".join(missing), department))
    return with_task(case, changed) if changed is not task else case


def _opened(case: Case, task: Task, why: Why) -> Case:
    codes = ", ".join(one.code for one in task.measures) or "no measures"
    return noted(with_task(case, task), why.entry("task_opened", f"round {task.round}, {codes}", task.department))


def _entry(warning: RiskWarning, recorded_at: datetime, kind: str, detail: str) -> Entry:
    return Entry(
        at=warning.event_time,
        recorded_at=recorded_at,
        actor=SYSTEM,
        kind=kind,
        detail=detail,
        warning_id=warning.warning_id,
    )
