"""What became of a post's report: for whoever filed it, without what the case has found beside it."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal

from msgspec import Struct

from models.events import PostReport
from models.response.case import Case, Task
from models.risk_warning import RiskWarning

# received: no warning yet; waiting: nobody has acknowledged it; in_work; confirmed: worked through; dismissed: by two.
State = Literal["received", "waiting", "in_work", "confirmed", "dismissed"]


class ReportOutcome(Struct, frozen=True, kw_only=True):
    """A report and how it stands.

    Args:
        case_id: None before there is a case, and where the case is confidential.
        acknowledged: departments that have, each with the time.
        waiting_for: departments that owe something still.
        resolved_at: when the case was resolved; None before.
        confidential: the case is for named roles only: no more is said of it than its state.
    """

    report_id: str
    filed_at: datetime
    kind: str
    about: str
    state: State
    case_id: str | None = None
    acknowledged: dict[str, datetime]
    waiting_for: tuple[str, ...] = ()
    resolved_at: datetime | None = None
    confidential: bool = False


def outcomes(
    reports: Iterable[PostReport], warnings: Mapping[str, RiskWarning], cases: Iterable[Case]
) -> list[ReportOutcome]:
    """How reports stand, the newest first.

    Args:
        warnings: by id, as they stand.
        cases: as they stand.
    """
    # A report's own warning has its id first among the events behind it.
    by_report = {one.event_ids[0]: one for one in warnings.values() if one.event_ids}
    holders = {ref.warning_id: case for case in cases for ref in case.warnings}
    found = []
    for report in reports:
        warning = by_report.get(report.report_id)
        own = warning is not None and warning.subject == report.subject
        case = holders.get(warning.warning_id) if warning is not None and own else None
        found.append(_outcome(report, case))
    return sorted(found, key=lambda one: (one.filed_at, one.report_id), reverse=True)


def _outcome(report: PostReport, case: Case | None) -> ReportOutcome:
    if case is None:
        return ReportOutcome(
            report_id=report.report_id,
            filed_at=report.event_time,
            kind=report.kind,
            about=report.subject,
            state="received",
            acknowledged={},
        )
    tasks = [] if case.confidential else list(case.tasks)
    return ReportOutcome(
        report_id=report.report_id,
        filed_at=report.event_time,
        kind=report.kind,
        about=report.subject,
        state=_state(case),
        case_id=None if case.confidential else case.case_id,
        acknowledged={one.department: one.acknowledged_at for one in tasks if one.acknowledged_at is not None},
        waiting_for=tuple(dict.fromkeys(one.department for one in tasks if one.active)),
        resolved_at=case.resolved_at if case.state == "resolved" else None,
        confidential=case.confidential,
    )


def _state(case: Case) -> State:
    if case.state == "resolved":
        done: list[Task] = [one for one in case.tasks if one.state == "completed"]
        return "confirmed" if done or not case.tasks else "dismissed"
    return "in_work" if any(one.acknowledged_at is not None for one in case.tasks) else "waiting"
