"""What may be asked for in an address, the same for pages and the API; a value that is not known is refused by name."""

from typing import Annotated, Literal, get_args

from fastapi import Depends, Query
from pydantic import BeforeValidator

from connectors.store.queries import CasesAsked, WarningsAsked
from models.messages import BookDimension
from models.risk_warning import Department, Mode, Severity

DEPARTMENTS: tuple[str, ...] = get_args(Department)
SEVERITIES: tuple[str, ...] = tuple(reversed(get_args(Severity)))
MODES: tuple[str, ...] = get_args(Mode)
DIMENSIONS: tuple[str, ...] = get_args(BookDimension)
PAGE_SIZE = 50

# A form sends a field that was left empty as an empty text: that is nothing asked for.
_EMPTY = BeforeValidator(lambda text: text or None)
AnyDepartment = Annotated[Department | None, _EMPTY]
AnySeverity = Annotated[Severity | None, _EMPTY]
Page = Annotated[int, Query(ge=1, le=100_000, description="Pages are counted from 1.")]
Size = Annotated[int, Query(ge=1, le=500, description="How many on a page.")]
Text = Annotated[str, Query(max_length=400)]


def warnings_asked(
    mode: Mode = "live",
    department: AnyDepartment = None,
    detector: Text = "",
    severity: AnySeverity = None,
    subject: Text = "",
) -> WarningsAsked:
    """Of an address."""
    return WarningsAsked(
        mode=mode,
        department=department,
        detector=detector or None,
        severity=severity,
        subject=subject.strip() or None,
    )


def cases_asked(
    mode: Literal["live", "drill"] = "live",
    state: Literal["open", "resolved", "all"] = "open",
    department: AnyDepartment = None,
    severity: AnySeverity = None,
    subject: Text = "",
    overdue: bool = False,
) -> CasesAsked:
    """Of an address."""
    return CasesAsked(
        mode=mode,
        state=None if state == "all" else state,
        department=department,
        severity=severity,
        subject=subject.strip() or None,
        overdue=overdue,
    )


AskedWarnings = Annotated[WarningsAsked, Depends(warnings_asked)]
AskedCases = Annotated[CasesAsked, Depends(cases_asked)]
