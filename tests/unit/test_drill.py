"""Drills: marked by their names, kept apart from the bank's own, scored by what was done when."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from connectors.sources.simulator import topic_of
from connectors.sources.simulator.drills import DRILLS, expected, play
from models.drill import drill_of, in_drill
from models.pipeline import LocalPipeline
from models.policy import Policy, PolicyHistory
from models.response.drill_score import Expected, score
from tests.make import at
from tests.response import DAY, HOUR, MONDAY, Desk, action, warning

NOW = at("2026-03-04 15:00")
SUBJECT = f"customer:{in_drill('C1', 'spring')}"
CASE = f"{SUBJECT}#1"
WANTED = Expected(detector="teller_report", subject=SUBJECT, departments=("operations",), measures=())


@pytest.mark.parametrize("name", DRILLS)
@pytest.mark.parametrize("moment", ["2026-03-04 15:00", "2026-03-02 00:03", "2026-03-08 23:59"])
def test_every_scenario_brings_what_it_says_and_nothing_of_the_bank(name: str, moment: str, policy: Policy) -> None:
    now, policies = at(moment), PolicyHistory(policy)
    pipeline = LocalPipeline(policies)
    events = play(DRILLS[name], "spring", policy, now)
    assert all(drill_of(one.key) == "spring" and one.event_time <= now for one in events)
    pipeline.run((topic_of(one), one) for one in events)
    assert not pipeline.refusals
    found = {(one.detector, one.subject) for one in pipeline.warnings.values()}
    assert found >= {(one.detector, one.subject) for one in expected(DRILLS[name], "spring", policy)}
    assert {one.mode for one in pipeline.warnings.values()} == {"drill"}
    assert {drill_of(subject) for _, subject in found} == {"spring"}


def test_a_rule_in_shadow_stays_in_shadow(policy: Policy) -> None:
    rule = replace(policy.detectors.teller_report, mode="shadow")
    shadowed = replace(policy, detectors=replace(policy.detectors, teller_report=rule))
    pipeline = LocalPipeline(PolicyHistory(shadowed))
    pipeline.run((topic_of(one), one) for one in play(DRILLS["linked_teller_and_machine"], "x", policy, NOW))
    assert {one.mode for one in pipeline.warnings.values() if one.detector == "teller_report"} == {"shadow"}


def told(**fields: Any) -> Any:
    values = {"subject": SUBJECT, "mode": "drill", "detected_at": MONDAY + timedelta(seconds=2)}
    return warning(**values | fields)


def played(*actions: tuple[str, float]) -> Desk:
    desk = Desk()
    desk.take(told())
    for kind, hours in actions:
        desk.take(action(kind, MONDAY + hours * HOUR, case_id=CASE))
    desk.tick(MONDAY + 20 * DAY)
    return desk


def scored(desk: Desk, after: timedelta, *warnings: Any) -> Any:
    return score("spring", [WANTED], warnings or (told(),), desk.cases.values(), MONDAY + after)


def test_what_was_done_in_time_is_a_point_each() -> None:
    result = scored(played(("acknowledge", 1), ("complete", 3)), DAY)
    assert (result.achieved, len(result.outcomes), str(result.points)) == (3, 3, "1.000000")
    assert result.verdict == "passed"
    assert result.warnings[0].after == timedelta(seconds=2)
    acknowledged, measure = result.tasks[0].steps
    assert (acknowledged.what, acknowledged.done_by, acknowledged.done_at) == ("acknowledge", "ling", MONDAY + HOUR)
    assert (measure.what, measure.done_by, measure.outcome) == ("investigate_transactions", "ling", "in_time")


def test_what_is_late_or_missed_is_named_with_its_escalations() -> None:
    late = scored(played(("acknowledge", 5)), 20 * DAY)
    assert late.verdict == "not_passed"
    assert [(step.what, step.outcome) for _, step in late.failures] == [
        ("acknowledge", "late"),
        ("investigate_transactions", "missed"),
    ]
    assert [one.to for one in late.tasks[0].escalations] == ["linkage_office", "leading_group"]


def test_before_it_is_due_nothing_is_missed() -> None:
    early = scored(played(("acknowledge", 1)), 2 * HOUR)
    assert early.verdict == "under_way"
    assert [step.outcome for step in early.tasks[0].steps] == ["in_time", "open"]


def test_a_warning_that_does_not_come_is_a_miss() -> None:
    result = score("spring", [WANTED], [], [], MONDAY)
    assert (result.verdict, result.warnings[0].outcome) == ("nothing", "missed")
    live = score("spring", [WANTED], [told(mode="live")], [], MONDAY + DAY)
    assert live.warnings[0].outcome == "missed"


def test_the_same_instant_gives_the_same_score_for_ever() -> None:
    early = played(("acknowledge", 1))
    later = played(("acknowledge", 1), ("complete", 30))
    assert scored(early, 2 * HOUR) == scored(later, 2 * HOUR)


def test_another_drill_is_none_of_its_business() -> None:
    other = told(subject=f"customer:{in_drill('C1', 'autumn')}", warning_id="w2")
    result = scored(played(), HOUR, told(), other)
    assert result.others == ()
