"""The Kubernetes manifests: forms, commands and settings that exist, probes, budgets, and a stop that drains."""

import re
import shutil
import subprocess

import pytest
import typer

from cli.main import COMMANDS, app
from cli.setting_rows import setting_rows
from domain.settings import load_settings
from tests.compose import strictly
from tests.deploy import DEPLOY

FOLDER = DEPLOY / "kubernetes"
OBJECTS = {
    (part["kind"], part["metadata"]["name"]): part
    for file in sorted(FOLDER.glob("*.yaml"))
    if file.name != "kustomization.yaml"
    for part in strictly(file.read_text())
}
COMING = [name for name in ("admin", "jobs") if name not in COMMANDS]
COMING_PREFIXES = tuple(f"{name.upper()}_" for name in COMING)
SETTINGS = {row.name for row in setting_rows(load_settings())}
CONFIG = OBJECTS["ConfigMap", "settings"]["data"]


def template_of(part):
    spec = part["spec"]
    return (spec["jobTemplate"]["spec"] if part["kind"] == "CronJob" else spec)["template"]


PODS = {
    name: template_of(part)
    for (kind, name), part in OBJECTS.items()
    if kind in {"StatefulSet", "Deployment", "Job", "CronJob"}
}
SERVED = ("gateway", "portal", "admin", "jobs")


def container_of(name):
    (container,) = PODS[name]["spec"]["containers"]
    return container


def test_everything_is_in_the_kustomization():
    (made,) = strictly((FOLDER / "kustomization.yaml").read_text())
    files = {file.name for file in FOLDER.glob("*.yaml")} - {"kustomization.yaml", "secret.example.yaml"}
    assert set(made["resources"]) == files
    assert set(PODS) == {*SERVED, "migrate", "backup"}


@pytest.mark.parametrize("name", sorted(set(PODS) - set(COMING)))
def test_every_command_exists(name):
    first, *rest = container_of(name)["args"]
    typer.main.get_command(app).get_command(None, first).make_context(first, rest)


def test_every_variable_is_a_setting_and_none_stands_twice():
    secret = OBJECTS["Secret", "secrets"]["stringData"]
    own = {each["name"] for name in PODS for each in container_of(name).get("env", [])}
    names = [*CONFIG, *secret, *own]
    assert len(set(names)) == len(names)
    assert [name for name in names if name not in SETTINGS and not name.startswith(COMING_PREFIXES)] == []


def test_the_settings_are_valid(monkeypatch):
    for name, value in CONFIG.items():
        assert isinstance(value, str)
        monkeypatch.setenv(name, value)
    load_settings()


@pytest.mark.parametrize("name", sorted(PODS))
def test_no_pod_may_gain_rights_write_to_its_root_or_be_told_settings_by_the_cluster(name):
    spec, container = PODS[name]["spec"], container_of(name)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 10001
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert spec["automountServiceAccountToken"] is False
    # A Service named `gateway` would else become GATEWAY_PORT=tcp://..., which is a setting of ours.
    assert spec["enableServiceLinks"] is False
    assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]
    declared = {volume["name"] for volume in spec.get("volumes", [])} | {"state"}
    assert {mount["name"] for mount in container["volumeMounts"]} <= declared


@pytest.mark.parametrize("name", SERVED)
def test_every_server_is_probed_at_its_own_port_for_being_alive(name):
    container = container_of(name)
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = container[probe]["httpGet"]
        assert asked["path"] == "/health"  # decision 3: /ready is not for balancing
        if name not in COMING:
            assert ports[asked["port"]] == load_settings().concerns()[name].port
        if name == "gateway":
            (host,) = [header["value"] for header in asked["httpHeaders"] if header["name"] == "Host"]
            assert host in CONFIG["GATEWAY_ALLOWED_HOSTS"].split(",")


def test_a_gateway_drains_before_it_is_killed():
    spec, container = PODS["gateway"]["spec"], container_of("gateway")
    command, seconds = container["lifecycle"]["preStop"]["exec"]["command"]
    assert command == "sleep"
    drained = int(seconds) + int(CONFIG["GATEWAY_SHUTDOWN_SECONDS"]) + 1 + 5
    assert spec["terminationGracePeriodSeconds"] > drained


def test_a_gateway_finds_its_journals_again():
    part = OBJECTS["StatefulSet", "gateway"]
    (claim,) = part["spec"]["volumeClaimTemplates"]
    (state,) = [
        mount for mount in container_of("gateway")["volumeMounts"] if mount["name"] == claim["metadata"]["name"]
    ]
    assert {"name": "GATEWAY_STATE_DIR", "value": state["mountPath"]} in container_of("gateway")["env"]
    assert part["spec"]["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    gigabytes = int(re.fullmatch(r"(\d+)Gi", claim["spec"]["resources"]["requests"]["storage"])[1])
    assert gigabytes * 1024 >= 2 * int(CONFIG["GATEWAY_WORKERS"]) * load_settings().journal.max_mb


@pytest.mark.parametrize("name", [name for name in SERVED if name != "admin"])
def test_what_runs_more_than_once_is_not_evicted_all_at_once(name):
    budget = OBJECTS["PodDisruptionBudget", name]["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["selector"]["matchLabels"] == PODS[name]["metadata"]["labels"]


def test_backups_do_not_fill_their_claim():
    assert container_of("backup")["args"][-2] == "--keep-days"
    (claim,) = PODS["backup"]["spec"]["volumes"][:1]
    assert ("PersistentVolumeClaim", claim["persistentVolumeClaim"]["claimName"]) in OBJECTS


def test_services_and_policies_select_pods_and_ports_that_exist():
    for (kind, name), part in OBJECTS.items():
        if kind == "Service":
            app_name = part["spec"]["selector"]["app"]
            named = {port["name"] for port in container_of(app_name)["ports"]}
            assert {port["targetPort"] for port in part["spec"]["ports"]} <= named, name
        if kind == "NetworkPolicy":
            numbers = {port["containerPort"] for port in container_of(name)["ports"]}
            for rule in part["spec"]["ingress"]:
                assert {port["port"] for port in rule["ports"]} <= numbers, name


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not here")
def test_kustomize_builds_them():
    made = subprocess.run(["kubectl", "kustomize", str(FOLDER)], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    built = strictly(made.stdout)
    assert len(built) == len(OBJECTS) - 1  # all but the secret
    assert {part["metadata"].get("namespace") for part in built if part["kind"] != "Namespace"} == {"paid-endpoint"}
