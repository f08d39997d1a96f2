"""What a post reports becomes a task for those whom the policy names: faults, complaints, referrals, needs.

Source: the policy on linked posts: 5(3)1 (faults answered and cleared in the shortest time), 5(1)1 (a financing need
goes to product and to risk), 5(1)2 (referrals and complaints are followed up).
"""

from datetime import datetime

from msgspec import Struct

from models.events import PostReport, ReportKind
from models.policy import Policy, PolicyHistory
from models.policy import PostedReport as Rule
from models.risk_warning import Finding, Reason, Window

# (Chinese, English)
KIND_NAMES: dict[ReportKind, tuple[str, str]] = {
    "system_fault": ("系统故障", "a system fault"),
    "clearing_exception": ("清算异常", "a clearing exception"),
    "complaint": ("客户投诉", "a complaint"),
    "referral": ("业务转介", "a referral"),
    "financing_need": ("融资需求", "a financing need"),
}


class PostedReportState(Struct):
    """Nothing to remember: each report stands for itself."""


class PostedReport:
    """Turns each report of one kind into a finding.

    Args:
        kind: of report; the detector, and its table in the policy, are called the same.
    """

    version = 1
    consumes = PostReport
    state_type = PostedReportState

    def __init__(self, kind: ReportKind) -> None:
        self.id: str = kind

    def rule(self, policy: Policy) -> Rule:
        rule: Rule = getattr(policy.detectors, self.id)
        return rule

    def step(
        self, state: PostedReportState, event: PostReport, policy: Policy, policies: PolicyHistory
    ) -> tuple[Finding, ...]:
        if event.kind != self.id:
            return ()
        return (finding(event, self.rule(policy), policy, KIND_NAMES[event.kind]),)

    def expire(self, state: PostedReportState, before: datetime, policies: PolicyHistory) -> None:
        """Nothing to forget."""


def finding(event: PostReport, rule: Rule, policy: Policy, names: tuple[str, str]) -> Finding:
    """A report by itself as a finding.

    Args:
        names: of its kind, Chinese and English.
    """
    name_zh, name_en = names
    reporter = event.reporter
    reason = Reason(
        code=event.kind,
        observed="1",
        threshold="1",
        unit="reports",
        text_zh=f"{reporter.branch_id}网点{reporter.post}{reporter.employee_id}上报{name_zh}：{event.narrative}",
        text_en=f"{reporter.post} {reporter.employee_id} of branch {reporter.branch_id} reports {name_en}: "
        f"{event.narrative}",
    )
    return Finding(
        subject=event.subject,
        anchor=event.report_id,
        severity=rule.severity,
        departments=rule.departments,
        reasons=(reason,),
        event_ids=(event.report_id, *event.transaction_ids),
        event_count=1 + len(event.transaction_ids),
        window=Window(*policy.bank_calendar.day_window(policy.bank_calendar.day_of(event.event_time))),
        measures=rule.measures,
        event_time=event.event_time,
    )
