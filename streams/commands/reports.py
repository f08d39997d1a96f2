"""Ask: reports. What became of what a post has reported."""

from typing import Annotated

import typer

from connectors.account_texts import Language, say
from connectors.cases import read_cases
from connectors.errors import LiandongError
from connectors.records import TopicReader
from models.events import PostReport
from models.response.outcome import ReportOutcome, State, outcomes
from models.revisions import newest
from models.risk_warning import RiskWarning
from streams.commands.keeping import FormatOption, broker_settings, first_policy, show
from streams.commands.output import Format, command, print_json

COLUMNS = ("report_id", "filed_at", "kind", "state", "acknowledged", "waiting_for", "case_id")
STATES: dict[Language, dict[State, str]] = {
    "en": {
        "received": "received",
        "waiting": "not acknowledged yet",
        "in_work": "in work",
        "confirmed": "confirmed, worked through",
        "dismissed": "dismissed by two",
    },
    "zh": {
        "received": "已收到",
        "waiting": "尚未确认",
        "in_work": "处理中",
        "confirmed": "属实，已处理",
        "dismissed": "经双人复核排除",
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

    Of a confidential case it says no more than that it is handled.
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
    zone = policy.bank_calendar.zone
    rows = [_row(one, language) | {"filed_at": one.filed_at.astimezone(zone)} for one in found]
    show(format, "reports", COLUMNS, rows, f"no report by {by}" if by else f"there is no report {report}")


def _row(one: ReportOutcome, language: Language) -> dict[str, object]:
    return {
        "report_id": one.report_id,
        "kind": say(one.kind, language),
        "about": one.about,
        "state": STATES[language][one.state],
        "acknowledged": ", ".join(say(name, language) for name in one.acknowledged),
        "waiting_for": ", ".join(say(name, language) for name in one.waiting_for),
        "case_id": one.case_id or ("—" if one.confidential else ""),
    }
