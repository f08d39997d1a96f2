"""approval_during_suspension: what is said of a loan that was approved where nothing may be approved.

A department that says it has suspended approvals in an industry, in real estate, or for a borrower or a group is held
to it: each approval in that time is a warning, whoever gave it.
"""

from datetime import datetime

from models.credit.industry import industry_name
from models.messages import Approval, Suspension
from models.policy import Policy
from models.risk_warning import Reason

DETECTOR = "approval_during_suspension"

_REAL_ESTATE = {
    "total": ("房地产贷款", "real estate loans"),
    "development": ("房地产开发贷款", "real estate development loans"),
    "mortgage": ("个人住房贷款", "residential mortgages"),
}


def covers(span: Suspension, at: datetime) -> bool:
    """Whether nothing may be approved at an instant: from the start, included, to the lift, not included."""
    return span.started_at <= at and (span.lifted_at is None or at < span.lifted_at)


def approved_while_suspended(
    approval: Approval, subject: str, case_id: str, started_at: datetime, policy: Policy
) -> Reason:
    """Why an approval is warned of. `observed` is when it was given and `threshold` since when none may be, both in
    ISO 8601 and the bank's zone.

    Args:
        subject: what is suspended, e.g. `industry:BANK1:K`.
        case_id: by which case.
        policy: of the approval's day.
    """
    zone = policy.bank_calendar.zone
    at, since = approval.event_time.astimezone(zone).isoformat(), started_at.astimezone(zone).isoformat()
    where_zh, where_en = _names(subject, policy)
    by_zh = f"由员工{approval.approver}批准" if approval.approver else "获批准（未注明批准人）"
    by_en = f"by employee {approval.approver}" if approval.approver else "(no approver is named)"
    amount = f"{approval.amount:f} {approval.currency}"
    return Reason(
        code="approved_while_suspended",
        observed=at,
        threshold=since,
        unit="time",
        text_zh=f"借款人{approval.borrower}的贷款{approval.loan_id}（{amount}）于{at}{by_zh}，"
        f"而案件{case_id}自{since}起已暂停{where_zh}的新增审批。",
        text_en=f"Loan {approval.loan_id} of {amount} to the borrower {approval.borrower} was approved {by_en} at "
        f"{at}, although case {case_id} suspended new approvals for {where_en} from {since} on.",
    )


def _names(subject: str, policy: Policy) -> tuple[str, str]:
    """What a subject is called, in Chinese and English."""
    kind, _, name = subject.split(":", 2)
    match kind:
        case "industry":
            scheme = policy.detectors.industry_concentration.scheme
            name_zh, name_en = industry_name(name, scheme, "zh"), industry_name(name, scheme, "en")
            return f"{name_zh}贷款", f"the industry {name_en}"
        case "real_estate":
            return _REAL_ESTATE[name]
        case "group":
            return f"集团{name}", f"the group {name}"
        case _:
            return f"借款人{name}", f"the borrower {name}"
