"""Laws of every detector in the registry, over traffic that wakes all of them."""

import ast
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
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
from models.risk_warning import Finding, severity_rank
from models.watch_list import WatchEntry
from tests.make import at, report, transaction

START = at("2025-01-06 09:00")
REPORTED = ("system_fault", "clearing_exception", "complaint", "referral", "financing_need")
# What one customer's state may hold with four large transactions a day, each with a counterparty of its own. A rule by
# the day keeps the lateness (3 days); one with windows those of a block and the window before it besides; one that asks
# who is new further `new_after` days of names. None grows with the length of the history.
MOST_BYTES = {
    "large_transaction": 2_000,
    "frequent_large_transfers": 20_000,
    "structuring": 15_000,
    "scatter_gather": 25_000,
    "dormant_reactivation": 2_000,
    "missing_control": 2_000,
    "suspicious_counterparty": 8_000,
    "teller_report": 10,
    **dict.fromkeys(REPORTED, 10),
}
# What knows of the time, of chance, or of anything outside.
IMPURE_MODULES = {
    "time",
    "random",
    "secrets",
    "uuid",
    "os",
    "io",
    "pathlib",
    "socket",
    "subprocess",
    "threading",
    "asyncio",
}
IMPURE_NAMES = {"now", "today", "utcnow", "fromtimestamp", "open", "input", "print", "id", "hash", "globals"}

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
            when = START + timedelta(days=day, minutes=700)
            yield report(f"{customer}-r{day}", when, customer_id=customer)
            for kind in REPORTED:
                yield report(f"{customer}-{kind}{day}", when, customer_id=customer, kind=kind)


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


def run(
    detector: Detector,
    policies: PolicyHistory,
    events: Iterable[Transaction | PostReport] | None = None,
    *,
    through_bytes: bool = False,
) -> tuple[list[Finding], Any]:
    state, newest = detector.state_type(), START
    found: list[Finding] = []
    for event in traffic() if events is None else events:
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
    judged_elsewhere = {"silence", "missing_rate", "inspection", "misclassification"}  # by activity, and by borrowers
    judged_elsewhere.add("anomaly")  # by models, many rows at once
    judged_elsewhere.add("approval_during_suspension")  # by portfolio
    judged_elsewhere |= {f"{one}_concentration" for one in ("industry", "name", "real_estate")}  # by portfolio
    assert not set(policies.latest.detectors.__struct_fields__) - set(names) - judged_elsewhere


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
def test_step_is_pure(detector: Detector, watched: PolicyHistory) -> None:
    """It changes the state it is given and nothing else: no event, no figures, nothing of the detector's own."""
    taken = [event for event in traffic(60) if isinstance(event, detector.consumes)]
    before = [msgspec.msgpack.encode(event) for event in taken], msgspec.msgpack.encode(watched.latest)
    state, own = detector.state_type(), dict(getattr(detector, "__dict__", {}))
    for event in taken:
        policy = watched.at(event.event_time)
        twin = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=detector.state_type)
        found = list(detector.step(state, event, policy, watched))
        assert list(detector.step(twin, event, policy, watched)) == found
        assert twin == state
    assert ([msgspec.msgpack.encode(event) for event in taken], msgspec.msgpack.encode(watched.latest)) == before
    assert getattr(detector, "__dict__", {}) == own


@every_detector
def test_the_order_of_arrival_changes_nothing(detector: Detector, watched: PolicyHistory) -> None:
    """Whatever the lateness allows, the same holds in the end: evidence, window and reasons too."""
    dice, late = Random(detector.id), watched.latest.lateness  # noqa: S311 - delays, no secret
    by_arrival = sorted(traffic(), key=lambda one: one.event_time + late * dice.random())
    in_order = sorted(traffic(), key=lambda one: one.event_time)
    held = ended(run(detector, watched, in_order)[0])
    assert held
    assert ended(run(detector, watched, by_arrival)[0]) == held


def ended(found: list[Finding]) -> dict[str, Any]:
    """What holds in the end by anchor: the gravest severity so far, and all of the newest finding but its occasion."""
    gravest: dict[str, int] = {}
    newest: dict[str, Finding] = {}
    for one in found:
        gravest[one.anchor] = max(severity_rank(one.severity), gravest.get(one.anchor, 0))
        newest[one.anchor] = replace(one, event_time=START, severity="low")
    return {anchor: (gravest[anchor], newest[anchor]) for anchor in newest}


def reached(name: str, seen: dict[str, ast.Module]) -> dict[str, ast.Module]:
    """The modules of this project that a module runs, by name, parsed."""
    module = sys.modules[name]
    if name in seen or module.__file__ is None:
        return seen
    tree = seen[name] = ast.parse(Path(module.__file__).read_text("utf-8"))
    for imported in imports(tree):
        # What is imported from a package may be a module of it or a name in it.
        for one in (imported, imported.rpartition(".")[0]):
            if one.startswith("models.") and one in sys.modules:
                reached(one, seen)
    return seen


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{one.name}" for one in node.names)


@every_detector
def test_it_never_looks_at_the_clock_nor_anywhere_else(detector: Detector) -> None:
    """Neither it nor anything it runs: what is asked of no clock gives the same in a replay of years."""
    trees = reached(type(detector).__module__, {})
    assert {"models.detectors.base", "models.calendar", "models.policy.history", "models.events"} & set(trees)
    for name, tree in trees.items():
        assert not {one.partition(".")[0] for one in imports(tree)} & IMPURE_MODULES, name
        asked = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & {"now", "today", "utcnow"}
        called = {
            node.func.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_NAMES
        }
        assert not asked | called, name


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
    """Four transactions a day with ever new counterparties for 500 days: the state stays below `MOST_BYTES`."""
    assert detector.state_type.__doc__
    state, sizes = detector.state_type(), []
    kind = detector.id if detector.id in REPORTED else "abnormal_transaction"
    for day in range(500):
        for number in range(4):
            when = START + timedelta(days=day, minutes=number)
            other = Counterparty(account_id=f"P{day}-{number}", country="KP")
            fields = {"direction": ("in", "out")[number % 2], "channel": "counter", "counterparty": other}
            event: Any = transaction(f"e{day}-{number}", when, "450000", **fields)
            if detector.consumes is PostReport:
                event = report(f"e{day}-{number}", when, kind=kind)
            list(detector.step(state, event, policies.latest, policies))
        detector.expire(state, when - policies.latest.lateness, policies)
        sizes.append(len(msgspec.msgpack.encode(state)))
    assert max(sizes) < MOST_BYTES[detector.id]
    # It has long ceased to grow: working days and blocks are not all of one length, that is all.
    assert max(sizes[250:]) <= 1.25 * max(sizes[:250])


@every_detector
def test_what_is_long_ago_is_forgotten(detector: Detector, watched: PolicyHistory) -> None:
    """After a year of silence the next event leaves little more than what the first one ever had left."""
    first, later = traffic(45), START + timedelta(days=500)
    state = run(detector, watched, first)[1]
    event: Any = report("next", later) if detector.consumes is PostReport else transaction("next", later, "50")
    list(detector.step(state, event, watched.at(later), watched))
    detector.expire(state, later - watched.latest.lateness, watched)
    assert len(msgspec.msgpack.encode(state)) < 1_000
