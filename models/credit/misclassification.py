"""Misclassification: a loan in a better class than its days past due, or its borrower's other loans, allow.

Two rules. A loan that is overdue by more days than a class may be must be in a graver class at least. And where the
loans of a borrower that are substandard or worse are more than a share of its whole exposure, none of its others may
be better than substandard. Judged after each event that changes a balance, a class or days past due.

Source: Measures for the risk classification of financial assets of commercial banks, CBIRC and PBOC Order 2023 No. 1
(the figures are the policy's; other banks' profiles name theirs).
"""

from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple, get_args

from models.credit.book import Loan, Loans
from models.credit.indices_exact import EXACT, six_places
from models.events import Classification, LoanEvent
from models.policy import Figure, Misclassification, Policy
from models.risk_warning import Finding, Reason, Severity, Window
from models.texts import plural

DETECTOR = "misclassification"
VERSION = 1
CLASSES: tuple[Classification, ...] = get_args(Classification)  # from the best to the worst
CLASS_NAMES: dict[Classification, tuple[str, str]] = {
    "normal": ("正常", "normal"),
    "special_mention": ("关注", "special mention"),
    "substandard": ("次级", "substandard"),
    "doubtful": ("可疑", "doubtful"),
    "loss": ("损失", "loss"),
}
BAD = frozenset(CLASSES[CLASSES.index("substandard") :])
# Names of loans in a text; a firm may have thousands.
MOST_NAMED = 20


class Least(NamedTuple):
    """The best class that a loan may be in, and the figure that its days past due are above."""

    classification: Classification
    figure: Figure


def least_class(days_past_due: int, rule: Misclassification) -> Least | None:
    """The class that so many days past due ask for at least; None where even `normal` is good enough."""
    figures = (rule.special_mention_after, rule.substandard_after, rule.doubtful_after, rule.loss_after)
    above = [figure for figure in figures if days_past_due > figure.value]
    return Least(CLASSES[len(above)], above[-1]) if above else None


def judge_class(loan: Loan, event: LoanEvent, policy: Policy) -> Finding | None:
    """Whether the event's loan is in too good a class; keeps the day since when.

    Args:
        loan: as it is after the event.
        policy: of the event's day.
    """
    rule = policy.detectors.misclassification
    least = least_class(loan.days_past_due, rule) if loan.balance else None
    steps = CLASSES.index(least.classification) - CLASSES.index(loan.classification) if least else 0
    if least is None or steps <= 0:
        loan.too_good_since = ""
        return None
    loan.too_good_since = loan.too_good_since or str(policy.bank_calendar.day_of(event.event_time))
    (least_zh, least_en), (class_zh, class_en) = CLASS_NAMES[least.classification], CLASS_NAMES[loan.classification]
    days, figure = loan.days_past_due, f"{least.figure.value:f}"
    reason = Reason(
        code="class_too_good",
        observed=str(days),
        threshold=figure,
        unit="days",
        text_zh=f"贷款{event.loan_id}逾期{days}天，超过{figure}天，应至少归为{least_zh}类，现为{class_zh}类。",
        text_en=f"Loan {event.loan_id} is {plural(days, 'day')} past due, more than {figure}: it must be at least "
        f"{least_en}, and is {class_en}.",
    )
    severity = rule.severity if steps == 1 else rule.grave_severity
    return _finding(f"{event.loan_id}|{loan.too_good_since}", severity, reason, event, policy)


def judge_contagion(loans: Loans, since: str, event: LoanEvent, policy: Policy) -> tuple[str, Finding | None]:
    """Whether bad loans of the borrower in the entity leave others in too good a class.

    Args:
        loans: the borrower's in the event's entity, as they are after the event.
        since: the day the present episode began; empty where there is none.
        policy: of the event's day.

    Returns:
        The day since when, empty where it is not so (any more), and the finding.
    """
    rule = policy.detectors.misclassification
    lent = {name: loan for name, loan in loans.items() if loan.balance}
    better = [name for name, loan in lent.items() if loan.classification not in BAD]
    if not better or len(better) == len(lent):
        return "", None  # most borrowers: nothing need be added up
    bad, total = Decimal(0), Decimal(0)
    for loan in lent.values():
        exposure = loan.exposure
        total = EXACT.add(total, exposure)
        if loan.classification in BAD:
            bad = EXACT.add(bad, exposure)
    limit = rule.contagion_from.value
    if bad <= EXACT.multiply(limit, total):
        return "", None
    since = since or str(policy.bank_calendar.day_of(event.event_time))
    share = six_places(Fraction(bad) / Fraction(total))
    names = sorted(better)
    more = len(names) - MOST_NAMED
    named_zh = "、".join(names[:MOST_NAMED]) + (f"等{len(names)}笔" if more > 0 else "")
    named_en = ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
    number = "another loan is" if len(names) == 1 else "other loans are"
    reason = Reason(
        code="contagion",
        observed=f"{share:f}",
        threshold=f"{limit:f}",
        unit="share of the debtor's exposure",
        text_zh=f"借款人次级及以下贷款占其全部贷款的{share}，超过{limit:f}，其余贷款应至少归为次级类：{named_zh}。",
        text_en=f"Loans that are substandard or worse are {share} of the debtor's exposure, more than {limit:f}; "
        f"{number} better and must be at least substandard: {named_en}.",
    )
    return since, _finding(f"contagion|{since}", rule.grave_severity, reason, event, policy)


def _finding(anchor: str, severity: Severity, reason: Reason, event: LoanEvent, policy: Policy) -> Finding:
    rule, calendar = policy.detectors.misclassification, policy.bank_calendar
    return Finding(
        subject=subject_of(event.entity, event.borrower_id),
        anchor=anchor,
        severity=severity,
        departments=rule.departments,
        reasons=(reason,),
        event_ids=(event.event_id,),
        event_count=1,
        window=Window(*calendar.day_window(calendar.day_of(event.event_time))),
        measures=rule.measures,
        event_time=event.event_time,
    )


def subject_of(entity: str, borrower: str) -> str:
    """Whom a warning is about: a borrower, as one entity knows it."""
    return f"borrower:{entity}:{borrower}"
