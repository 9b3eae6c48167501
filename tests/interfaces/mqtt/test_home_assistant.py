"""Discovery for Home Assistant, against its rules."""

from __future__ import annotations

import json
import re
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bessai import __version__
from bessai.interfaces.mqtt import MqttCourier
from bessai.interfaces.mqtt.home_assistant import EXPIRES, discovery
from bessai.interfaces.mqtt.picture import REFRESH
from bessai.interfaces.mqtt.topics import Topics
from bessai.model import Layout
from support.entries import cycle_entry
from support.mosquitto import PATIENCE, Mosquitto, Observer
from support.mqtt import SITE, batch, settings

# What Home Assistant 2024.12, the first release with one message a device, takes. Only what is used here.
UNITS = {
    "battery": {"%"}, "current": {"A", "mA"}, "duration": {"d", "h", "min", "s", "ms"},
    "energy": {"Wh", "kWh", "MWh"}, "energy_storage": {"Wh", "kWh", "MWh"}, "frequency": {"Hz", "kHz"},
    "irradiance": {"W/m²"}, "power": {"W", "kW", "MW"}, "temperature": {"°C", "°F", "K"},
    "voltage": {"V", "mV", "kV"}, "wind_speed": {"m/s", "km/h"},
}  # fmt: skip
STATE_CLASSES = {"energy": {"total", "total_increasing"}}

POINTS: dict[str, dict[str, Any]] = {
    name: {"value": 1.0, "unit": unit, "quality": "good", "time": None} | more
    for name, unit, more in (
        ("soc", "%", {}), ("soh", "%", {}), ("active_power", "kW", {}), ("reactive_power", "kvar", {}),
        ("energy_charged_total", "kWh", {}), ("energy_charged_today", "kWh", {}), ("energy_capacity", "kWh", {}),
        ("cell_temperature_max", "°C", {}), ("frequency", "Hz", {}), ("battery_voltage", "V", {}),
        ("battery_current", "A", {}), ("apparent_power", "kVA", {}), ("irradiance", "W/m²", {}),
        ("insulation", "kΩ", {}), ("uptime", "s", {}), ("power_factor", None, {}),
        ("device_status", None, {"meaning": "on_grid"}), ("alarms", None, {"meaning": ["fan"]}),
        ("rack_1_soc", "%", {}), ("rack_1.soc", "%", {}), ("rack_2.soc", "%", {}),
    )
}  # fmt: skip
DEVICE = {"profile": "p", "manufacturer": "Huawei", "model": "SUN2000", "serial": "HV1"}


def found(site: str = SITE, points: dict[str, dict[str, Any]] = POINTS) -> dict[str, dict[str, Any]]:
    made = discovery(Topics("bessai", site), "homeassistant", DEVICE, points)
    return {topic: json.loads(payload) for topic, payload in made.items()}


def check_rules(topic: str, payload: dict[str, Any]) -> None:
    assert re.fullmatch(r"homeassistant/device/[a-zA-Z0-9_-]+/config", topic)
    assert payload["device"]["identifiers"]
    assert payload["origin"]["name"]
    assert payload["components"]
    for key, sensor in payload["components"].items():
        assert re.fullmatch(r"[a-zA-Z0-9_-]+", key)
        assert sensor["platform"] == "sensor"
        kind, unit = sensor.get("device_class"), sensor.get("unit_of_measurement")
        assert kind is None or unit in UNITS[kind], (key, kind, unit)
        if "state_class" in sensor:
            assert sensor["state_class"] in STATE_CLASSES.get(kind, {"measurement", "total_increasing"}), key
        assert not set(sensor["state_topic"]) & set("+#")


def test_every_message_keeps_the_rules_and_every_id_is_there_once() -> None:
    ids = []
    for topic, payload in found().items():
        check_rules(topic, payload)
        ids += [sensor["unique_id"] for sensor in payload["components"].values()]
    assert len(ids) == len(set(ids)) == len(POINTS) + 2


