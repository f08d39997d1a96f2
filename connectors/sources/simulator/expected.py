"""Which warnings the scripted day must give."""

from collections.abc import Sequence
from decimal import Decimal

from connectors.sources.simulator.script import ExpectedWarning
from connectors.sources.simulator.stage_directions import ENTITY, FIRMS, SUSPECT
from models.policy import LargeTransaction, Policy
from models.risk_warning import Severity, raised


def expected_warnings(policy: Policy, transfers: Sequence[Decimal], member: str) -> tuple[ExpectedWarning, ...]:
    """All of them, with their last severities.

    Args:
        transfers: what the suspect sends away.
        member: the industry that the book drifts into.
    """
    rules, subject = policy.detectors, f"customer:{SUSPECT}"
    threshold = rules.large_transaction.person_cross_border.amounts[policy.money.base]
    filing = filing_severity(sum(transfers, Decimal(0)) / threshold, rules.large_transaction)
    if filing != "low":  # routine filings corroborate nothing
        filing = raised(filing)
    frequent, report, industry = (
        rules.frequent_large_transfers,
        rules.teller_report,
        rules.industry_concentration,
    )
    return tuple(
        sorted(
            (
                ExpectedWarning(subject, "large_transaction", filing, rules.large_transaction.departments),
                # One step for the suspicious payees, one for the teller who says the same.
                ExpectedWarning(
                    subject, "frequent_large_transfers", raised(frequent.severity, 2), frequent.departments
                ),
                # Each transfer stays just below the threshold, and the payees' country is of high risk; the
                # teller's report raises both by a step.
                ExpectedWarning(
                    subject, "structuring", raised(rules.structuring.severity), rules.structuring.departments
                ),
                ExpectedWarning(
                    subject,
                    "suspicious_counterparty",
                    raised(rules.suspicious_counterparty.severity),
                    rules.suspicious_counterparty.departments,
                ),
                ExpectedWarning(subject, "teller_report", raised(report.severity), report.departments),
                ExpectedWarning(
                    f"customer:{FIRMS[0]}", "large_transaction", "low", rules.large_transaction.departments
                ),
                ExpectedWarning(
                    f"industry:{ENTITY}:{member}",
                    "approval_during_suspension",
                    rules.approval_during_suspension.severity,
                    rules.approval_during_suspension.departments,
                ),
                ExpectedWarning(
                    f"industry:{ENTITY}:{member}",
                    "industry_concentration",
                    industry.severities["control"],
                    industry.departments,
                ),
            )
        )
    )


def filing_severity(times: Decimal, rule: LargeTransaction) -> Severity:
    """How grave so many times the reporting threshold are."""
    return "high" if times >= rule.high_from.value else "medium" if times >= rule.medium_from.value else "low"
