"""The departments' answers on the scripted day: operations in time, credit late, risk never, clearing out of turn.

Credit suspends new approvals, somebody approves a loan all the same, and lifting the suspension takes two.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from msgspec.structs import replace

from connectors.sources.simulator.script import ExpectedTask
from connectors.sources.simulator.stage_directions import FIRMS, SUPERVISOR, SUSPECT, Clock, Notebook, minutes
from models.events import ActionKind, LoanEvent
from models.policy import Policy
from models.risk_warning import Department


def add_answers(
    book: Notebook, clock: Clock, day: date, industry_case: str, warned_at: datetime, loans: Sequence[LoanEvent]
) -> datetime:
    """Add the actions to the day's steps; when credit had done all that it was asked for.

    Args:
        industry_case: the case on the industry that the book drifts into.
        warned_at: when credit was first told of it: its time to acknowledge runs from here.
        loans: paid out in the industry. What credit does with them proves what it then says is done.
    """
    policy = book.policy
    case, filing = f"customer:{SUSPECT}#1", f"customer:{FIRMS[0]}#1"
    book.action(
        clock.at(day, 90), case, "operations", "acknowledge", "Operations acknowledges the case", "运营部签收该案"
    )
    book.action(clock.at(day, 128), case, "operations", "start", "Operations starts to investigate", "运营部开始调查")
    for number, measure in enumerate(operations_measures(policy)):
        text = policy.response.measures[measure]
        at = clock.at(day, 240 + 30 * number)  # the last one when risk has let its own time pass
        book.completes(at, case, "operations", f"Operations: {text.en}", f"运营部：{text.zh}", measure)
    book.action(
        clock.at(day, 300),
        case,
        "clearing",
        "complete",
        "Clearing closes a task that it never had",
        "清算部试图完结不属于它的任务",
    )
    book.action(
        clock.at(day, 160), filing, "operations", "acknowledge", "Operations takes the filing", "运营部签收报送"
    )
    book.action(clock.at(day, 400), filing, "operations", "start", "Operations prepares the report", "运营部准备报告")
    for number, measure in enumerate(measures_of(policy, "large_transaction", "operations")):
        text = policy.response.measures[measure]
        at = clock.at(day, 420 + 10 * number)
        book.completes(at, filing, "operations", f"Operations: {text.en}", f"运营部：{text.zh}", measure)

    severity = policy.detectors.industry_concentration.severities["observation"]
    allowed = minutes(60) * float(policy.response.deadlines[severity].acknowledge.value)
    # Late by the longest of the deadlines that can apply: the one from the first, mildest warning.
    late = policy.bank_calendar.add_working_time(warned_at, allowed + minutes(25))
    book.action(late, industry_case, "credit", "acknowledge", "Credit acknowledges at last", "信贷部终于签收")
    later = policy.bank_calendar.add_working_time
    book.action(later(late, minutes(10)), industry_case, "credit", "start", "Credit starts", "信贷部开始处置")
    for number, measure in enumerate(measures_of(policy, "industry_concentration", "credit")):
        text = policy.response.measures[measure]
        at = later(late, minutes(30 + 15 * number))
        add_proof(book, measure, loans, later(late, minutes(18 + 15 * number)))
        at = book.completes(at, industry_case, "credit", f"Credit: {text.en}", f"信贷部：{text.zh}", measure)
    return at


def add_proof(book: Notebook, measure: str, loans: Sequence[LoanEvent], begins: datetime) -> None:
    """The loan events that show a measure to be done, in the ten minutes from `begins` on; most measures have none."""
    proof = book.policy.response.measures[measure].proof

    def step(after: float, loan: LoanEvent, note_en: str = "", note_zh: str = "", **fields: Any) -> None:
        at = book.policy.bank_calendar.add_working_time(begins, minutes(after))
        number = f"day-l{book.number():04d}"
        book.add(at, replace(loan, event_id=number, event_time=at, amount=None, **fields), note_en, note_zh)

    if proof == "loans_reviewed":
        for number, loan in enumerate(loans[:-1]):
            step(10 * number / len(loans), loan, kind="reviewed", classification=None)
        note = f"Credit has reviewed the last of {len(loans)} loans", f"信贷部排查完{len(loans)}笔贷款中的最后一笔"
        step(10, loans[-1], *note, kind="reviewed", classification=None)
    elif proof == "reclassified":
        note = "Credit reclassifies a real-estate loan", "信贷部下调一笔房地产贷款的分类"
        step(10, loans[-1], *note, kind="reclassified", classification="special_mention")


def add_breach_answers(book: Notebook, industry_case: str, approved_at: datetime) -> None:
    """What follows from an approval while approvals are suspended, and how the suspension is lifted in the end."""
    later = book.policy.bank_calendar.add_working_time
    owed = measures_of(book.policy, "approval_during_suspension", "credit")
    book.action(
        later(approved_at, minutes(10)),
        industry_case,
        "credit",
        "acknowledge",
        "Credit acknowledges that its measure was not kept",
        "信贷部签收：其措施未被遵守",
    )
    book.action(
        later(approved_at, minutes(12)), industry_case, "risk", "acknowledge", "Risk acknowledges", "风险部签收"
    )
    for number, measure in enumerate(owed):
        text = book.policy.response.measures[measure]
        at = later(approved_at, minutes(20 + number))
        book.completes(at, industry_case, "credit", f"Credit: {text.en}", f"信贷部：{text.zh}", measure)
    book.action(
        later(approved_at, minutes(30)),
        industry_case,
        "risk",
        "complete",
        "Risk has spoken with the approver",
        "风险部已约谈审批人",
    )
    proved = next(one for one in owed if book.policy.response.measures[one].proof == "no_approvals")
    moves: tuple[tuple[int, Department, ActionKind, str, str], ...] = (
        (40, "credit", "lift", "Credit proposes to lift the suspension", "信贷部提议解除暂停"),
        (41, "credit", "approve", "The proposer tries to approve it alone", "提议人试图自行批准"),
        (50, "risk", "approve", "Risk agrees: the suspension is lifted", "风险部同意：暂停解除"),
    )
    for after, department, kind, note_en, note_zh in moves:
        at = later(approved_at, minutes(after))
        book.action(at, industry_case, department, kind, note_en, note_zh, proved, SUPERVISOR)


def operations_measures(policy: Policy) -> list[str]:
    """What operations owes on the customer's case: the measures of the three warnings on it, each once."""
    found: list[str] = []
    for detector in ("large_transaction", "frequent_large_transfers", "teller_report"):
        found += [one for one in measures_of(policy, detector, "operations") if one not in found]
    return found


def measures_of(policy: Policy, detector: str, department: Department) -> list[str]:
    """A detector's measures that are this department's."""
    rule = getattr(policy.detectors, detector)
    return [one for one in rule.measures if policy.response.measures[one].department == department]


def expected_tasks(industry_case: str) -> tuple[ExpectedTask, ...]:
    """How the tasks must stand: risk never touched its own."""
    return (
        ExpectedTask(f"customer:{FIRMS[0]}#1", "operations", "in_time"),
        ExpectedTask(f"customer:{SUSPECT}#1", "operations", "in_time"),
        ExpectedTask(f"customer:{SUSPECT}#1", "risk", "never"),
        ExpectedTask(industry_case, "credit", "late"),
        ExpectedTask(industry_case, "credit", "in_time", round=2),
        ExpectedTask(industry_case, "risk", "in_time"),
    )
