"""A quarter of cases on a real broker, with workers killed at random: the same cases, deadlines and escalations."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from connectors.broker import RunningBroker
from connectors.cases import read_cases
from connectors.progress import GroupProgress
from connectors.settings import Settings
from connectors.writer import EventWriter
from models.events import Action
from models.policy import Policy
from models.response.case import Case, Task
from models.response.period import parse_period
from models.risk_warning import RiskWarning
from streams.outbox import partition_of
from streams.playground import Playground
from tests.conftest import broker_of
from tests.data import ROOT
from tests.quarter import play
from tests.response import Desk, unreminded, warning

KILLS = 4
DAYS_A_STEP = 3
AFTER = datetime(2026, 7, 31, 4, 0, tzinfo=UTC)  # all that anybody owes is long due
# What a clock found: how often it had to be taken back depends on when it ran, what stands in the end does not.
OF_A_CLOCK = {"breached", "escalated", "reminded", "breach_withdrawn", "escalation_withdrawn"}
Sent = RiskWarning | Action


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RunningBroker]:
    """A broker of the test's own: the topics of the catalogue have fixed names."""
    yield from broker_of("kafka", tmp_path / "broker")


def steps(sent: list[tuple[Sent, datetime]], start: datetime) -> list[tuple[list[RiskWarning], list[Action]]]:
    """What arrived in each few days: first the warnings, then the actions.

    Two topics are read side by side; only in steps of one topic is their order the same in every run.
    """
    found = []
    for _, some in groupby(sent, key=lambda one: (one[1] - start).days // DAYS_A_STEP):
        ones = [one for one, _ in some]
        told = [one for one in ones if isinstance(one, RiskWarning)]
        done = [one for one in ones if isinstance(one, Action)]
        found.append((told, done))
    return found


def marks(partitions: int) -> list[RiskWarning]:
    """A warning for each partition, long after all others: it moves the partition's clock past every deadline."""
    found: dict[int, RiskWarning] = {}
    for number in range(1000):
        subject = f"branch:after-{number}"
        found.setdefault(
            partition_of(subject.encode(), partitions),
            warning(AFTER, warning_id=f"after-{number}", subject=subject),
        )
    assert len(found) == partitions
    return list(found.values())


def undisturbed(order: list[list[Sent]], policy: Policy, partitions: int) -> dict[str, Case]:
    """The cases of one process that nobody kills, each partition by itself."""
    desks = defaultdict(lambda: Desk(policy))
    arrival = datetime.now(UTC)
    for ones in order:
        for sent in ones:
            # As it comes off the wire: texts in a history have its times as they are written there.
            one = msgspec.json.decode(msgspec.json.encode(sent), type=type(sent))
            desks[partition_of(one.key.encode(), partitions)].take(one, ingest=arrival)
    return {case_id: case for desk in desks.values() for case_id, case in desk.cases.items()}


def comparable(case: Case) -> dict[str, Any]:
    """A case without what depends on when clocks ran and batches ended."""
    plain = [entry for entry in case.history if entry.kind not in OF_A_CLOCK]
    return {
        "state": case.state,
        "opened_at": case.opened_at,
        "resolved_at": case.resolved_at,
        "severity": case.severity,
        "warnings": sorted((one.warning_id, one.revision, one.severity) for one in case.warnings),
        "tasks": [_unanswered(unreminded(task)) for task in case.tasks],
        "history": [replace(entry, recorded_at=AFTER, hash="") for entry in plain],
    }


def _unanswered(task: Task) -> Task:
    """Without what the loans have answered, which nobody asks in one process alone; there are none here."""
    return replace(task, measures=tuple(replace(one, parts=()) for one in task.measures))


def net(case: Case, kind: str, withdrawn: str) -> int:
    """How many of a clock's findings stand in the history, those not counted that were taken back."""
    count = Counter(entry.kind for entry in case.history)
    return count[kind] - count[withdrawn]


def breaches(case: Case) -> int:
    """How many deadlines the tasks say were missed."""
    found = 0
    for task in case.tasks:
        found += len({(one.code, one.breached_at) for one in task.measures if one.breached_at is not None})
        found += (task.acknowledge_breached_at is not None) + (task.breached_at is not None)
    return found


@pytest.mark.timeout(900)
def test_killed_workers_change_no_case(broker: RunningBroker, policy: Policy, tmp_path: Path) -> None:
    settings = Settings(
        bootstrap=(broker.bootstrap,),
        policy=ROOT / "deploy" / "policy" / "cn.toml",
        session_timeout_seconds=6.0,
        idle_seconds=3.0,
        partitions=3,
    )
    months = [month.bounds(policy.bank_calendar) for month in parse_period("2026-Q1").each_month()]
    played = play(policy, months, seed=3)
    batches = [list[Sent](part) for step in steps(played.sent, months[0][0]) for part in step if part]
    batches.append(list(marks(settings.partitions)))
    dice = Random(11)  # noqa: S311 - a game, no secret
    killed_at = set(dice.sample(range(5, len(batches) - 5), KILLS))
    with Playground(settings, tmp_path / "logs", None, lambda _: None) as playground:
        alive = [playground.start_worker(), playground.start_worker()]
        with EventWriter(settings) as writer, GroupProgress(settings) as workers:
            for number, ones in enumerate(batches):
                for one in ones:
                    writer.write("actions" if isinstance(one, Action) else "warnings", one)
                writer.flush()
                if number in killed_at:
                    victim = alive.pop(dice.randrange(len(alive)))
                    victim.kill()
                    playground.workers.remove(victim)
                    alive.append(playground.start_worker())
                workers.wait_through("warnings", "actions", timeout=120)
        live = read_cases(settings)
    expected = undisturbed(batches, policy, settings.partitions)
    assert live.keys() == expected.keys()
    assert len(live) > 50
    for case_id, case in live.items():
        assert comparable(case) == comparable(expected[case_id]), case_id
        assert net(case, "breached", "breach_withdrawn") == breaches(case), case_id
        told = sum(task.escalation_level for task in case.tasks)
        assert net(case, "escalated", "escalation_withdrawn") == told, case_id
    assert sum(task.escalation_level for case in live.values() for task in case.tasks) > 50
