"""What became of a post's report: for whoever filed it, without what the case has found beside it."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal

from msgspec import Struct

from models.detectors.posted_report import detector_of
from models.events import PostReport
from models.response.case import Case
from models.risk_warning import RiskWarning

# received: no warning, or no case, yet; waiting: nobody has acknowledged it; in_work; confirmed: measures completed;
# dismissed: by two. Of a confidential case no more than handled, closed.
State = Literal["received", "waiting", "in_work", "confirmed", "dismissed", "handled", "closed"]


class ReportOutcome(Struct, frozen=True, kw_only=True):
    """A report and how it stands.

    Args:
        warning_id, case_id: its own warning and the case which that is in; None before there is one, and where the
            case is confidential.
        acknowledged: departments that have, each with the time of its newest round.
        waiting_for: departments that owe something still.
        measures: codes of what is done, in order.
        resolved_at: when the case was resolved; None before.
        confidential: the case is for named roles only: no more is said of it than its state, whoever asks.
    """

    report_id: str
    filed_at: datetime
    kind: str
    about: str
    state: State
    warning_id: str | None = None
    case_id: str | None = None
    acknowledged: dict[str, datetime] = {}
    waiting_for: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    resolved_at: datetime | None = None
    confidential: bool = False


def outcomes(
    reports: Iterable[PostReport], warnings: Mapping[str, RiskWarning], cases: Iterable[Case]
) -> list[ReportOutcome]:
    """How reports stand, the newest first.

    Args:
        warnings: by id, as they stand.
        cases: as they stand; a confidential one whole or as a stub.
    """
    # A report's own warning has its id first among the events behind it.
    own = {(one.detector, one.subject, one.event_ids[0]): one for one in warnings.values() if one.event_ids}
    holders: dict[str, Case] = {}
    stubs: dict[str, list[Case]] = {}
    for case in sorted(cases, key=lambda one: one.number):
        holders.update((ref.warning_id, case) for ref in case.warnings)
        if case.confidential and not case.warnings:
            stubs.setdefault(case.subject, []).append(case)
    found = []
    for report in reports:
        warning = own.get((detector_of(report.kind), report.subject, report.report_id))
        holder = None
        if warning is not None:
            holder = holders.get(warning.warning_id) or _stub_of(warning, stubs.get(warning.subject, ()))
        found.append(_outcome(report, warning, holder))
    return sorted(found, key=lambda one: (one.filed_at, one.report_id), reverse=True)


def _stub_of(warning: RiskWarning, stubs: Iterable[Case]) -> Case | None:
    """The confidential case that must hold a warning which no case shows: a stub does not name its warnings."""
    return next((one for one in stubs if one.resolved_at is None or one.resolved_at >= warning.event_time), None)


def _outcome(report: PostReport, warning: RiskWarning | None, case: Case | None) -> ReportOutcome:
    confidential = case is not None and case.confidential
    shown = None if confidential else case
    tasks = shown.tasks if shown is not None else ()
    measures = (measure for task in tasks for measure in task.measures)
    done = sorted((one.completed_at, one.code) for one in measures if one.completed_at is not None)
    return ReportOutcome(
        report_id=report.report_id,
        filed_at=report.event_time,
        kind=report.kind,
        about=report.subject,
        state=_state(case),
        warning_id=warning.warning_id if warning is not None and not confidential else None,
        case_id=shown.case_id if shown is not None else None,
        acknowledged={one.department: one.acknowledged_at for one in tasks if one.acknowledged_at is not None},
        waiting_for=tuple(dict.fromkeys(one.department for one in tasks if one.active)),
        measures=tuple(dict.fromkeys(code for _, code in done)),
        resolved_at=shown.resolved_at if shown is not None and shown.state == "resolved" else None,
        confidential=confidential,
    )


def _state(case: Case | None) -> State:
    if case is None:
        return "received"
    resolved = case.state == "resolved"
    if case.confidential:
        return "closed" if resolved else "handled"
    if resolved:
        return "confirmed" if any(one.state == "completed" for one in case.tasks) else "dismissed"
    return "in_work" if any(one.acknowledged_at is not None for one in case.tasks) else "waiting"
