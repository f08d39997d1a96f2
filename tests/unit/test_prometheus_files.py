"""Rules, alerts, routes and runbooks: of metrics that exist, tested silent and firing, with a page for each."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectors.metrics import METRICS
from tests.data import ROOT

PROMETHEUS = ROOT / "deploy" / "prometheus"
ALERTMANAGER = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
TESTS = sorted((PROMETHEUS / "tests").glob("*_test.yml"))
# Of Prometheus and of every process.
GIVEN = {"up", "process_start_time_seconds"}


def read(file: Path) -> Any:
    return yaml.safe_load(file.read_text("utf-8"))


def rules(name: str) -> list[dict[str, Any]]:
    return [rule for group in read(PROMETHEUS / name)["groups"] for rule in group["rules"]]


ALERTS = [rule for rule in rules("alerts.yml") if "alert" in rule]


def tool(name: str, *args: object) -> str:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed: apt-get install prometheus prometheus-alertmanager")
    run = subprocess.run([name, *map(str, args)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_every_metric_of_a_rule_exists() -> None:
    recorded = {rule["record"] for rule in rules("recording.yml")}
    known = GIVEN | recorded
    for metric in METRICS.values():
        known |= {metric.name, *(f"{metric.name}{end}" for end in ("_bucket", "_count", "_sum") if metric.buckets)}
    for rule in (*rules("recording.yml"), *ALERTS):
        without_labels = re.sub(r"\{[^}]*\}|\[[^\]]*\]|by \([^)]*\)", "", rule["expr"])
        names = set(re.findall(r"[a-z_:]*liandong[a-z_:0-9]*|\bup\b|process_[a-z_]+", without_labels))
        assert names <= known, rule


@pytest.mark.parametrize("alert", ALERTS, ids=lambda one: one["alert"])
def test_every_alert_says_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("page", "duty", "ticket", "none")
    assert alert["labels"]["team"]
    assert alert["annotations"].keys() == {"summary", "description", "runbook"}
    page = (ROOT / "deploy" / alert["annotations"]["runbook"]).read_text("utf-8")
    assert alert["alert"] in page
    for heading in ("## What it means", "## How to look", "## What to do"):
        assert heading in page


def test_every_alert_is_tested_silent_and_firing() -> None:
    cases = [case for file in TESTS for case in read(file)["tests"]]
    asked = [one for case in cases for one in case["alert_rule_test"]]
    firing = {one["alertname"] for one in asked if one["exp_alerts"]}
    silent = {one["alertname"] for one in asked if not one["exp_alerts"]}
    names = {one["alert"] for one in ALERTS}
    assert firing == names
    assert silent == names - {"LiandongWatchdog"}  # which always fires


def test_prometheus_itself_finds_nothing_wrong() -> None:
    tool("promtool", "check", "config", PROMETHEUS / "prometheus.yml")
    assert "SUCCESS" in tool("promtool", "check", "rules", PROMETHEUS / "recording.yml", PROMETHEUS / "alerts.yml")
    assert "SUCCESS" in tool("promtool", "test", "rules", *TESTS)


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ({"severity": "page", "team": "oncall"}, "oncall"),
        ({"severity": "ticket", "team": "oncall"}, "tickets"),
        ({"severity": "none", "team": "watchdog"}, "watchdog"),
        *(
            ({"severity": "duty", "team": name}, f"{name}-duty-officer")
            for name in ("risk", "operations", "credit", "it", "clearing", "product")
        ),
        ({"severity": "duty", "team": "nobody-knows"}, "oncall"),
    ],
)
def test_everybody_is_told_who_must_be(labels: dict[str, str], receiver: str) -> None:
    tool("amtool", "check-config", ALERTMANAGER)
    pairs = [f"{name}={value}" for name, value in labels.items()]
    assert tool("amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER}", *pairs).strip() == receiver


def test_what_is_held_back_while_the_broker_is_down_are_alerts_that_exist() -> None:
    names = {one["alert"] for one in ALERTS}
    for rule in read(ALERTMANAGER)["inhibit_rules"]:
        (source,), (target,) = rule["source_matchers"], rule["target_matchers"]
        assert source.split('"')[1] in names
        pattern = target.split('"')[1]
        held = {name for name in names if re.fullmatch(pattern, name)}
        assert held
        assert all(any(re.fullmatch(part, name) for name in names) for part in pattern.split("|"))
