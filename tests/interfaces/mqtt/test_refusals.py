"""What a broker, or the way to it, objects to: refused by default, and explained."""

from __future__ import annotations

import socket
import ssl
from contextlib import closing
from pathlib import Path

import pytest
import trustme

from bessai.interfaces.courier import Lane, Trouble
from bessai.interfaces.mqtt import MqttCourier, MqttSettings
from bessai.interfaces.mqtt.errors import BrokerError
from bessai.interfaces.mqtt.trouble import explain
from support.entries import cycle_entry
from support.mosquitto import PATIENCE, Mosquitto, Observer
from support.mqtt import SITE, batch, settings

SHORT = 5.0


def refusal(found: MqttSettings, kind: type[Exception] = Exception) -> Trouble:
    with closing(MqttCourier(found, SITE)) as courier:
        with pytest.raises(kind) as caught:
            courier.send(batch([cycle_entry(1)], Lane.BACKLOG), SHORT)
        return courier.explain(caught.value)


def test_certificates_and_passwords(tmp_path: Path) -> None:
    users = {"gateway": "right"}
    with Mosquitto.start_or_skip(tmp_path / "broker", tls=True, users=users) as broker:
        login = {"MQTT_USERNAME": "gateway", "MQTT_PASSWORD": "right"}
        with (
            Observer(broker, "#", user=("gateway", "right")) as observer,
            closing(MqttCourier(settings(broker, **login), SITE)) as courier,
        ):
            courier.send(batch([cycle_entry(1)]), PATIENCE)
            observer.wait_for(lambda _: len(observer.of(f"bessai/{SITE}/records")) == 1)

        wrong = refusal(settings(broker, **{**login, "MQTT_PASSWORD": "hunter2"}), BrokerError)
        assert "does not let the user gateway in. Check MQTT_USERNAME, MQTT_PASSWORD" in wrong.sentence
        assert "hunter2" not in wrong.sentence
        assert not wrong.passing
        assert "does not let the client bessai-plant-1 in" in refusal(settings(broker), BrokerError).sentence

        other = tmp_path / "other.pem"
        trustme.CA().cert_pem.write_to_path(other)
        stranger = refusal(settings(broker, **login, MQTT_CA_FILE=str(other)), ssl.SSLCertVerificationError)
        assert "is not trusted" in stranger.sentence
        assert "MQTT_CA_FILE" in stranger.sentence
        assert not stranger.passing
        # the system's authorities do not know this one
        assert "is not trusted" in refusal(settings(broker, **login, MQTT_CA_FILE="")).sentence
        name = settings(broker, **login, MQTT_URL=broker.url.replace("127.0.0.1", "localhost"))
        assert "the name in the certificate into MQTT_URL" in refusal(name).sentence

        plain = settings(broker, **login, MQTT_URL=broker.url.replace("mqtts", "mqtt"), MQTT_CA_FILE="")
        assert "ended the connection before it was accepted" in refusal(plain, BrokerError).sentence


def test_a_broker_without_encryption_is_refused(tmp_path: Path) -> None:
    with Mosquitto.start_or_skip(tmp_path / "broker") as broker:
        found = MqttSettings(host="127.0.0.1", port=broker.port, client_id="x")
        assert "it may not speak TLS" in refusal(found).sentence


def test_a_client_certificate(tmp_path: Path) -> None:
    with Mosquitto.start_or_skip(
        tmp_path / "broker", tls=True, lines=("require_certificate true",)
    ) as broker:
        cert, key = broker.leaf("gateway")
        known = settings(broker, MQTT_CERT_FILE=str(cert), MQTT_KEY_FILE=str(key))
        with closing(MqttCourier(known, SITE)) as courier:
            courier.send(batch([cycle_entry(1)]), PATIENCE)
        unknown = refusal(settings(broker))
        assert "MQTT_CERT_FILE" in unknown.sentence


def test_what_the_access_list_forbids_is_named(tmp_path: Path) -> None:
    rules = tmp_path / "acl"
    rules.write_text("topic write bessai/plant-1/availability\n")
    rules.chmod(0o600)
    with (
        Mosquitto.start_or_skip(tmp_path / "broker", lines=(f"acl_file {rules}",)) as broker,
        closing(MqttCourier(settings(broker), SITE)) as courier,
    ):
        with pytest.raises(BrokerError) as caught:
            courier.send(batch([cycle_entry(1)], Lane.BACKLOG), PATIENCE)
        trouble = courier.explain(caught.value)
        assert (
            "does not allow the client bessai-plant-1 to publish to bessai/plant-1/records"
            in trouble.sentence
        )
        assert not trouble.passing
        assert not trouble.poison
        assert not trouble.reconnect


def test_a_password_file_that_is_gone_is_named(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("right")
    with Mosquitto.start_or_skip(tmp_path / "broker") as broker:
        found = settings(broker, MQTT_USERNAME="gateway", MQTT_PASSWORD_FILE=str(file))
        file.unlink()
        trouble = refusal(found, FileNotFoundError)
    assert trouble.sentence == f"{file} cannot be read: No such file or directory."


@pytest.mark.parametrize(
    ("code", "says", "passing", "poison"),
    [
        (0x86, "does not accept the credentials. Check MQTT_USERNAME", False, False),
        (0x8E, "Another client has connected", False, False),
        (0x97, "quota at the broker mqtts://broker:8883 is used up", True, False),
        (0x95, "larger than the broker at mqtts://broker:8883 allows", False, True),
        (0x99, "refuses the content of a message for some/topic", False, True),
        (0x89, "is not available now", True, False),
        (0x90, "refuses to publish some/topic", False, False),
    ],
)
def test_reason_codes_have_sentences(code: int, says: str, passing: bool, poison: bool) -> None:
    found = MqttSettings(host="broker", port=8883, client_id="x")
    trouble = explain(BrokerError("publish", code, "its name", "some/topic"), found)
    assert says in trouble.sentence
    assert (trouble.passing, trouble.poison) == (passing, poison)


def test_nobody_there() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # held, and nobody listens
        found = MqttSettings(host="127.0.0.1", port=silent.getsockname()[1], client_id="x")
        trouble = refusal(found, ConnectionRefusedError)
    assert "cannot be reached: Connection refused" in trouble.sentence
    assert trouble.passing


def test_a_name_that_nobody_knows() -> None:
    trouble = refusal(MqttSettings(host="broker.invalid", port=1, client_id="x"))
    assert "broker.invalid in MQTT_URL cannot be resolved" in trouble.sentence
