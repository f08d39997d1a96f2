"""Laws of every detector in the registry, over traffic that wakes all of them."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from models import oracle
from models.detectors import DETECTORS
from models.detectors.base import Detector
from models.events import Controls, Counterparty, PostReport, Transaction
from models.pipeline import LocalPipeline
from models.policy import PolicyHistory
from models.risk_warning import Finding
from models.watch_list import WatchEntry
from tests.make import at, report, transaction

START = at("2025-01-06 09:00")
# What one customer's state may hold with four large transactions a day.
MOST_BYTES = 400_000

every_detector = pytest.mark.parametrize("detector", DETECTORS, ids=lambda one: one.id)


def traffic(days: int = 430, customer: str = "C1") -> Iterator[Transaction | PostReport]:
    """Two months of busy days, a year of silence, then busy days again; with reports. The same at every call."""
    dice = Random(customer)  # noqa: S311 - traffic, no secret
    for day in range(days):
        if 45 <= day < 412:
            continue
        for number in range(dice.randrange(2, 8)):
            when = START + timedelta(days=day, minutes=dice.randrange(600))
            amount = dice.choice(["50", "45000", "50000", "160000", "420000", "450000", "420000", "500000"])
            cash = dice.random() < 0.3
            yield transaction(
                f"{customer}-{day}-{number}",
                when,
                amount,
                customer_id=customer,
                direction=dice.choice(["in", "out"]),
                method="cash" if cash else "transfer",
                counterparty=None if cash else payee(dice, day),
                channel=dice.choice(["counter", "mobile"]),
                teller_id="T1",
                controls=dice.choice([None, Controls(identity_verified=True, approved_by=("M1",))]),
                origin=dice.choice(["customer", "customer", "bank"]),
            )
        if dice.random() < 0.1:
            yield report(f"{customer}-r{day}", START + timedelta(days=day, minutes=700), customer_id=customer)


def payee(dice: Random, day: int) -> Counterparty:
    return Counterparty(
        account_id=f"P{dice.randrange(40)}-{day // 20}",
        name=dice.choice([None, "Ivan Petrov", "张伟"]),
        country=dice.choice([None, "CN", "KP"]),
    )


@pytest.fixture(scope="module")
def watched(policies: PolicyHistory) -> PolicyHistory:
    entry = WatchEntry(
        entry_id="W1",
        kind="name",
        value="Иван Петров",
        source="own list",
        valid_from=datetime(2025, 1, 1).date(),  # noqa: DTZ001
    )
    return PolicyHistory(*policies.versions, watch_list=[entry])


def run(detector: Detector, policies: PolicyHistory, *, through_bytes: bool = False) -> tuple[list[Finding], Any]:
    state, found = detector.state_type(), []
    newest = START
    for event in traffic():
        if not isinstance(event, detector.consumes):
            continue
        found += detector.step(state, event, policies.at(event.event_time), policies)
        if event.event_time.date() > newest.date():
            newest = event.event_time
            detector.expire(state, newest - policies.latest.lateness, policies)
        if through_bytes:
            state = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=detector.state_type)
    return found, state


def test_ids_are_unique_and_each_has_its_table_in_the_policy(policies: PolicyHistory) -> None:
    names = [one.id for one in DETECTORS]
    assert len(set(names)) == len(names)
    for one in DETECTORS:
        assert one.rule(policies.latest) is getattr(policies.latest.detectors, one.id)
    not_by_customer = {"industry_concentration", "silence", "missing_rate"}  # judged by portfolio and activity
    assert set(names) | not_by_customer == set(policies.latest.detectors.__struct_fields__)


@every_detector
def test_it_finds_something_here(detector: Detector, watched: PolicyHistory) -> None:
    assert run(detector, watched)[0]


@every_detector
def test_the_same_events_give_the_same_findings(detector: Detector, watched: PolicyHistory) -> None:
    assert run(detector, watched)[0] == run(detector, watched)[0]


@every_detector
def test_the_state_survives_bytes(detector: Detector, watched: PolicyHistory) -> None:
    assert run(detector, watched, through_bytes=True)[0] == run(detector, watched)[0]


@every_detector
def test_findings_carry_reasons_and_evidence(detector: Detector, watched: PolicyHistory) -> None:
    for finding in run(detector, watched)[0]:
        assert finding.reasons
        assert finding.event_ids
        assert finding.event_count >= len(finding.event_ids)
        assert finding.window.start < finding.window.end
        assert finding.departments == detector.rule(watched.latest).departments
        for reason in finding.reasons:
            assert reason.text_zh
            assert reason.text_en
            assert Decimal(reason.observed).is_finite()
            assert Decimal(reason.threshold).is_finite()


@every_detector
def test_nobody_else_changes_what_is_found_of_a_customer(detector: Detector, watched: PolicyHistory) -> None:
    alone, crowd = LocalPipeline(watched), LocalPipeline(watched)
    mine, others = list(traffic(60)), list(traffic(60, "C2"))
    for event in mine:
        alone.feed(topic_of(event), event)
    for event in sorted([*mine, *others], key=lambda one: one.event_time):
        crowd.feed(topic_of(event), event)
    ordered = LocalPipeline(watched)
    for event in sorted(mine, key=lambda one: one.event_time):
        ordered.feed(topic_of(event), event)

    def of(pipeline: LocalPipeline) -> dict[str, Any]:
        return {
            key: one
            for key, one in pipeline.warnings.items()
            if one.detector == detector.id and one.subject == "customer:C1"
        }

    assert of(crowd) == of(ordered)
    # In whatever order a day's events come, the episodes are the same.
    assert of(alone).keys() == of(ordered).keys()


def topic_of(event: Transaction | PostReport) -> str:
    return "transactions" if isinstance(event, Transaction) else "reports"


def test_duplicates_are_harmless_and_the_oracle_agrees(watched: PolicyHistory) -> None:
    events = sorted(traffic(), key=lambda one: one.event_time)
    once, twice = LocalPipeline(watched), LocalPipeline(watched)
    for event in events:
        once.feed(topic_of(event), event)
        twice.feed(topic_of(event), event)
        twice.feed(topic_of(event), replace(event))
    assert twice.warnings == once.warnings
    frames = {
        topic: oracle.from_events([event for event in events if topic_of(event) == topic])
        for topic in ("transactions", "reports")
    }
    expected = oracle.warnings(**frames, policies=watched)
    rows = {row["warning_id"]: row["severity"] for row in expected.iter_rows(named=True)}
    assert {key: one.severity for key, one in once.warnings.items()} == rows
    assert {one.detector for one in once.warnings.values()} == {one.id for one in DETECTORS}


@every_detector
def test_a_customers_state_is_bounded(detector: Detector, policies: PolicyHistory) -> None:
    """Four transactions a day with ever new counterparties for a year: the state stays below `MOST_BYTES`."""
    state, sizes = detector.state_type(), []
    for day in range(365):
        for number in range(4):
            when = START + timedelta(days=day, minutes=number)
            event: Any = transaction(f"e{day}-{number}", when, "450000", payee=f"P{day}-{number}")
            if detector.consumes is PostReport:
                event = report(f"e{day}-{number}", when)
            list(detector.step(state, event, policies.latest, policies))
        detector.expire(state, when - policies.latest.lateness, policies)
        if day % 36 == 35:
            sizes.append(len(msgspec.msgpack.encode(state)))
    assert max(sizes) < MOST_BYTES
    # It has long ceased to grow: what comes later is within a block of working days of what was before.
    assert max(sizes[5:]) <= 1.5 * max(sizes[:5])
