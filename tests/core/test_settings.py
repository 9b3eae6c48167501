"""Configuration: what is valid, and how everything that is wrong is told at once."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bessai.core.destinations import Destinations
from bessai.core.environment import SettingsError, load_settings
from bessai.core.settings import Settings

NOWHERE = Path("/nonexistent/.env")


@pytest.fixture(autouse=True)
def _required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_ID", "atacama-1")
    monkeypatch.setenv("INVERTER_IP", "192.168.8.1")


def _problems(env_file: Path = NOWHERE) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(env_file)
    return caught.value.problems


def test_promised_names_and_defaults() -> None:
    settings = load_settings(NOWHERE)
    assert settings.inverter_port == 502
    assert settings.driver_profile_path == "registry/huawei_sun2000.json"
    assert settings.watchdog_timeout == 5
    assert settings.otel_exporter_otlp_endpoint == "http://otel-collector:4317"
    assert settings.otel_service_name == "bessai-edge-gateway"
    assert settings.log_level == "INFO"
    assert settings.data_dir == Path("data")
    assert settings.gcp_project_id is None


def test_everything_missing_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SITE_ID")
    monkeypatch.delenv("INVERTER_IP")
    monkeypatch.setenv("INVERTER_PORT", "modbus")
    monkeypatch.setenv("GCP_PROJECT_ID", "p")
    monkeypatch.setenv("SOC_MIN", "90")
    monkeypatch.setenv("SOC_MAX", "20")
    problems = "\n".join(_problems())
    for name in (
        "SITE_ID is missing",
        "INVERTER_IP is missing",
        "INVERTER_PORT=modbus",
        "GCP_PUBSUB_TOPIC is missing",
    ):
        assert name in problems
    assert "SOC_MIN=90 must be below SOC_MAX=20" in problems


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("192.168.8.1", "192.168.8.1"),
        ("fe80::1", "fe80::1"),
        ("[2001:db8::5]", "2001:db8::5"),
        ("inverter-1.plant.local", "inverter-1.plant.local"),
        ("inverter_1", "inverter_1"),
    ],
)
def test_addresses(monkeypatch: pytest.MonkeyPatch, given: str, kept: str) -> None:
    monkeypatch.setenv("INVERTER_IP", given)
    assert load_settings(NOWHERE).inverter_ip == kept


@pytest.mark.parametrize(
    "given", ["192.168.8", "300.1.1.1", "tcp://x", "192.168.8.1:502", "a b", "-x", "x..y"]
)
def test_wrong_addresses(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("INVERTER_IP", given)
    (problem,) = _problems()
    assert problem.startswith(
        f"environment: INVERTER_IP={given}: give an IPv4 or IPv6 address or a host name"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("INVERTER_PORT", "0"),
        ("INVERTER_PORT", "65536"),
        ("WATCHDOG_TIMEOUT", "0"),
        ("WATCHDOG_TIMEOUT", "nan"),
        ("CYCLE_TIME", "0.01"),
        ("LOG_LEVEL", "chatty"),
        ("CONTROL_MODE", "off"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
        ("SOC_MAX", "101"),
    ],
)
def test_wrong_values_name_the_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert any(problem.startswith(f"environment: {name}={value}: ") for problem in _problems())


def test_empty_is_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INVERTER_PORT", "")
    assert load_settings(NOWHERE).inverter_port == 502


def test_the_file_stands_behind_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / ".env"
    file.write_text("INVERTER_PORT=6607\nLOG_LEVEL=debug\n")
    monkeypatch.setenv("LOG_LEVEL", "error")
    settings = load_settings(file)
    assert (settings.inverter_port, settings.log_level) == (6607, "ERROR")


def test_misspelt_names_are_told_with_the_right_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / ".env"
    file.write_text("INVERTER_PROT=6607\nCOLOUR=red\n")
    monkeypatch.setenv("DRIVER_PROFIL_PATH", "x.json")
    problems = _problems(file)
    assert f"{file}: INVERTER_PROT=6607: unknown variable; did you mean INVERTER_PORT?" in problems
    assert f"{file}: COLOUR=••••: unknown variable; remove it" in problems
    assert (
        "environment: DRIVER_PROFIL_PATH=x.json: unknown variable; did you mean DRIVER_PROFILE_PATH?"
        in problems
    )


def test_credentials_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key.json"
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    assert "cannot be read" in _problems()[0]
    file.write_text("secret")
    (problem,) = _problems()
    assert problem.endswith("is not a JSON credentials file")
    assert "secret" not in problem
    file.write_text(json.dumps({"type": "service_account"}))
    assert load_settings(NOWHERE).google_application_credentials == file


def test_printing_hides_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://user:hunter2@collector:4317")
    shown = load_settings(NOWHERE).masked()
    assert shown["OTEL_EXPORTER_OTLP_ENDPOINT"] == "https://***@collector:4317"
    monkeypatch.setenv("MQTT_PASSWORD", "hunter3")
    monkeypatch.setenv("NATS_TOKEN", "hunter4")
    shown = load_settings(NOWHERE).masked()
    assert (shown["MQTT_PASSWORD"], shown["NATS_TOKEN"], shown["KAFKA_PASSWORD"]) == ("***", "***", None)
    assert "hunter" not in str(shown)


def test_every_setting_is_in_the_example() -> None:
    example = (Path(__file__).parents[2] / "config" / ".env.example").read_text()
    named = set(re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", example, re.MULTILINE))
    assert named == {name.upper() for name in Settings.model_fields}


def test_every_setting_is_in_the_readme() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    table = readme[readme.index("## Configuration") : readme.index("## What it guards")]
    assert set(re.findall(r"`([A-Z][A-Z0-9_]+)`", table)) - {"DEBUG", "INFO", "WARNING", "ERROR"} == {
        name.upper() for name in Settings.model_fields if name not in Destinations.model_fields
    }, "where else records go stands in the pages that the table names"


def test_a_child_gets_what_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = load_settings(NOWHERE).environment()
    assert environment["SITE_ID"] == "atacama-1"
    assert "GCP_PROJECT_ID" not in environment
