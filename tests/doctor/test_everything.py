"""A real gateway with everything on: no secret comes out anywhere, no port is open that the page does not name.

One gateway for all of it: what it costs is its start.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import ssl
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bessai.cli.machine import with_people
from bessai.core.settings import Settings
from bessai.interfaces.api.roles import Role
from support.gateway import GatewayProcess, typed
from support.listening import family, listening
from support.seeded import Seeded
from support.twin_process import TwinProcess

HARMLESS = {
    "gcp_project_id", "gcp_pubsub_topic", "otel_service_name", "mqtt_username", "kafka_username", "nats_username",
    "mqtt_keepalive",
}  # fmt: skip
ELSEWHERE = {
    "KAFKA_PASSWORD": "KAFKA_PASSWORD_FILE", "MQTT_PASSWORD_FILE": "MQTT_PASSWORD", "NATS_PASSWORD": "NATS_TOKEN_FILE",
    "NATS_PASSWORD_FILE": "NATS_TOKEN_FILE", "NATS_TOKEN": "NATS_TOKEN_FILE",
    "NATS_CREDENTIALS_FILE": "NATS_TOKEN_FILE",
    "KAFKA_KEY_FILE": "MQTT_KEY_FILE", "NATS_KEY_FILE": "MQTT_KEY_FILE",
}  # fmt: skip
"""Settings that exclude another, or go the same way as one, which is seeded instead."""


class House:
    """What runs."""

    def __init__(self, seeded: Seeded, gateway: GatewayProcess) -> None:
        self.seeded, self.gateway = seeded, gateway
        self.said: dict[str, str] = {}
        """What each command printed."""

    def run(self, *arguments: str) -> str:
        done = typed(*arguments, **self.seeded.environment)
        self.said[" ".join(arguments)] = done.stdout + done.stderr
        return done.stdout

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str]:
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.seeded.ports["page"], timeout=20, context=context
        )
        connection.request(
            method,
            path,
            None if body is None else json.dumps(body),
            {"Content-Type": "application/json", **headers},
        )
        answer = connection.getresponse()
        said = answer.read().decode()
        connection.close()
        self.said[f"{method} {path}"] = f"{answer.headers}\n{said}"
        return answer.status, said


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("everything")
    with TwinProcess("huawei_sun2000") as twin:
        seeded = Seeded(folder / "settings", twin.port)
        data = folder / "data"
        seeded.environment["DATA_DIR"] = str(data)
        with GatewayProcess(data, **seeded.environment) as gateway:
            found = House(seeded, gateway)
            asyncio.run(gateway.until(lambda s: s["control"]["state"] == "normal", 120))
            asyncio.run(gateway.until(_all_failed, 120))
            _use(found)
            yield found


def _all_failed(status: dict[str, Any]) -> bool:
    """Every destination was tried and said why it is not reached; the page is up."""
    sinks = {s["name"]: s["last_error"] for s in status["service_plane"].get("sinks", [])}
    return status["page"]["running"] and all(
        sinks.get(name) for name in ("pubsub", "mqtt", "kafka", "nats", "otel")
    )


def _use(house: House) -> None:
    """People come and go: passwords right and wrong, a token, a wrong one."""
    seeds = house.seeded
    password, token = seeds.seed("a user's password"), ""

    async def people(identity: Any, _: Any) -> str:
        await identity.add_user("anabella", Role.ADMINISTRATOR, password)
        return str((await identity.make_token("anabella", "pc", Role.VIEWER, ["read"], 1))[1])

    token = with_people(house.gateway.data, people, action="user_added", target="anabella")
    seeds.seeds["a token"] = token
    for attempt in (password, seeds.seed("a wrong password")):
        house.ask("POST", "/api/v1/session", {"user": "anabella", "password": attempt})
        cookies = re.findall(r"(?i)set-cookie: [\w-]+=([^;]{20,})", house.said.pop("POST /api/v1/session"))
        seeds.seeds |= {f"session {i}": cookie for i, cookie in enumerate(cookies)}
    for path in ("configuration", "status", "system", "nowhere"):
        house.ask("GET", f"/api/v1/{path}", Authorization=f"Bearer {token}")
    house.ask("GET", "/api/v1/status", Authorization=f"Bearer {seeds.seed('a wrong token')}")
    house.run("maintenance", "on", "--user", "anabella", "--reason", "anabella looks at the fan")
    house.gateway.request(-1.0)
    house.run("blackbox", "freeze", "--reason", "test")


def test_every_setting_with_a_secret_is_seeded(house: House) -> None:
    """A new one must get a seed here, or a word on why it holds none."""
    looks = re.compile(
        r"password|token|secret|key|cred|url|endpoint|passphrase|webhook|header|notify_file", re.IGNORECASE
    )
    for name in Settings.model_fields:
        if looks.search(name) and name not in HARMLESS:
            setting = name.upper()
            given = house.seeded.environment.get(ELSEWHERE.get(setting, setting))
            assert given, f"{setting} looks like a secret, and nothing is seeded there"


def test_the_seeds_are_really_in_use(house: House) -> None:
    """Else finding none would mean nothing."""
    processes = [pid for pid in family(house.gateway.process.pid) if _environ(pid)]  # type: ignore[union-attr]
    inside = {name for pid in processes for name in house.seeded.found_in(_environ(pid))}
    assert {"MQTT_PASSWORD", "OTEL_EXPORTER_OTLP_ENDPOINT"} <= inside
    files = {name for _, name in house.seeded.found_under(house.seeded.folder)}
    assert {"KAFKA_PASSWORD_FILE", "NATS_TOKEN_FILE", "service account's key", "private_key_id"} <= files
    assert len(house.seeded.seeds) >= 12
    assert "session 0" in house.seeded.seeds


def _environ(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def test_no_command_prints_a_secret(house: House) -> None:
    data = ("--data-dir", str(house.gateway.data))
    for arguments in (
        ("status", "--json", *data), ("status", *data), ("config", "check"), ("config", "check", "--json"),
        ("explain", *data), ("explain", "--json", *data), ("alarms", "--json", *data), ("trips", *data),
        ("journal", "tail", *data), ("journal", "stats", "--json", *data), ("blackbox", "list", "--json", *data),
        ("user", "list", "--json", *data), ("token", "list", "--json", *data), ("audit", "show", "--json", *data),
        ("doctor", "--json", *data), ("doctor", "--lang", "es", *data),
    ):  # fmt: skip
        assert house.run(*arguments), arguments
    exported = house.seeded.folder.parent / "export.jsonl"
    house.run("journal", "export", "--format", "jsonl", "--output", str(exported), *data)
    house.said["the export"] = exported.read_text()
    for box in (house.gateway.data / "blackbox").glob("*.bbox"):
        house.run("blackbox", "show", str(box), "--json")
    leaks = {what: found for what, text in house.said.items() if (found := house.seeded.found_in(text))}
    assert not leaks


def test_no_log_line_holds_a_secret(house: House) -> None:
    log = house.gateway.log.read_text()
    for name in ("mqtt", "kafka", "nats", "pubsub", "otel"):
        assert name in log
    assert "debug" in log.lower()
    assert house.seeded.found_in(log) == []


def test_no_file_of_the_data_directory_holds_a_secret(house: House) -> None:
    assert house.seeded.found_under(house.gateway.data) == []
    assert (house.gateway.data / "identity.db").is_file()


def test_no_process_shows_a_secret_in_its_arguments(house: House) -> None:
    for pid in family(house.gateway.process.pid):  # type: ignore[union-attr]
        assert house.seeded.found_in(Path(f"/proc/{pid}/cmdline").read_bytes()) == []


def test_the_bundle_holds_no_secret_and_no_name(house: House, tmp_path: Path) -> None:
    path = tmp_path / "b.tar.gz"
    shown = house.run("support-bundle", "--show", "-o", str(path), "--log", str(house.gateway.log), "--data-dir", str(house.gateway.data))  # fmt: skip # noqa: E501
    assert "Not in it:" in shown
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    held = _content(path)
    assert set(held) >= {
        "MANIFEST.txt", "doctor.json", "status.json", "settings.json", "events.json", "alarms.json", "journal.json",
        "blackbox.json", "audit.json", "machine.txt", "packages.txt", "files/site.yaml", "log.txt",
    }  # fmt: skip
    for name, data in held.items():
        assert house.seeded.found_in(data) == [], name
        assert b"anabella" not in data, name
        assert b"setup?token=S" not in data
    (said,) = (e["message"] for e in json.loads(held["events.json"]) if e["code"] == "maintenance_on")
    sign = json.loads(held["status.json"])["maintenance"]["user"]
    assert re.fullmatch(r"user-[0-9a-f]{8}", sign)
    assert said == f"maintenance, switched on by {sign}: {sign} looks at the fan", "the same sign throughout"
    settings = {s["name"]: s["value"] for s in json.loads(held["settings.json"])["settings"]}
    assert settings["MQTT_PASSWORD"] == "••••"
    assert settings["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://••••@127.0.0.1:9"
    assert settings["KAFKA_PASSWORD_FILE"] == house.seeded.environment["KAFKA_PASSWORD_FILE"]


def _content(path: Path) -> dict[str, bytes]:
    held = {}
    with tarfile.open(path) as tar:
        for member in tar:
            file = tar.extractfile(member)
            assert file is not None
            assert member.mode == 0o600
            held[member.name.partition("/")[2]] = file.read()
    return held


def test_the_doctor_of_a_running_gateway(house: House) -> None:
    told = json.loads(house.run("doctor", "--json", "--data-dir", str(house.gateway.data)))
    checks = {check["name"]: check for check in told["checks"]}
    codes = {name: [finding["code"] for finding in check["findings"]] for name, check in checks.items()}
    assert codes["settings"] == ["ok_environment"]
    assert set(codes["devices"]) == {"problem", "gateway"}, "the meter behind a shut port, the inverter well"
    assert codes["ports"] == ["listening"] * 4
    assert "maintenance" in codes["running"]
    failing = {
        f["facts"]["name"] for f in checks["destinations"]["findings"] if f["code"] in {"failing", "dropping"}
    }
    assert {"pubsub", "mqtt", "kafka", "nats", "otel"} <= failing
    assert codes["mqtt"] == codes["kafka"] == codes["nats"] == ["unreachable"]
    assert codes["running_version"] == codes["disk_sync"] == codes["journal"] == ["ok"]
    assert not {"broke", "too_slow"} & {code for found in codes.values() for code in found}
    assert told["verdict"] == "bad"


def test_every_open_port_stands_in_the_page_and_every_one_of_the_page_is_open(house: House) -> None:
    pid = house.gateway.process.pid  # type: ignore[union-attr]
    page = (Path(__file__).parents[2] / "docs" / "network.md").read_text(encoding="utf-8")
    incoming = page.partition("## What listens")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([\w.]+)`[^|]*\| (TCP|UDP) (\d+) \|", incoming, re.MULTILINE)
    assert [row[0] for row in rows] == [
        "HTTP_PORT",
        "scada.iec104.port",
        "scada.iec104.tls.port",
        "scada.dnp3.port",
    ]
    ports = house.seeded.ports
    wanted = {
        ("tcp", "127.0.0.1" if setting == "HTTP_PORT" else "0.0.0.0", port)
        for (setting, kind, _), port in zip(rows, ports.values(), strict=True)
        if kind == "TCP"
    }
    assert listening(pid) == wanted
    defaults = {
        "HTTP_PORT": 8080,
        "scada.iec104.port": 2404,
        "scada.iec104.tls.port": 19998,
        "scada.dnp3.port": 20000,
    }
    assert {setting: int(port) for setting, _, port in rows} == defaults
