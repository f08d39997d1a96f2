"""Dashboards: files up to date, queries over metrics that exist, panels beside one another, words for each."""

import json
import re
from typing import Any

import pytest
import yaml

from connectors.dashboards import DASHBOARDS, FILES, generate
from connectors.grafana import COLUMNS, Dashboard, document
from connectors.metrics import METRICS
from tests.data import ROOT

GRAFANA = ROOT / "deploy" / "grafana"
every_dashboard = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.uid)


def test_the_files_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert FILES.main(["--check"]) == 0, capsys.readouterr().out
    assert {file.name for file in (GRAFANA / "dashboards").iterdir()} == generate().keys()


@every_dashboard
def test_queries_are_over_metrics_and_rules_that_exist(dashboard: Dashboard) -> None:
    recording = yaml.safe_load((ROOT / "deploy" / "prometheus" / "recording.yml").read_text("utf-8"))
    known = {rule["record"] for group in recording["groups"] for rule in group["rules"]}
    known |= {"up", "process_cpu_seconds_total", "process_resident_memory_bytes"}
    for metric in METRICS.values():
        known |= {metric.name, *(f"{metric.name}{end}" for end in ("_bucket", "_count", "_sum") if metric.buckets)}
    for panel in dashboard.panels:
        for query, _ in panel.queries:
            bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|by \([^)]*\)", "", query)
            used = set(re.findall(r"[a-z_:]*liandong[a-z_:0-9]*|\bup\b|process_[a-z_]+", bare))
            assert used, query
            assert used <= known, query
    for _, query in dashboard.chosen:
        assert re.match(r"label_values\((\w+), (\w+)\)", query)
        name, label = re.findall(r"\w+", query)[1:]
        assert label in METRICS[name].labels


@every_dashboard
def test_panels_lie_beside_one_another_and_say_what_they_are(dashboard: Dashboard) -> None:
    made: Any = json.loads(json.dumps(document(dashboard)))
    taken: set[tuple[int, int]] = set()
    for panel in made["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= COLUMNS
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        taken |= cells
        assert panel["title"]
        assert panel["description"].endswith(".")
    assert len({panel["id"] for panel in made["panels"]}) == len(made["panels"])
    assert len({panel["title"] for panel in made["panels"]}) == len(made["panels"])


def test_grafana_is_told_where_everything_is() -> None:
    (source,) = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert (source["type"], source["uid"]) == ("prometheus", "prometheus")
    (provider,) = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "liandong.yml").read_text())["providers"]
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards"
    assert len({one.uid for one in DASHBOARDS}) == len(DASHBOARDS)
