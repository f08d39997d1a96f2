"""A case as a file: everything that it rests on and that was done, as one page and as one JSON object."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from connectors.account_texts import WORDS as CASE_WORDS
from connectors.account_texts import Language
from connectors.reports.page import spoken, template
from models.events import LoanEvent, PostReport, Transaction
from models.policy import Policy
from models.response.audit import broken_link, chain_begins
from models.response.case import Case
from models.revisions import newest
from models.risk_warning import RiskWarning

Evidence = Transaction | PostReport | LoanEvent
WORDS: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "title": "Case file",
        "opened": "opened",
        "resolved": "resolved",
        "confidential": "confidential",
        "follows": "follows",
        "leads": "leads",
        "policy": "policy",
        "warnings": "Warnings and reasons",
        "tasks": "Tasks and measures",
        "suspensions": "Suspensions",
        "evidence": "Evidence",
        "history": "History",
        "when": "When",
        "who": "Who",
        "what": "What",
        "detail": "Detail",
        "hash": "Hash",
        "reason": "Reason",
        "observed": "Observed",
        "threshold": "Threshold",
        "department": "Department",
        "state": "State",
        "acknowledged": "Acknowledged / due",
        "done": "Done / due",
        "measures": "Measures",
        "from": "From",
        "until": "Until",
        "event": "Event",
        "amount": "Amount",
        "in_force": "in force",
        "whole": "The history is whole: every line follows from the one before. Its head is",
        "broken": "The history is NOT the one that was written: it breaks at line",
        "older": "lines are older than the chain, which holds them as it found them.",
        "missing": "events that the warnings name are not on the topics any more.",
        "none": "none",
    },
    "zh": {
        "title": "案件档案",
        "opened": "立案",
        "resolved": "办结",
        "confidential": "保密",
        "follows": "并入",
        "leads": "牵头",
        "policy": "政策版本",
        "warnings": "预警与原因",
        "tasks": "任务与措施",
        "suspensions": "暂停审批",
        "evidence": "证据",
        "history": "经过",
        "when": "时间",
        "who": "人员",
        "what": "事项",
        "detail": "说明",
        "hash": "校验值",
        "reason": "原因",
        "observed": "观测值",
        "threshold": "阈值",
        "department": "部门",
        "state": "状态",
        "acknowledged": "签收 / 应签收",
        "done": "完成 / 应完成",
        "measures": "措施",
        "from": "自",
        "until": "至",
        "event": "事件",
        "amount": "金额",
        "in_force": "生效中",
        "whole": "经过完整：每一行都承接上一行。末行校验值为",
        "broken": "经过与原始记录不符，断于第",
        "older": "行早于校验链，校验链按其所见予以保留。",
        "missing": "个预警所列事件已不在主题中。",
        "none": "无",
    },
}


class CaseFile(Struct, frozen=True, kw_only=True):
    """What is in a case file.

    Args:
        warnings: those of the case, each in its newest revision.
        evidence: the events behind them that are still on the topics, by topic, oldest first.
        missing: ids of the events that are not.
        broken_at: index of the first line of the history that does not follow (`models.response.audit`).
    """

    case: Case
    warnings: tuple[RiskWarning, ...]
    evidence: dict[str, tuple[Any, ...]]
    missing: tuple[str, ...]
    broken_at: int | None
    chain_begins: int | None


def case_file(case: Case, warnings: Iterable[RiskWarning], events: Mapping[str, Iterable[Evidence]]) -> CaseFile:
    """The file of a case.

    Args:
        warnings: of the case, any revisions.
        events: by topic, those whose ids the warnings name, once or more often.
    """
    told = newest((one for one in warnings if case.warning(one.warning_id)), lambda one: one.warning_id).values()
    named = {event_id for one in told for event_id in one.event_ids}
    evidence: dict[str, tuple[Any, ...]] = {}
    for topic, found in events.items():
        once = {one.event_id: one for one in found if one.event_id in named and _concerns(case.subject, one)}
        if once:
            evidence[topic] = tuple(sorted(once.values(), key=lambda one: (one.event_time, one.event_id)))
    held = {one.event_id for found in evidence.values() for one in found}
    return CaseFile(
        case=case,
        warnings=tuple(sorted(told, key=lambda one: (one.event_time, one.warning_id))),
        evidence=evidence,
        missing=tuple(sorted(named - held)),
        broken_at=broken_link(case),
        chain_begins=chain_begins(case),
    )


def _concerns(subject: str, event: Evidence) -> bool:
    """Ids of transactions and reports are of their customer's making: another customer's may be the same."""
    kind, _, name = subject.partition(":")
    return kind != "customer" or isinstance(event, LoanEvent) or event.customer_id == name


def as_json(file: CaseFile) -> bytes:
    """The whole file, the same bytes whenever it is made from the same case and events."""
    return msgspec.json.format(msgspec.json.encode(file, order="sorted"), indent=2) + b"\n"


def as_page(file: CaseFile, policy: Policy, language: Language) -> str:
    """The file as one page of HTML.

    Args:
        policy: for the names of measures and the bank's clock.
    """
    parts = page_parts(file, policy, language) | {"with_evidence": True, "link": None}
    return template("case.html.j2").render(**parts)


def page_parts(file: CaseFile, policy: Policy, language: Language) -> dict[str, Any]:
    """What the templates of a case need, apart from `with_evidence` and `link` (the address of a warning)."""
    return {
        **spoken(policy, language),
        "file": file,
        "case": file.case,
        "words": WORDS[language],
        "state": CASE_WORDS[language][file.case.state],
        "told": _told,
    }


def _told(event: Evidence) -> str:
    """What an event says, in a line."""
    if isinstance(event, PostReport):
        return f"{event.kind}: {event.narrative}" if event.narrative else event.kind
    if isinstance(event, LoanEvent):
        steps = (event.kind, event.loan_id, event.borrower_id, event.industry, event.approver_id)
        return " · ".join(one for one in steps if one)
    other = event.counterparty
    whom = (other.name or other.account_id) if other is not None else None
    country = other.country if other is not None else None
    parts = (event.direction, event.method, whom, country, event.channel, event.branch_id, event.purpose)
    return " · ".join(one for one in parts if one)
