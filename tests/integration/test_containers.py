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
from connectors.settings import Settings
from connectors.variables import VARIABLES
from tests.conftest import broker_of
from tests.data import ROOT
from tests.postgres import PostgreSQL

DEPLOY = ROOT / "deploy"
PROMETHEUS = DEPLOY / "prometheus" / "containers.yml"
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text("utf-8")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["services"]
OURS = {name: one for name, one in SERVICES.items() if "build" in one}
LOOPBACK = {"0.0.0.0": "127.0.0.1"}  # noqa: S104 - a container has a network of its own, a test has not
every_service = pytest.mark.parametrize("name", SERVICES)


# ------------------------------------------------------------------- the files


@every_service
def test_every_service_is_pinned_limited_and_watched(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+(\.\d+)?", service["image"])
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


def test_prometheus_finds_every_process(tmp_path: Path) -> None:
    config, alone = (
        yaml.safe_load(file.read_text("utf-8")) for file in (PROMETHEUS, PROMETHEUS.with_name("prometheus.yml"))
    )
    jobs = {one["job_name"]: one["dns_sd_configs"][0] for one in config["scrape_configs"]}
    assert list(jobs) == [one["job_name"] for one in alone["scrape_configs"]]
    assert [one["names"] for one in jobs.values()] == [["worker"], ["projector"], ["desk"]]
    for found in jobs.values():
        (name,) = found["names"]
        assert str(found["port"]) == SERVICES[name]["environment"]["LIANDONG_METRICS_PORT"]
    ports = [one["static_configs"][0]["targets"][0].rpartition(":")[2] for one in alone["scrape_configs"]]
    assert ports == [str(Settings().metrics_port_of(name)) for name in ("worker", "projector", "desk")]
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


def started(name: str, broker: RunningBroker, log: Path, **others: str) -> subprocess.Popen[bytes]:
    """A service's command with its environment, the image's own variables below it; only addresses are others."""
    image = dict(re.findall(r"\b(LIANDONG_\w+)=(\S+)", DOCKERFILE))
    image |= {one: str(log.parent / one) for one in ("LIANDONG_DATA_DIR", "LIANDONG_CACHE_DIR", "LIANDONG_MODELS")}
    environment = image | OURS[name]["environment"] | {"KAFKA_BOOTSTRAP": broker.bootstrap}
    environment |= {"LIANDONG_METRICS_HOST": "127.0.0.1"} | others
    kept = {one: value for one, value in os.environ.items() if not one.startswith(("LIANDONG_", "KAFKA_"))}
    with log.open("wb") as sink:
        return subprocess.Popen(
            [sys.executable, "-m", "streams.cli", *(LOOPBACK.get(one, one) for one in OURS[name]["command"])],
            env=kept | environment,
            stdout=sink,
            stderr=sink,
        )


def healthy(name: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the check that the container has passes, word for word, and the process says that it is ready."""
    _, program, *arguments = SERVICES[name]["healthcheck"]["test"]
    assert program == "python"
    deadline = time.monotonic() + 90
    while subprocess.run([sys.executable, *arguments], capture_output=True, check=False).returncode:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.5)
    while b"ready: " not in log.read_bytes():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.5)


@pytest.mark.timeout(200)
def test_the_topics_job_ends_and_then_the_worker_is_healthy(own_broker: RunningBroker, tmp_path: Path) -> None:
    job = started("topics", own_broker, tmp_path / "topics.log")
    assert job.wait(timeout=90) == 0, (tmp_path / "topics.log").read_text()
    worker = started("worker", own_broker, tmp_path / "worker.log")
    try:
        healthy("worker", worker, tmp_path / "worker.log")
        with urllib.request.urlopen("http://127.0.0.1:9108/metrics", timeout=10) as page:
            assert b"liandong_build_info" in page.read()
    finally:
        worker.terminate()
    assert worker.wait(timeout=int(SERVICES["worker"]["stop_grace_period"].rstrip("s"))) == 0


@pytest.mark.timeout(200)
def test_the_projector_is_healthy_and_then_the_desk(
    own_broker: RunningBroker, postgres: PostgreSQL, tmp_path: Path
) -> None:
    assert started("topics", own_broker, tmp_path / "topics.log").wait(timeout=90) == 0
    secret = tmp_path / "postgres_password"
    secret.write_text("any: this server trusts loopback\n")
    told = OURS["desk"]["environment"]
    assert told["LIANDONG_DATABASE_PASSWORD_FILE"] == f"/run/secrets/{secret.name}"
    assert SERVICES["postgres"]["environment"]["POSTGRES_PASSWORD_FILE"] == told["LIANDONG_DATABASE_PASSWORD_FILE"]
    url = postgres.url("containers")
    assert told["LIANDONG_DATABASE"].replace("@postgres:5432/liandong", "") == url.split("@")[0]
    others = {"LIANDONG_DATABASE": url, "LIANDONG_DATABASE_PASSWORD_FILE": str(secret)}
    for name, page in (("projector", "http://127.0.0.1:9108/metrics"), ("desk", "http://127.0.0.1:8080/cases")):
        log = tmp_path / f"{name}.log"
        process = started(name, own_broker, log, **others)
        try:
            healthy(name, process, log)
            with urllib.request.urlopen(page, timeout=10) as answer:  # noqa: S310 - our own
                assert answer.status == 200
        finally:
            process.terminate()
        # Not together: both show their metrics at the same port, each in a container of its own.
        assert process.wait(timeout=30) == 0, log.read_text()
