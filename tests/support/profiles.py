"""Small profiles for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bessai.registry import CompiledProfile, compile_profile, load_profile

SOURCES = {"t": {"title": "test", "kind": "project", "where": "here"}}


def document(points: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A profile document `test` with these points; each gets a source."""
    return {
        "schema_version": 1,
        "id": "test",
        "manufacturer": "Test",
        "model": "Device",
        "kinds": ["battery"],
        "status": "documented",
        "sources": SOURCES,
        "points": {name: {"sources": ["t"], **point} for name, point in points.items()},
        **more,
    }


def compiled(tmp_path: Path, points: dict[str, Any], **more: Any) -> CompiledProfile:
    """The compiled profile of these points, through the real loader."""
    path = tmp_path / "test.json"
    path.write_text(json.dumps(document(points, **more)))
    return compile_profile(load_profile(path))


BATTERY: dict[str, Any] = {
    "soc": {
        "address": 0,
        "type": "u16",
        "gain": 0.1,
        "unit": "%",
        "poll": "fast",
        "valid": [0, 100],
        "sentinel": 65535,
    },
    "battery_power": {
        "address": 1,
        "type": "i32",
        "gain": -0.001,
        "unit": "kW",
        "poll": "fast",
        "sentinel": 0x7FFFFFFF,
    },
    "battery_temperature": {
        "address": 3,
        "type": "i16",
        "gain": 0.1,
        "unit": "°C",
        "poll": "fast",
        "valid": [-40, 100],
    },
    "device_status": {"address": 4, "type": "u16", "poll": "fast", "enum": {"1": "running", "2": "fault"}},
    "charge_power_max": {"address": 5, "type": "u16", "gain": 0.1, "unit": "kW", "poll": "normal"},
    "discharge_power_max": {"address": 6, "type": "u16", "gain": 0.1, "unit": "kW", "poll": "normal"},
    "mode": {"address": 20, "type": "u16", "access": "rw"},
    "charge_setpoint": {"address": 21, "type": "u32", "gain": 0.001, "unit": "kW", "access": "rw"},
    "discharge_setpoint": {"address": 23, "type": "u32", "gain": 0.001, "unit": "kW", "access": "rw"},
    "duration": {"address": 25, "type": "u16", "unit": "s", "access": "rw"},
}

CONTROL: dict[str, Any] = {
    "charge": [
        {"point": "charge_setpoint", "quantity": "magnitude"},
        {"point": "duration", "quantity": "dead_man_time"},
        {"point": "mode", "value": 1},
    ],
    "discharge": [
        {"point": "discharge_setpoint", "quantity": "magnitude"},
        {"point": "duration", "quantity": "dead_man_time"},
        {"point": "mode", "value": 2},
    ],
    "zero": [
        {"point": "discharge_setpoint", "value": 0},
        {"point": "duration", "quantity": "dead_man_time"},
        {"point": "mode", "value": 2},
    ],
    "stop": [{"point": "mode", "value": 0}],
    "measured": "battery_power",
    "charge_power_max": "charge_power_max",
    "discharge_power_max": "discharge_power_max",
    "evidence": ["soc", "battery_power", "battery_temperature", "device_status"],
    "running_states": {"device_status": [1]},
}

DEAD_MAN: dict[str, Any] = {
    "kind": "duration",
    "point": "duration",
    "time": 20,
    "feed": ["mode"],
    "fallback": "ends the forced mode",
    "sources": ["t"],
}


def battery(tmp_path: Path, **more: Any) -> CompiledProfile:
    """A controllable battery with a duration dead-man of 20 s."""
    return compiled(tmp_path, BATTERY, **{"control": CONTROL, "dead_man": DEAD_MAN, **more})


REGISTERS = {
    0: 555, 1: 0, 2: 0, 3: 250, 4: 1, 5: 500, 6: 500,
    20: 0, 21: 0, 22: 0, 23: 0, 24: 0, 25: 0,
}  # fmt: skip
"""55.5 %, 0 kW, 25 °C, running, 50 kW both ways."""
