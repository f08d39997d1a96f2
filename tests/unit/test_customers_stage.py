"""The customers' stage: what is taken once, refused or marked late, and how reports and machines raise each other."""

from datetime import timedelta
from decimal import Decimal

from msgspec.structs import replace

from models.pipeline import LocalPipeline, MemoryStates
from models.policy import Policy, PolicyHistory
from models.stage import Record
from models.stages.customers import CustomersStage
from tests.make import at, report, transaction


def test_an_event_counts_once_in_any_order(policies: PolicyHistory) -> None:
    pipeline = LocalPipeline(policies)
    first, second = (transaction(f"e{n}", f"2026-03-02 1{n}:00", "250000") for n in (0, 1))
    for event in (first, second, first, second, first):
        pipeline.feed("transactions", event)
    (warning,) = pipeline.warnings.values()
    assert (warning.event_count, warning.revision, warning.reasons[0].observed) == (2, 1, "500000")


def test_a_late_event_is_worked_in_and_marked(policies: PolicyHistory) -> None:
    pipeline = LocalPipeline(policies)
    pipeline.feed("transactions", transaction("e1", "2026-03-02 10:00", "250000"))
    pipeline.feed("transactions", transaction("e2", "2026-03-05 09:00", "1"))
    pipeline.feed("transactions", transaction("e3", "2026-03-02 09:00", "250000"))
    (warning,) = pipeline.warnings.values()
    assert warning.late
    assert warning.event_ids == ("e3", "e1")


def test_exactly_as_late_as_allowed_and_a_microsecond_later(policies: PolicyHistory) -> None:
    pipeline = LocalPipeline(policies)
    pipeline.feed("transactions", transaction("e1", "2026-03-05 09:00", "1"))
    pipeline.feed("transactions", transaction("e2", "2026-03-02 09:00", "1"))
    pipeline.feed("transactions", transaction("e3", at("2026-03-02 09:00") - timedelta(microseconds=1), "1"))
    assert [(one.event_id, one.reason) for one in pipeline.refusals] == [("e3", "too_late")]


def test_another_customers_clock_makes_nobody_late(policies: PolicyHistory) -> None:
    pipeline = LocalPipeline(policies)
    pipeline.feed("transactions", transaction("e1", "2027-03-05 09:00", "1", customer_id="C2"))
    pipeline.feed("transactions", transaction("e2", "2026-03-02 09:00", "1"))
    assert not pipeline.refusals


def test_an_event_from_the_future_is_refused_and_makes_none_late(policies: PolicyHistory) -> None:
    pipeline = LocalPipeline(policies)
    arrival = at("2026-03-02 10:00")
    ahead = timedelta(minutes=5)
    pipeline.feed("transactions", transaction("e1", arrival + ahead, "1"), arrival)
    pipeline.feed("transactions", transaction("e2", arrival + timedelta(days=30), "1"), arrival)
    pipeline.feed("transactions", transaction("e3", arrival + ahead + timedelta(microseconds=1), "1"), arrival)
    pipeline.feed("transactions", transaction("e4", arrival, "500000"), arrival)
    assert [(one.event_id, one.reason) for one in pipeline.refusals] == [
        ("e2", "in_the_future"),
        ("e3", "in_the_future"),
    ]
    assert len(pipeline.warnings) == 1


def test_a_report_and_a_machines_warning_raise_each_other(policies: PolicyHistory) -> None:
    burst = [("transactions", transaction(f"e{n}", f"2026-03-02 1{n}:00", "400000")) for n in range(3)]
    told = [("reports", report("r1", "2026-03-03 09:00", transaction_ids=("e0",)))]
    for records in (burst + told, told + burst):
        warnings = LocalPipeline(policies).run(records)
        severities = {one.detector: one.severity for one in warnings.values()}
        assert severities == {
            "teller_report": "high",
            "frequent_large_transfers": "high",
            "structuring": "high",
            "large_transaction": "low",
        }
        corroborated = [one for one in warnings.values() if one.reasons[-1].code == "corroborated"]
        assert {one.detector for one in corroborated} == severities.keys() - {"large_transaction"}


