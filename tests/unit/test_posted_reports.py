"""Reports of kinds that are a warning each: by the stream, and by the oracle."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import polars as pl
import pytest
from msgspec import Struct
from msgspec.structs import replace

from models import oracle
from models.events import PostReport, Transaction
from models.pipeline import LocalPipeline
from models.policy import Policy, PolicyHistory
from models.risk_warning import RiskWarning
from tests.make import at, report, transaction

NOON = "2026-03-03 12:00"


class Kind(NamedTuple):
    """What the shipped policy says of a kind, and how it is called."""

    severity: str
    departments: tuple[str, ...]
    measures: tuple[str, ...]
    zh: str
    en: str


KINDS = {
    "system_fault": Kind("high", ("it",), ("restore_system",), "系统故障", "a system fault"),
    "clearing_exception": Kind("high", ("clearing",), ("settle_exception",), "清算异常", "a clearing exception"),
    "complaint": Kind("medium", ("operations",), ("answer_complaint",), "客户投诉", "a complaint"),
    "referral": Kind("low", ("product",), ("follow_up_referral",), "业务转介", "a referral"),
    "financing_need": Kind(
        "low", ("product", "risk"), ("assess_need", "assess_credit_standing"), "融资需求", "a financing need"
    ),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


class Told(NamedTuple):
    """Warnings of the stream by detector and report, and the topics that each was sent to."""

    warnings: dict[tuple[str, str], RiskWarning]
    copies: dict[str, list[str]]


def told(policies: Policy | PolicyHistory, *events: PostReport | Transaction) -> Told:
    """What the stream says, on which the oracle must agree."""
    history = PolicyHistory(policies) if isinstance(policies, Policy) else policies
    pipeline, copies = LocalPipeline(history), dict[str, list[str]]()
    for event in events:
        topic = "reports" if isinstance(event, PostReport) else "transactions"
        for emit in pipeline.feed(topic, event):
            if emit.topic.startswith("warnings."):
                copies.setdefault(emit.topic, []).append(emit.key)
        pipeline.restart()
    found = {(one.detector, one.event_ids[0]): one for one in pipeline.warnings.values()}
    expected = oracle.warnings(
        transactions=frame(events, Transaction), reports=frame(events, PostReport), policies=history
    )
    rows = (
        expected.with_columns(pl.col("observed").cast(pl.Decimal(38, 2)))
        .select("warning_id", "detector", "subject", "severity", "departments", "window_end", "observed")
        .rows()
    )
    assert sorted(rows) == sorted(
        (
            one.warning_id,
            one.detector,
            one.subject,
            one.severity,
            list(one.departments),
            one.window.end.astimezone(UTC),
            Decimal(one.reasons[0].observed),
        )
        for one in pipeline.warnings.values()
    )
    return Told(found, copies)


def frame(events: Iterable[Struct], kind: type[Struct]) -> pl.DataFrame:
    return oracle.from_events([event for event in events if isinstance(event, kind)])


def copies_of(kind: str, subject: str) -> dict[str, list[str]]:
    """Risk has no topic of its own: it reads all warnings."""
    return {f"warnings.{one}": [subject] for one in KINDS[kind].departments if one != "risk"}


def with_rule(policy: Policy, kind: str, **fields: Any) -> Policy:
    rule = replace(getattr(policy.detectors, kind), **fields)
    return replace(policy, detectors=replace(policy.detectors, **{kind: rule}))


@every_kind
@pytest.mark.parametrize(("customer", "subject"), [("C1", "customer:C1"), (None, "branch:0731")])
def test_a_report_is_one_warning_to_the_departments_of_its_kind(
    policy: Policy, kind: str, customer: str | None, subject: str
) -> None:
    expected = KINDS[kind]
    sent = report("r1", NOON, kind=kind, customer_id=customer, narrative="见附件", transaction_ids=("t1", "t2"))
    found = told(policy, sent, replace(sent))
    assert set(found.warnings) == {(kind, "r1")}
    warning = found.warnings[kind, "r1"]
    assert (warning.subject, warning.mode, warning.revision) == (subject, "live", 1)
    assert (warning.severity, warning.departments, warning.measures) == expected[:3]
    assert found.copies == copies_of(kind, subject)
    assert warning.event_time == at(NOON)
    assert (warning.window.start, warning.window.end) == (at("2026-03-03 00:00"), at("2026-03-04 00:00"))
    assert (warning.event_ids, warning.event_count) == (("r1", "t1", "t2"), 3)
    (reason,) = warning.reasons
    assert (reason.code, reason.observed, reason.threshold, reason.unit) == (kind, "1", "1", "reports")
    assert reason.text_zh == f"0731网点tellerT7上报{expected.zh}：见附件"
    assert reason.text_en == f"teller T7 of branch 0731 reports {expected.en}: 见附件"


@every_kind
def test_two_reports_are_two_warnings(policy: Policy, kind: str) -> None:
    found = told(policy, report("r1", NOON, kind=kind), report("r2", NOON, kind=kind))
    assert set(found.warnings) == {(kind, "r1"), (kind, "r2")}


@every_kind
def test_off_says_nothing_and_a_shadow_is_sent_to_nobody(policy: Policy, kind: str) -> None:
    other = next(one for one in KINDS if one != kind)
    sent = report("r1", NOON, kind=kind), report("r2", NOON, kind=other)
    assert set(told(with_rule(policy, kind, mode="off"), *sent).warnings) == {(other, "r2")}
    shadow = told(with_rule(policy, kind, mode="shadow"), *sent)
    assert {key: one.mode for key, one in shadow.warnings.items()} == {(kind, "r1"): "shadow", (other, "r2"): "live"}
    assert shadow.copies == copies_of(other, "customer:C1")


@every_kind
def test_it_neither_raises_others_nor_is_raised(policy: Policy, kind: str) -> None:
    """Though the same customer's payments and a teller's report of that day raise each other."""
    payments = [transaction(f"t{n}", f"2026-03-03 1{n}:00", "400000") for n in range(3)]
    alone = told(policy, *payments).warnings
    frequent = ("frequent_large_transfers", "t0")
    assert alone[frequent].severity == "medium"
    early, late = (report("r1", when, kind=kind) for when in ("2026-03-03 09:00", NOON))
    for found in (told(policy, *payments, late).warnings, told(policy, early, *payments).warnings):
        assert found[kind, "r1"].severity == KINDS[kind].severity
        assert {key: one for key, one in found.items() if key != (kind, "r1")} == alone
    teller = report("r2", "2026-03-03 14:00")
    found = told(policy, early, teller).warnings
    assert (found[kind, "r1"].severity, found["teller_report", "r2"].severity) == (KINDS[kind].severity, "medium")
    found = told(policy, early, *payments, teller).warnings
    assert (found[kind, "r1"].severity, found["teller_report", "r2"].severity) == (KINDS[kind].severity, "high")
    assert found[frequent].severity == "high"


@every_kind
def test_a_policy_may_send_it_elsewhere_from_a_day_on(policy: Policy, kind: str) -> None:
    changed = with_rule(policy, kind, departments=("risk", "credit"), measures=(), severity="critical")
    later = replace(changed, policy=replace(policy.policy, version="later", valid_from=at("2026-03-04 00:00")))
    days = ("2026-03-03 23:59:59", "2026-03-04 00:00", "2026-03-03 10:00")  # the last one arrives late
    sent = [report(f"r{number}", when, kind=kind) for number, when in enumerate(days)]
    found = told(PolicyHistory(policy, later), *sent)
    before, since = KINDS[kind].departments, ("risk", "credit")
    assert [found.warnings[kind, f"r{n}"].departments for n in range(3)] == [before, since, before]
    assert [found.warnings[kind, f"r{n}"].severity for n in range(3)] == [
        KINDS[kind].severity,
        "critical",
        KINDS[kind].severity,
    ]
    assert [found.warnings[kind, f"r{n}"].policy_version for n in range(3)] == ["cn-2026.1", "later", "cn-2026.1"]
    silent = replace(with_rule(policy, kind, mode="off"), policy=later.policy)
    assert set(told(PolicyHistory(policy, silent), *sent).warnings) == {(kind, "r0"), (kind, "r2")}


def test_what_is_refused_is_no_warning(policy: Policy) -> None:
    newest = report("r1", "2026-03-30 10:00", kind="complaint")
    late = report("r2", "2026-03-02 10:00", kind="complaint")
    reports = oracle.from_events([newest, late], ingest_times=[datetime(2026, 3, 30, 3, tzinfo=UTC)] * 2)
    found = oracle.warnings(reports=reports, policies=PolicyHistory(policy))
    assert found.select("anchor", "event_time").rows() == [("r1", newest.event_time.astimezone(UTC))]
    assert set(told(policy, newest, late).warnings) == {("complaint", "r1")}
