"""Discovery for Home Assistant: one retained message a device, with all of its sensors.

A site without a site file is one device. The devices of a site file are devices of their own behind it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from bessai import __version__
from bessai.interfaces.mqtt.topics import Topics

EXPIRES: Final = 180
"""Seconds after which a sensor without news is shown as unavailable."""

_CLASSES: Final = {
    "W": "power", "kW": "power", "kWh": "energy", "V": "voltage", "A": "current", "Hz": "frequency",
    "°C": "temperature", "s": "duration", "min": "duration", "h": "duration", "W/m²": "irradiance",
    "m/s": "wind_speed",
}  # fmt: skip
# kvar, kVA and kvarh have no class here: older releases take only the units without the k.


def discovery(
    topics: Topics, prefix: str, device: Mapping[str, Any], points: Mapping[str, Mapping[str, Any]]
) -> dict[str, bytes]:
    """The messages, by topic.

    Args:
        topics: of the site.
        prefix: Home Assistant's discovery prefix.
        device: the `device` of a record.
        points: the `points` of a record, all of the plant's.
    """
    site_id = f"bessai-{_id(topics.site)}"
    groups: dict[str, dict[str, Mapping[str, Any]]] = {"": {}}
    for name, point in points.items():
        owner, dot, _ = name.partition(".")
        groups.setdefault(owner if dot else "", {})[name] = point
    messages = {}
    for owner, members in groups.items():
        own_id = f"{site_id}-device-{_id(owner)}" if owner else site_id
        sensors = {_sensor_id(name): _sensor(topics, site_id, name, point) for name, point in members.items()}
        about: dict[str, Any] = {"identifiers": [own_id], "name": owner or topics.site}
        if owner:
            about["via_device"] = site_id
        else:
            sensors |= _gateway_sensors(topics, site_id)
            about["sw_version"] = __version__
            known = {"manufacturer": "manufacturer", "model": "model", "serial": "serial_number"}
            about |= {key: device[name] for name, key in known.items() if device.get(name)}
        payload = {
            "device": about,
            "origin": {"name": "BESSAI Edge Gateway", "sw_version": __version__},
            "availability_topic": topics.availability,
            "components": sensors,
        }
        messages[f"{prefix}/device/{own_id}/config"] = json.dumps(payload, ensure_ascii=False).encode()
    return messages


def _sensor(topics: Topics, site_id: str, name: str, point: Mapping[str, Any]) -> dict[str, Any]:
    unit = point["unit"]
    short = name.rpartition(".")[2]
    sensor: dict[str, Any] = {
        "platform": "sensor",
        "unique_id": f"{site_id}_{_sensor_id(name)}",
        "name": short.replace("_", " ").capitalize(),
        "state_topic": topics.point(name),
        "value_template": _template(point),
        "expire_after": EXPIRES,
    }
    if unit is not None:
        sensor["unit_of_measurement"] = unit
        sensor["state_class"] = "measurement"
    kind = (
        "battery" if unit == "%" and (short == "soc" or short.endswith("_soc")) else _CLASSES.get(unit or "")
    )
    if kind == "energy" and short.endswith(("_total", "_today")):
        sensor["state_class"] = "total_increasing"
    elif kind == "energy":
        kind = "energy_storage"
    if kind is not None:
        sensor["device_class"] = kind
    return sensor


def _template(point: Mapping[str, Any]) -> str:
    if "meaning" not in point:
        return "{{ value_json.value if value_json.quality == 'good' else None }}"
    if isinstance(point["meaning"], list):
        return "{{ (value_json.meaning | join(', ') or 'none') if value_json.quality == 'good' else None }}"
    return "{{ value_json.meaning if value_json.quality == 'good' else None }}"


def _gateway_sensors(topics: Topics, site_id: str) -> dict[str, Any]:
    common = {"platform": "sensor", "state_topic": topics.state, "expire_after": EXPIRES}
    return {
        "gateway_state": common
        | {
            "unique_id": f"{site_id}_gateway_state",
            "name": "Gateway state",
            "value_template": "{{ value_json.decision.state if value_json.decision else None }}",
        },
        "gateway_setpoint": common
        | {
            "unique_id": f"{site_id}_gateway_setpoint",
            "name": "Gateway setpoint",
            "unit_of_measurement": "kW",
            "device_class": "power",
            "state_class": "measurement",
            "value_template": "{{ value_json.decision.setpoint if value_json.decision else None }}",
        },
    }


def _sensor_id(name: str) -> str:
    return _id(name.replace(".", "-"))  # "_" would make rack_1.soc and the plant's rack_1_soc the same


def _id(name: str) -> str:
    """A name in the letters that Home Assistant allows; one that had others keeps a mark of them."""
    plain = re.sub(r"[^a-zA-Z0-9_-]", "_", name)
    return plain if plain == name else f"{plain}_{hashlib.sha256(name.encode()).hexdigest()[:6]}"
