"""Prometheus and Alertmanager as shipped, over a live pipeline: it is broken, and the page arrives at a webhook."""

import json
import re
import shutil
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from msgspec.structs import replace

from connectors.dashboards import DASHBOARDS
from connectors.progress import GroupProgress
from connectors.settings import Settings
from connectors.sources.simulator import simulate, topic_of
from connectors.writer import EventWriter
from models.policy import Policy
from streams.playground import Playground, free_port
from tests.data import ROOT

PROGRAMS = ("prometheus", "prometheus-alertmanager")


class Paged(NamedTuple):
    """What came in at a webhook."""

    receiver: str
    alert: str
    status: str
    labels: dict[str, str]


class Webhook:
    """Takes what Alertmanager sends, at any path."""

    def __init__(self) -> None:
        self.pages: list[Paged] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                for one in body["alerts"]:
                    page = Paged(self.path.strip("/"), one["labels"]["alertname"], one["status"], one["labels"])
                    hook.pages.append(page)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def until(what: Callable[[], Any], seconds: float, about: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, about()
        time.sleep(0.5)
    return found


class Watched(NamedTuple):
    """A pipeline, who watches it, and who is paged."""

    playground: Playground
    metrics_port: int
    projector_port: int
    desk: str
    prometheus: str
    webhook: Webhook

    def ask(self, path: str, **query: str) -> Any:
        address = f"{self.prometheus}{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310 - an address of this test
            body = json.load(answer)
        assert body["status"] == "success", body
        return body["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        return self.ask("/api/v1/query", query=expression)["result"]  # type: ignore[no-any-return]

    def pages(self, alert: str, status: str) -> list[Paged]:
        return [one for one in self.webhook.pages if (one.alert, one.status) == (alert, status)]


def configured(folder: Path, ports: dict[str, int]) -> None:
    """The shipped files with this test's addresses, and asked more often: nothing else is changed."""
    for name in ("recording.yml", "alerts.yml"):
        shutil.copy(ROOT / "deploy" / "prometheus" / name, folder)
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text("utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{ports['alertmanager']}"]
    for job, process in zip(config["scrape_configs"], ("worker", "projector", "desk"), strict=True):
        job["static_configs"][0]["targets"] = [f"127.0.0.1:{ports[process]}"]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    text = (ROOT / "deploy" / "alertmanager" / "alertmanager.yml").read_text("utf-8")
    text = text.replace("127.0.0.1:9095", f"127.0.0.1:{ports['webhook']}")
    text = re.sub(r"group_wait: 10s", "group_wait: 1s", re.sub(r"group_interval: 1m", "group_interval: 1s", text))
    (folder / "alertmanager.yml").write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, policy: Policy) -> Iterator[Watched]:
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        pytest.skip(f"not installed: apt-get install {' '.join(missing)}")
    folder, webhook = tmp_path_factory.mktemp("alerting"), Webhook()
    names = ("worker", "projector", "desk", "pages", "prometheus", "alertmanager")
    ports = {name: free_port(0) for name in names} | {"webhook": webhook.port}
    configured(folder, ports)
    made = replace(Settings.from_env({}), idle_seconds=0.5, partitions=2, data_dir=folder)
    commands = (
        ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb"],
        ["prometheus-alertmanager", f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}/alerts"],
    )
    commands[0].append(f"--web.listen-address=127.0.0.1:{ports['prometheus']}")
    commands[1].extend([f"--web.listen-address=127.0.0.1:{ports['alertmanager']}", "--cluster.listen-address="])
    running: list[subprocess.Popen[bytes]] = []
    try:
        with Playground(made, folder / "logs", folder / "broker", lambda text: None) as playground:
            playground.start_worker(ports["worker"])
            playground.start("project", metrics_port=ports["projector"])
            playground.start("desk", "--port", str(ports["pages"]), metrics_port=ports["desk"])
            desk = f"http://127.0.0.1:{ports['pages']}"
            for command in commands:
                with (folder / f"{command[0]}.log").open("wb") as log:
                    running.append(subprocess.Popen(command, stdout=log, stderr=log))
            with EventWriter(playground.settings) as writer, GroupProgress(playground.settings) as workers:
                for event in simulate(7, 200, 20, date(2026, 3, 2), policy, transactions=5000):
                    writer.write(topic_of(event), event)
                writer.flush()
                workers.settle(0.5, timeout=120)
            yield Watched(
                playground,
                ports["worker"],
                ports["projector"],
                desk,
                f"http://127.0.0.1:{ports['prometheus']}",
                webhook,
            )
    finally:
        for process in running:
            process.terminate()
            process.wait(timeout=20)
        webhook.close()


def test_prometheus_sees_the_worker_and_its_rules_are_sound(watched: Watched) -> None:
    until(lambda: len(watched.query('up{job=~"liandong.*"} == 1')) == 3, 60, lambda: watched.query("up"))
    groups = until(
        lambda: [one for one in watched.ask("/api/v1/rules")["groups"] if one["evaluationTime"]], 30, lambda: "rules"
    )
    rules = [rule for group in groups for rule in group["rules"]]
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}
    assert not [rule["lastError"] for rule in rules if rule.get("lastError")]


