"""Real sockets: devices asked over Modbus, brokers up to the handshake, certificates of files."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bessai.core.settings import Settings
from bessai.doctor import Finding
from bessai.doctor.checks import certificates, destinations, devices, network
from bessai.doctor.look import Look
from bessai.model import Endpoint
from bessai.registry import compile_profile, load_profile
from bessai.site import single_device_site
from bessai.twin import TwinServer
from support.certificates import Certificates, make_certificates
from support.findings import codes

HUAWEI, OTHER = load_profile("huawei_sun2000"), load_profile("kostal_plenticore")
NO_TABLE = Path("/nonexistent")


def plant(port: int, profile: Any = HUAWEI, unit: int | None = None, **more: Any) -> Look:
    site = single_device_site(compile_profile(profile), Endpoint(host="127.0.0.1", port=port), unit)
    return Look(data_dir=Path("nowhere"), site=site, **{"root": NO_TABLE, **more})


def asked(make: Callable[[int], Look]) -> Finding:
    """What the check says of a real twin."""

    async def run() -> list[Finding]:
        async with TwinServer(HUAWEI, seed=1) as twin:
            return await asyncio.to_thread(lambda: list(devices.devices(make(twin.port))))

    (finding,) = asyncio.run(run())
    return finding


def test_a_device_answers_as_its_profile_says() -> None:
    finding = asked(plant)
    assert (finding.verdict, finding.text) == ("ok", "ok")
    assert finding.facts["profile"] == "huawei_sun2000"


def test_a_device_of_another_kind_is_told() -> None:
    finding = asked(lambda port: plant(port, OTHER, HUAWEI.connection.unit))
    assert (finding.verdict, finding.text) == ("bad", "other")


def test_nobody_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert codes(devices.devices(plant(taken.getsockname()[1]))) == ["bad unreachable"]


def test_somebody_who_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_BOUNDS", replace(devices._BOUNDS, timeout=0.2))
    with mute() as port:
        assert codes(devices.devices(plant(port))) == ["bad silent"]


def test_a_device_that_somebody_talks_to_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many devices have one connection to give: the gateway's."""
    monkeypatch.setattr(devices, "_ask_line", None)  # it would break
    with mute() as port, socket.create_connection(("127.0.0.1", port)):
        assert codes(devices.devices(plant(port, root=Path("/")))) == ["skipped in_use"]
    assert codes(devices.devices(plant(1, trouble="it hangs"))) == ["skipped gateway_silent"]


def test_a_running_gateway_is_asked_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_ask_line", None)
    told = [{"name": f"d{i}", "problem": "silent" if i == 250 else None} for i in range(300)]

    def ask(message: dict[str, Any]) -> dict[str, Any]:
        part = told[message["from"] : message["from"] + message["count"]]
        return {"ok": True, "total": len(told), "devices": part}

    found = list(devices.devices(plant(1, status={"pid": 1}, ask=ask)))
    assert [f.text for f in found] == ["problem", "gateway"]
    assert (found[0].facts["device"], found[1].facts["well"]) == ("d250", 299)


@contextmanager
def serving(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server of one thread; the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)

        def work() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    try:
                        talk(connection)
                    except OSError:
                        continue

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)  # wakes who accepts
            thread.join(20)


def mute() -> Any:
    """Takes what comes, and says nothing."""

    def talk(connection: socket.socket) -> None:
        while connection.recv(1000):
            pass

    return serving(talk)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


def secured(files: Certificates, greeting: bytes = b"") -> Any:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.server, files.server_key)

    def talk(connection: socket.socket) -> None:
        connection.settimeout(10)
        connection.sendall(greeting)
        with context.wrap_socket(connection, server_side=True) as one:
            one.recv(100)

    return serving(talk)


def look(**settings: Any) -> Look:
    return Look(
        data_dir=Path("nowhere"),
        settings=Settings(_env_file=None, site_id="a", inverter_ip="127.0.0.1", **settings),
    )


