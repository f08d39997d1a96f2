"""A post's own report of something odd: a warning by itself, at once.

Source: the policy on linked posts, part 5(2)1: the teller reports to the operations supervisor and to risk.
That it joins and raises machine warnings on the same customer is `models.corroboration`'s work.
"""

from datetime import datetime

from msgspec import Struct

from models.detectors.posted_report import finding
from models.events import PostReport, ReportKind
from models.policy import Policy, PolicyHistory
from models.policy import TellerReport as Rule
from models.risk_warning import Finding

KIND_NAMES: dict[ReportKind, tuple[str, str]] = {
    "abnormal_transaction": ("异常交易", "an abnormal transaction"),
    "doubtful_document": ("可疑身份证件", "a doubtful identity document"),
}


class TellerReportState(Struct):
    """Nothing to remember: each report stands for itself."""


class TellerReport:
    """Turns a report of an abnormal transaction or a doubtful document into a finding; others are `posted_report`'s."""

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
        return (finding(event, policy.detectors.teller_report, policy, KIND_NAMES[event.kind]),)

    def expire(self, state: TellerReportState, before: datetime, policies: PolicyHistory) -> None:
        """Nothing to forget."""
