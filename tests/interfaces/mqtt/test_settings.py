"""What may stand in the environment, and one clear sentence for what may not."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from bessai.interfaces.mqtt import MqttSettings
from bessai.interfaces.mqtt.topics import Topics, level


def read(**variables: str) -> MqttSettings:
    found = MqttSettings.from_environment(
        {"SITE_ID": "plant-1", "MQTT_URL": "mqtts://broker.example", **variables}
    )
    assert found is not None
    return found


def test_without_an_address_there_is_no_mqtt() -> None:
    assert MqttSettings.from_environment({"SITE_ID": "plant-1", "MQTT_COMMANDS": "true"}) is None
    assert MqttSettings.from_environment({"SITE_ID": "plant-1", "MQTT_URL": ""}) is None


def test_it_is_encrypted_unless_told_otherwise() -> None:
    assert (read().tls, read().port, read().client_id) == (True, 8883, "bessai-plant-1")
    plain = read(MQTT_URL="mqtt://10.0.0.2")
    assert (plain.tls, plain.host, plain.port) == (False, "10.0.0.2", 1883)
    assert read(MQTT_URL="mqtts://[fd00::1]:99").url == "mqtts://[fd00::1]:99"


def test_the_password_is_not_shown_and_its_file_is_read_each_time(tmp_path: Path) -> None:
    given = read(MQTT_USERNAME="gateway", MQTT_PASSWORD="hunter2")
    assert given.password() == "hunter2"
    assert "hunter2" not in repr(given)
    file = tmp_path / "password"
    file.write_text("first\n")
    filed = read(MQTT_USERNAME="gateway", MQTT_PASSWORD_FILE=str(file))
    assert filed.password() == "first"
    file.write_text("second")
    assert filed.password() == "second"


LOGIN = {"MQTT_USERNAME": "u", "MQTT_PASSWORD": "p"}


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        (
            {"MQTT_URL": "broker.example:8883"},
            "MQTT_URL=broker.example:8883 is not an address: write mqtts://",
        ),
        ({"MQTT_URL": "mqtts://broker:99999"}, "MQTT_URL=mqtts://broker:99999 is not an address"),
        ({"MQTT_URL": "mqtts://broker/topic"}, "MQTT_URL=mqtts://broker/topic is not an address"),
        ({"MQTT_URL": "http://broker"}, "MQTT_URL=http://broker is not an address"),
        (
            {"MQTT_URL": "mqtts://u:secret@broker"},
            "MQTT_URL holds a user: use MQTT_USERNAME and MQTT_PASSWORD",
        ),
        ({"MQTT_KEEPALIVE": "1"}, "MQTT_KEEPALIVE=1: give whole seconds from 5 to 3600"),
        ({"MQTT_HOME_ASSISTANT": "maybe"}, "MQTT_HOME_ASSISTANT=maybe: use true or false"),
        ({"MQTT_TOPIC_PREFIX": "a/#"}, "MQTT_TOPIC_PREFIX=a/#: use a topic without"),
        ({"MQTT_CA_FILE": "/nowhere/ca.pem"}, "MQTT_CA_FILE=/nowhere/ca.pem cannot be read: No such file"),
        ({"MQTT_SPARKPLUG": "true"}, "MQTT_SPARKPLUG_GROUP=: Sparkplug B needs a group id"),
        ({"MQTT_PASSWORD": "secret"}, "MQTT_PASSWORD is set without MQTT_USERNAME"),
        (
            {**LOGIN, "MQTT_PASSWORD_FILE": __file__},
            "MQTT_PASSWORD and MQTT_PASSWORD_FILE are both set: keep one",
        ),
        ({"MQTT_KEY_FILE": __file__}, "MQTT_KEY_FILE is set without MQTT_CERT_FILE"),
        (
            {"MQTT_URL": "mqtt://broker", "MQTT_CA_FILE": __file__},
            "MQTT_CA_FILE is set but MQTT_URL is not encrypted",
        ),
        ({"MQTT_COMMANDS": "true"}, "MQTT_COMMANDS=true needs authentication"),
        ({"MQTT_COMMANDS": "true", "MQTT_USERNAME": "u"}, "MQTT_COMMANDS=true needs authentication"),
        (
            {"MQTT_COMMANDS": "true", "MQTT_URL": "mqtt://10.0.0.2", **LOGIN},
            "MQTT_COMMANDS=true needs encryption: write mqtts://",
        ),
    ],
)
def test_each_mistake_is_one_sentence(variables: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        read(**variables)
    lines = str(caught.value).splitlines()
    assert len(lines) == 1
    assert says in lines[0]
    assert "secret" not in lines[0]


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        read(MQTT_KEEPALIVE="x", MQTT_COMMANDS="true", MQTT_URL="mqtt://10.0.0.2")
    assert [line.partition("=")[0] for line in str(caught.value).splitlines()] == [
        "MQTT_KEEPALIVE", "MQTT_COMMANDS", "MQTT_COMMANDS",
    ]  # fmt: skip


def test_files_that_are_no_certificates_are_named(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("nothing")
    with pytest.raises(ValueError, match="MQTT_CA_FILE, MQTT_CERT_FILE and MQTT_KEY_FILE: give PEM files"):
        read(MQTT_CA_FILE=str(file))


def test_commands_are_taken_with_a_password_or_a_certificate(tmp_path: Path) -> None:
    assert read(MQTT_COMMANDS="true", **LOGIN).commands
    for here in ("127.0.0.1", "localhost", "[::1]"):
        assert read(MQTT_COMMANDS="true", MQTT_URL=f"mqtt://{here}", **LOGIN).commands
    with pytest.raises(ValueError, match="needs encryption"):
        read(MQTT_COMMANDS="true", MQTT_URL="mqtt://localhost.example", **LOGIN)
    certificate = tmp_path / "gateway.pem"
    trustme.CA().issue_cert("gateway").private_key_and_cert_chain_pem.write_to_path(certificate)
    assert read(MQTT_COMMANDS="true", MQTT_CERT_FILE=str(certificate)).commands


@pytest.mark.parametrize(
    ("name", "topic"),
    [
        ("rack_7", "rack_7"),
        ("a+b#c/d", "a%2Bb%23c%2Fd"),
        ("50%", "50%25"),
        ("norte ñ", "norte ñ"),
        ("x\x00", "x%00"),
    ],
)
def test_a_name_is_one_level_of_a_topic(name: str, topic: str) -> None:
    assert level(name) == topic
    assert Topics("bessai", name).point(name) == f"bessai/{topic}/points/{topic}"
