"""How drills are shown: the scenarios, what came of one, and its score."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.table import Table

from connectors.account import plain, render_warning
from connectors.account_texts import Language, say
from connectors.drills import Brought
from connectors.sources.simulator.drills import Scenario
from models.policy import Policy
from models.response.drill_score import ACKNOWLEDGE, COMPLETE, DrillScore, Expected, Step
from models.response.drill_text import outcome_text, verdict_text
from streams.commands.output import notes, out

WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "scenario": "scenario",
        "teaches": "what it teaches",
        "must": "what must come, and who does what",
        "then": "Then",
        "missing": "did not come in time; is a worker running?",
        "acts": "What to do now, each for its department:",
        "drill": "drill",
        "as_of": "as of",
        "warning": "warning",
        "subject": "subject",
        "outcome": "outcome",
        "after": "after its event",
        "case": "case",
        "department": "department",
        "step": "step",
        "due": "due",
        "begun": "begun",
        "done": "done",
        "by": "by",
        "escalated": "escalated to",
        "others": "also warned of",
        "failed": "What was not done in time:",
        "claimed": "done, says {who}; the stream has not proved it",
        "hidden": "confidential, not in the score",
        "points": "points",
    },
    "zh": {
        "scenario": "场景",
        "teaches": "练什么",
        "must": "应出现的预警与各部门应做的事",
        "then": "其后",
        "missing": "未按时出现；处理进程是否在运行？",
        "acts": "现在该做什么，由各部门自行执行：",
        "drill": "演练",
        "as_of": "截至",
        "warning": "预警",
        "subject": "对象",
        "outcome": "结果",
        "after": "距事件",
        "case": "案件",
        "department": "部门",
        "step": "步骤",
        "due": "应于",
        "begun": "开始",
        "done": "完成",
        "by": "经办",
        "escalated": "已上报",
        "others": "另有预警",
        "failed": "未按时完成的：",
        "claimed": "{who}称已完成，数据流尚未证实",
        "hidden": "保密，不计入",
        "points": "得分",
    },
}
STYLE = {"in_time": "green", "late": "yellow", "missed": "bold red", "dismissed": "bold red", "open": ""}


def print_scenarios(rows: Sequence[dict[str, Any]], policy: Policy, language: Language) -> None:
    """The scenarios, with what each asks of whom."""
    words = WORDS[language]
    table = _table(words["scenario"], words["teaches"], words["must"])
    for row in rows:
        must = []
        for told in row["must_come"]:
            must.append(f"{say(told['detector'], language)} · {told['subject']}")
            for name, codes in told["asks"].items():
                measures = (_measure(code, policy, language) for code in codes or (COMPLETE,))
                must.append(f"  {say(name, language)}: {('、' if language == 'zh' else ', ').join(measures)}")
        teaches = row["teaches"][language]
        if row["then"] is not None:
            teaches += f"\n{words['then']}: {row['then'][language]}"
        table.add_row(row["scenario"], teaches, "\n".join(must))
    out.print(table)


def print_brought(
    found: Brought, missing: Sequence[Expected], commands: Sequence[str], policy: Policy, language: Language
) -> None:
    """The warnings with their reasons, the cases with who owes something, and what to do."""
    words = WORDS[language]
    for warning in found.warnings.values():
        render_warning(out, warning, policy=policy, lang=language)
    out.print()
    for case in found.cases.values():
        owed = ", ".join(
            f"{say(task.department, language)} ({_time(task.acknowledge_due_at, policy)})"
            for task in case.tasks
            if task.active
        )
        out.print(f"{case.case_id} · {say(case.mode, language)}: {owed or '-'}", markup=False, highlight=False)
    for one in missing:
        notes.print(
            f"{say(one.detector, language)} · {one.subject}: {words['missing']}", style="bold red", markup=False
        )
    out.print(words["acts"], markup=False)
    for line in commands:
        out.print(f"  {line}", markup=False, highlight=False)


def print_score(score: DrillScore, scenario: Scenario, policy: Policy, language: Language) -> None:
    """The whole score: warnings, each department's steps, what was missed, the verdict."""
    words = WORDS[language]
    out.print(
        f"{words['drill']} {score.drill} · {scenario.name} · {words['as_of']} {_time(score.at, policy)}",
        markup=False,
        style="bold",
    )
    out.print(scenario.zh if language == "zh" else scenario.en, markup=False)
    table = _table(words["warning"], words["subject"], words["outcome"], words["after"])
    for seen in score.warnings:
        after = f"{seen.after.total_seconds():.1f} s" if seen.after is not None else "-"
        told = say(seen.detector, language), seen.subject, outcome_text(seen.outcome, language), after
        table.add_row(*told, style=STYLE[seen.outcome])
    out.print(table)
    table = _table(*(words[name] for name in ("case", "department", "step", "due", "begun", "done", "by", "outcome")))
    for task in score.tasks:
        who = say(task.department, language) + (f" ({task.round})" if task.round > 1 else "")
        for step in task.steps:
            table.add_row(
                task.case_id,
                f"{who}, {task.owner}",
                _step(step, policy, language),
                _time(step.due_at, policy),
                _time(step.started_at, policy),
                _time(step.done_at, policy),
                plain(" + ".join(one for one in (step.done_by, step.confirmed_by) if one)) or "-",
                outcome_text(step.outcome, language),
                style=STYLE[step.outcome],
            )
    if score.tasks:
        out.print(table)
    _print_rest(score, policy, language)


def _print_rest(score: DrillScore, policy: Policy, language: Language) -> None:
    words = WORDS[language]
    for task in score.tasks:
        for told in task.escalations:
            line = f"{task.case_id}, {say(task.department, language)}: {words['escalated']} {say(told.to, language)}"
            out.print(f"{line}, {_time(told.at, policy)}", markup=False, highlight=False)
    for detector, subject in score.others:
        out.print(f"{words['others']}: {say(detector, language)} · {subject}", markup=False, highlight=False)
    for case_id in score.hidden:
        out.print(f"{case_id}: {words['hidden']}", markup=False, highlight=False)
    if score.failures:
        out.print(words["failed"], markup=False)
    for task, step in score.failures:
        what = f"{task.case_id}, {say(task.department, language)}: {_step(step, policy, language)}"
        due = f"{words['due']} {_time(step.due_at, policy)}"
        out.print(f"  {what}, {due}, {outcome_text(step.outcome, language)}", markup=False, highlight=False)
    percent = f"{score.points * 100:.1f} %"
    out.print(f"{verdict_text(score, language)} {words['points']}: {percent}", markup=False, style="bold")


def _table(*columns: str) -> Table:
    table = Table()
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _step(step: Step, policy: Policy, language: Language) -> str:
    if step.what in (ACKNOWLEDGE, COMPLETE):
        return say(step.what, language)
    text = _measure(step.what, policy, language)
    if step.claimed_by is not None:
        text += f" ({WORDS[language]['claimed'].format(who=plain(step.claimed_by))})"
    return text


def _measure(code: str, policy: Policy, language: Language) -> str:
    known = code in policy.response.measures
    return policy.response.measure_name(code, language) if known else say(code, language)


def _time(at: datetime | None, policy: Policy) -> str:
    return "-" if at is None else f"{at.astimezone(policy.bank_calendar.zone):%m-%d %H:%M}"