def test_the_classes() -> None:
    sensors = found()[f"homeassistant/device/bessai-{SITE}/config"]["components"]
    classes = {name: (s.get("device_class"), s.get("state_class")) for name, s in sensors.items()}
    assert classes["soc"] == ("battery", "measurement")
    assert classes["soh"] == (None, "measurement")
    assert classes["energy_charged_total"] == ("energy", "total_increasing")
    assert classes["energy_capacity"] == ("energy_storage", "measurement")
    assert classes["reactive_power"] == (None, "measurement")
    assert classes["device_status"] == (None, None)
    assert classes["gateway_setpoint"] == ("power", "measurement")


def test_a_site_is_a_device_and_so_is_each_of_its_devices() -> None:
    made = found()
    ids = [f"bessai-{SITE}{tail}" for tail in ("", "-device-rack_1", "-device-rack_2")]
    assert list(made) == [f"homeassistant/device/{one}/config" for one in ids]
    site, rack, _ = made.values()
    assert site["device"] == {
        "identifiers": [ids[0]], "name": SITE, "manufacturer": "Huawei", "model": "SUN2000",
        "serial_number": "HV1", "sw_version": __version__,
    }  # fmt: skip
    assert rack["device"] == {"identifiers": [ids[1]], "name": "rack_1", "via_device": ids[0]}
    assert list(rack["components"]) == ["rack_1-soc"]


def test_names_with_other_letters_do_not_collide() -> None:
    (one,), (other,) = found("Sitio Ñuñoa", {}), found("Sitio Ñuñoá", {})
    assert one != other
    check_rules(one, found("Sitio Ñuñoa", {})[one])


def test_a_point_is_refreshed_long_before_it_expires() -> None:
    assert REFRESH * 2 < EXPIRES


def test_it_is_told_once_and_again_when_home_assistant_starts(tmp_path: Path) -> None:
    topic = f"homeassistant/device/bessai-{SITE}/config"
    with (
        Mosquitto.start_or_skip(tmp_path / "broker") as broker,
        Observer(broker, "#") as observer,
        closing(MqttCourier(settings(broker, MQTT_HOME_ASSISTANT="true"), SITE)) as courier,
    ):
        for number in (1, 2):
            courier.send(batch([cycle_entry(number)]), PATIENCE)
        observer.publish("homeassistant/status", b"offline")
        courier.send(batch([cycle_entry(3)]), PATIENCE)
        observer.wait_for(lambda _: len(observer.of(f"bessai/{SITE}/state")) == 3)
        assert len(observer.of(topic)) == 1
        observer.publish("homeassistant/status", b"online")
        number, deadline = 3, time.monotonic() + PATIENCE
        while len(observer.of(topic)) == 1:
            number += 1
            courier.send(batch([cycle_entry(number)]), PATIENCE)
            assert time.monotonic() < deadline
    assert all(m.retain for m in observer.of(topic))
    payload = json.loads(observer.of(topic)[-1].payload)
    check_rules(topic, payload)
    told = {m.topic for m in observer.messages}
    assert {sensor["state_topic"] for sensor in payload["components"].values()} <= told
    assert payload["availability_topic"] in told


def test_a_discovery_that_is_too_large_does_not_hold_up_records(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = tuple(f"point_{n}" for n in range(40))
    entry = cycle_entry(1, layout=Layout(names=names, units=(None,) * 40))
    with (
        Mosquitto.start_or_skip(tmp_path / "broker", lines=("max_packet_size 8000",)) as broker,
        closing(MqttCourier(settings(broker, MQTT_HOME_ASSISTANT="true"), SITE)) as courier,
        caplog.at_level("WARNING"),
    ):
        courier.send(batch([entry]), PATIENCE)
        courier.send(batch([entry]), PATIENCE)
    assert caplog.text.count("no discovery for Home Assistant") == 1
