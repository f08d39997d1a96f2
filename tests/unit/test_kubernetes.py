"""Manifests: valid by Kubernetes' own schemas, of one mind with the catalogue, without rights they do not need."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from connectors.kubernetes import FILES, PARTITIONS, REPLICAS
from connectors.settings import Settings
from connectors.store.projection import TARGETS
from connectors.topics import STAGES, TOPICS
from connectors.variables import VARIABLES
from models.policy import PolicyHistory
from streams import wiring
from tests.data import ROOT
from tests.response import POLICY

FOLDER = ROOT / "deploy" / "kubernetes"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text("utf-8"))
DOCUMENTS: list[dict[str, Any]] = [
    one for name in KUSTOMIZATION["resources"] for one in yaml.safe_load_all((FOLDER / name).read_text("utf-8"))
]
STRIMZI = "kafka.strimzi.io/v1beta2"
OPERATORS = (STRIMZI, "postgresql.cnpg.io/v1")  # their kinds are not Kubernetes' own
PROCESSES = ("worker", "projector", "desk")
every_process = pytest.mark.parametrize("process", PROCESSES)
VERSION = "1.33"


def named(kind: str, name: str) -> dict[str, Any]:
    (found,) = [one for one in DOCUMENTS if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    return found


def id_of(one: dict[str, Any]) -> str:
    return f"{one['kind']}/{one['metadata']['name']}"


def test_every_file_is_a_resource() -> None:
    files = {file.name for file in FOLDER.iterdir()} - {"kustomization.yaml"}
    assert files == set(KUSTOMIZATION["resources"])
    assert len({id_of(one) for one in DOCUMENTS}) == len(DOCUMENTS)


@pytest.mark.parametrize("one", [one for one in DOCUMENTS if one["apiVersion"] not in OPERATORS], ids=id_of)
def test_it_is_valid_by_the_schemas_of_kubernetes(one: dict[str, Any]) -> None:
    kubernetes_validate.validate(one, VERSION, strict=True)


def test_a_wrong_manifest_would_be_found() -> None:
    wrong = named("Deployment", "liandong-worker") | {"spec": {"replicas": "three"}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSION, strict=True)


def test_topics_are_those_of_the_catalogue_and_of_the_states(capsys: pytest.CaptureFixture[str]) -> None:
    assert FILES.main(["--check"]) == 0, capsys.readouterr().out
    assert tuple(one.name for one in wiring.build_stages(PolicyHistory(POLICY), Settings())) == STAGES
    topics = {one["metadata"]["name"]: one["spec"] for one in DOCUMENTS if one["kind"] == "KafkaTopic"}
    states = {one.name for one in wiring.changelog_topics(Settings())}
    assert topics.keys() == TOPICS.keys() | states
    for name, spec in topics.items():
        assert re.fullmatch(r"[a-z0-9.-]+", name)
        assert (spec["partitions"], spec["replicas"]) == (PARTITIONS, REPLICAS)
    for name, spec in TOPICS.items():
        assert topics[name]["config"] == spec.configs


def container(process: str) -> dict[str, Any]:
    (found,) = named("Deployment", f"liandong-{process}")["spec"]["template"]["spec"]["containers"]
    return found  # type: ignore[no-any-return]


def environment_of(process: str) -> dict[str, str]:
    return {one["name"]: one["value"] for one in container(process)["env"]}


@every_process
def test_a_process_is_told_what_it_understands_and_its_files_are_there(process: str) -> None:
    environment = environment_of(process)
    assert environment.keys() <= {one.name for one in VARIABLES}
    mounts = {one["mountPath"] for one in container(process)["volumeMounts"]}
    files = {name: value for name, value in environment.items() if name.endswith("FILE")}
    assert files
    for value in files.values():
        assert value.rpartition("/")[0] in mounts


def test_processes_are_told_what_the_cluster_is() -> None:
    worker = environment_of("worker")
    assert int(worker["LIANDONG_PARTITIONS"]) == PARTITIONS
    assert int(worker["LIANDONG_REPLICATION"]) == REPLICAS
    (listener,) = named("Kafka", "liandong")["spec"]["kafka"]["listeners"]
    for process in ("worker", "projector"):
        assert environment_of(process)["KAFKA_BOOTSTRAP"] == f"liandong-kafka-bootstrap:{listener['port']}"
    assert named("KafkaNodePool", "pool")["spec"]["replicas"] >= REPLICAS
    database = named("Cluster", "liandong-database")["spec"]["bootstrap"]["initdb"]
    for process in ("projector", "desk"):
        address = f"postgresql://{database['owner']}@liandong-database-rw:5432/{database['database']}"
        assert environment_of(process)["LIANDONG_DATABASE"] == address
    assert not any(name.startswith("KAFKA_") for name in environment_of("desk"))


@every_process
def test_names_that_refer_to_others_have_them(process: str) -> None:
    name = f"liandong-{process}"
    spec = named("Deployment", name)["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"] == labels
    if process != "projector":  # of which there is one
        assert named("PodDisruptionBudget", name)["spec"]["selector"]["matchLabels"] == labels
    assert named("NetworkPolicy", name)["spec"]["podSelector"]["matchLabels"] == labels
    pod = spec["template"]["spec"]
    named("ServiceAccount", pod["serviceAccountName"])
    volumes = {one["name"]: one for one in pod["volumes"]}
    assert {one["name"] for one in container(process)["volumeMounts"]} == volumes.keys()
    if "models" in volumes:
        named("PersistentVolumeClaim", volumes["models"]["persistentVolumeClaim"]["claimName"])
    if "user" in volumes:
        assert volumes["user"]["secret"]["secretName"] == name
        named("KafkaUser", name)
    if "database" in volumes:
        secret = volumes["database"]["secret"]["secretName"]
        named("Cluster", secret.removesuffix("-app"))
    ports = {one["name"]: one["containerPort"] for one in container(process)["ports"]}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container(process)[probe]["httpGet"]["port"] in ports
    speaks = {port["port"] for one in named("NetworkPolicy", name)["spec"]["egress"] for port in one["ports"]}
    assert speaks == {53} | ({9093} if "user" in volumes else set()) | ({5432} if "database" in volumes else set())
    heard = {port["port"] for one in named("NetworkPolicy", name)["spec"]["ingress"] for port in one["ports"]}
    assert heard == set(ports.values())


def test_the_desk_is_found_by_its_service() -> None:
    service = named("Service", "liandong-desk")["spec"]
    assert service["selector"] == named("Deployment", "liandong-desk")["spec"]["selector"]["matchLabels"]
    assert {one["targetPort"] for one in service["ports"]} <= {one["name"] for one in container("desk")["ports"]}


def test_prometheus_finds_every_process_by_the_names_that_alerts_ask_for(tmp_path: Path) -> None:
    folder = ROOT / "deploy" / "prometheus"
    config, alone = (
        yaml.safe_load((folder / f"{name}.yml").read_text("utf-8")) for name in ("kubernetes", "prometheus")
    )
    assert [one["job_name"] for one in config["scrape_configs"]] == [one["job_name"] for one in alone["scrape_configs"]]
    for job, process in zip(config["scrape_configs"], PROCESSES, strict=True):
        (looked,) = job["kubernetes_sd_configs"]
        assert looked["namespaces"]["names"] == [named("Namespace", "liandong")["metadata"]["name"]]
        kept = {one["source_labels"][0]: one["regex"] for one in job["relabel_configs"] if one.get("action") == "keep"}
        labels = named("Deployment", f"liandong-{process}")["spec"]["template"]["metadata"]["labels"]
        assert kept["__meta_kubernetes_pod_label_app"] == labels["app"]
        assert kept["__meta_kubernetes_pod_container_port_name"] in {one["name"] for one in container(process)["ports"]}
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    for job in config["scrape_configs"]:  # Debian's promtool is built without Kubernetes: the rest it can judge
        del job["kubernetes_sd_configs"]
        job["static_configs"] = [{"targets": ["pod:9108"]}]
    for rules in ("recording.yml", "alerts.yml"):
        shutil.copy(folder / rules, tmp_path)
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    run = subprocess.run(
        [promtool, "check", "config", tmp_path / "prometheus.yml"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_workers_are_scaled_within_the_partitions() -> None:
    spec = named("Deployment", "liandong-worker")["spec"]
    scaler = named("HorizontalPodAutoscaler", "liandong-worker")["spec"]
    named(scaler["scaleTargetRef"]["kind"], scaler["scaleTargetRef"]["name"])
    assert scaler["minReplicas"] <= spec["replicas"] <= scaler["maxReplicas"] <= PARTITIONS


@every_process
def test_a_process_has_no_rights_that_it_does_not_need(process: str) -> None:
    pod = named("Deployment", f"liandong-{process}")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container(process)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_users_of_the_broker_have_no_more_rights_than_they_need() -> None:
    assert named("Namespace", "liandong")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    acls = named("KafkaUser", "operations-desk")["spec"]["authorization"]["acls"]
    written = {one["resource"]["name"] for one in acls if "Write" in one["operations"]}
    assert written == {"actions"}
    assert {one["resource"]["name"] for one in acls if one["resource"]["type"] == "topic"} <= TOPICS.keys()
    acls = named("KafkaUser", "liandong-projector")["spec"]["authorization"]["acls"]
    assert {one["resource"]["name"] for one in acls} == set(TARGETS)
    assert {right for one in acls for right in one["operations"]} == {"Describe", "Read"}
