"""What a post reports is a warning by itself, at once, to those whom the policy names.

Source: the policy on linked posts: 5(2)1 (the teller reports to the operations supervisor and to risk), 5(3)1 (faults
answered and cleared in the shortest time), 5(1)1 (a financing need goes to product and to risk), 5(1)2 (referrals and
complaints are followed up). That a teller's report joins and raises machine warnings on the same customer is
`models.corroboration`'s work.
"""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from models.events import PostReport, ReportKind
from models.policy import Policy, PolicyHistory
from models.policy import PostedReport as Rule
from models.risk_warning import Finding, Reason, Window

Names = Mapping[ReportKind, tuple[str, str]]  # of each kind, (Chinese, English)


class PostedReportState(Struct):
    """Nothing to remember: each report stands for itself."""


class PostedReport:
    """Turns each report of some kinds into a finding.

    Args:
        id: of the detector, and the name of its table in the policy.
        names: the kinds that it takes, and what they are called.
    """

    version = 1
    consumes = PostReport
    state_type = PostedReportState

    def __init__(self, id: str, names: Names) -> None:
        self.id = id
        self._names = names

    def rule(self, policy: Policy) -> Rule:
        rule: Rule = getattr(policy.detectors, self.id)
        return rule

    def step(
        self, state: PostedReportState, event: PostReport, policy: Policy, policies: PolicyHistory
    ) -> tuple[Finding, ...]:
        names = self._names.get(event.kind)
        return (_finding(event, self.rule(policy), policy, names),) if names is not None else ()

    def expire(self, state: PostedReportState, before: datetime, policies: PolicyHistory) -> None:
        """Nothing to forget."""


_TELLER_REPORT = PostedReport(
    "teller_report",
    {
        "abnormal_transaction": ("异常交易", "an abnormal transaction"),
        "doubtful_document": ("可疑身份证件", "a doubtful identity document"),
    },
)
# Each other kind has a detector of its own, called the same.
_OTHERS: Names = {
    "system_fault": ("系统故障", "a system fault"),
    "clearing_exception": ("清算异常", "a clearing exception"),
    "complaint": ("客户投诉", "a complaint"),
    "referral": ("业务转介", "a referral"),
    "financing_need": ("融资需求", "a financing need"),
}
POSTED_REPORTS = (_TELLER_REPORT, *(PostedReport(kind, {kind: names}) for kind, names in _OTHERS.items()))


def detector_of(kind: ReportKind) -> str:
    """The id of the detector that takes reports of a kind."""
    return _TELLER_REPORT.id if kind not in _OTHERS else kind


def _finding(event: PostReport, rule: Rule, policy: Policy, names: tuple[str, str]) -> Finding:
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
