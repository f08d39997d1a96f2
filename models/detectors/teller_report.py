"""A post's own report of something odd: a warning by itself, at once.

Source: the policy on linked posts, part 5(2)1: the teller reports to the operations supervisor and to risk.
That it joins and raises machine warnings on the same customer is `models.corroboration`'s work.
"""

from datetime import datetime

from msgspec import Struct

from models.events import PostReport
from models.policy import Policy, PolicyHistory
from models.policy import TellerReport as Rule
from models.risk_warning import Finding, Reason, Window

KIND_NAMES = {
    "abnormal_transaction": ("异常交易", "an abnormal transaction"),
    "doubtful_document": ("可疑身份证件", "a doubtful identity document"),
}


class TellerReportState(Struct):
    """Nothing to remember: each report stands for itself."""


class TellerReport:
    """Turns a report of an abnormal transaction or a doubtful document into a finding; other kinds into none."""

    id = "teller_report"
    version = 1
    consumes = PostReport
    state_type = TellerReportState

    def rule(self, policy: Policy) -> Rule:
        return policy.detectors.teller_report

    def step(
        self, state: TellerReportState, event: PostReport, policy: Policy, policies: PolicyHistory
    ) -> tuple[Finding, ...]:
        if event.kind not in KIND_NAMES:
            return ()
        rule = policy.detectors.teller_report
        name_zh, name_en = KIND_NAMES[event.kind]
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
        return (
            Finding(
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
            ),
        )

    def expire(self, state: TellerReportState, before: datetime, policies: PolicyHistory) -> None:
        """Nothing to forget."""
