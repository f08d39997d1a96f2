"""The score of a drill at its boundaries, from warnings and cases that the stage itself made."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from models.response.case import Case, Countersign
from models.response.drill_score import DrillScore, Expected, Step, score
from models.response.drill_text import verdict_text
from models.risk_warning import RiskWarning
from tests.response import DAY, HOUR, MONDAY, Desk, action, warning

SUBJECT = "customer:drill~spring~C1"
SECOND, TICK = timedelta(seconds=1), timedelta(microseconds=1)
MEASURE = "investigate_transactions"
EXPECTED = (
    Expected(detector="teller_report", subject=SUBJECT, departments=("operations", "risk"), measures=(MEASURE,)),
)
# Of a medium warning on Monday at 10:00: four working hours to acknowledge, three working days to complete.
ACKNOWLEDGE_DUE, DUE = MONDAY + 4 * HOUR, MONDAY + 3 * DAY


def told(at: datetime = MONDAY, **fields: Any) -> RiskWarning:
    values: dict[str, Any] = {"subject": SUBJECT, "mode": "drill", "departments": ("operations", "risk")}
    return warning(at, **values | {"detected_at": at + 2 * SECOND} | fields)


def act(kind: str, at: datetime, **fields: Any) -> Any:
    return action(kind, at, case_id=f"{SUBJECT}#1", **fields)


def scored(desk: Desk, at: datetime, *warnings: RiskWarning) -> DrillScore:
    return score("spring", EXPECTED, warnings or (told(),), desk.cases.values(), at)


def steps(found: DrillScore, department: str = "operations") -> dict[str, Step]:
    return {step.what: step for task in found.tasks if task.department == department for step in task.steps}


def played(*actions: Any) -> Desk:
    desk = Desk()
    desk.take(told(), *actions)
    assert not desk.refused
    return desk


def test_a_deed_at_its_due_time_exactly_is_in_time() -> None:
    desk = played(
        act("acknowledge", ACKNOWLEDGE_DUE),
        act("acknowledge", MONDAY + HOUR, department="risk", who="wang"),
        act("start", MONDAY + 5 * HOUR, measure=MEASURE),
        act("complete", DUE, who="mei"),
        act("complete", MONDAY + 6 * HOUR, department="risk", who="wang"),
    )
    found = scored(desk, MONDAY + 30 * DAY)
    assert (found.verdict, found.achieved, len(found.outcomes), found.points) == ("passed", 5, 5, Decimal("1.000000"))
    done = steps(found)[MEASURE]
    assert (done.started_by, done.started_at, done.done_by, done.done_at) == ("ling", MONDAY + 5 * HOUR, "mei", DUE)
    assert steps(found, "risk")["complete"].done_by == "wang"  # a task without measures is one thing to complete


def test_a_microsecond_late_is_late() -> None:
    found = scored(played(act("acknowledge", ACKNOWLEDGE_DUE + TICK), act("complete", DUE + TICK)), MONDAY + 30 * DAY)
    assert {step.outcome for step in steps(found).values()} == {"late"}
    assert {step.outcome for step in steps(found, "risk").values()} == {"missed"}
    assert (found.verdict, found.points) == ("not_passed", Decimal("0.200000"))
    assert [(task.department, step.what) for task, step in found.failures] == [
        ("operations", "acknowledge"),
        ("risk", "acknowledge"),
        ("operations", MEASURE),
        ("risk", "complete"),
    ]


def test_what_is_after_the_asked_time_has_not_happened_yet() -> None:
    desk = played(act("acknowledge", MONDAY + HOUR), act("complete", MONDAY + 2 * HOUR))
    desk.tick(MONDAY + 30 * DAY)
    assert any(task.escalations for task in scored(desk, MONDAY + 30 * DAY).tasks)
    assert not any(task.escalations for task in scored(desk, ACKNOWLEDGE_DUE - TICK).tasks)
    assert scored(desk, MONDAY + SECOND).warnings[0].outcome == "missed"
    early = scored(desk, MONDAY + HOUR)
    assert (early.verdict, early.achieved, steps(early)[MEASURE].done_at) == ("under_way", 2, None)
    assert steps(scored(desk, ACKNOWLEDGE_DUE), "risk")["acknowledge"].outcome == "open"
    assert steps(scored(desk, ACKNOWLEDGE_DUE + TICK), "risk")["acknowledge"].outcome == "missed"
    assert scored(desk, MONDAY - TICK).tasks == ()


def test_the_order_and_repetition_of_what_is_read_change_nothing() -> None:
    desk, at = played(act("acknowledge", MONDAY + HOUR)), MONDAY + DAY
    late = told(MONDAY + HOUR, revision=2, detected_at=MONDAY + 2 * HOUR)
    one = score("spring", EXPECTED, [told(), late], desk.cases.values(), at)
    assert one == score("spring", EXPECTED, [late, told(), late], reversed(list(desk.cases.values())), at)
    assert one.warnings[0].after == 2 * SECOND  # of the first revision


def test_a_dismissal_is_a_miss() -> None:
    desk = played(act("dismiss", MONDAY + HOUR), act("approve", MONDAY + 2 * HOUR, who="mei"))
    found = scored(desk, MONDAY + 3 * HOUR)
    assert (found.verdict, steps(found)[MEASURE].outcome) == ("not_passed", "dismissed")
    assert steps(scored(desk, MONDAY + HOUR))[MEASURE].outcome == "open"


def test_other_drills_real_warnings_and_shadows_are_no_part_of_it() -> None:
    others = (
        told(mode="shadow", warning_id="w3"),
        told(subject="customer:drill~autumn~C1", warning_id="w2"),
        told(subject="customer:C1", mode="live", warning_id="w4"),
        told(subject="customer:drill~spring2~C1", warning_id="w5"),
    )
    found = scored(played(), MONDAY + HOUR, *others)
    assert (found.warnings[0].outcome, found.others) == ("missed", ())
    more = scored(played(), MONDAY + HOUR, told(), told(detector="structuring", warning_id="w6"), *others)
    assert more.others == (("structuring", SUBJECT),)


def test_a_claim_that_is_not_proved_is_shown_and_not_counted() -> None:
    case: Case = played(act("acknowledge", MONDAY + HOUR)).cases[f"{SUBJECT}#1"]
    claimed = Countersign(employee_id="ling", at=MONDAY + 2 * HOUR)
    task = case.tasks[0]
    measure = replace(task.measures[0], proof="loans_reviewed", claimed=claimed)
    case = replace(case, tasks=(replace(task, measures=(measure,)), *case.tasks[1:]))

    def at(moment: datetime) -> Step:
        return steps(score("spring", EXPECTED, [told()], [case], moment))[MEASURE]

    shown = at(MONDAY + 3 * HOUR)
    assert (shown.outcome, shown.claimed_by, shown.done_at) == ("open", "ling", None)
    assert at(MONDAY + HOUR).claimed_by is None
    assert at(DUE + TICK).outcome == "missed"


def test_a_confidential_case_is_counted_as_hidden() -> None:
    stub = replace(played().cases[f"{SUBJECT}#1"], warnings=(), tasks=(), history=(), confidential=True)
    found = score("spring", EXPECTED, [told()], [stub], MONDAY + HOUR)
    assert (found.hidden, found.verdict) == ((f"{SUBJECT}#1",), "under_way")


def test_a_warning_without_a_case_yet_is_not_passed_yet() -> None:
    assert score("spring", EXPECTED, [told()], [], MONDAY + HOUR).verdict == "under_way"


@pytest.mark.parametrize(
    ("at", "zh", "en"),
    [
        (MONDAY + HOUR, "演练进行中：共5步，按时完成2步，3步待办。", "Under way: 2 of 5 steps in time, 3 still to do."),
        (DUE + DAY, "演练未通过：共5步，按时完成2步，3步未做。", "Not passed: 2 of 5 steps in time, 3 missed."),
    ],
)
def test_the_verdict_in_both_languages(at: datetime, zh: str, en: str) -> None:
    found = scored(played(act("acknowledge", MONDAY + HOUR)), at)
    assert (verdict_text(found, "zh"), verdict_text(found, "en")) == (zh, en)


def test_the_verdict_of_one_step() -> None:
    found = score("spring", EXPECTED, [], [], MONDAY)
    assert verdict_text(found, "en") == "No warning came: 0 of 1 step in time, 1 missed."
    assert verdict_text(found, "zh") == "演练未见预警：共1步，按时完成0步，1步未做。"
