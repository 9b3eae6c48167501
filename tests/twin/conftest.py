"""A small made-up device, so that the twin is tried on more than the profiles that ship."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from bessai.registry import Profile

_MINI: dict[str, Any] = {
    "schema_version": 1,
    "id": "mini",
    "manufacturer": "Nobody",
    "model": "Mini 1",
    "kinds": ["battery", "inverter"],
    "status": "documented",
    "connection": {"unit": 3, "max_registers": 40, "single_connection": True, "settle": 0.2},
    "sentinels": {"u16": [0xFFFF], "i16": [0x7FFF], "u32": [0xFFFFFFFF], "i32": [0x7FFFFFFF]},
    "points": {
        "soc": {"address": 100, "type": "u16", "gain": 0.1, "unit": "%", "valid": [0, 100]},
        "battery_power": {
            "address": 101, "type": "i32", "gain": -0.001, "unit": "kW", "word_order": "little", "poll": "fast",
        },
        "battery_voltage": {"address": 103, "type": "f32", "unit": "V"},
        "pv_power": {"address": 105, "type": "i32", "gain": 0.001, "unit": "kW"},
        "pv_voltage": {"address": 107, "type": "f32", "unit": "V"},
        "alarms": {"address": 109, "type": "u16", "bits": {"0": "smoke"}, "sentinel": []},
        "device_status": {"address": 110, "type": "u16", "enum": {"1": "off", "7": "running"}, "poll": "fast"},
        "firmware_date": {"address": 111, "type": "u16", "sentinel": []},
        "model_name": {"address": 112, "type": "text", "count": 4},
        "energy_exported_total": {
            "address": 116, "type": "u32", "gain": 0.01, "unit": "kWh", "byte_order": "little"
        },
        "charge_power_max": {"address": 118, "type": "u16", "gain": 0.1, "unit": "kW"},
        "discharge_power_max": {"address": 119, "type": "u16", "gain": 0.1, "unit": "kW"},
        "frequency": {"address": 10, "table": "input", "type": "u16", "gain": 0.001, "unit": "Hz"},
        "contactor": {"address": 4, "table": "discrete", "type": "bool"},
        "heater": {"address": 7, "table": "coil", "type": "bool", "access": "rw"},
        "mode": {
            "address": 200, "type": "u16", "access": "rw",
            "enum": {"0": "own mode", "1": "charge", "2": "discharge"},
        },
        "charge_setpoint": {
            "address": 201, "type": "u16", "gain": 0.01, "unit": "kW", "access": "rw", "valid": [0, 50],
        },
        "discharge_setpoint": {
            "address": 202, "type": "u16", "gain": 0.01, "unit": "kW", "access": "rw", "valid": [0, 50],
        },
        "duration": {"address": 203, "type": "u16", "unit": "min", "access": "rw", "valid": [0, 1440]},
        "charge_limit": {"address": 205, "type": "u32", "gain": 0.001, "unit": "kW", "access": "rw"},
        "unlock": {"address": 207, "type": "u16", "access": "w", "poll": "never"},
        "counter": {"address": 208, "type": "u16", "access": "rw"},
        "timeout": {"address": 209, "type": "u16", "unit": "s", "access": "rw"},
    },
    "control": {
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
        "charge_limit": [{"point": "charge_limit", "quantity": "limit"}],
        "measured": "battery_power",
        "charge_power_max": "charge_power_max",
        "discharge_power_max": "discharge_power_max",
        "evidence": ["battery_power", "device_status"],
        "running_states": {"device_status": [7]},
    },
    "dead_man": {
        "kind": "duration", "point": "duration", "feed": ["mode"], "time": 120, "fallback": "the command ends",
    },
    "sources": {"made_up": {"title": "made up for these tests", "kind": "project", "where": "here"}},
}  # fmt: skip

MakeProfile = Callable[..., Profile]


@pytest.fixture
def make_profile() -> MakeProfile:
    """A function that makes the mini profile; its arguments replace top-level sections."""

    def make(**sections: Any) -> Profile:
        document = copy.deepcopy(_MINI) | sections
        return Profile.model_validate(document)

    return make


@pytest.fixture
def mini(make_profile: MakeProfile) -> Profile:
    return make_profile()
