"""Ask: reports. What became of what a post has reported."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

import typer

from connectors.account import plain
from connectors.account_texts import Language, say
from connectors.cases import read_cases
from connectors.errors import LiandongError
from connectors.records import TopicReader
from models.events import PostReport
from models.policy import Policy
from models.response.outcome import ReportOutcome, outcomes
from models.revisions import newest
from models.risk_warning import RiskWarning
from streams.commands.keeping import FormatOption, broker_settings, first_policy
from streams.commands.output import Format, command, out, print_json

WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "received": "received, no case yet",
        "waiting": "not acknowledged yet",
        "in_work": "in work",
        "confirmed": "confirmed: measures completed",
        "dismissed": "dismissed by two people",
        "handled": "being handled",
        "closed": "closed",
        "state": "state",
        "confidential": "the case is confidential",
        "warning": "warning",
        "case": "case",
        "acknowledged": "acknowledged",
        "waiting_for": "waiting for",
        "measures": "done",
        "resolved": "resolved",
        "none_by": "no report by {}",
        "none": "there is no report {}",
    },
    "zh": {
        "received": "已收到，尚未立案",
        "waiting": "尚未确认",
        "in_work": "处理中",
        "confirmed": "属实：措施已完成",
        "dismissed": "经双人复核排除",
        "handled": "正在处理",
        "closed": "已办结",
        "state": "状态",
        "confidential": "案件保密",
        "warning": "预警",
        "case": "案件",
        "acknowledged": "已确认",
        "waiting_for": "待办部门",
        "measures": "已完成",
        "resolved": "办结时间",
        "none_by": "{}没有上报记录",
        "none": "没有上报{}",
    },
}


@command
def reports(
    by: Annotated[
        str | None, typer.Option("--by", metavar="EMPLOYEE", help="Reports that this employee filed.")
    ] = None,
    report: Annotated[str | None, typer.Option(metavar="ID", help="One report.")] = None,
    language: Annotated[Language, typer.Option("--language", "-l", help="Of codes and texts.")] = "en",
    format: FormatOption = Format.TEXT,
) -> None:
    """Tell whoever filed a report what became of it: who has acknowledged it, and what it came to.

    Of a confidential case it says no more than that it is being handled, or closed.
    """
    if (by is None) == (report is None):
        raise LiandongError("say whose reports, or which one", "--by EMPLOYEE, or --report ID")
    settings = broker_settings()
    policy = first_policy(settings)

    def wanted(one: PostReport) -> bool:
        return one.report_id == report if by is None else one.reporter.employee_id == by

    with TopicReader(settings) as reader:
        filed = {one.report_id: one for _, one in reader.events("reports") if wanted(one)}
        told = (one for _, one in reader.events("warnings"))
        warnings: dict[str, RiskWarning] = newest(told, lambda one: one.warning_id)
    found = outcomes(filed.values(), warnings, read_cases(settings, policy=policy).values())
    if format is Format.JSON:
        print_json(found)
        return
    if not found:
        words = WORDS[language]
        out.print(words["none_by"].format(by) if by is not None else words["none"].format(report), markup=False)
    for one in found:
        for line in _lines(one, policy, language):
            out.print(line, markup=False, highlight=False, soft_wrap=True)


def _lines(one: ReportOutcome, policy: Policy, language: Language) -> Iterator[str]:
    words, comma = WORDS[language], "、" if language == "zh" else ", "

    def time(at: datetime) -> str:
        return f"{at.astimezone(policy.bank_calendar.zone):%Y-%m-%d %H:%M}"

    state = words[one.state]
    told = {
        "state": f"{state} ({words['confidential']})" if one.confidential else state,
        "warning": one.warning_id,
        "case": one.case_id,
        "acknowledged": comma.join(f"{say(name, language)} {time(at)}" for name, at in one.acknowledged.items()),
        "waiting_for": comma.join(say(name, language) for name in one.waiting_for),
        "measures": comma.join(policy.response.measure_name(code, language) for code in one.measures),
        "resolved": time(one.resolved_at) if one.resolved_at is not None else None,
    }
    yield plain(f"{one.report_id}  {time(one.filed_at)}  {say(one.kind, language)}  {one.about}")
    for word, text in told.items():
        if text:
            yield plain(f"  {words[word]}: {text}")
