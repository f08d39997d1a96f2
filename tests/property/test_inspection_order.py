"""Samples depend on nothing but what happened: not on order, kills, batches, partitions, or when a claim is read."""

from collections.abc import Sequence, Set
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from unittest.mock import patch

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from models import oracle
from models.activity.log import ActivityLog
from models.activity.resample import READ_LATE
from models.events import Controls, Transaction
from models.messages import ActivityBatch, ActivityWatermark, LargeBooking
from models.pipeline import LocalPipeline, MemoryStates
from models.policy import Policy, PolicyHistory
from models.proofs import ProofAsk
from models.stage import Emit, Record
from models.stages.activity import ActivityStage
from tests.activity import NOW
from tests.make import CN, at, transaction

START = at("2026-02-10 00:00")
DAYS = 55  # over the ends of February and March
GRACE = timedelta(hours=6)
RESAMPLE_DAYS = 6
FINE = Controls(identity_verified=True, approved_by=("M1",))
Sent = tuple[datetime, int, Any]
Told = tuple[dict[str, Any], dict[str, Any]]


@pytest.fixture(scope="module")
def policies(policy: Policy) -> PolicyHistory:
    rule = policy.detectors.inspection
    days = replace(rule.resample_days, value=rule.resample_days.value - 4)
    short = replace(policy, detectors=replace(policy.detectors, inspection=replace(rule, resample_days=days)))
    assert short.detectors.inspection.resample_days.whole == RESAMPLE_DAYS
    return PolicyHistory(short)


def moves(dice: Random, count: int) -> list[Transaction]:
    return [
        transaction(
            f"t{number}",
            START + timedelta(minutes=15 * dice.randrange(DAYS * 96)),
            dice.choice(["1", "49999.99", "50000", "500000", "2000000"]),
            customer_id=dice.choice(["C1", "C2", "C3", "C4"]),
            customer_kind=dice.choice(["person", "entity"]),
            method=dice.choice(["cash", "cash", "transfer"]),
            branch_id=dice.choice(["0731", "0731", "0732", None]),
            channel=dice.choice(["counter", "counter", "mobile"]),
            controls=dice.choice([FINE, FINE, FINE, None]),
        )
        for number in range(count)
    ]


def claims(dice: Random, count: int) -> list[ProofAsk]:
    return [
        ProofAsk(
            case_id=f"branch:0731#{number}",
            subject=dice.choice(["branch:0731", "branch:0732"]),
            measure="rectify_controls",
            kind="clean_resample",
            since=(START + timedelta(seconds=dice.randrange(86_400, (DAYS - 10) * 86_400))).astimezone(UTC),
            revision=number,
        )
        for number in range(count)
    ]


def told(emits: Sequence[Emit]) -> Told:
    """Samples and answers by their keys, as they are at last."""
    found = [emit for emit in emits if emit.topic == "warnings" and emit.value.detector == "inspection"]
    proofs = [emit for emit in emits if emit.topic == "proofs"]
    return {one.key: replace(one.value, detected_at=NOW) for one in found}, {one.key: one.value for one in proofs}


def run(
    policies: PolicyHistory,
    sent: list[Sent],
    restarts: Set[int] = frozenset(),
    together: int = 1,
    caught_up: Set[int] = frozenset(),
) -> Told:
    """Feed what was sent, as it came.

    Args:
        restarts, caught_up: after which of it all restarts, or the partition says that it has judged all there was.
        together: events whose activity is told together; one alone is told before the partition is caught up.
    """
    emits: list[Emit] = []
    with patch("models.pipeline.TOLD_TOGETHER", together):
        pipeline = LocalPipeline(policies)
        for number, (when, _, one) in enumerate(sorted(sent, key=lambda it: it[:2])):
            emits += pipeline.feed("transactions" if isinstance(one, Transaction) else "resamples", one, when)
            if number in caught_up:
                # Not later than its newest event: the oracle knows no other time than that of events.
                until = max(it.event_time for _, _, it in sent if isinstance(it, Transaction))
                told_at = min(when, until)
                emits += pipeline.feed("activity", ActivityWatermark(partition=0, partitions=1, caught_up_at=told_at))
            if number in restarts:
                pipeline.restart()
        emits += pipeline.finish()
    return told(emits)


def read_until(claim: ProofAsk) -> datetime:
    """The last instant at which all days of a claim are known, whatever was closed: the end of a day of the bank."""
    day = claim.since.astimezone(CN).replace(hour=0, minute=0, second=0, microsecond=0)
    return day + timedelta(days=1 + RESAMPLE_DAYS + READ_LATE)


def late(dice: Random, events: Sequence[Transaction], asks: Sequence[ProofAsk]) -> list[Sent]:
    """Events come behind by less than the grace, some twice; claims are read at any time until their days are gone."""
    sent: list[Sent] = []
    for event in events:
        for _ in range(dice.choice([1, 1, 1, 2])):
            sent.append((event.event_time + GRACE * dice.random(), len(sent), event))
    for claim in asks:
        for _ in range(dice.choice([1, 1, 2])):
            when = claim.since + (read_until(claim) - claim.since) * dice.random()
            sent.append((when, len(sent), claim))
    return sent


