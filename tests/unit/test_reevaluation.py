"""Reference data that comes after the events it governs: history is judged again, and what is new is told late."""

from datetime import UTC, date, datetime
from decimal import Decimal

import msgspec

from models.messages import Reevaluated
from models.pipeline import LocalPipeline
from models.policy import Policy, PolicyHistory
from models.reevaluation import Difference, differences, judge_again
from models.reference import Rate
from models.risk_warning import RiskWarning
from models.stage import Record
from models.watch_list import WatchEntry
from tests.make import report, transaction

NOW = datetime(2026, 6, 1, tzinfo=UTC)
EVENTS = [
    transaction("e1", "2026-03-02 09:00", "15000", currency="USD", method="cash", payee=None),
    transaction("e2", "2026-03-02 10:00", "80", payee="P9"),
    transaction("e3", "2026-03-03 09:00", "9000", currency="USD", method="cash", payee=None, customer_id="C2"),
]


def live(policies: PolicyHistory) -> LocalPipeline:
    pipeline = LocalPipeline(policies)
    for event in EVENTS:
        pipeline.feed("transactions", event)
    return pipeline


def again(pipeline: LocalPipeline, policies: PolicyHistory) -> list[Difference]:
    records = [Record("transactions", 0, at, event.event_time, event, NOW) for at, event in enumerate(EVENTS)]
    return list(differences(judge_again(records, policies), pipeline.warnings))


def sent(pipeline: LocalPipeline, found: list[Difference]) -> list[RiskWarning]:
    """What the stage tells when the news reaches it over the wire."""
    told: list[RiskWarning] = []
    for one in found:
        if one.news is not None:
            news = msgspec.json.decode(msgspec.json.encode(one.news), type=Reevaluated)
            told += [emit.value for emit in pipeline.feed("reevaluations", news, NOW) if emit.topic == "warnings"]
    return told


LISTED = WatchEntry(entry_id="W1", kind="account", value="P9", source="test", valid_from=date(2026, 1, 1))


def test_history_says_nothing_new_while_nothing_has_changed(policy: Policy) -> None:
    policies = PolicyHistory(policy)
    assert again(live(policies), policies) == []


def test_an_entry_that_came_late_is_told_of_what_it_governs(policy: Policy) -> None:
    policies = PolicyHistory(policy)
    pipeline = live(policies)
    policies.take(LISTED)
    found = again(pipeline, policies)
    assert [(one.change, one.detector) for one in found] == [("new", "suspicious_counterparty")]
    (told,) = sent(pipeline, found)
    assert (told.late, told.notify, told.revision, told.event_ids) == (True, True, 1, ("e2",))
    assert told.policy_version == policy.version
    assert again(pipeline, policies) == [], "it has been told"
    assert sent(pipeline, found) == [], "and is told once"


def test_a_graver_warning_goes_on_with_the_revisions_that_were_told(policy: Policy) -> None:
    policies = PolicyHistory(policy)
    pipeline = live(policies)
    (large,) = [one for one in pipeline.warnings.values() if one.subject == "customer:C1"]
    assert (large.detector, large.severity, large.revision) == ("large_transaction", "low", 1)
    policies.take(LISTED)
    pipeline.feed("reports", report("r1", "2026-03-02 12:00"))
    found = again(pipeline, policies)  # the report is not part of this history: only what the entry changes is new
    assert {one.detector: one.change for one in found} == {"suspicious_counterparty": "new", "teller_report": "gone"}
    told = sent(pipeline, found)
    assert {one.detector for one in told} == {"suspicious_counterparty", "teller_report"}
    assert all(one.late for one in told)
    assert any(reason.code == "corroborated" for one in told for reason in one.reasons)


def test_a_state_that_forgot_the_warning_does_not_begin_anew(policy: Policy) -> None:
    policies = PolicyHistory(policy)
    pipeline = live(policies)
    policies.take(LISTED)
    (found,) = again(pipeline, policies)
    assert found.news is not None
    known = msgspec.structs.replace(found.news, revision=7, told_severity="low", told_count=1)
    (told,) = sent(LocalPipeline(policies), [Difference("graver", found.warning_id, found.detector, known)])
    assert told.revision == 8
    equal = msgspec.structs.replace(known, told_severity=found.news.finding.severity)
    assert sent(LocalPipeline(policies), [Difference("graver", found.warning_id, found.detector, equal)]) == []


def test_what_was_told_stands_though_it_would_not_be_told_now(policy: Policy) -> None:
    policies = PolicyHistory(policy)
    pipeline = live(policies)
    before = dict(pipeline.warnings)
    policies.take(Rate(currency="USD", as_of=date(2026, 3, 1), rate=Decimal("0.01"), source="test"))
    found = again(pipeline, policies)
    assert {one.change for one in found} <= {"gone"}
    assert sent(pipeline, found) == []
    assert pipeline.warnings == before


def test_a_rate_that_came_late_makes_a_sum_large(policy: Policy) -> None:
    policies = PolicyHistory(policy)
    pipeline = live(policies)
    assert not [one for one in pipeline.warnings.values() if one.subject == "customer:C2"]
    policies.take(Rate(currency="USD", as_of=date(2026, 3, 3), rate=Decimal(70), source="test"))
    found = again(pipeline, policies)
    told = sent(pipeline, found)
    assert {one.subject for one in told} <= {"customer:C2"}
