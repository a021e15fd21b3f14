"""The manifests of Kubernetes, by kustomize, the schemas of Kubernetes and the models of KEDA's."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import kubernetes_validate
import psycopg
import pytest
import yaml
from cloudcoil.models.keda.v1alpha1 import ScaledObject, TriggerAuthentication

from pixelbloom import health
from tests.deploy import DEPLOY
from tests.deploy.places import containers, resources
from tests.integration.periodic import rows
from tests.programs import debian_program

FOLDER = DEPLOY / "kubernetes"
FOLDERS = (FOLDER, FOLDER / "migrate", FOLDER / "keda")
SECRET = FOLDER / "secret.example.yaml"
KEDA = {"ScaledObject": ScaledObject, "TriggerAuthentication": TriggerAuthentication}
#: The oldest release that the manifests are for, and the newest one that the validator knows.
RELEASES = ("1.29", kubernetes_validate.latest_version())


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one for one in resources() if one["kind"] == kind}


def built(folder: Path) -> list[dict[str, Any]]:
    """Return what kustomize makes of a folder."""
    program = debian_program("kubectl", "kubernetes-client")
    done = subprocess.run([program, "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return list(yaml.safe_load_all(done.stdout))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_kustomize_builds_the_folder_with_every_file_in_it(folder: Path) -> None:
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    assert {folder / name for name in listed} == {*folder.glob("*.yaml")} - {folder / "kustomization.yaml", SECRET}
    made = built(folder)
    assert len(made) == len(resources(*(folder / name for name in listed)))
    assert {one["metadata"].get("namespace", "pixelbloom") for one in made} == {"pixelbloom"}


@pytest.mark.parametrize("release", RELEASES)
def test_kubernetes_knows_every_field(release: str) -> None:
    for one in [*(one for folder in FOLDERS for one in built(folder)), *resources(SECRET)]:
        if one["kind"] not in KEDA:
            kubernetes_validate.validate(one, release, strict=True)


def test_keda_knows_every_field() -> None:
    found = [one for one in resources() if one["kind"] in KEDA]
    assert {one["kind"] for one in found} == set(KEDA)
    for one in found:
        read = KEDA[one["kind"]].model_validate(one)
        assert read.model_dump(mode="json", by_alias=True, exclude_none=True) == one  # nothing was ignored


def test_each_role_is_a_deployment_that_is_probed_by_its_name() -> None:
    found = {resource["metadata"]["name"]: container for resource, container in containers()}
    assert set(found) == {*health.ROLES, "exporter", "migrate"}
    for role in set(health.ROLES) - {"web"}:
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert found[role][probe]["exec"]["command"] == ["pixelbloom", "health", role]
    web = found["web"]
    assert web["startupProbe"]["httpGet"]["path"] == web["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert web["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_every_pod_is_confined_and_has_time_to_stop() -> None:
    for resource, container in containers():
        pod = resource["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert set(container["resources"]) == {"requests", "limits"}
    for role in ("web", "agents"):  # 15 s, and web's wait before it
        assert of_kind("Deployment")[role]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] >= 20


def test_every_reference_has_its_target() -> None:
    deployments, services = of_kind("Deployment"), of_kind("Service")
    secrets, maps = of_kind("Secret"), of_kind("ConfigMap")
    labels = {name: one["spec"]["template"]["metadata"]["labels"] for name, one in deployments.items()}
    for name, deployment in deployments.items():
        assert deployment["spec"]["selector"]["matchLabels"] == labels[name]
    for name, budget in of_kind("PodDisruptionBudget").items():
        assert budget["spec"]["selector"]["matchLabels"] == labels[name]
    for name, service in services.items():
        assert service["spec"]["selector"] == labels[name]
        [container] = deployments[name]["spec"]["template"]["spec"]["containers"]
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= {one["name"] for one in container["ports"]}
    for ingress in of_kind("Ingress").values():
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                assert path["backend"]["service"]["name"] in services
    for _, container in containers():
        for source in container.get("envFrom", []):
            for kind, names in (("configMapRef", maps), ("secretRef", secrets)):
                assert source.get(kind, {}).get("name", "pixelbloom") in names
        for variable in container.get("env", []):
            reference = variable["valueFrom"]["secretKeyRef"]
            assert reference["key"] in secrets[reference["name"]]["stringData"]
    for one in of_kind("TriggerAuthentication").values():
        for target in one["spec"]["secretTargetRef"]:
            assert target["key"] in secrets[target["name"]]["stringData"]


def test_nothing_sets_the_replicas_that_keda_sets() -> None:
    for one in of_kind("ScaledObject").values():
        target = of_kind("Deployment")[one["spec"]["scaleTargetRef"]["name"]]
        assert "replicas" not in target["spec"]
        for trigger in one["spec"]["triggers"]:
            assert trigger["authenticationRef"]["name"] in of_kind("TriggerAuthentication")


def test_the_backlog_of_keda_is_the_age_of_the_oldest_step_that_could_run(db: psycopg.Connection) -> None:
    [trigger] = of_kind("ScaledObject")["agents"]["spec"]["triggers"]
    query = trigger["metadata"]["query"]

    def age() -> int:
        row = db.execute(query).fetchone()
        assert row is not None
        assert isinstance(row[0], int)
        return row[0]

    def step(waited: float, **columns: object) -> None:
        at = datetime.now(UTC) - timedelta(seconds=waited)
        rows.step(db, **{"status": "pending", "ready": True, "available_at": at, **columns})

    now = datetime.now(UTC)
    db.execute("truncate public.runs cascade")
    assert age() == 0
    step(5000, status="running", published_at=now, lease_expires_at=now)  # a worker has it
    step(5000, ready=False)  # it waits for another step
    step(-3000)  # its time has not come
    assert age() == 0
    step(1000, published_at=now)  # at the broker
    assert 1000 <= age() < 2000
    step(9000)  # not admitted yet
    assert 9000 <= age() < 10_000
    db.execute("truncate public.runs cascade")