def test_brokers_up_to_the_handshake(files: Certificates) -> None:
    with secured(files) as port:
        trusted = look(mqtt_url=f"mqtts://127.0.0.1:{port}", mqtt_ca_file=files.ca, kafka_brokers=f"127.0.0.1:{port}",
                       kafka_ca_file=files.other_ca)  # fmt: skip
        (finding,) = destinations.mqtt(trusted)
        assert (finding.verdict, finding.text) == ("ok", "tls")
        assert finding.facts["days"] > 300
        (finding,) = destinations.kafka(trusted)
        assert (finding.verdict, finding.text) == ("bad", "unreachable")
        assert "TLS" in finding.facts["why"]
    with secured(files, b'INFO {"tls_required":true}\r\n') as port:
        assert codes(destinations.nats(look(nats_url=f"tls://127.0.0.1:{port}", nats_ca_file=files.ca))) == [
            "ok tls"
        ]
    with serving(lambda connection: connection.sendall(b"SSH-2.0\r\n")) as port:
        (finding,) = destinations.nats(look(nats_url=f"nats://127.0.0.1:{port}"))
        assert "does not greet" in finding.facts["why"]
    with mute() as port:
        assert codes(
            destinations.collector(look(otel_exporter_otlp_endpoint=f"http://127.0.0.1:{port}"))
        ) == ["ok plain"]
        found = codes(destinations.pubsub(look(gcp_project_id="p", gcp_pubsub_topic="t", pubsub_emulator_host=f"127.0.0.1:{port}")))  # fmt: skip # noqa: E501
        assert found == ["warn emulator", "ok plain"]
    gone = look(otel_exporter_otlp_endpoint=f"http://127.0.0.1:{port}", mqtt_url=f"mqtt://127.0.0.1:{port}")
    assert codes(destinations.collector(gone)) == ["warn unreachable"], "nothing waits for telemetry"
    assert codes(destinations.mqtt(gone)) == ["bad unreachable"]
    for check in (destinations.pubsub, destinations.mqtt, destinations.kafka, destinations.nats):
        assert codes(check(look())) == ["skipped skipped"]


def test_credentials(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    for document, expected in (
        (
            {"type": "service_account", "client_email": "a", "private_key": "k", "token_uri": "u"},
            "credentials",
        ),
        ({"type": "service_account", "client_email": "a"}, "no_credentials"),
        (
            {
                "type": "external_account",
                "audience": "a",
                "token_url": "u",
                "credential_source": {"file": "/gone"},
            },
            "no_credentials",
        ),
    ):
        file.write_text(json.dumps(document))
        assert destinations._credentials(file).text == expected


def test_names_are_looked_up() -> None:
    found = list(
        network.names(
            look(mqtt_url="mqtt://localhost:1", kafka_brokers="no-such-host.invalid:9093,127.0.0.1:1")
        )
    )
    assert {f.facts["host"]: f.text for f in found} == {
        "localhost": "ok",
        "no-such-host.invalid": "unknown_name",
    }


@pytest.mark.parametrize(
    ("days", "expected"),
    [(0, "ok ok"), (340, "warn soon"), (400, "bad over"), (-2, "bad not_yet")],
)
def test_certificates_are_judged_by_their_dates(files: Certificates, days: int, expected: str) -> None:
    """They last a year; the clock is set on instead."""
    from cryptography import x509

    ends = x509.load_pem_x509_certificates(files.server.read_bytes())[0].not_valid_after_utc
    begins = x509.load_pem_x509_certificates(files.server.read_bytes())[0].not_valid_before_utc
    now = begins + dt.timedelta(days=days) if days < 0 else ends - dt.timedelta(days=365 - days)
    given = replace(look(http_cert_file=files.server, http_key_file=files.server_key), now=now.timestamp)
    assert codes(certificates.certificates(given)) == [expected]


def test_a_key_of_another_certificate(files: Certificates) -> None:
    given = look(http_cert_file=files.server, http_key_file=files.client_key, mqtt_ca_file=files.ca)
    assert codes(certificates.certificates(given)) == ["ok ok", "bad other_key", "ok ok"]
    assert codes(certificates.certificates(look(mqtt_ca_file=files.client_key))) == ["bad no_certificate"]
    assert codes(certificates.certificates(look(mqtt_ca_file=Path("/nowhere.pem")))) == ["unknown unreadable"]
