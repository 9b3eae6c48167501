"""A gateway with everything switched on, and a secret of its own in every setting that holds one."""

from __future__ import annotations

import json
import secrets
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bessai.core.settings import Settings
from support.certificates import make_certificates
from support.processes import free_port

_SITE = """
site: site-1
devices:
  inverter: {{profile: huawei_sun2000, role: inverter, endpoint: "127.0.0.1:{modbus}", control: true}}
  meter: {{profile: eastron_sdm630, role: meter, endpoint: "tls://127.0.0.1:9?ca={ca}&cert={cert}&key={key}"}}
scada:
  iec104:
    listen: 0.0.0.0
    port: {iec104}
    masters: [127.0.0.1]
    tls: {{port: {iec104_tls}, ca: {ca}, cert: {cert}, key: {key}}}
  dnp3: {{listen: 0.0.0.0, port: {dnp3}, masters: [127.0.0.1]}}
  points:
    - {{ioa: 1, name: inverter.battery_power, dead_band: 0.1}}
    - {{ioa: 2, name: gateway.alive, type: single}}
"""


@dataclass
class Seeded:
    """Settings, files, and the secrets in them."""

    folder: Path
    modbus: int
    seeds: dict[str, str] = field(default_factory=dict)
    """What it is, and a text that may appear nowhere."""
    ports: dict[str, int] = field(default_factory=dict)
    """By the name that docs/network.md has."""

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        certificates = make_certificates(self.folder / "tls")
        for name in ("device", "page", "mqtt"):
            shutil.copy(
                certificates.client_key if name != "page" else certificates.server_key,
                self.folder / f"{name}.key",
            )
            self._key(name, (self.folder / f"{name}.key").read_text())
        self.ports = {name: free_port() for name in ("page", "iec104", "iec104_tls", "dnp3")}
        site = self.folder / "site.yaml"
        site.write_text(
            _SITE.format(
                modbus=self.modbus, ca=certificates.ca, cert=certificates.client, key=self.folder / "device.key",
                **self.ports,
            )
        )  # fmt: skip
        self.environment = {
            "SITE_ID": "site-1",
            "INVERTER_IP": "",
            "SITE_FILE": str(site),
            "LOG_LEVEL": "DEBUG",
            "DATA_DIR": str(self.folder / "data"),
            "HTTP_PORT": str(self.ports["page"]),
            "HTTP_TLS": "on",
            "HTTP_CERT_FILE": str(certificates.server),
            "HTTP_KEY_FILE": str(self.folder / "page.key"),
            "MQTT_URL": "mqtts://127.0.0.1:9",
            "MQTT_USERNAME": "gateway",
            "MQTT_PASSWORD": self.seed("MQTT_PASSWORD"),
            "MQTT_CA_FILE": str(certificates.ca),
            "MQTT_CERT_FILE": str(certificates.client),
            "MQTT_KEY_FILE": str(self.folder / "mqtt.key"),
            "KAFKA_BROKERS": "127.0.0.1:9",
            "KAFKA_TLS": "false",
            "KAFKA_USERNAME": "gateway",
            "KAFKA_PASSWORD_FILE": self._file("KAFKA_PASSWORD_FILE"),
            "NATS_URL": "nats://127.0.0.1:9",
            "NATS_TOKEN_FILE": self._file("NATS_TOKEN_FILE"),
            "GCP_PROJECT_ID": "project-1",
            "GCP_PUBSUB_TOPIC": "records",
            "GOOGLE_APPLICATION_CREDENTIALS": self._account(),
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://reader:{self.seed('OTEL_EXPORTER_OTLP_ENDPOINT')}@127.0.0.1:9",
        }

        if "notify_file" in Settings.model_fields:
            self.environment["NOTIFY_FILE"] = self._notify()

    def _notify(self) -> str:
        path = self.folder / "notify.yaml"
        address = (
            f"json://reader:{self.seed('NOTIFY_FILE, password')}@127.0.0.1:9/{self.seed('NOTIFY_FILE, path')}"
        )
        path.write_text(
            f"recipients: {{shift: {{channels: [{{url: '{address}'}}]}}}}\nrules: [{{severity: info, tell: [shift]}}]\n"
        )
        return str(path)

    def seed(self, name: str) -> str:
        """A new secret."""
        return self.seeds.setdefault(name, f"Seed{secrets.token_hex(10)}")

    def _file(self, name: str) -> str:
        path = self.folder / name.lower()
        path.write_text(self.seed(name) + "\n")
        return str(path)

    def _key(self, name: str, pem: str, line: int = 1) -> None:
        """Of an RSA key the first line is the same for all."""
        self.seeds[f"{name}'s key"] = pem.splitlines()[line].strip()

    def _account(self) -> str:
        key = rsa.generate_private_key(65537, 2048).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._key("service account", key.decode(), 2)
        document: dict[str, Any] = {
            "type": "service_account",
            "project_id": "project-1",
            "private_key_id": self.seed("private_key_id"),
            "private_key": key.decode(),
            "client_email": "gateway@project-1.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": "https://127.0.0.1:9/token",
        }
        path = self.folder / "account.json"
        path.write_text(json.dumps(document))
        return str(path)

    def found_in(self, data: bytes | str) -> list[str]:
        """Which secrets stand in some bytes, as they are or as others write bytes as text."""
        if isinstance(data, str):
            data = data.encode(errors="replace")
        return [
            name
            for name, seed in self.seeds.items()
            if seed.encode() in data or seed.encode("utf-16-le") in data
        ]

    def found_under(self, folder: Path) -> list[tuple[str, str]]:
        """File and secret, of every file below a folder."""
        return [
            (str(path.relative_to(folder)), name)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
            for name in self.found_in(path.read_bytes())
        ]
