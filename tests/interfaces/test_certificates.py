"""When the certificates end that a gateway uses: which files count, what of each, and what `/metrics` says."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bessai.core.settings import Settings
from bessai.interfaces.api.roles import Role
from bessai.interfaces.build import Parts
from bessai.interfaces.certificates import Certificates
from bessai.interfaces.metrics import METRICS, Origin
from bessai.interfaces.settings import ServiceSettings
from support.page_server import page_server, until

SITE = """
site: s
devices:
  inverter: {profile: huawei_sun2000, role: inverter, endpoint: "127.0.0.1:502", control: true}
  meter: {profile: eastron_sdm630, role: meter, endpoint: "tls://127.0.0.1:9?ca=ca.pem&cert=cert.pem&key=key.pem"}
  spare: {profile: eastron_sdm630, role: meter, endpoint: "tls://127.0.0.1:8?ca=ca.pem&cert=cert.pem&key=key.pem"}
scada:
  iec104:
    masters: [127.0.0.1]
    tls: {ca: ca.pem, cert: station.pem, key: key.pem}
  points:
    - {ioa: 1, name: inverter.battery_power, dead_band: 0.1}
"""
NEW = dt.datetime(2031, 5, 6, 7, 8, 9, tzinfo=dt.UTC)
OLD = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
KEY = ec.generate_private_key(ec.SECP256R1())


def _write(path: Path, *ends: dt.datetime) -> str:
    """Certificates that end then, in this order in one file."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    path.write_bytes(
        b"".join(
            x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(KEY.public_key())
            .serial_number(1).not_valid_before(OLD - dt.timedelta(days=1)).not_valid_after(end)
            .sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
            for end in ends
        )
    )  # fmt: skip
    return str(path)


def _ends(folder: Path, **environment: str) -> dict[str, float]:
    return Certificates(environment, folder).ends()


def test_of_a_chain_the_first_counts_and_of_authorities_the_last(tmp_path: Path) -> None:
    chain, trusted = _write(tmp_path / "c", NEW, OLD), _write(tmp_path / "a", OLD, NEW)
    found = _ends(tmp_path, MQTT_URL="mqtts://b", MQTT_CERT_FILE=chain, MQTT_CA_FILE=trusted)
    assert found == {"MQTT_CERT_FILE": OLD.timestamp(), "MQTT_CA_FILE": NEW.timestamp()}


@pytest.mark.parametrize(
    ("environment", "used"),
    [
        ({"HTTP_TLS": "on"}, {"HTTP_CERT_FILE"}),
        ({"HTTP_HOST": "0.0.0.0"}, {"HTTP_CERT_FILE"}),
        ({"HTTP_HOST": "127.0.0.1", "HTTP_TLS": "auto"}, set()),
        ({"HTTP_HOST": "0.0.0.0", "HTTP_TLS": "off"}, set()),
        ({"HTTP_TLS": "on", "HTTP_PORT": "0"}, set()),
        ({"MQTT_URL": "mqtts://b"}, {"MQTT_CERT_FILE", "MQTT_CA_FILE"}),
        ({"KAFKA_BROKERS": "b:9093"}, {"KAFKA_CERT_FILE", "KAFKA_CA_FILE"}),
        ({"NATS_URL": "tls://b:4222"}, {"NATS_CERT_FILE", "NATS_CA_FILE"}),
    ],
)
def test_only_what_is_used_counts(tmp_path: Path, environment: dict[str, str], used: set[str]) -> None:
    named = {name.upper() for name in Settings.model_fields if name.endswith(("_cert_file", "_ca_file"))}
    files = {name: _write(tmp_path / name, NEW) for name in named}
    assert set(_ends(tmp_path, **files, **environment)) == used


def test_every_kind_of_certificate_that_there_is_a_setting_for_is_known() -> None:
    named = {name.upper() for name in Settings.model_fields if name.endswith(("_cert_file", "_ca_file"))}
    cases = test_only_what_is_used_counts.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert set().union(*(used for _, used in cases)) == named


def test_files_are_read_again_when_they_change_and_told_while_they_can_be_read(tmp_path: Path) -> None:
    own = tmp_path / "tls" / "page.pem"
    held = Certificates({"HTTP_TLS": "on"}, tmp_path)
    assert held.ends() == {}, "not made yet"
    own.parent.mkdir()
    _write(own, OLD)
    assert held.ends() == {"page": OLD.timestamp()}
    _write(own, NEW, NEW)  # of another size, should the clock of the disk be coarse
    assert held.ends() == {"page": NEW.timestamp()}
    own.write_text("nothing")
    assert held.ends() == {}
    _write(own, OLD)
    assert held.ends() == {"page": OLD.timestamp()}


def test_the_sites_devices_and_link(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(SITE, encoding="utf-8")
    for name, end in (("ca", NEW), ("cert", OLD), ("station", NEW), ("key", OLD)):
        _write(tmp_path / f"{name}.pem", end)
    assert _ends(tmp_path, SITE_FILE=str(site)) == {
        "meter: cert": OLD.timestamp(),  # and the spare's, which is the same
        "meter: ca": NEW.timestamp(),  # and the link's
        "scada.iec104.tls.cert": NEW.timestamp(),
    }
    site.write_text(SITE.replace("meter,", "meterr,"), encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        held = Certificates({"SITE_FILE": str(site)}, tmp_path)
        assert held.ends() == held.ends() == {}
    (said,) = caplog.messages
    assert f"SITE_FILE={site}" in said, "once"


def test_a_site_without_certificates_is_not_read_for_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site = tmp_path / "site.yaml"
    site.write_text("devices: nonsense that would be complained of", encoding="utf-8")
    assert _ends(tmp_path, SITE_FILE=str(site)) == {}
    assert not caplog.messages


def test_the_page_tells_when_its_own_certificate_ends(tmp_path: Path) -> None:
    async def run() -> None:
        data = tmp_path / "data"
        async with page_server(data, tls="on") as page:
            page.context.certificates = Certificates({"HTTP_TLS": "on"}, data)
            identity = page.context.identity
            await identity.add_user("ana", Role.VIEWER, "a long word of nobody")
            page.tokens.append((await identity.make_token("ana", "t", Role.VIEWER, ("read",), 1))[1])
            own = data / "tls" / "page.pem"
            await until(own.exists)
            said = await page.ask("/metrics", tls=ssl.create_default_context(cafile=str(own)), token=True)
            ends = x509.load_pem_x509_certificate(own.read_bytes()).not_valid_after_utc.timestamp()
            line = f'bessai_certificate_expiration_timestamp_seconds{{certificate="page"}} {ends:.0f}'
            assert line in said.body.decode().splitlines()

    asyncio.run(run())


def test_the_service_plane_tells_the_collector_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {
        "SITE_ID": "s",
        "DATA_DIR": str(tmp_path),
        "KAFKA_BROKERS": "127.0.0.1:1",
        "KAFKA_CA_FILE": _write(tmp_path / "ca", NEW),
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    figures = Parts(settings=ServiceSettings.from_environment(given)).figures()
    assert figures.certificates == {"KAFKA_CA_FILE": NEW.timestamp()}
    (metric,) = (one for one in METRICS if one.name == "bessai.certificate.expiration.timestamp")
    assert list(metric.samples(figures)) == [({"certificate": "KAFKA_CA_FILE"}, NEW.timestamp())]
    assert metric.origin is not Origin.PAGE, "of the page's process a collector gets those alone"
