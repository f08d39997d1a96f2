"""The departments' answers on the scripted day: operations in time, credit late, risk never, clearing out of turn."""

from datetime import date, datetime

from connectors.sources.simulator.script import ExpectedTask
from connectors.sources.simulator.stage_directions import FIRMS, SUSPECT, Clock, Notebook, minutes
from models.policy import Policy
from models.risk_warning import Department


def add_answers(book: Notebook, clock: Clock, day: date, industry_case: str, warned_at: datetime) -> None:
    """Add the actions to the day's steps.

    Args:
        industry_case: the case on the industry that the book drifts into.
        warned_at: when credit was first told of it: its time to acknowledge runs from here.
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
        book.action(at, case, "operations", "complete", f"Operations: {text.en}", f"运营部：{text.zh}", measure)
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
        book.action(at, filing, "operations", "complete", f"Operations: {text.en}", f"运营部：{text.zh}", measure)

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
        book.action(at, industry_case, "credit", "complete", f"Credit: {text.en}", f"信贷部：{text.zh}", measure)


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
    )
