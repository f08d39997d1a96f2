"""What `compare` holds against the oracle, over topics that are given here instead of read from a broker."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from connectors.settings import Settings
from models.events import LoanEvent
from models.messages import Suspension, Suspensions
from models.pipeline import LocalPipeline
from models.policy import Policy, PolicyHistory
from models.reference import Rate
from models.risk_warning import Reason, RiskWarning, Window, warning_id
from streams import verify
from tests.make import at, loan, report, transaction

BRANCH = "branch:B"


@pytest.fixture
def small(policy: Policy) -> Policy:
    """The default policy, whose silence learns from three days."""
    rule = policy.detectors.silence
    figures = {name: replace(getattr(rule, name), value=Decimal(value)) for name, value in FIGURES.items()}
    return replace(policy, detectors=replace(policy.detectors, silence=replace(rule, **figures)))


FIGURES = {"learn": "3", "low": "0.25", "high": "4", "minimum": "4", "grace": "6"}


def compare(
    monkeypatch: pytest.MonkeyPatch,
    policies: PolicyHistory,
    topics: Mapping[str, Sequence[Any]],
    arrived: datetime | None = None,
) -> verify.Comparison:
    moment = (arrived or at("2026-12-01 00:00")).timestamp() * 1000

    class Reader:
        def __init__(self, _: Settings) -> None: ...

        def __enter__(self) -> "Reader":
            return self

        def __exit__(self, *_: object) -> None: ...

        def events(self, topic: str) -> Iterator[tuple[Any, Any]]:
            return ((SimpleNamespace(timestamp=moment), event) for event in topics.get(topic, ()))

    monkeypatch.setattr(verify, "TopicReader", Reader)
    return verify.compare(Settings(), policies)


def silent(policy: Policy, first: str, last: str, revision: int = 1, **fields: Any) -> RiskWarning:
    """As the workers would tell of a branch without events from a day to another."""
    start, end = at(f"{first} 00:00"), at(f"{last} 00:00") + timedelta(days=1)
    values: dict[str, Any] = {
        "warning_id": warning_id("silence", 1, BRANCH, f"below|{first}"),
        "revision": revision,
        "detector": "silence",
        "detector_version": 1,
        "policy_version": policy.version,
        "mode": "live",
        "severity": policy.detectors.silence.severities.silent,
        "subject": BRANCH,
        "departments": policy.detectors.silence.departments,
        "reasons": (Reason(code="below_band", observed="0", threshold="2", unit="", text_zh="", text_en=""),),
        "event_ids": (),
        "event_count": 1,
        "window": Window(start, end),
        "measures": (),
        "event_time": end,
        "detected_at": end,
    }
    return RiskWarning(**(values | fields))


def week(*, until: str) -> dict[str, list[Any]]:
    """Branch B has eight events on each of 2, 3 and 4 March 2026, then none; others have their eight, until a time."""
    moves = []
    for day in range(2, 10):
        for number in range(8):
            branch = "B" if day < 5 else "A"
            name = f"C{number}"
            moves.append(transaction(f"{day}-{name}", f"2026-03-0{day} 10:00", "1", customer_id=name, branch_id=branch))
    return {"transactions": [move for move in moves if move.event_time <= at(until)]}


def test_a_day_that_only_the_workers_have_closed_is_left_out(monkeypatch: pytest.MonkeyPatch, small: Policy) -> None:
    policies = PolicyHistory(small)
    topics = week(until="2026-03-05 12:00")
    unclosed = silent(small, "2026-03-05", "2026-03-05")
    assert compare(monkeypatch, policies, topics | {"warnings": [unclosed]}).agrees
    topics = week(until="2026-03-06 12:00")
    assert not compare(monkeypatch, policies, topics).agrees
    assert compare(monkeypatch, policies, topics | {"warnings": [unclosed]}).agrees


def test_a_warning_is_held_against_its_newest_closed_day(monkeypatch: pytest.MonkeyPatch, small: Policy) -> None:
    topics = week(until="2026-03-06 12:00")
    told = [
        silent(small, "2026-03-05", "2026-03-05"),
        silent(small, "2026-03-05", "2026-03-06", 2, severity="critical"),
    ]
    result = compare(monkeypatch, PolicyHistory(small), topics | {"warnings": told})
    assert result.agrees
    assert result.other_severity == []
    assert result.by_detector == {"silence": (1, 0, 0)}


def test_a_silence_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch, small: Policy) -> None:
    result = compare(
        monkeypatch,
        PolicyHistory(small),
        {"transactions": week(until="2026-03-04 12:00")["transactions"], "reports": [report("r", "2026-03-05 10:00")]}
        | {"warnings": [silent(small, "2026-03-04", "2026-03-04")]},
    )
    assert [line.subject for line in result.extra] == [BRANCH]


def test_rules_are_series_by_their_first_revisions(monkeypatch: pytest.MonkeyPatch, small: Policy) -> None:
    records = [
        *(("reports", report(f"{day}-{n}", f"2026-03-0{day} 10:00")) for day in range(2, 5) for n in range(5)),
        ("reports", report("other", "2026-03-05 10:00", kind="complaint")),
        ("reports", report("clock", "2026-03-06 10:00", kind="complaint")),
    ]
    pipeline = LocalPipeline(PolicyHistory(small))
    emits = [emit for topic, event in records for emit in pipeline.feed(topic, event)] + pipeline.finish()
    told = [emit.value for emit in emits if emit.topic == "warnings"]
    assert "rule:teller_report" in {one.subject for one in told}
    topics = {"reports": [event for _, event in records]}
    # Read twice, as after a worker's death: what was told again is not another warning.
    result = compare(monkeypatch, PolicyHistory(small), topics | {"warnings": [*told, *told]})
    assert result.agrees, (result.missing, result.extra)
    drills = [replace(one, mode="drill") for one in told]
    result = compare(monkeypatch, PolicyHistory(small), topics | {"warnings": drills})
    assert [line.subject for line in result.extra] == ["rule:teller_report"]


def test_a_currency_that_was_given_its_rate_since_is_left_out(monkeypatch: pytest.MonkeyPatch, policy: Policy) -> None:
    sent = [
        transaction("e1", "2026-03-02 10:00", "1", currency="AUD"),
        transaction("e2", "2026-03-02 11:00", "1"),
    ]
    pipeline = LocalPipeline(PolicyHistory(policy))
    emits = [emit for event in sent for emit in pipeline.feed("transactions", event)] + pipeline.finish()
    topics = {"transactions": sent, "warnings": [emit.value for emit in emits if emit.topic == "warnings"]}
    result = compare(monkeypatch, PolicyHistory(policy), topics)
    assert result.agrees
    assert result.by_detector == {"missing_rate": (1, 0, 0)}
    rate = Rate(currency="AUD", as_of=date(2026, 3, 2), rate=Decimal("4.7"), source="the central bank")
    result = compare(monkeypatch, PolicyHistory(policy, rates=[rate]), topics)
    assert result.agrees
    assert result.by_detector == {}


def test_an_event_from_the_future_is_refused_here_as_by_the_workers(
    monkeypatch: pytest.MonkeyPatch, small: Policy
) -> None:
    topics = week(until="2026-03-05 12:00")
    topics["transactions"].append(transaction("far", "2027-01-01 00:00", "900000", customer_id="F", method="cash"))
    assert compare(monkeypatch, PolicyHistory(small), topics, at("2026-03-05 12:00")).agrees


INDUSTRY = "industry:BANK1:K"


def suspended(revision: int, lifted: str | None = None) -> Suspensions:
    """Industry K, since 2 March 2026."""
    span = Suspension(started_at=at("2026-03-02 09:00"), started_by="H1", lifted_at=at(lifted) if lifted else None)
    return Suspensions(case_id=f"{INDUSTRY}#1", subject=INDUSTRY, entity="BANK1", revision=revision, spans=(span,))


def disproved(policy: Policy, approval: LoanEvent) -> RiskWarning:
    """As the workers would tell of an approval in industry K."""
    rule = policy.detectors.approval_during_suspension
    when = approval.event_time
    reason = Reason(
        code="approved_while_suspended",
        observed=when.isoformat(),
        threshold="2026-03-02T09:00:00+08:00",
        unit="time",
        text_zh="",
        text_en="",
    )
    return RiskWarning(
        warning_id=warning_id("approval_during_suspension", 1, INDUSTRY, approval.event_id),
        revision=1,
        detector="approval_during_suspension",
        detector_version=1,
        policy_version=policy.version,
        mode="live",
        severity=rule.severity,
        subject=INDUSTRY,
        departments=rule.departments,
        reasons=(reason,),
        event_ids=(approval.event_id,),
        event_count=1,
        window=Window(*policy.bank_calendar.day_window(policy.bank_calendar.day_of(when))),
        measures=rule.measures,
        event_time=when,
        detected_at=when,
        disproves=f"{INDUSTRY}#1",
    )


def test_approvals_are_held_against_the_newest_word_of_each_case(
    monkeypatch: pytest.MonkeyPatch, policy: Policy
) -> None:
    policies = PolicyHistory(policy)
    inside, behind = (loan(f"a{day}", f"2026-03-0{day} 10:00", "1000", kind="approved") for day in (3, 5))
    told = [disproved(policy, inside)]
    messages = [suspended(1), suspended(2, "2026-03-05 09:00"), suspended(1)]
    topics: dict[str, list[Any]] = {"loans": [inside, behind], "suspensions": messages, "warnings": told}
    result = compare(monkeypatch, policies, topics)
    assert result.agrees, (result.missing, result.extra)
    assert result.by_detector == {"approval_during_suspension": (1, 0, 0)}
    assert result.other_severity == []
    assert result.read == {
        **{"transactions": 0, "reports": 0, "loans": 2, "capital": 0},
        **{"suspensions": 3, "warnings": 1},
    }
    result = compare(monkeypatch, policies, topics | {"warnings": []})
    assert [(line.detector, line.subject) for line in result.missing] == [("approval_during_suspension", INDUSTRY)]


def test_an_approval_that_overtook_the_lift_that_allows_it_is_one_too_many(
    monkeypatch: pytest.MonkeyPatch, policy: Policy
) -> None:
    approval = loan("a5", "2026-03-05 10:00", "1000", kind="approved")
    topics: dict[str, list[Any]] = {
        "loans": [approval],
        "suspensions": [suspended(1)],
        "warnings": [disproved(policy, approval)],
    }
    assert compare(monkeypatch, PolicyHistory(policy), topics).agrees
    topics["suspensions"] = [suspended(2, "2026-03-05 10:00")]
    result = compare(monkeypatch, PolicyHistory(policy), topics)
    assert [line.subject for line in result.extra] == [INDUSTRY]
    assert result.missing == []
