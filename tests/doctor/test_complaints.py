"""What is said of a wrong setting shows no password: not of a misspelt name, not out of a broken address or line."""

from __future__ import annotations

from pathlib import Path

import pytest

from bessai.core.environment import SettingsError, load_settings
from bessai.interfaces.settings import ServiceSettings
from bessai.model.masking import MASK, is_secret, masked, refused

SEED = "SeedOfAMistake4711"


@pytest.mark.parametrize(
    "line",
    [
        f"MQTT_PASSWRD={SEED}",
        f"NATS_TOKENS={SEED}",
        f"INVERTER_PORT=gateway:{SEED}@502",
        f"MQTT_PASSWORD {SEED}",
        f"MQTT_PASSWORD:{SEED}",
        SEED,
        f"OTEL_EXPORTER_OTLP_ENDPOINT=ftp://reader:{SEED}@host",
        f"OTEL_EXPORTER_OTLP_ENDPOINT=reader:{SEED}@host:4317",
        f"KAFKA_PASSWORT={SEED}",
    ],
)
def test_of_a_file(tmp_path: Path, line: str) -> None:
    file = tmp_path / ".env"
    file.write_text(f"SITE_ID=a\nINVERTER_IP=127.0.0.1\n{line}\n")
    with pytest.raises(SettingsError) as caught:
        load_settings(file)
    (problem,) = caught.value.problems
    assert SEED not in problem
    name = line.partition("=")[0].partition(" ")[0].partition(":")[0]
    assert (name if name != SEED else "line 3") in problem, "it can be found all the same"


def test_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("SITE_ID", "a"), ("INVERTER_IP", "127.0.0.1"), ("NATS_PASWORD", SEED)):
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path / ".env")
    assert caught.value.problems == [
        "environment: NATS_PASWORD=••••: unknown variable; did you mean NATS_PASSWORD?"
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MQTT_URL", "mqtts://gateway:{}@host:99999"),
        ("MQTT_URL", "http://gateway:{}@host"),
        ("MQTT_URL", "gateway:{}@host"),
        ("KAFKA_BROKERS", "gateway:{}@host:9093"),
        ("NATS_URL", "http://gateway:{}@host"),
        ("NATS_URL", "nats://{}@host"),
        ("NATS_URL", "gateway:{}@host:4222"),
        ("NATS_URL", "tls://host:4222,nat://gateway:{}@host"),
    ],
)
def test_of_a_destination(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        ServiceSettings.from_environment({"SITE_ID": "a", name: value.format(SEED)})
    assert SEED not in str(caught.value)


def test_what_is_no_secret_is_shown() -> None:
    assert refused("SITE_ID", "x") == "x"
    assert refused("NATS_CREDENTIALS_FILE", "/etc/a.creds") == "/etc/a.creds"
    assert refused("GOOGLE_APPLICATION_CREDENTIALS", "/etc/a.json") == "/etc/a.json"
    assert masked("MQTT_PASSWORD_FILE", "/etc/a") == "/etc/a"
    assert masked("MQTT_PASSWORD", "a") == masked("NATS_TOKEN", "a") == MASK
    assert not is_secret("MQTT_KEY_FILE")
