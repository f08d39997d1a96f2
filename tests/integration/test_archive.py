"""Another number of partitions: drained, archived, played into topics made anew, and carried on."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from typer.testing import CliRunner, Result

from connectors.admin import verify_topics
from connectors.archive import archived, read_manifest
from connectors.cases import read_cases
from connectors.progress import GroupProgress
from connectors.records import TopicReader
from connectors.settings import Settings
from connectors.sources.simulator.day import scripted_day
from connectors.writer import EventWriter
from models.policy import Policy, PolicyHistory
from models.response.case import SYSTEM, Case, Task
from streams.cli import app
from streams.commands.demo import play_script
from streams.commands.feedback import newest_warnings
from streams.playground import Playground
from streams.verify import compare
from streams.wiring import changelog_topics
from tests.make import transaction

FEW, MANY = 2, 5


def told(settings: Settings) -> dict[str, tuple[Any, ...]]:
    """What stands on `warnings`, by id."""
    return {
        key: (one.detector, one.subject, one.severity, sorted(one.event_ids))
        for key, one in newest_warnings(settings).items()
    }


def book(settings: Settings) -> dict[str, tuple[Any, ...]]:
    with TopicReader(settings) as reader:
        return {one.key: (one.exposure, one.loans, one.level) for _, one in reader.events("portfolio")}


def letters(settings: Settings) -> list[tuple[Any, ...]]:
    """What was refused, each once: a letter that is written again has the id that it had."""
    with TopicReader(settings) as reader:
        by_id = {one.dead_letter_id: one for _, one in reader.events("dead-letters")}
    return sorted((one.source_topic, one.source_key, one.reason, one.detail) for one in by_id.values())


def deeds(case: Case) -> dict[str, Any]:
    """What people did on a case, and what came of it."""
    return {
        "state": (case.state, case.severity, {(one.warning_id, one.severity) for one in case.warnings}),
        "tasks": [
            (task.department, task.round, task.state, task.acknowledged_at, task.done_at, _measures(task))
            for task in case.tasks
        ],
        "deeds": [
            (one.at, one.actor, one.kind, one.department, one.measure) for one in case.history if one.actor != SYSTEM
        ],
    }


def _measures(task: Task) -> list[tuple[Any, ...]]:
    return [(one.code, one.completed_at, one.completed_by, one.proved_at) for one in task.measures]


def run(settings: Settings, *arguments: str) -> Result:
    environment = {
        "KAFKA_BOOTSTRAP": ",".join(settings.bootstrap),
        "LIANDONG_PARTITIONS": str(settings.partitions),
        "LIANDONG_IDLE_SECONDS": str(settings.idle_seconds),
    }
    return CliRunner().invoke(app, list(arguments), env=environment)


def done(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return msgspec.json.decode(result.stdout)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, policy: Policy) -> Iterator[Playground]:
    """A broker on which the scripted day was played in few partitions, with the workers stopped."""
    folder = tmp_path_factory.mktemp("archive")
    made = replace(Settings.from_env({}), idle_seconds=0.5, partitions=FEW)
    with Playground(made, folder / "logs", folder / "broker", lambda text: None) as playground:
        worker = playground.start_worker()
        play_script(playground.settings, scripted_day(policy))
        worker.stop()
        yield playground


@pytest.mark.timeout(600)
def test_the_number_of_partitions_changes_and_nothing_else(played: Playground, policy: Policy, tmp_path: Path) -> None:
    few = played.settings
    before: dict[str, Case] = read_cases(few)
    warnings, lines, refused = told(few), book(few), letters(few)
    assert len(warnings) > 5
    assert len(before) == 3
    assert refused

    folder = tmp_path / "archive"
    manifest = done(run(few, "archive", str(folder), "--format", "json"))
    assert (manifest["partitions"], manifest["behind"]) == (FEW, 0)
    assert manifest["records"]["transactions"] == sum(1 for _ in archived(folder, "transactions"))
    assert read_manifest(folder).records == manifest["records"]
    again = run(few, "archive", str(folder))
    assert again.exit_code == 1
    assert "is not empty" in again.output

    many = replace(few, partitions=MANY)
    found = done(run(many, "restore", str(folder), "--slice", "0", "--yes", "--format", "json"))
    assert found["outcome"]["missing"] == found["outcome"]["extra"] == {"warnings": [], "cases": []}
    assert found["outcome"]["both"] == {"warnings": len(warnings), "cases": len(before)}
    assert verify_topics(many, changelog_topics(many)) == []
    assert told(many) == warnings
    assert book(many) == lines
    assert letters(many) == refused
    after = read_cases(many)
    assert after.keys() == before.keys()
    for case_id, case in after.items():
        assert deeds(case) == deeds(before[case_id]), case_id
        # At which loan of several partitions a book reaches a level depends on their order of arrival, to milliseconds.
        if case.subject.startswith("customer:"):
            assert [task.due_at for task in case.tasks] == [task.due_at for task in before[case_id].tasks]

    # What comes now is judged with what came before: half of a sum stands in the state, half comes in.
    played.settings = many
    day = max(one.event_time for one in events(many)) + timedelta(days=1)
    half = [transaction(f"half-{number}", day + timedelta(hours=number), "30000", method="cash", customer_id="C-HALF")
            for number in (0, 1)]  # fmt: skip
    with EventWriter(many) as writer, GroupProgress(many) as workers:
        played.start_worker()
        for one in half:
            writer.write("transactions", one)
        writer.flush()
        workers.settle(many.idle_seconds)
    assert compare(many, PolicyHistory(policy)).agrees
    assert any(subject == "customer:C-HALF" for _, subject, _, _ in told(many).values())

    running = run(many, "restore", str(folder), "--yes")
    assert running.exit_code == 1
    assert "1 worker(s) of liandong are running: stop them first" in running.output


def events(settings: Settings) -> list[Any]:
    with TopicReader(settings) as reader:
        return [one for _, one in reader.events("transactions")]


def test_what_is_no_archive_is_said(tmp_path: Path, played: Playground) -> None:
    found = run(played.settings, "restore", str(tmp_path), "--yes")
    assert found.exit_code == 1
    assert "is no whole archive" in found.output
