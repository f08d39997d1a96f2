"""What models find strange in the stream is what the oracle finds in the whole history, in any batches and order."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, date, timedelta
from decimal import Decimal
from functools import cache
from random import Random
from typing import Any
from unittest.mock import patch

import polars as pl
import pytest
from msgspec.structs import replace

from models import oracle
from models.anomaly.batch import feature_frame
from models.anomaly.features import FEATURES
from models.anomaly.model import Model
from models.anomaly.training import train
from models.events import Transaction
from models.oracle.frames import canonical
from models.pipeline import LocalPipeline, MemoryStates
from models.policy import Anomaly, Policy, PolicyHistory
from models.risk_warning import RiskWarning
from models.stage import Record
from models.stages.customers import CustomersStage, CustomerState
from tests.make import at, report, transaction

START = at("2026-03-02 00:00")
DAYS, CUSTOMERS = 24, 12
CHAMPION, CHALLENGER = "a" * 64, "b" * 64
NAMES = ("anomaly", "anomaly_challenger")


def moves(dice: Random, days: int = DAYS) -> list[Transaction]:
    """Quiet days of some customers, with a few that are not like their others."""
    events = []
    for day in range(days):
        for customer in range(CUSTOMERS):
            for count in range(dice.choice([0, 1, 1, 2])):
                odd = dice.random() < 0.03
                events.append(
                    transaction(
                        f"t{day}-{customer}-{count}",
                        START + timedelta(days=day, hours=dice.choice([3, 23] if odd else [9, 10, 14]), minutes=count),
                        str(dice.choice([90_000, 400_000] if odd else [100, 150, 220])),
                        customer_id=f"C{customer}",
                        method="cash" if odd else "transfer",
                        origin=dice.choice(["customer"] * 9 + ["bank"]),
                        channel=dice.choice(["counter"] if odd else ["mobile", "mobile", "atm"]),
                    )
                )
    return events


def delayed(events: Iterable[Transaction], dice: Random) -> list[Transaction]:
    """In order of arrival: some come a day late, some twice."""
    sent = [(one.event_time + timedelta(days=dice.choice([0] * 9 + [1])), one) for one in events]
    sent += [(when, one) for when, one in sent if dice.random() < 0.05]
    return [one for _, one in sorted(sent, key=lambda it: (it[0], it[1].event_id))]


@cache
def models(kind: Any, seed: int) -> Model:
    from tests.response import POLICY

    history = moves(Random(1000 + seed), 120)  # noqa: S311 - a history, no secret
    rows = feature_frame(canonical(oracle.from_events(history), "transactions"), PolicyHistory(POLICY))
    params = {"n_estimators": 20} if kind == "isolation_forest" else {}
    return train(rows, kind=kind, seed=seed, policy_version="cn-test", params=params)


def version(policy: Policy, name: str, day: date | None, **fields: Any) -> Policy:
    rule = policy.detectors.anomaly
    values: dict[str, Any] = {
        "mode": "live",
        "departments": ("operations",),
        "measures": ("investigate_transactions",),
        "budget": replace(rule.budget, value=Decimal(2)),
    }
    head = replace(policy.policy, version=name)
    if day is not None:
        head = replace(head, valid_from=at(f"{day} 00:00"))
    anomaly = replace(rule, **values | fields)
    return replace(policy, policy=head, detectors=replace(policy.detectors, anomaly=anomaly))


def history(*versions: Policy) -> PolicyHistory:
    policies = PolicyHistory(*versions)
    policies.models = {CHAMPION: models("hbos", 1), CHALLENGER: models("isolation_forest", 2)}
    return policies


@pytest.fixture(scope="module")
def judged(policy: Policy) -> PolicyHistory:
    """Habits are learnt first; then one model judges, then two, then the other one."""
    return history(
        version(policy, "learning", None),
        version(policy, "one", date(2026, 3, 10), model=CHAMPION),
        version(policy, "both", date(2026, 3, 15), model=CHAMPION, challenger=CHALLENGER),
        version(policy, "promoted", date(2026, 3, 21), model=CHALLENGER, severity="high"),
    )


def streamed(
    policies: PolicyHistory, sent: Sequence[Any], together: int, restarts: frozenset[int] = frozenset()
) -> dict[str, RiskWarning]:
    with patch("models.pipeline.TOLD_TOGETHER", together):
        pipeline = LocalPipeline(policies)
        for number, one in enumerate(sent):
            pipeline.feed("transactions" if isinstance(one, Transaction) else "reports", one)
            if number in restarts and number % together == 0:
                pipeline.restart()
        pipeline.finish()
    return {key: one for key, one in pipeline.warnings.items() if one.detector in NAMES}


@pytest.mark.parametrize("seed", range(12))
def test_stream_equals_oracle(judged: PolicyHistory, seed: int) -> None:
    dice = Random(seed)  # noqa: S311 - a history, no secret
    sent = delayed(moves(dice), dice)
    found = streamed(judged, sent, dice.choice([1, 7, 50, 1000]), frozenset(range(0, len(sent), 21)))
    rows = oracle.warnings(transactions=oracle.from_events(sent), policies=judged)
    rows = rows.filter(pl.col("detector").is_in(NAMES))
    assert rows.height
    assert {
        key: (one.detector, one.subject, one.severity, one.window.end, one.reasons[0].observed)
        for key, one in found.items()
    } == {
        row["warning_id"]: tuple(row[name] for name in ("detector", "subject", "severity", "window_end", "observed"))
        for row in rows.to_dicts()
    }


def test_both_models_warn_and_more_than_once_a_day(judged: PolicyHistory) -> None:
    seen: Counter[str] = Counter()
    for seed in range(6):
        dice = Random(seed)  # noqa: S311 - a history, no secret
        for one in streamed(judged, delayed(moves(dice), dice), 1000).values():
            seen[one.detector] += 1
            seen["several"] += one.event_count > 1
            seen["raised"] += one.severity == "high"
            assert one.mode == ("shadow" if one.detector == "anomaly_challenger" else "live")
            assert one.event_count == len(one.event_ids)
            assert len(one.reasons) > 1
    assert min(seen[what] for what in (*NAMES, "several", "raised")) >= 3, seen


def test_how_records_are_batched_changes_nothing_that_is_told(judged: PolicyHistory) -> None:
    """Every revision is the same, with the reports that corroborate them in between."""
    dice = Random(3)  # noqa: S311 - a history, no secret
    sent: list[Any] = delayed(moves(dice), dice)
    for number in range(30):
        day = START + timedelta(days=dice.randrange(8, DAYS), hours=12)
        place = sum(one.event_time < day for one in sent if isinstance(one, Transaction))
        sent.insert(place, report(f"r{number}", day, customer_id=f"C{dice.randrange(CUSTOMERS)}"))
    told = []
    for together in (1, 9, 1000):
        with patch("models.pipeline.TOLD_TOGETHER", together):
            pipeline = LocalPipeline(judged)
            emits = [emit for one in sent for emit in pipeline.feed(_topic(one), one)] + pipeline.finish()
        names = (*NAMES, "teller_report")
        warnings = [emit.value for emit in emits if emit.topic == "warnings" and emit.value.detector in names]
        told.append(
            {
                (one.warning_id, one.revision): (one.severity, one.event_ids, tuple(it.code for it in one.reasons))
                for one in warnings
            }
        )
    assert told[0] == told[1] == told[2]
    corroborated = [codes for _, _, codes in told[0].values() if "anomaly_score" in codes and "corroborated" in codes]
    assert corroborated


def _topic(one: Any) -> str:
    return "transactions" if isinstance(one, Transaction) else "reports"


def test_without_a_model_habits_are_learnt_and_nobody_is_judged(policy: Policy) -> None:
    learning = history(version(policy, "learning", None))
    dice = Random(1)  # noqa: S311 - a history, no secret
    assert streamed(learning, moves(dice), 50) == {}


def test_a_rule_that_is_off_learns_nothing(policy: Policy) -> None:
    rule: Anomaly = policy.detectors.anomaly
    assert rule.mode == "off"
    stage, states = CustomersStage(PolicyHistory(policy)), MemoryStates()
    event = transaction("t1", START, "1")
    list(stage.apply(states, Record("transactions", 0, 0, START, event, START)))
    state = states.load(event.customer_id, CustomerState)
    assert state is not None
    assert state.habits is None


def test_how_scored_rows_lie_is_told_once(judged: PolicyHistory) -> None:
    """Every row of a day with a model is in one bin of each feature; the shares expected are the card's."""
    dice = Random(2)  # noqa: S311 - a history, no secret
    stage, states = CustomersStage(judged), MemoryStates()
    found: dict[tuple[str, str], Counter[int]] = {}
    for offset, one in enumerate(sent := sorted(moves(dice), key=lambda it: it.event_time)):
        list(stage.apply(states, Record("transactions", 0, offset, one.event_time, one, one.event_time)))
        if offset % 50 == 49:
            list(stage.flush(states))
            for bins in stage.binned():
                assert sum(bins.expected) == pytest.approx(1)
                found.setdefault((bins.model, bins.feature), Counter()).update(dict(enumerate(bins.rows)))
    list(stage.flush(states))
    for bins in stage.binned():
        found.setdefault((bins.model, bins.feature), Counter()).update(dict(enumerate(bins.rows)))
    assert list(stage.binned()) == []
    rows = feature_frame(canonical(oracle.from_events(sent), "transactions"), judged)
    by_champion = rows.filter(pl.col("day").is_between(date(2026, 3, 10), date(2026, 3, 20))).height
    by_challenger = rows.filter(pl.col("day") >= date(2026, 3, 15)).height
    assert {key: counts.total() for key, counts in found.items()} == {
        (name, one): count
        for name, count in ((CHAMPION, by_champion), (CHALLENGER, by_challenger))
        for one in (*(it.id for it in FEATURES), "score")
    }


