"""Inspections: the stream draws what the oracle draws, in any order; a branch's new sample proves or fails."""

from datetime import date, datetime, timedelta
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from models import oracle
from models.events import Controls, Transaction
from models.messages import LargeBooking
from models.oracle.acceptance import accepted_transactions
from models.oracle.classified import classified
from models.oracle.frames import canonical
from models.oracle.inspection import large_bookings, sampled
from models.pipeline import LocalPipeline
from models.policy import Policy, PolicyHistory
from models.proofs import ProofAsk, Proved
from models.stage import Record
from tests.activity import NOW, Watch
from tests.make import at, report, transaction

FIRST = at("2026-02-16 00:00")
FINE = Controls(identity_verified=True, approved_by=("boss",))


def history(seed: int, days: int = 50) -> list[Transaction]:
    """Traffic of three branches over the ends of two months, some of it large, some of it without its controls."""
    dice = Random(seed)  # noqa: S311 - a test's dice
    found = []
    for number in range(220):
        when = FIRST + timedelta(minutes=dice.randrange(days * 24 * 60))
        found.append(
            transaction(
                f"t{number}",
                when,
                dice.choice(("20", "49999.99", "50000", "600000", "2500000")),
                customer_id=dice.choice(("C1", "C2", "C3", "drill~x~C9")),
                method=dice.choice(("cash", "transfer")),
                cross_border=dice.random() < 0.3,
                customer_kind=dice.choice(("person", "entity")),
                branch_id=dice.choice(("B1", "B2", "B3", None)),
                channel=dice.choice(("counter", "mobile")),
                origin=dice.choice(("customer", "customer", "customer", "bank")),
                purpose=dice.choice((None, None, None, "loan_swap")),
                controls=dice.choice((FINE, None)),
            )
        )
    return sorted(found, key=lambda one: one.event_time)


def late(events: list[Transaction], seed: int) -> list[Transaction]:
    """Behind by less than the grace, some twice."""
    dice = Random(seed)  # noqa: S311 - a test's dice
    copies = [one for one in events for _ in range(dice.choice((1, 1, 2)))]
    places = [(one.event_time + timedelta(hours=5 * dice.random()), n) for n, one in enumerate(copies)]
    return [copies[n] for _, n in sorted(places)]


@pytest.mark.parametrize("seed", range(8))
def test_the_stream_draws_what_the_oracle_draws(seed: int, policy: Policy) -> None:
    head = replace(policy.policy, version="later", valid_from=at("2026-03-10 00:00"))
    rule = replace(
        policy.detectors.inspection, severity="medium", each=replace(policy.detectors.inspection.each, value=3)
    )
    later = replace(policy, policy=head, detectors=replace(policy.detectors, inspection=rule))
    policies = PolicyHistory(policy, later)
    events = late(history(seed), seed)
    pipeline = LocalPipeline(policies)
    for number, event in enumerate(events):
        pipeline.feed("transactions", event)
        if number % 50 == 0:
            pipeline.restart()
    pipeline.finish()
    found = {one.warning_id: one for one in pipeline.warnings.values() if one.detector == "inspection"}
    frame = oracle.from_events(events)
    rows = oracle.warnings(transactions=frame, policies=policies)
    rows = rows.filter(rows["detector"] == "inspection")
    assert {
        one.warning_id: (one.subject, one.severity, one.reasons[0].observed, one.event_time, one.departments)
        for one in found.values()
    } == {
        row["warning_id"]: (
            row["subject"],
            row["severity"],
            row["observed"],
            row["event_time"],
            tuple(row["departments"]),
        )
        for row in rows.iter_rows(named=True)
    }
    assert {one.subject for one in found.values()} == {"branch:B1", "branch:B2", "branch:B3"}
    assert {one.severity for one in found.values()} == {"low", "medium"}
    large = large_bookings(
        classified(accepted_transactions(canonical(frame, "transactions"), policies).frame, policies)
    )
    for one in found.values():
        month = date.fromisoformat(f"{one.window.start.astimezone(FIRST.tzinfo):%Y-%m-%d}")
        assert list(one.event_ids) == sampled(large, month, one.subject.removeprefix("branch:"), policies)


def test_who_knows_another_seed_draws_another_sample(policy: Policy) -> None:
    events = history(1)
    ids = []
    for seed in ("one", "two"):
        rule = replace(policy.detectors.inspection, seed=seed)
        pipeline = LocalPipeline(PolicyHistory(replace(policy, detectors=replace(policy.detectors, inspection=rule))))
        pipeline.run([("transactions", one) for one in events])
        ids.append({one.event_ids for one in pipeline.warnings.values() if one.detector == "inspection"})
    assert ids[0] != ids[1]


# --- the sample after a rectification ---

SINCE = at("2026-03-10 15:00")


def ask(**fields: Any) -> ProofAsk:
    values: dict[str, Any] = {
        "case_id": "branch:B1#1",
        "subject": "branch:B1",
        "measure": "rectify_controls",
        "kind": "clean_resample",
        "since": SINCE,
        "revision": 3,
    }
    return ProofAsk(**values | fields)


def booking(offset: int, day: str, branch: str = "B1", lacks: tuple[str, ...] = ()) -> LargeBooking:
    return LargeBooking(offset, f"t{offset}", at(f"2026-03-{day} 10:00"), branch, "cash", lacks)


