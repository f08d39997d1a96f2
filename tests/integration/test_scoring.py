"""Models on a real broker: named by the policy, scored in the stream, compared, promoted by two, rolled back."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from typer.testing import CliRunner, Result

from connectors.errors import LiandongError
from connectors.model_file import save_model
from connectors.policy_file import load_policies
from connectors.progress import GroupProgress
from connectors.references import reading
from connectors.settings import Settings
from connectors.writer import EventWriter
from streams.cli import app
from streams.playground import Playground, ProcessFailed
from streams.verify import compare
from tests.data import ROOT
from tests.property.test_anomaly_equals_oracle import START, delayed, models, moves


def policy_file(folder: Path, model: str, challenger: str) -> Path:
    text = (ROOT / "deploy" / "policy" / "cn.toml").read_text("utf-8")
    head, mark, rule = text.partition('[detectors.anomaly]\nmode = "off"\n')
    assert mark
    named = f'[detectors.anomaly]\nmode = "live"\nmodel = "{model}"\nchallenger = "{challenger}"\n'
    file = folder / "policy.toml"
    file.write_text(head + named + rule.replace("value = 20,", "value = 2,", 1), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A folder with two models, and their hashes."""
    folder = tmp_path_factory.mktemp("models")
    champion = save_model(models("hbos", 1), folder).stem
    return folder, champion, save_model(models("isolation_forest", 2), folder).stem


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, stored: tuple[Path, str, str]) -> Iterator[Settings]:
    """A broker and a worker that has judged some weeks by two models."""
    folder = tmp_path_factory.mktemp("scoring")
    file = policy_file(folder, *stored[1:])
    made = replace(Settings.from_env({}), idle_seconds=0.5, partitions=2, policy=file, models=stored[0])
    with Playground(made, folder / "logs", folder / "broker", lambda text: None) as playground:
        dice = Random(5)  # noqa: S311 - a history, no secret
        with EventWriter(playground.settings) as writer, GroupProgress(playground.settings) as workers:
            for event in delayed(moves(dice), dice):
                writer.write("transactions", event)
            writer.flush()
            playground.start_worker()
            workers.settle(0.5, timeout=120)
        yield playground.settings


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("KAFKA_BOOTSTRAP", ",".join(settings.bootstrap))
    monkeypatch.setenv("LIANDONG_POLICY", str(settings.policy))
    monkeypatch.setenv("LIANDONG_MODELS", str(settings.models))

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments))

    return call


