"""Manifests: valid by Kubernetes' own schemas, of one mind with the catalogue, without rights they do not need."""

import re
from typing import Any

import kubernetes_validate
import pytest
import yaml

from connectors.kubernetes import FILES, PARTITIONS, REPLICAS
from connectors.settings import Settings
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


@pytest.mark.parametrize("one", [one for one in DOCUMENTS if one["apiVersion"] != STRIMZI], ids=id_of)
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


def container() -> dict[str, Any]:
    (found,) = named("Deployment", "liandong-worker")["spec"]["template"]["spec"]["containers"]
    return found  # type: ignore[no-any-return]


def test_the_worker_is_told_what_it_understands_and_what_the_cluster_is() -> None:
    environment = {one["name"]: one["value"] for one in container()["env"]}
    assert environment.keys() <= {one.name for one in VARIABLES}
    assert int(environment["LIANDONG_PARTITIONS"]) == PARTITIONS
    assert int(environment["LIANDONG_REPLICATION"]) == REPLICAS
    mounts = {one["mountPath"] for one in container()["volumeMounts"]}
    for name in ("KAFKA_SSL_CAFILE", "KAFKA_SSL_CERTFILE", "KAFKA_SSL_KEYFILE"):
        assert environment[name].rpartition("/")[0] in mounts
    (listener,) = named("Kafka", "liandong")["spec"]["kafka"]["listeners"]
    assert environment["KAFKA_BOOTSTRAP"] == f"liandong-kafka-bootstrap:{listener['port']}"
    assert named("KafkaNodePool", "pool")["spec"]["replicas"] >= REPLICAS


def test_names_that_refer_to_others_have_them() -> None:
    spec = named("Deployment", "liandong-worker")["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"] == labels
    assert named("PodDisruptionBudget", "liandong-worker")["spec"]["selector"]["matchLabels"] == labels
    assert named("NetworkPolicy", "liandong-worker")["spec"]["podSelector"]["matchLabels"] == labels
    pod = spec["template"]["spec"]
    named("ServiceAccount", pod["serviceAccountName"])
    volumes = {one["name"]: one for one in pod["volumes"]}
    assert {one["name"] for one in container()["volumeMounts"]} == volumes.keys()
    named("PersistentVolumeClaim", volumes["models"]["persistentVolumeClaim"]["claimName"])
    named("KafkaUser", volumes["user"]["secret"]["secretName"])
    ports = {one["name"]: one["containerPort"] for one in container()["ports"]}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container()[probe]["httpGet"]["port"] in ports
    scaler = named("HorizontalPodAutoscaler", "liandong-worker")["spec"]
    named(scaler["scaleTargetRef"]["kind"], scaler["scaleTargetRef"]["name"])
    assert scaler["minReplicas"] <= spec["replicas"] <= scaler["maxReplicas"] <= PARTITIONS
    egress = named("NetworkPolicy", "liandong-worker")["spec"]["egress"]
    assert 9093 in {port["port"] for one in egress for port in one["ports"]}


def test_the_worker_has_no_rights_that_it_does_not_need() -> None:
    pod = named("Deployment", "liandong-worker")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container()["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert named("Namespace", "liandong")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    acls = named("KafkaUser", "operations-desk")["spec"]["authorization"]["acls"]
    written = {one["resource"]["name"] for one in acls if "Write" in one["operations"]}
    assert written == {"actions"}
    assert {one["resource"]["name"] for one in acls if one["resource"]["type"] == "topic"} <= TOPICS.keys()