@pytest.mark.parametrize("seed", range(4))
def test_a_rollback_holds_in_the_course_of_a_day(policy: Policy, seed: int) -> None:
    """Days before it are the old model's, days after it the new one's; on the day itself each row is judged in turn."""
    dice = Random(seed)  # noqa: S311 - a history, no secret
    day, noon = date(2026, 3, 15), START + timedelta(days=13, hours=dice.choice([3, 10, 23]), minutes=1)
    versions = [
        version(policy, "learning", None),
        version(policy, "one", date(2026, 3, 8), model=CHAMPION),
        version(policy, "promoted", day, model=CHALLENGER),
    ]
    back = version(policy, "back", day, model=CHAMPION, challenger=CHALLENGER)
    back = replace(back, policy=replace(back.policy, replaces="promoted"))
    events = sorted(moves(dice), key=lambda one: (one.event_time, one.event_id))
    changing = history(*versions)
    with patch("models.pipeline.TOLD_TOGETHER", dice.choice([1, 30, 1000])):
        pipeline = LocalPipeline(changing)
        for one in events:
            if one.event_time >= noon and back not in changing.versions:
                changing.take(back)
            pipeline.feed("transactions", one)
        pipeline.finish()
    found = {key: one for key, one in pipeline.warnings.items() if one.detector in NAMES}
    ended = history(*versions, back)
    assert ended.versions[-1] is back
    expected = oracle.warnings(transactions=oracle.from_events(events), policies=ended)
    expected = expected.filter(pl.col("detector").is_in(NAMES))
    # Of the day of the change: what the models found that judged when each row was told.
    start = at(f"{day} 00:00")
    others = {key for key, one in found.items() if one.window.start != start}
    assert others == set(
        expected.filter(pl.col("window_end") != (start + timedelta(days=1)).astimezone(UTC))["warning_id"]
    )
    after = [one for one in found.values() if one.window.start == start and one.event_time >= noon]
    assert {one.policy_version for one in after} <= {"back"}
    assert after or seed != 1
    alone = streamed(ended, events, 1000)
    for one in after:  # a row judged after the change counts what the new version's model finds, and nothing else
        assert set(one.event_ids) <= set(alone[one.warning_id].event_ids)
        assert one.reasons[0].observed <= alone[one.warning_id].reasons[0].observed