@given(st.randoms(use_true_random=False), st.integers(20, 120), st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_in_any_order_within_the_grace_with_any_restarts(
    policies: PolicyHistory, dice: Random, count: int, asked: int
) -> None:
    events, asks = moves(dice, count), claims(dice, asked)
    in_time: list[Sent] = [(event.event_time, number, event) for number, event in enumerate(events)]
    in_time += [(claim.since, -1 - number, claim) for number, claim in enumerate(asks)]
    clean = run(policies, in_time)
    sent = late(dice, events, asks)
    restarts = {dice.randrange(len(sent)) for _ in range(3)}
    assert run(policies, sent, restarts, dice.choice([3, 20, 1000])) == clean
    caught_up = {number for number in range(len(sent)) if dice.random() < 0.5}
    assert run(policies, sent, restarts, caught_up=caught_up) == clean


def expected(policies: PolicyHistory, sent: list[Sent]) -> dict[str, tuple[datetime | None, set[str]]]:
    """What the oracle answers: when it is proved, and by which transactions; or which ones show the contrary."""
    arrived = [one for _, _, one in sorted(sent, key=lambda it: it[:2]) if isinstance(one, Transaction)]
    asks = {one.key: one for _, _, one in sent if isinstance(one, ProofAsk)}
    schema: dict[str, Any] = {name: pl.String for name in ("case_id", "subject", "measure")}
    rows = [(one.case_id, one.subject, one.measure, one.since) for one in asks.values()]
    frame = pl.DataFrame(rows, schema=schema | {"since": pl.Datetime("us", "UTC")}, orient="row")
    found = oracle.resamples(oracle.from_events(arrived), frame, policies).iter_rows(named=True)
    return {
        f"{row['case_id']}|{row['measure']}|0": (row["done_at"], set(row["failed"] or row["drawn"])) for row in found
    }


@given(st.randoms(use_true_random=False), st.integers(20, 120))
@settings(max_examples=30, deadline=None)
def test_the_oracle_answers_the_same(policies: PolicyHistory, dice: Random, count: int) -> None:
    sent = late(dice, moves(dice, count), claims(dice, 4))
    caught_up = {number for number in range(len(sent)) if dice.random() < 0.5}
    _, proofs = run(policies, sent, caught_up=caught_up)
    answered = {key: (one.done_at, set(one.failed or one.evidence)) for key, one in proofs.items()}
    assert answered == expected(policies, sent)


def test_every_outcome_occurs(policies: PolicyHistory) -> None:
    """The property would hold of a stage that says nothing, too."""
    samples, failed, clean = 0, 0, 0
    for seed in range(10):
        dice = Random(seed)  # noqa: S311 - a history, no secret
        found, proofs = run(policies, late(dice, moves(dice, 100), claims(dice, 4)))
        samples += len(found)
        failed += sum(bool(proof.failed) for proof in proofs.values())
        clean += sum(bool(proof.evidence) for proof in proofs.values())
    assert min(samples, failed, clean) >= 5, (samples, failed, clean)


# --- two partitions of customers ---


class Branches:
    """What two partitions tell of their customers, and the stage that hears them."""

    def __init__(self, policies: PolicyHistory) -> None:
        self.stage, self.states, self.emits = ActivityStage(policies), MemoryStates(), list[Emit]()

    def hear(self, message: ActivityBatch | ActivityWatermark | ProofAsk) -> None:
        topic = "resamples" if isinstance(message, ProofAsk) else "activity"
        self.emits += self.stage.apply(self.states, Record(topic, 0, 0, NOW, message, NOW))
        self.states.through_bytes()

    def end(self) -> Told:
        self.emits += self.stage.end(self.states, NOW)
        return told(self.emits)


def batches(dice: Random, partition: int, events: Sequence[Transaction]) -> list[ActivityBatch | ActivityWatermark]:
    """A partition's events in order of time, cut anywhere; it is caught up after each batch."""
    messages: list[ActivityBatch | ActivityWatermark] = []
    done = 0
    while done < len(events):
        size, log = dice.randint(1, 12), ActivityLog()
        for offset, event in list(enumerate(events))[done : done + size]:
            seen = Record("transactions", partition, offset, event.event_time, event, NOW)
            log.accepted(seen, event.event_time.date())
            if event.branch_id is not None:
                lacks = () if event.controls else ("identity",)
                log.large(LargeBooking(offset, event.event_id, event.event_time, event.branch_id, "cash", lacks))
        messages += log.batches("transactions", partition)
        newest = events[min(done + size, len(events)) - 1].event_time
        messages.append(ActivityWatermark(partition=partition, partitions=2, caught_up_at=newest))
        done += size
    return messages


def shuffled(dice: Random, one: list[Any], other: list[Any]) -> list[Any]:
    """Two partitions' messages, each in its own order; some are sent again."""
    places = [0] * len(one) + [1] * len(other)
    dice.shuffle(places)
    left = [iter(one), iter(other)]
    mixed = [next(left[place]) for place in places]
    return [message for message in mixed for _ in range(dice.choice([1, 1, 2]))]


@given(st.randoms(use_true_random=False), st.integers(2, 60))
@settings(max_examples=40, deadline=None)
def test_however_partitions_and_their_batches_lie_between_one_another(
    policies: PolicyHistory, dice: Random, count: int
) -> None:
    events = sorted(moves(dice, count), key=lambda event: (event.event_time, event.event_id))
    asks = claims(dice, 3)
    halves = [[one for one in events if one.customer_id in ids] for ids in (("C1", "C2"), ("C3", "C4"))]
    found = []
    for _ in range(2):
        branches = Branches(policies)
        for claim in asks:
            branches.hear(claim)
        for message in shuffled(dice, batches(dice, 0, halves[0]), batches(dice, 1, halves[1])):
            branches.hear(message)
        found.append(branches.end())
    assert found[0] == found[1]
