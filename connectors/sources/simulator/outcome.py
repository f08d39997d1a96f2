"""What became of a script: how each task was answered, and where the outcome is not what it must be."""

from collections.abc import Iterable
from typing import Literal

from connectors.sources.simulator.script import Answer, Script
from models.dead_letter import DeadLetter
from models.response.case import Case, Task
from models.revisions import newest
from models.risk_warning import RiskWarning


def answer_of(task: Task) -> Answer | Literal["waiting"]:
    """`waiting` while its first deadline has neither been met nor missed."""
    if task.breached:
        return "never" if task.acknowledged_at is None and task.active else "late"
    return "waiting" if task.acknowledged_at is None and task.active else "in_time"


def differences(
    script: Script, warnings: Iterable[RiskWarning], cases: Iterable[Case], dead_letters: Iterable[DeadLetter]
) -> list[str]:
    """Hold the outcome of a live run against what the script expects.

    Args:
        warnings, cases, dead_letters: all that stands on the topics, any revisions, each once or more.

    Returns:
        one plain sentence a difference; empty when the day went as it must.
    """
    expected, found = script.expectations, []
    last = newest(warnings, lambda one: one.warning_id)
    have = sorted((one.subject, one.detector, one.severity, one.departments) for one in last.values())
    want = sorted((one.subject, one.detector, one.severity, one.departments) for one in expected.warnings)
    found += [f"missing warning: {_told(*one)}" for one in want if one not in have]
    found += [f"unexpected warning: {_told(*one)}" for one in have if one not in want]
    if len(have) != len(set(have)):
        found.append("a warning stands under two ids")

    standing = newest(cases, lambda one: one.case_id).values()
    answers = {(case.case_id, task.department, task.round): answer_of(task) for case in standing for task in case.tasks}
    for task in expected.tasks:
        answer = answers.pop((task.case_id, task.department, task.round), "missing")
        if answer != task.answer:
            found.append(f"{_owed(task.case_id, task.department, task.round)}: {answer}, expected {task.answer}")
    found += [f"unexpected: {_owed(*one)}" for one in answers]

    refused = sorted({(one.source_topic, one.source_key or "", one.field) for one in dead_letters})
    due = sorted((one.topic, one.key, one.field) for one in expected.refused)
    found += [
        f"not refused: {topic} {key} ({field})" for topic, key, field in due if (topic, key, field) not in refused
    ]
    found += [f"refused: {topic} {key} ({field})" for topic, key, field in refused if (topic, key, field) not in due]
    return found


def _owed(case_id: str, department: str, round_: int) -> str:
    again = f" (round {round_})" if round_ > 1 else ""
    return f"task of {department} on {case_id}{again}"


def _told(subject: str, detector: str, severity: str, departments: tuple[str, ...]) -> str:
    return f"{detector} on {subject}, {severity}, to {', '.join(departments)}"