def test_a_report_too_far_away_or_on_another_customer_raises_nothing(policies: PolicyHistory) -> None:
    burst = [("transactions", transaction(f"e{n}", f"2026-03-02 1{n}:00", "400000")) for n in range(3)]
    for other in (report("r1", "2026-03-17 09:00"), report("r1", "2026-03-02 09:00", customer_id="C2")):
        warnings = LocalPipeline(policies).run([*burst, ("reports", other)])
        assert {one.severity for one in warnings.values() if one.detector == "teller_report"} == {"medium"}
    fourteen = LocalPipeline(policies).run([*burst, ("reports", report("r1", "2026-03-16 09:00"))])
    assert {one.severity for one in fourteen.values() if one.detector == "teller_report"} == {"high"}


def test_a_report_on_no_customer_is_the_branchs(policies: PolicyHistory) -> None:
    (warning,) = LocalPipeline(policies).run([("reports", report("r1", "2026-03-02 09:00", customer_id=None))]).values()
    assert warning.subject == "branch:0731"


def test_a_condition_that_stays_true_does_not_flood(policies: PolicyHistory) -> None:
    pipeline = LocalPipeline(policies)
    told = copies = 0
    for number in range(1000):
        emits = pipeline.feed("transactions", transaction(f"e{number}", at("2026-03-02 09:00"), "60000", method="cash"))
        told += sum(one.topic == "warnings" for one in emits)
        copies += sum(one.topic == "warnings.operations" for one in emits)
    assert told == 20 + 5  # each of the first 20 (both rises among them), then each doubling up to 640
    assert copies == 3  # new, medium, high
    assert len(pipeline.warnings) == 1


def test_states_survive_a_restart_at_any_point(policies: PolicyHistory) -> None:
    events = [transaction(f"e{n}", f"2026-03-{2 + n // 4:02d} 1{n % 4}:00", "400000") for n in range(24)]
    whole = LocalPipeline(policies)
    for event in events:
        whole.feed("transactions", event)
    restarted = LocalPipeline(policies)
    for event in events:
        restarted.feed("transactions", event)
        restarted.restart()
    assert restarted.warnings == whole.warnings


def test_a_version_with_a_shorter_lateness_makes_no_duplicate_count_twice(policy: Policy) -> None:
    """An event of the old version's last day may come for as long as that version says: its id must be known."""
    one_day = replace(policy.events.lateness, value=Decimal(1))
    head = replace(policy.policy, version="cn-2", valid_from=at("2026-03-03 00:00"))
    stricter = replace(policy, policy=head, events=replace(policy.events, lateness=one_day))
    pipeline = LocalPipeline(PolicyHistory(policy, stricter))
    old = transaction("e1", "2026-03-02 23:00", "250000")
    for event in (old, transaction("e2", "2026-03-05 01:00", "1"), old, transaction("e3", "2026-03-02 23:30", "1")):
        pipeline.feed("transactions", event)
    assert not pipeline.refusals
    assert not pipeline.warnings  # twice 250,000 would have been a large transaction


def test_what_came_late_is_counted_once_by_topic(policies: PolicyHistory) -> None:
    stage, states = CustomersStage(policies), MemoryStates()
    events = [
        ("transactions", transaction("e1", "2026-03-02 10:00", "1")),
        ("transactions", transaction("e2", "2026-03-02 09:00", "1")),
        ("transactions", transaction("e2", "2026-03-02 09:00", "1")),
        ("transactions", transaction("e3", "2026-03-02 10:00", "1")),
        ("reports", report("r1", "2026-03-01 10:00")),
        ("reports", report("r2", "2026-03-01 09:00")),
    ]
    for offset, (topic, event) in enumerate(events):
        list(stage.apply(states, Record(topic, 0, offset, event.event_time, event, event.event_time)))
    assert stage.came_late() == {"transactions": 1, "reports": 1}
    assert not any(stage.came_late().values())
