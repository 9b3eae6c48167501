"""The image's recipe and the Compose file hold together: every path, command, setting, profile and pin is there.

No container engine is asked: `infrastructure/docker/check.sh` builds the image and runs its root.
"""

from __future__ import annotations

import fnmatch
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from bessai.cli.app import MODULES
from bessai.core.environment import load_settings
from bessai.core.settings import Settings
from bessai.interfaces.schedule import load_schedule
from bessai.registry import load_profile
from support.gateway import typed

REPOSITORY = Path(__file__).parents[2]
DOCKER = REPOSITORY / "infrastructure" / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((DOCKER / "docker-compose.yml").read_text(encoding="utf-8"))
OVERRIDE = yaml.safe_load((DOCKER / "compose.override.example.yml").read_text(encoding="utf-8"))
SERVICES: Mapping[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name for name, service in SERVICES.items() if "build" in service}
PINNED = re.compile(r"\S+:[\w.-]+@sha256:[0-9a-f]{64}$")
SETTINGS = {name.upper() for name in Settings.model_fields}
each_service = pytest.mark.parametrize("name", SERVICES)


def _run(tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A checker of the development environment."""
    found = shutil.which(tool, path=str(Path(sys.executable).parent)) or shutil.which(tool)
    if found is None:
        pytest.skip(f"{tool} is not installed (dependency group `checks`)")
    return subprocess.run(
        [found, *arguments], capture_output=True, text=True, timeout=60, check=False, cwd=REPOSITORY
    )


def _instructions() -> list[tuple[str, str]]:
    """Of the Dockerfile, without comments and with continued lines joined."""
    text = "\n".join(line for line in DOCKERFILE.splitlines() if not line.lstrip().startswith("#"))
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines) if rest]


def _ignored(path: str) -> bool:
    """Whether .dockerignore keeps a path out of the build; its last pattern that fits counts."""
    out = False
    for pattern in (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if pattern and not pattern.startswith("#"):
            bare = pattern.removeprefix("!")
            parents = [path, *(str(parent) for parent in Path(path).parents)]
            if any(
                fnmatch.fnmatch(one, bare) or fnmatch.fnmatch(f"/{one}", bare.replace("**/", "*/"))
                for one in parents[:-1]
            ):
                out = not pattern.startswith("!")
    return out


# the image -------------------------------------------------------------------------------------------------


def test_hadolint_finds_nothing() -> None:
    done = _run("hadolint", str(DOCKER / "Dockerfile"))
    assert done.returncode == 0, done.stdout


def test_what_is_copied_is_there_and_not_ignored() -> None:
    copied = [
        source
        for word, rest in _instructions()
        if word == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    ]
    assert {"src", "ui", "registry", "requirements.txt"} <= set(copied)
    for source in copied:
        assert (REPOSITORY / source).exists(), source
        assert not _ignored(source), f".dockerignore keeps {source} out"


@pytest.mark.parametrize(
    "path",
    ["config/.env", ".git", ".venv", "ui/node_modules", "tests", "src/bessai/__pycache__", "infrastructure", "data"],
)  # fmt: skip
def test_what_must_not_be_in_the_image_is_ignored(path: str) -> None:
    assert _ignored(path)


def test_the_base_is_pinned_and_every_stage_stands_on_it() -> None:
    given = dict(rest.split("=", 1) for word, rest in _instructions() if word == "ARG" and "=" in rest)
    assert PINNED.match(given["PYTHON_IMAGE"])
    bases = [
        rest.removeprefix("--platform=$BUILDPLATFORM ") for word, rest in _instructions() if word == "FROM"
    ]
    assert [base.split()[0] for base in bases] == ["${PYTHON_IMAGE}"] * 3


def test_what_the_image_runs() -> None:
    last = _instructions()[max(i for i, (word, _) in enumerate(_instructions()) if word == "FROM") :]
    said = {word: rest for word, rest in last if word not in {"RUN", "COPY", "LABEL", "ARG"}}
    user, group = (int(number) for number in said["USER"].split(":"))
    assert user >= 10000
    assert group >= 10000
    assert json.loads(said["ENTRYPOINT"]) == ["bessai"]
    (command,) = json.loads(said["CMD"])
    check = json.loads(said["HEALTHCHECK"].partition("CMD ")[2])
    assert check[0] == "bessai"
    assert {command, check[1]} <= set(MODULES)
    assert typed(*check[1:], "--help").returncode == 0
    (volume,) = json.loads(said["VOLUME"])
    assert f"DATA_DIR={volume}" in said["ENV"]
    assert said["STOPSIGNAL"] == "SIGTERM"


def test_labels_tell_the_licence_and_the_source() -> None:
    (labels,) = (rest for word, rest in _instructions() if word == "LABEL")
    told = dict(re.findall(r'org\.opencontainers\.image\.([\w.]+)="([^"]*)"', labels))
    assert told["licenses"] == "Apache-2.0"
    assert {"title", "description", "source", "documentation", "version", "revision", "base.name"} <= set(
        told
    )


# compose ---------------------------------------------------------------------------------------------------


def test_the_files_fit_the_schema_of_compose() -> None:
    files = [str(DOCKER / name) for name in ("docker-compose.yml", "compose.override.example.yml")]
    done = _run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", *files)
    assert done.returncode == 0, done.stdout


def test_profiles() -> None:
    profiles: dict[str, set[str]] = {}
    for name, service in SERVICES.items():
        for profile in service["profiles"]:
            profiles.setdefault(profile, set()).add(name)
    assert profiles == {
        "gateway": {"gateway"},
        "simulator": {"plant", "simulated-gateway"},
        "monitoring": {"otel-collector", "prometheus", "grafana"},
        "emulator": {"pubsub-emulator", "emulator-topic"},
    }
    assert "COMPOSE_PROFILES=gateway" in (DOCKER / ".env").read_text(encoding="utf-8").splitlines()
    for name, service in SERVICES.items():
        for needed in service.get("depends_on", ()):
            assert set(service["profiles"]) <= set(SERVICES[needed]["profiles"]), f"{name} needs {needed}"


def test_every_variable_has_a_value_without_any_setting() -> None:
    text = (DOCKER / "docker-compose.yml").read_text(encoding="utf-8")
    used = re.findall(r"(?<!\$)\$\{(\w+)(:-)?", text)
    assert used
    assert [name for name, default in used if not default] == []
    handed = {
        line.partition("=")[0]
        for line in (DOCKER / "emulator.env").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    }
    assert handed <= {name for name, _ in used}


@each_service
def test_what_is_mounted_exists(name: str) -> None:
    service = SERVICES[name]
    for volume in service.get("volumes", ()):
        source, _, rest = volume.partition(":")
        if source.startswith("."):
            assert (DOCKER / source).resolve().exists(), volume
            assert rest.endswith(":ro"), volume
        else:
            assert source in COMPOSE["volumes"], volume
    for network in service["networks"]:
        assert network in COMPOSE["networks"]
    if "build" in service:
        context = (DOCKER / service["build"]["context"]).resolve()
        assert context == REPOSITORY
        assert (context / service["build"]["dockerfile"]).is_file()
    for file in service.get("env_file", ()):
        assert (DOCKER / file["path"]).resolve() == REPOSITORY / "config" / ".env"
        assert file["required"] is False, "the gateway says itself what is missing"


@each_service
def test_no_service_has_what_it_does_not_need(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "mem_limit" in service
    assert service["logging"]["options"]["max-size"]
    assert service["restart"] in {"unless-stopped", "no"}
    assert not {"privileged", "cap_add", "network_mode", "pid", "ipc", "userns_mode"} & set(service)
    for port in service.get("ports", ()):
        assert port.startswith("127.0.0.1:"), port
    for volume in service.get("volumes", ()):
        assert "docker.sock" not in volume


@each_service
def test_images_are_pinned(name: str) -> None:
    image = SERVICES[name]["image"]
    assert name in OURS or PINNED.match(image), image


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"otel-collector", "emulator-topic"}))
def test_each_server_tells_its_health(name: str) -> None:
    """The collector's image has nothing that could ask it; the topic is made once."""
    assert name in {"gateway", "simulated-gateway"} or SERVICES[name]["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", ["gateway", "simulated-gateway"])
def test_gateways_are_given_settings_that_exist(name: str) -> None:
    assert set(SERVICES[name]["environment"]) <= SETTINGS


def test_the_simulator_needs_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plant, gateway = SERVICES["plant"], SERVICES["simulated-gateway"]
    assert "env_file" not in gateway
    mounted = dict(reversed(volume.split(":")[:2]) for volume in gateway["volumes"])
    environment = {
        name: re.sub(r"\$\{\w+:-(.*)\}", r"\1", value) for name, value in gateway["environment"].items()
    }
    schedule = DOCKER / mounted[environment["SCHEDULE_FILE"]]
    assert environment["DATA_DIR"] in mounted
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = load_settings(tmp_path / "none")
    load_profile(settings.driver_profile_path)
    load_schedule(schedule)
    command = plant["command"]
    assert settings.driver_profile_path == command[command.index("--profile") + 1]
    assert settings.inverter_ip == "plant"
    assert str(settings.inverter_port) == command[command.index("--port") + 1]
    assert set(plant["networks"]) & set(gateway["networks"])
    assert gateway["ports"] == [f"127.0.0.1:8080:{settings.http_port}"]
    assert settings.http_setup_host == settings.http_host == "0.0.0.0"
    told = typed("simulate", "--help", COLUMNS="200").stdout
    assert [option for option in command if option.startswith("--") and option not in told] == []


def test_the_example_of_an_override_fits() -> None:
    assert set(OVERRIDE["services"]) <= set(SERVICES)
    assert set(OVERRIDE["networks"]) <= set(COMPOSE["networks"])
    gateway = OVERRIDE["services"]["gateway"]
    assert set(gateway["environment"]) <= SETTINGS
    for secret in gateway["secrets"]:
        assert secret in OVERRIDE["secrets"]
        assert f"/run/secrets/{secret}" in gateway["environment"].values()


def test_prometheus_asks_where_the_collector_answers() -> None:
    scraped = yaml.safe_load((DOCKER / "monitoring" / "prometheus.yml").read_text(encoding="utf-8"))
    (job,) = (job for job in scraped["scrape_configs"] if job["job_name"] == "otel-collector")
    ((target,),) = (static["targets"] for static in job["static_configs"])
    host, _, port = target.partition(":")
    assert host in SERVICES
    collector = yaml.safe_load((DOCKER / "../otel/collector.yaml").read_text(encoding="utf-8"))
    assert collector["exporters"]["prometheus"]["endpoint"].endswith(f":{port}")
    default = Settings.model_fields["otel_exporter_otlp_endpoint"].default
    assert default == f"http://{host}:4317"
    assert collector["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"].endswith(":4317")


# the emulator's topic --------------------------------------------------------------------------------------


@pytest.fixture
def emulator() -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """Takes what is put, and refuses what is there already, as the emulator does."""
    taken: list[tuple[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(409 if (self.path, body) in taken else 200)
            taken.append((self.path, body))
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}", taken
        server.shutdown()
        thread.join()


def test_the_topic_is_made_and_may_be_there(emulator: tuple[str, list[tuple[str, Any]]]) -> None:
    address, taken = emulator
    script = DOCKER / "emulator" / "topic.py"
    environment = {"PUBSUB_EMULATOR_HOST": address, "GCP_PROJECT_ID": "p", "GCP_PUBSUB_TOPIC": "t"}
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=60, check=False
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    subscription = {"topic": "projects/p/topics/t", "enableMessageOrdering": True}
    assert taken[:2] == [
        ("/v1/projects/p/topics/t", {}),
        ("/v1/projects/p/subscriptions/local", subscription),
    ]
