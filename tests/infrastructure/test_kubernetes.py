"""The manifests are built by kubectl, and say what a gateway needs. Nothing is applied: there is no cluster."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from bessai.core.settings import Settings
from bessai.site import load_site

KUBERNETES = Path(__file__).parents[2] / "infrastructure" / "kubernetes"
OVERLAYS = sorted(path.name for path in (KUBERNETES / "overlays").iterdir())
SETTINGS = {name.upper() for name in Settings.model_fields}
each_overlay = pytest.mark.parametrize("overlay", OVERLAYS)


@cache
def _objects(directory: str, root: Path = KUBERNETES) -> list[dict[str, Any]]:
    """What kustomize makes of a directory."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    done = subprocess.run(
        [kubectl, "kustomize", str(root / directory)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def _one(overlay: str, kind: str, name: str = "") -> dict[str, Any]:
    (found,) = (
        one
        for one in _objects(f"overlays/{overlay}")
        if one["kind"] == kind and (not name or one["metadata"]["name"].startswith(name))
    )
    return found


@each_overlay
def test_every_object_is_in_the_namespace_of_its_overlay(overlay: str) -> None:
    namespace = _one(overlay, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    names = set()
    for one in _objects(f"overlays/{overlay}"):
        assert one["kind"] == "Namespace" or one["metadata"]["namespace"] == namespace["metadata"]["name"]
        names.add((one["kind"], one["metadata"]["name"]))
    assert len(names) == len(_objects(f"overlays/{overlay}"))


@each_overlay
def test_pods_are_restricted(overlay: str) -> None:
    pods = [one["spec"]["template"]["spec"] for one in _objects(f"overlays/{overlay}")
            if one["kind"] in {"StatefulSet", "Deployment"}]  # fmt: skip
    assert pods
    for pod in pods:
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001, "the image's own"
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["image"].startswith("ghcr.io/open-bess-edge/open-bess-edge")
            for mount in container["volumeMounts"]:
                claims = _claims(overlay) if container["name"] == "gateway" else set()
                assert mount["name"] in {volume["name"] for volume in pod["volumes"]} | claims


def _claims(overlay: str) -> set[str]:
    return {
        claim["metadata"]["name"] for claim in _one(overlay, "StatefulSet")["spec"]["volumeClaimTemplates"]
    }


@each_overlay
def test_there_is_one_gateway_and_it_is_not_throttled(overlay: str) -> None:
    spec = _one(overlay, "StatefulSet")["spec"]
    assert spec["replicas"] == 1
    (gateway,) = spec["template"]["spec"]["containers"]
    assert gateway["resources"]["requests"] == gateway["resources"]["limits"]
    assert gateway["resources"]["limits"]["cpu"].isdigit(), "whole CPUs"
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert gateway[probe]["exec"]["command"] == ["bessai", "health"]
    mounts = {mount["mountPath"]: mount["name"] for mount in gateway["volumeMounts"]}
    (data,) = (entry["value"] for entry in gateway["env"] if entry["name"] == "DATA_DIR")
    assert mounts[data] in _claims(overlay)
    for claim in spec["volumeClaimTemplates"]:
        assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    labels = spec["template"]["metadata"]["labels"]
    for kind, selector in (("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")):
        found = _one(overlay, kind, "bessai-gateway")["spec"]
        assert found[selector]["matchLabels"].items() <= labels.items()
    assert _one(overlay, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 0
    assert _one(overlay, "Service", "bessai-gateway")["spec"]["selector"].items() <= labels.items()


@each_overlay
def test_the_network_is_closed_but_for_what_is_named(overlay: str) -> None:
    policy = _one(overlay, "NetworkPolicy", "bessai-gateway")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    for rule in policy["ingress"]:
        assert rule["from"]
        assert rule["ports"] == [{"port": "page", "protocol": "TCP"}]
    ports = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    assert 53 in ports
    assert all(rule["to"] and rule["ports"] for rule in policy["egress"])
    assert ports & {502, 5020}, "the devices"


@each_overlay
def test_settings_exist_and_hold_no_secret(overlay: str) -> None:
    gateway = _one(overlay, "StatefulSet")["spec"]["template"]["spec"]["containers"][0]
    (source,) = gateway["envFrom"]
    settings = _one(overlay, "ConfigMap", "bessai-settings")
    assert source["configMapRef"]["name"] == settings["metadata"]["name"]
    assert {"SITE_ID", "HTTP_HOST"} <= set(settings["data"]) <= SETTINGS
    assert not [name for name in settings["data"] if name.endswith(("PASSWORD", "TOKEN", "SECRET"))]
    assert not [one for one in _objects(f"overlays/{overlay}") if one["kind"] == "Secret"]


def test_the_simulated_gateway_finds_its_plant() -> None:
    settings = _one("simulator", "ConfigMap", "bessai-settings")["data"]
    service = _one("simulator", "Service", "plant")
    plant = _one("simulator", "Deployment")["spec"]["template"]
    assert settings["INVERTER_IP"] == service["metadata"]["name"]
    assert int(settings["INVERTER_PORT"]) == service["spec"]["ports"][0]["port"]
    assert service["spec"]["selector"].items() <= plant["metadata"]["labels"].items()
    command = plant["spec"]["containers"][0]["args"]
    assert command[command.index("--port") + 1] == settings["INVERTER_PORT"]
    assert command[command.index("--profile") + 1] == settings["DRIVER_PROFILE_PATH"]


def test_the_site_of_the_fleet_can_be_loaded(tmp_path: Path) -> None:
    settings = _one("fleet-site", "ConfigMap", "bessai-settings")["data"]
    files = _one("fleet-site", "ConfigMap", "bessai-files")
    pod = _one("fleet-site", "StatefulSet")["spec"]["template"]["spec"]
    (volume,) = (one for one in pod["volumes"] if one["name"] == "files")
    assert volume["configMap"]["name"] == files["metadata"]["name"]
    assert Path(settings["SITE_FILE"]).parent == Path("config")
    file = tmp_path / Path(settings["SITE_FILE"]).name
    file.write_text(files["data"][file.name], encoding="utf-8")
    site = load_site(file)
    assert site.name == settings["SITE_ID"]
    assert settings["CONTROL_MODE"] == "monitor", "looks first"


def test_the_service_monitor_asks_the_page() -> None:
    (monitor,) = yaml.safe_load_all(
        (KUBERNETES / "components" / "servicemonitor" / "servicemonitor.yaml").read_text(encoding="utf-8")
    )
    service = _one("fleet-site", "Service", "bessai-gateway")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    settings = _one("fleet-site", "ConfigMap", "bessai-settings")["data"]
    assert endpoint["tlsConfig"]["serverName"] == settings["HTTP_NAME"]
    assert "credentials" in endpoint["authorization"]


@pytest.mark.parametrize("replaced", [True, False])
def test_what_the_service_monitor_scrapes_is_labelled_as_the_rules_need_it(
    tmp_path: Path, *, replaced: bool
) -> None:
    copied = tmp_path / "kubernetes"
    shutil.copytree(KUBERNETES, copied)
    overlay = copied / "overlays" / "fleet-site" / "kustomization.yaml"
    text = overlay.read_text(encoding="utf-8").replace("\n# components:", "\ncomponents:")
    overlay.write_text(text if replaced else text.partition("replacements:")[0], encoding="utf-8")
    built = _objects("overlays/fleet-site", copied)
    (monitor,) = (one for one in built if one["kind"] == "ServiceMonitor")
    (settings,) = (one for one in built if one["metadata"]["name"].startswith("bessai-settings"))
    namespace = monitor["metadata"]["namespace"]
    # what the operator has set before it comes to `relabelings`
    labels = {"__meta_kubernetes_namespace": namespace, "job": "bessai-gateway", "namespace": namespace}
    (endpoint,) = monitor["spec"]["endpoints"]
    for rule in endpoint["relabelings"]:
        assert set(rule) <= {"sourceLabels", "targetLabel", "replacement"}, "only replaces, whatever it finds"
        found = ";".join(labels[name] for name in rule.get("sourceLabels", ()))
        labels[rule["targetLabel"]] = rule["replacement"].replace("$1", found)
    assert labels["site"] == (settings["data"]["SITE_ID"] if replaced else namespace)
    jobs = yaml.safe_load((KUBERNETES.parent / "prometheus/prometheus.yml").read_text(encoding="utf-8"))
    assert labels["job"] == jobs["scrape_configs"][0]["job_name"], "rules and dashboards look for it"