class Floor(Watch):
    """The stage, with the answers that it gave."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self.proofs: list[Proved] = []

    def asked(self, one: ProofAsk) -> None:
        self._take(self.stage.apply(self.states, Record("resamples", 0, 0, NOW, one, NOW)))
        self.states.through_bytes()

    def large(self, *ones: LargeBooking) -> None:
        """Batches of one event each."""
        for one in ones:
            event = transaction(one.event_id, one.event_time, "50000", method="cash", branch_id=one.branch)
            self.tell(one.offset, event, one)

    def tell(self, offset: int, event: Any, one: LargeBooking | None = None) -> None:
        from models.activity.log import ActivityLog

        log = ActivityLog()
        log.accepted(Record("transactions", 0, offset, event.event_time, event, NOW), event.event_time.date())
        if one is not None:
            log.large(one)
        for batch in log.batches("transactions", 0):
            record = Record("activity", 0, 0, NOW, batch, NOW)
            self._take(self.stage.apply(self.states, record))
        self.states.through_bytes()

    def until(self, when: datetime, offset: int) -> None:
        """Everything up to a time has come."""
        self.tell(offset, transaction(f"last{offset}", when, "1"))
        self._take(self.stage.end(self.states, NOW))
        self.states.through_bytes()

    def _take(self, emits: Any) -> None:
        self.proofs += [emit.value for emit in emits if emit.topic == "proofs"]


@pytest.fixture
def floor(policy: Policy) -> Floor:
    return Floor(policy)


def test_a_clean_sample_proves_at_the_end_of_its_time(floor: Floor) -> None:
    floor.large(booking(1, "09", lacks=("identity",)))
    floor.asked(ask())
    floor.large(
        booking(2, "10", lacks=("identity",)), booking(3, "11"), booking(4, "20"), booking(5, "15", "B2", ("approval",))
    )
    floor.until(at("2026-03-20 23:00"), 6)
    assert floor.proofs == []
    floor.large(booking(7, "21", lacks=("identity",)))
    floor.until(at("2026-03-21 12:00"), 8)
    (proof,) = floor.proofs
    assert (proof.done_at, proof.failed, proof.evidence) == (at("2026-03-21 00:00"), (), ("t3", "t4"))
    assert (proof.since, proof.partition, proof.partitions) == (SINCE, 0, 1)


def test_a_sample_that_lacks_a_control_fails(floor: Floor) -> None:
    floor.asked(ask())
    floor.large(booking(1, "11"), booking(2, "12", lacks=("approval",)))
    floor.until(at("2026-03-21 12:00"), 3)
    (proof,) = floor.proofs
    assert (proof.done_at, proof.failed) == (None, ("t2",))


def test_where_nothing_large_was_done_nothing_was_done_wrong(floor: Floor) -> None:
    floor.asked(ask())
    floor.until(at("2026-03-11 12:00"), 1)
    floor.until(at("2026-03-21 12:00"), 2)
    assert [(one.done_at, one.evidence) for one in floor.proofs] == [(at("2026-03-21 00:00"), ())]


def test_what_has_passed_by_when_it_is_asked_for_is_drawn_from_all_the_same(floor: Floor) -> None:
    """When a claim is read makes no difference to what is drawn."""
    floor.large(booking(1, "15", lacks=("identity",)))
    floor.asked(ask())
    floor.large(booking(2, "16", lacks=("approval",)))
    floor.until(at("2026-03-21 12:00"), 3)
    assert [one.failed for one in floor.proofs] == [("t1", "t2")]


def test_a_claim_that_is_taken_back_is_forgotten_and_a_new_one_begins_anew(floor: Floor) -> None:
    floor.asked(ask())
    floor.large(booking(1, "11", lacks=("identity",)))
    floor.asked(ask(open=False, revision=4))
    floor.asked(ask(since=at("2026-03-12 09:00"), revision=6))
    floor.asked(ask(revision=3))  # read again after a kill: older than what is known
    floor.large(booking(2, "13"))
    floor.until(at("2026-03-30 12:00"), 3)
    (proof,) = floor.proofs
    assert (proof.since, proof.failed, proof.evidence) == (at("2026-03-12 09:00"), (), ("t2",))


def test_no_more_than_the_policys_number_is_drawn(floor: Floor) -> None:
    floor.asked(ask())
    floor.large(*(booking(number, "12") for number in range(1, 20)))
    floor.until(at("2026-03-21 12:00"), 30)
    assert len(floor.proofs[0].evidence) == 5


def test_a_report_is_nothing_to_draw_from(policy: Policy) -> None:
    pipeline = LocalPipeline(PolicyHistory(policy))
    pipeline.run([("reports", report("r1", "2026-03-02 10:00")), ("reports", report("r2", "2026-04-09 10:00"))])
    assert not [one for one in pipeline.warnings.values() if one.detector == "inspection"]


def test_a_rectification_is_sampled_on_days_on_which_the_rule_is_off(policy: Policy) -> None:
    """Else a branch would prove by silence what it has not done."""
    rule = replace(policy.detectors.inspection, mode="off")
    policies = PolicyHistory(replace(policy, detectors=replace(policy.detectors, inspection=rule)))
    pipeline = LocalPipeline(policies)
    paid = {"method": "cash", "branch_id": "B1", "channel": "counter"}
    pipeline.feed("resamples", ask())
    emits = pipeline.feed("transactions", transaction("t1", at("2026-03-12 10:00"), "50000", **paid))
    pipeline.feed("transactions", transaction("t2", at("2026-03-22 12:00"), "1", **paid))
    emits += pipeline.finish()
    (proof,) = [emit.value for emit in emits if emit.topic == "proofs"]
    assert proof.failed == ("t1",)
    assert not [one for one in pipeline.warnings.values() if one.detector == "inspection"]
