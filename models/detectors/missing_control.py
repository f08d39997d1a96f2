"""Missing controls: a large enough transaction whose post checked no identity or had nobody else approve it.

Source: the policy on linked posts, part 5(2)1: operations inspects identity checks and the approval of large
transactions. The amounts come from the rules on customer due diligence for one-off business.
"""

from collections.abc import Iterator
from datetime import date, datetime

from msgspec import Struct, field

from models.detectors.amounts import Measured, measure_against
from models.detectors.day_evidence import DayEvidence
from models.events import Transaction
from models.policy import Amounts, Policy, PolicyHistory
from models.policy import MissingControl as Rule
from models.risk_warning import Finding, Reason, raised
from models.texts import VERBS, plural

CODES = {"identity": "identity_not_verified", "approval": "approval_missing"}
LACKS = {
    "identity": ("应核实客户身份而未核实", "without a verified identity"),
    "approval": ("应由经办柜员以外人员审批而未审批", "without an approver other than the teller"),
}


class Lapses(DayEvidence):
    """The transactions of a day that lack one control; `both` of them lack the other one too.

    Args:
        newest: (time, event id) of the newest one, which branch and teller belong to.
    """

    both: int = 0
    newest: tuple[datetime, str] | None = None
    branch_id: str | None = None
    teller_id: str | None = None

    def add(self, event: Transaction, measured: Measured, *, both: bool) -> None:
        self.take(event, measured)
        self.both += both
        mark = (event.event_time, event.event_id)
        if self.newest is None or mark > self.newest:
            self.newest, self.branch_id, self.teller_id = mark, event.branch_id, event.teller_id


class MissingControlState(Struct):
    """At most two entries a day inside the lateness, by anchor; each with at most 500 event ids."""

    lapses: dict[str, Lapses] = field(default_factory=dict)


class MissingControl:
    """Judges each customer-made transaction on a channel where posts make checks, and gathers a day's lapses.

    Every event stands for itself and a day only fills up, so the same events give the same findings in any order.
    A purpose that is exempt from reporting is not exempt from controls.
    """

    id = "missing_control"
    version = 1
    consumes = Transaction
    state_type = MissingControlState

    def rule(self, policy: Policy) -> Rule:
        return policy.detectors.missing_control

    def step(
        self, state: MissingControlState, event: Transaction, policy: Policy, policies: PolicyHistory
    ) -> list[Finding]:
        rule = policy.detectors.missing_control
        missing = dict(lacking(event, rule, policy))
        if not missing:
            return []
        day = policy.bank_calendar.day_of(event.event_time)
        findings = []
        for name, measured in missing.items():
            lapses = state.lapses.setdefault(f"{name}|{day}", Lapses(day))
            lapses.add(event, measured, both=len(missing) == len(CODES))
            graver = name == "approval" and lapses.both > 0
            severity = raised(rule.severity) if graver else rule.severity
            reasons = (_reason(name, lapses, measured.amounts), *([_both_reason(lapses)] if graver else []))
            findings.append(lapses.finding(name, event, severity, reasons, rule, policy))
        return findings

    def expire(self, state: MissingControlState, before: datetime, policies: PolicyHistory) -> None:
        oldest: date = policies.latest.bank_calendar.day_of(before)
        state.lapses = {anchor: one for anchor, one in state.lapses.items() if one.day >= oldest}


def lacking(event: Transaction, rule: Rule, policy: Policy) -> Iterator[tuple[str, Measured]]:
    """The controls that a transaction needed and lacks, with its amount beside the threshold of each.

    Only customers' own need any, on channels where posts make checks.
    """
    if event.origin != "customer" or (rule.channels and event.channel not in rule.channels):
        return
    controls = event.controls
    if controls is None or controls.identity_verified is not True:
        measured = measure_against(event, rule.identity_from, policy)
        if measured.reaches():
            yield "identity", measured
    if controls is None or not any(one != event.teller_id for one in controls.approved_by):
        measured = measure_against(event, rule.approval_from, policy)
        if measured.reaches():
            yield "approval", measured


def _reason(name: str, lapses: Lapses, amounts: Amounts) -> Reason:
    largest = lapses.largest
    lacks_zh, lacks_en = LACKS[name]
    verb_zh, verb_en = VERBS[amounts.op]
    branch, teller = lapses.branch_id, lapses.teller_id
    where_zh = f"{f'网点{branch}' if branch else '网点不详'}，{f'柜员{teller}' if teller else '柜员不详'}"
    where_en = (
        f"{f'branch {branch}' if branch else 'branch unknown'}, {f'teller {teller}' if teller else 'teller unknown'}"
    )
    many = lapses.count > 1
    return Reason(
        code=CODES[name],
        observed=largest.observed,
        threshold=largest.limit,
        unit=largest.bucket,
        text_zh=f"{lapses.day}有{lapses.count}笔交易{lacks_zh}，{'最大一笔' if many else ''}{largest.observed} "
        f"{largest.bucket}，{verb_zh}标准{largest.limit} {largest.bucket}；{'最近一笔：' if many else ''}{where_zh}。",
        text_en=f"{plural(lapses.count, 'transaction')} on {lapses.day} {lacks_en}, {'the largest ' if many else ''}"
        f"of {largest.observed} {largest.bucket}, {verb_en} the {largest.limit} {largest.bucket} from which it is "
        f"needed; {'the newest: ' if many else ''}{where_en}.",
    )


def _both_reason(lapses: Lapses) -> Reason:
    verb = "lacks" if lapses.both == 1 else "lack"
    return Reason(
        code="identity_and_approval",
        observed=str(lapses.both),
        threshold="1",
        unit="transactions",
        text_zh=f"其中{lapses.both}笔既未核实身份也无他人审批。",
        text_en=f"{lapses.both} of them {verb} both the identity check and the approval.",
    )
