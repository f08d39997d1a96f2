"""Inspections while figures change: the stream equals the oracle where no event comes later than its day's closing.

Both what is drawn of each month and branch, and what is drawn anew after something was put right.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple
from unittest.mock import patch

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from models import oracle
from models.events import Controls, PostReport, Transaction
from models.oracle.acceptance import accepted_transactions
from models.oracle.classified import classified
from models.oracle.frames import canonical
from models.oracle.inspection import large_bookings, sampled
from models.pipeline import LocalPipeline
from models.policy import Policy, PolicyHistory
from models.proofs import ProofAsk, Proved
from models.risk_warning import RiskWarning
from tests.make import CN, at, report, transaction

START = at("2026-01-12 00:00")
DAYS = 60  # over the ends of January and February
GRACE = 6  # hours, at the least
HISTORIES = 30
FINE = Controls(identity_verified=True, approved_by=("M1",))
CONTROLS = (
    *[FINE] * 8,
    None,
    Controls(identity_verified=True),
    Controls(identity_verified=True, approved_by=("T1",)),
    Controls(identity_verified=False, approved_by=("M1",)),
)
Sent = tuple[str, Transaction | PostReport | ProofAsk]


class History(NamedTuple):
    """Policies, all that is sent in the order in which it arrives, and after which of it all restarts."""

    policies: PolicyHistory
    arrivals: list[Sent]
    restarts: set[int]
    together: int  # events of customers whose activity is told together

    def of(self, topic: str) -> list[Any]:
        return [one for of, one in self.arrivals if of == topic]


# --------------------------------------------------------------------- what is sent


def version(policy: Policy, name: str, valid_from: datetime, modes: Sequence[Any], dice: Random) -> Policy:
    rules, pick = policy.detectors, dice.choice

    def figure(old: Any, *values: str) -> Any:
        return replace(old, value=Decimal(pick(values)))

    large, wanted = rules.large_transaction, rules.missing_control
    amounts = large.cash.amounts | {"CNY": Decimal(pick(["50000", "60000"]))}
    detectors = replace(
        rules,
        large_transaction=replace(
            large, mode=pick(["live", "off"]), cash=replace(large.cash, amounts=amounts, op=pick([">=", ">"]))
        ),
        missing_control=replace(wanted, channels=pick([(), ("counter",)]), mode=pick(["live", "live", "off"])),
        inspection=replace(
            rules.inspection,
            mode=pick(modes),
            departments=pick([("operations",), ("risk", "operations")]),
            severity=pick(["low", "medium"]),
            seed=pick(["s1", "s2"]),
            each=figure(rules.inspection.each, "1", "2", "3"),
            resample=figure(rules.inspection.resample, "1", "3", "5"),
            resample_days=figure(rules.inspection.resample_days, "1", "6", "10"),
        ),
        silence=replace(
            rules.silence, mode=pick(["live", "off"]), grace=figure(rules.silence.grace, str(GRACE), "12", "30")
        ),
    )
    return replace(policy, policy=replace(policy.policy, version=name, valid_from=valid_from), detectors=detectors)


def move(number: int, dice: Random) -> Transaction:
    pick = dice.choice
    when = START + timedelta(minutes=15 * dice.randrange(DAYS * 96))
    if dice.random() < 0.1:  # at the edges of months
        when = pick([at("2026-02-01 00:00"), at("2026-03-01 00:00")]) - timedelta(microseconds=pick([0, 1]))
    return transaction(
        f"t{number}",
        when,
        pick(["1", "49999.99", "50000", "60000", "60000.01", "500000", "500000", "2000000"]),
        customer_id=pick(["C1", "C2", "C3", "C4", "drill~spring~C1"]),
        customer_kind=pick(["person", "person", "entity"]),
        method=pick(["cash", "cash", "transfer"]),
        cross_border=dice.random() < 0.2,
        currency=pick(["CNY", "CNY", "CNY", "USD", "EUR"]),
        origin=pick(["customer"] * 9 + ["bank"]),
        purpose=pick([None, None, None, "loan_swap"]),
        branch_id=pick(["0731", "0731", "0732", None]),
        channel=pick(["counter", "counter", "mobile", None]),
        teller_id=pick([None, "T1"]),
        controls=pick(CONTROLS),
    )


def ask(number: int, dice: Random) -> ProofAsk:
    return ProofAsk(
        case_id=f"branch:0731#{number}",
        subject=f"branch:{dice.choice(['0731', '0732'])}",
        measure="rectify_controls",
        kind="clean_resample",
        since=(START + timedelta(seconds=dice.randrange(86_400, (DAYS - 2) * 86_400))).astimezone(UTC),
        revision=number,
    )


def arriving(made: Sequence[Sent], dice: Random) -> list[Sent]:
    """Events behind by less than the grace, some twice; what is asked for comes before anything of its days can."""
    timed: list[tuple[datetime, Sent]] = []
    for topic, one in made:
        if isinstance(one, ProofAsk):
            timed.append((one.since, (topic, one)))
            continue
        for _ in range(dice.choice([1, 1, 1, 2])):
            timed.append((one.event_time + timedelta(hours=GRACE * dice.random()), (topic, one)))
    return [sent for _, sent in sorted(timed, key=lambda pair: pair[0])]


def history(policy: Policy, dice: Random) -> History:
    asks = [ask(number, dice) for number in range(dice.randint(0, 6))]
    modes = ["live", "live", "shadow"] if asks else ["live", "shadow", "off"]  # off: see the last test
    first = version(policy, "v0", policy.policy.valid_from, modes, dice)
    days = dice.sample([19, 20, 47, 48, dice.randint(1, 18), dice.randint(21, 46)], dice.randint(0, 2))
    later = [version(policy, f"v{day}", START + timedelta(days=day), modes, dice) for day in days]
    made: list[Sent] = [("transactions", move(number, dice)) for number in range(dice.randint(30, 120))]
    made += [
        ("reports", report(f"r{n}", START + timedelta(hours=dice.randrange(DAYS * 24)), kind="complaint"))
        for n in range(dice.randint(0, 4))
    ]
    made += [("resamples", one) for one in asks]
    arrivals = arriving(made, dice)
    restarts = {dice.randrange(len(arrivals)) for _ in range(3)}
    return History(PolicyHistory(first, *later), arrivals, restarts, dice.choice([1, 3, 10, 1000]))


# ----------------------------------------------------------------------- both sides


def streamed(one: History) -> tuple[dict[str, RiskWarning], dict[str, Proved]]:
    answers: dict[str, Proved] = {}
    with patch("models.pipeline.TOLD_TOGETHER", one.together):
        pipeline = LocalPipeline(one.policies)
        emits = []
        for number, (topic, event) in enumerate(one.arrivals):
            emits += pipeline.feed(topic, event)
            if number in one.restarts:
                pipeline.restart()
        emits += pipeline.finish()
    for emit in emits:
        if emit.topic == "proofs":
            answers[emit.value.case_id] = emit.value
    return {key: it for key, it in pipeline.warnings.items() if it.detector == "inspection"}, answers


def frames(one: History) -> dict[str, pl.DataFrame]:
    return {topic: oracle.from_events(one.of(topic)) for topic in ("transactions", "reports")}


def expected(one: History) -> pl.DataFrame:
    return oracle.warnings(**frames(one), policies=one.policies).filter(pl.col("detector") == "inspection")


def answered(one: History) -> pl.DataFrame:
    rows = [(ask.case_id, ask.subject, ask.measure, ask.since) for ask in one.of("resamples")]
    schema: dict[str, Any] = {"case_id": pl.String, "subject": pl.String, "measure": pl.String}
    asks = pl.DataFrame(rows, schema=schema | {"since": pl.Datetime("us", "UTC")}, orient="row")
    sent = frames(one)
    return oracle.resamples(sent["transactions"], asks, one.policies, reports=sent["reports"])


def candidates(one: History) -> pl.DataFrame:
    counted = accepted_transactions(canonical(frames(one)["transactions"], "transactions"), one.policies).frame
    return large_bookings(classified(counted, one.policies))


def compare(one: History) -> Counter[str]:
    """Both sides say the same; what they say is counted, so that it can be seen that they say anything."""
    warnings, answers = streamed(one)
    rows = expected(one).to_dicts()
    assert {
        key: (it.subject, it.severity, list(it.departments), it.event_time, it.window.end, it.reasons[0].observed)
        for key, it in warnings.items()
    } == {
        row["warning_id"]: tuple(
            row[name] for name in ("subject", "severity", "departments", "event_time", "window_end", "observed")
        )
        for row in rows
    }
    seen: Counter[str] = Counter()
    large = candidates(one)
    for row in rows:
        warning, month = warnings[row["warning_id"]], date.fromisoformat(f"{row['anchor']}-01")
        branch = warning.subject.removeprefix("branch:")
        ids = sampled(large, month, branch, one.policies)
        assert (list(warning.event_ids), warning.event_count) == (ids, len(ids))
        assert warning.window.start.astimezone(CN).date() == month
        last = pl.lit(month).dt.month_end()
        there = large.filter(pl.col("branch_id") == branch, pl.col("day") == last).height
        told = [reason for reason in warning.reasons if reason.code == "sample"]
        assert sum(Decimal(str(reason.observed)) for reason in told) == len(ids)
        assert sum(Decimal(str(reason.threshold)) for reason in told) == there
        seen["samples of more" if there > len(ids) else "samples of all"] += 1
    for row in answered(one).iter_rows(named=True):
        answer = answers.pop(row["case_id"])
        assert (answer.since, answer.done_at) == (row["since"], row["done_at"])
        assert sorted(answer.failed) == sorted(row["failed"])
        if row["done_at"] is not None:
            assert sorted(answer.evidence) == sorted(row["drawn"])
        seen["failed" if row["failed"] else "clean" if row["drawn"] else "empty"] += 1
    assert not answers
    return seen


@given(st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_stream_equals_oracle(policy: Policy, dice: Random) -> None:
    compare(history(policy, dice))


def test_every_outcome_occurs(policy: Policy) -> None:
    """As the property, over histories that are the same at every run."""
    seen: Counter[str] = Counter()
    for seed in range(HISTORIES):
        seen += compare(history(policy, Random(seed)))  # noqa: S311 - a history, no secret
    outcomes = ("samples of more", "samples of all", "failed", "clean", "empty")
    assert min(seen[what] for what in outcomes) >= HISTORIES // 5, seen


def test_a_sample_after_a_rectification_sees_days_on_which_nothing_is_inspected(policy: Policy) -> None:
    off = replace(policy.detectors.inspection, mode="off")
    figures = replace(policy, detectors=replace(policy.detectors, inspection=off))
    claim = replace(ask(1, Random(0)), subject="branch:0731", since=at("2026-03-02 16:00").astimezone(UTC))  # noqa: S311
    events = [
        transaction("before", "2026-03-01 10:00", "1"),
        transaction("lacking", "2026-03-05 10:00", "50000", method="cash", branch_id="0731", channel="counter"),
        transaction("clock", "2026-03-13 06:00", "1"),
    ]
    sent: list[Sent] = [("transactions", events[0]), ("resamples", claim)]
    sent += [("transactions", one) for one in events[1:]]
    one = History(PolicyHistory(figures), sent, set(), 1)
    assert answered(one)["failed"].to_list() == [["lacking"]]
    assert [answer.failed for answer in streamed(one)[1].values()] == [("lacking",)]