def done(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return msgspec.json.decode(result.stdout)


def test_what_the_worker_found_is_what_the_oracle_finds(settings: Settings) -> None:
    result = compare(settings, load_policies(settings.policy_path(), settings.models))
    assert result.agrees, (result.missing[:5], result.extra[:5])
    assert result.by_detector["anomaly"][0] > 2
    assert result.by_detector["anomaly_challenger"][0] > 2


def test_the_two_models_are_compared(run: Callable[..., Result]) -> None:
    found = done(run("models", "compare", "--since", "2026-03-01", "--until", "2026-03-31", "--format", "json"))
    each = found["models"]
    assert each["anomaly"]["found"] == sum(each["anomaly"]["by_day"].values()) > 2
    assert each["anomaly_challenger"]["found"] > 2
    assert 0 < found["overlap"] <= 1
    told = run("models", "compare", "--since", "2026-03-01", "--until", "2026-03-31")
    assert "both find" in told.output
    assert "no model has warned" in run("models", "compare", "--since", "2020-01-01", "--until", "2020-01-02").output


def test_the_challenger_is_promoted_by_two_and_rolled_back(
    run: Callable[..., Result], settings: Settings, stored: tuple[Path, str, str]
) -> None:
    _, champion, challenger = stored
    own = run("models", "promote", challenger[:10], "--as", "ma", "--approver", "ma")
    assert own.exit_code != 0
    unknown = run("models", "promote", "ffffffffff", "--as", "ma", "--approver", "wei")
    assert unknown.exit_code != 0
    assert "liandong models list" in unknown.output
    yesterday = (datetime.now(UTC) - timedelta(days=2)).strftime("%Y-%m-%d")
    too_late = run("models", "promote", challenger[:10], "--as", "ma", "--approver", "wei", "--from", yesterday)
    assert "not in the future" in too_late.output
    proposed = done(run("models", "promote", challenger[:10], "--as", "ma", "--approver", "wei", "--format", "json"))
    assert proposed["version"].startswith("cn-2026.1-model-")
    assert f'model = "{challenger}"' in proposed["text"]
    assert "challenger" not in proposed["text"].partition("[detectors.anomaly]")[2].partition("[")[0]
    assert "# ---" in proposed["text"]
    done(run("policy", "approve", proposed["version"], "--as", "wei", "--yes", "--format", "json"))
    back = done(run("models", "rollback", "--as", "ma", "--approver", "wei", "--format", "json"))
    assert f'model = "{champion}"' in back["text"]
    assert f'challenger = "{challenger}"' in back["text"]
    # It is yet to come, so it is replaced.
    assert back["valid_from"] == proposed["valid_from"]
    assert f'replaces = "{proposed["version"]}"' in back["text"]
    done(run("policy", "approve", back["version"], "--as", "wei", "--yes", "--format", "json"))
    states = {row["version"]: row["state"] for row in done(run("policy", "list", "--format", "json"))["rows"]}
    assert (states[proposed["version"]], states[back["version"]]) == ("replaced", "approved")


def test_a_version_is_replaced_in_the_course_of_its_days(
    run: Callable[..., Result], settings: Settings, stored: tuple[Path, str, str], tmp_path: Path
) -> None:
    _, champion, challenger = stored
    text = run("policy", "show", "--toml").stdout
    first = text.replace("cn-2026.1", "cn-bad").replace("2026-01-01T", "2026-03-24T")
    first = first.replace(f'model = "{champion}"\nchallenger = "{challenger}"', f'model = "{challenger}"')
    assert first.count(challenger) == 1
    second = text.replace("cn-2026.1", 'cn-good"\nreplaces = "cn-bad').replace("2026-01-01T", "2026-03-24T")
    clashes = second.replace('replaces = "cn-bad"\n', "").replace("cn-good", "cn-clash")
    sent = [replace(one, event_time=one.event_time + timedelta(days=24)) for one in moves(Random(6), 12)]  # noqa: S311
    sent = [replace(one, event_id=f"later-{one.event_id}") for one in sent]
    judged = set()
    with EventWriter(settings) as writer, GroupProgress(settings) as workers:
        for name, version, days in (("cn-bad", first, range(24, 30)), ("cn-good", second, range(30, 36))):
            file = tmp_path / f"{name}.toml"
            file.write_text(version, encoding="utf-8")
            done(run("policy", "propose", str(file), "--reason", "test", "--retroactive", "--format", "json"))
            asked = ("--as", "head-of-risk", "--yes", "--retroactive", "--format", "json")
            done(run("policy", "approve", name, *asked))
            time.sleep(5)  # the worker follows the topic by itself
            for event in sent:
                if (event.event_time.date() - START.date()).days in days:
                    writer.write("transactions", event)
            writer.flush()
            workers.settle(0.5, timeout=120)
    with reading(settings) as reader:
        for _, warning in reader.events("warnings"):
            if warning.detector == "anomaly" and warning.window.start >= START + timedelta(days=24):
                judged.add((warning.policy_version, warning.reasons[0].code, warning.reasons[0].text_en))
    assert {version for version, _, _ in judged} == {"cn-bad", "cn-good"}, judged
    file = tmp_path / "clash.toml"
    file.write_text(clashes, encoding="utf-8")
    refused = run("policy", "check", str(file), "--retroactive")
    assert refused.exit_code == 1
    assert 'policy.replaces = "cn-good"' in refused.output


def test_a_worker_whose_policy_names_a_model_that_is_not_there_says_so(settings: Settings, tmp_path: Path) -> None:
    file = policy_file(tmp_path, "0" * 64, "1" * 64)
    with pytest.raises(LiandongError, match="there is no model 0000"):
        load_policies(file, tmp_path)
    made = replace(settings, policy=file, models=tmp_path, app_id="other")
    with Playground(made, tmp_path / "logs", None, lambda text: None) as playground:
        until = time.monotonic() + timedelta(seconds=60).total_seconds()
        with pytest.raises(ProcessFailed, match="there is no model 0000"):
            playground.start_worker()
        assert time.monotonic() < until