def test_every_query_of_every_dashboard_is_answered(watched: Watched) -> None:
    for page in ("/", "/cases", "/api/summary"):
        with urllib.request.urlopen(f"{watched.desk}{page}", timeout=10) as answer:  # noqa: S310 - likewise
            assert answer.status == 200
    rated = ("liandong_desk_request_seconds_count", "liandong_projection_delay_seconds_count")
    for metric in rated:  # a rate needs two looks
        until(lambda m=metric: watched.query(f"count_over_time({m}[1m]) > 2"), 60, lambda m=metric: f"no {m}")
    for recorded in ("topic:liandong_events:rate5m > 0", "liandong:warnings_late:ratio_rate1h"):
        until(lambda recorded=recorded: watched.query(recorded), 60, lambda recorded=recorded: f"no {recorded}")
    empty = set()
    for dashboard in DASHBOARDS:
        for panel in dashboard.panels:
            for query, _ in panel.queries:
                asked = re.sub(r"\$\w+", ".+", query)
                if not watched.query(asked):
                    empty.add((dashboard.uid, panel.title))
        for _, query in dashboard.chosen:
            name, label = re.findall(r"\w+", query)[1:]
            assert watched.ask(f"/api/v1/label/{label}/values", **{"match[]": name}), query
    # Nobody answers here, there is no model, no TLS, no rule in shadow, and nothing is overdue or critical so soon.
    may_be_empty = {
        "Critical tasks that nobody has acknowledged",
        "How far models have drifted",
        "Industries at a level",
        "Rebalances",
        "Rules that are tried out",
        "Tasks overdue",
        "Tasks over time",
        "Transactions scored",
        "Not accepted",
        "Dead letters",
        "Certificates",
        "To acknowledgement",
        "To completion",
    }
    assert {title for _, title in empty} <= may_be_empty, empty


@pytest.mark.timeout(400)
def test_processes_that_die_page_whoever_is_on_call_and_those_that_come_back_end_it(watched: Watched) -> None:
    until(lambda: watched.pages("LiandongWatchdog", "firing"), 60, lambda: watched.webhook.pages)
    assert {one.receiver for one in watched.webhook.pages if one.alert == "LiandongWatchdog"} == {"watchdog"}
    alerts = ("LiandongNoWorker", "LiandongProjectorDown")
    assert not any(watched.pages(alert, "firing") for alert in alerts)
    playground = watched.playground
    for process in (playground.workers.pop(), playground.services.pop(0)):
        process.kill()
    for alert in alerts:
        paged = until(lambda a=alert: watched.pages(a, "firing"), 180, lambda: watched.webhook.pages)
        assert (paged[0].receiver, paged[0].labels["severity"]) == ("oncall", "page")
    # That one worker does not answer is no news then; the desk says of itself that nothing comes any more.
    assert not watched.pages("LiandongWorkerDown", "firing")
    assert not watched.pages("LiandongDeskDown", "firing")
    with urllib.request.urlopen(f"{watched.desk}/", timeout=10) as answer:  # noqa: S310 - likewise
        assert b'role="alert"' in answer.read()
    playground.start_worker(watched.metrics_port)
    playground.start("project", metrics_port=watched.projector_port)
    for alert in alerts:
        until(lambda a=alert: watched.pages(a, "resolved"), 90, lambda: watched.webhook.pages)
