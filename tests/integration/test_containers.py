"""Containers, as far as they can be held to account without an engine: their files, and their commands as processes."""

import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectors.broker import RunningBroker
from connectors.variables import VARIABLES
from tests.conftest import broker_of
from tests.data import ROOT

DEPLOY = ROOT / "deploy"
PROMETHEUS = DEPLOY / "prometheus" / "containers.yml"
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text("utf-8")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["services"]
OURS = {name: one for name, one in SERVICES.items() if "build" in one}
every_service = pytest.mark.parametrize("name", SERVICES)


# ------------------------------------------------------------------- the files


@every_service
def test_every_service_is_pinned_limited_and_watched(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+\.\d+", service["image"])
    limits = service["deploy"]["resources"]["limits"]
    assert limits["cpus"]
    assert limits["memory"]
    assert service["restart"] == ("no" if name == "topics" else "unless-stopped")
    assert ("healthcheck" in service) == (name != "topics")
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


@every_service
def test_what_is_mounted_is_there_and_what_is_kept_is_declared(name: str) -> None:
    whole = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    for volume in SERVICES[name].get("volumes", ()):
        source = volume.split(":")[0]
        if source.startswith("."):
            assert (DEPLOY / source).exists(), volume
            assert volume.endswith(":ro")
        else:
            assert source in whole["volumes"]
    assert set(SERVICES[name].get("secrets", ())) <= whole["secrets"].keys()
    assert SERVICES[name].get("depends_on", {}).keys() <= SERVICES.keys()


def test_no_secret_stands_in_the_file() -> None:
    for service in SERVICES.values():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|TOKEN", variable):
                assert variable.endswith("_FILE")
                assert value.startswith("/run/secrets/")


@pytest.mark.parametrize("name", OURS)
def test_ours_run_without_rights_and_write_nowhere(name: str) -> None:
    service = OURS[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["environment"].keys() <= {one.name for one in VARIABLES}
    assert re.search(r"^USER 10001:10001$", DOCKERFILE, re.MULTILINE)


def test_the_image_is_of_one_release_and_its_variables_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert {one["image"] for one in OURS.values()} == {f"liandong:{project['version']}"}
    stages = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(stages) == 2
    assert set(stages) == {stages[0]}
    assert re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", stages[0])
    assert set(re.findall(r"\b(?:LIANDONG|KAFKA)_\w+", DOCKERFILE)) <= {one.name for one in VARIABLES}
    for copied in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        for source in copied.split():
            assert (ROOT / source).exists(), source
    allowed = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    for source in ("pyproject.toml", "constraints.txt", "README.md", "LICENSE", "streams", "connectors", "models"):
        assert f"!{source}" in allowed


def test_prometheus_finds_the_workers(tmp_path: Path) -> None:
    config = yaml.safe_load(PROMETHEUS.read_text("utf-8"))
    (job,) = config["scrape_configs"]
    (found,) = job["dns_sd_configs"]
    assert found["names"] == ["worker"]
    assert str(found["port"]) == SERVICES["worker"]["environment"]["LIANDONG_METRICS_PORT"]
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    for file in (PROMETHEUS, *(ROOT / "deploy" / "prometheus").glob("*s.yml")):
        shutil.copy(file, tmp_path)
    shutil.copy(ROOT / "deploy" / "prometheus" / "recording.yml", tmp_path)
    shutil.copy(PROMETHEUS, tmp_path / "prometheus.yml")
    run = subprocess.run(
        [promtool, "check", "config", tmp_path / "prometheus.yml"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


# ------------------------------------------------------- the commands as processes


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[RunningBroker]:
    """A broker of the test's own: the topics of the catalogue have fixed names."""
    yield from broker_of("kafka", tmp_path / "broker")


def started(name: str, broker: RunningBroker, log: Path) -> subprocess.Popen[bytes]:
    """A service's command with its environment, the image's own variables below it; only addresses are others."""
    image = dict(re.findall(r"\b(LIANDONG_\w+)=(\S+)", DOCKERFILE))
    image |= {one: str(log.parent / one) for one in ("LIANDONG_DATA_DIR", "LIANDONG_CACHE_DIR", "LIANDONG_MODELS")}
    environment = image | OURS[name]["environment"] | {"KAFKA_BOOTSTRAP": broker.bootstrap}
    environment |= {"LIANDONG_METRICS_HOST": "127.0.0.1"}
    kept = {one: value for one, value in os.environ.items() if not one.startswith(("LIANDONG_", "KAFKA_"))}
    with log.open("wb") as sink:
        return subprocess.Popen(
            [sys.executable, "-m", "streams.cli", *OURS[name]["command"]],
            env=kept | environment,
            stdout=sink,
            stderr=sink,
        )


@pytest.mark.timeout(200)
def test_the_topics_job_ends_and_then_the_worker_is_healthy(own_broker: RunningBroker, tmp_path: Path) -> None:
    job = started("topics", own_broker, tmp_path / "topics.log")
    assert job.wait(timeout=90) == 0, (tmp_path / "topics.log").read_text()
    worker = started("worker", own_broker, tmp_path / "worker.log")
    try:
        # The check that the container has, word for word.
        _, program, *arguments = SERVICES["worker"]["healthcheck"]["test"]
        assert program == "python"
        deadline = time.monotonic() + 90
        while subprocess.run([sys.executable, *arguments], capture_output=True, check=False).returncode:
            assert worker.poll() is None, (tmp_path / "worker.log").read_text()
            assert time.monotonic() < deadline, (tmp_path / "worker.log").read_text()
            time.sleep(0.5)
        while b"ready: " not in (tmp_path / "worker.log").read_bytes():
            assert time.monotonic() < deadline, (tmp_path / "worker.log").read_text()
            time.sleep(0.5)
        with urllib.request.urlopen("http://127.0.0.1:9108/metrics", timeout=10) as page:
            assert b"liandong_build_info" in page.read()
    finally:
        worker.terminate()
    assert worker.wait(timeout=int(SERVICES["worker"]["stop_grace_period"].rstrip("s"))) == 0
