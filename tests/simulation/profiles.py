"""The devices that are simulated."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from bessai.registry import Profile, find_profile, load_profile
from bessai.twin import BatteryConfig, PlantConfig
from simulation.seat import Place
from support.profiles import document

_CONTROL: dict[str, Any] = {
    "charge": [
        {"point": "setpoint", "quantity": "power"},
        {"point": "timeout", "quantity": "dead_man_time"},
        {"point": "mode", "value": 1},
    ],
    "discharge": [
        {"point": "setpoint", "quantity": "power"},
        {"point": "timeout", "quantity": "dead_man_time"},
        {"point": "mode", "value": 1},
    ],
    "zero": [
        {"point": "setpoint", "value": 0},
        {"point": "timeout", "quantity": "dead_man_time"},
        {"point": "mode", "value": 1},
    ],
    "stop": [{"point": "mode", "value": 0}],
    "measured": "battery_power",
    "charge_power_max": "charge_power_max",
    "discharge_power_max": "discharge_power_max",
    "evidence": ["soc", "battery_power", "device_status", "internal_temperature"],
    "running_states": {"device_status": [1]},
    "response_time": 5.0,
}


def _fast(address: int, unit: str | None = None, **more: Any) -> dict[str, Any]:
    return {"address": address, "type": "u16", "poll": "fast", **({"unit": unit} if unit else {}), **more}


_POINTS: dict[str, Any] = {
    "alive": _fast(0),
    "device_status": _fast(
        1, enum={"1": "running", "2": "fault", "3": "fire", "4": "insulation fault", "5": "gas"}
    ),
    "soc": _fast(2, "%", gain=0.1, valid=[0, 100], sentinel=65535),
    "battery_power": _fast(3, "kW", type="i32", gain=0.001, valid=[-100, 100], sentinel=0x7FFFFFFF),
    "battery_temperature": _fast(5, "°C", type="i16", gain=0.1, valid=[-40, 120], sentinel=32767),
    "cell_voltage_max": _fast(6, "V", gain=0.001, valid=[0, 5], sentinel=65535),
    "cell_voltage_min": _fast(7, "V", gain=0.001, valid=[0, 5], sentinel=65535),
    "internal_temperature": _fast(12, "°C", type="f32", valid=[-40, 120]),
    "cell_temperature_max": _fast(8, "°C", type="i16", gain=0.1, valid=[-40, 120], sentinel=32767),
    "cell_temperature_min": _fast(9, "°C", type="i16", gain=0.1, valid=[-40, 120], sentinel=32767),
    "charge_power_max": _fast(10, "kW", gain=0.01, valid=[0, 100], sentinel=65535),
    "discharge_power_max": _fast(11, "kW", gain=0.01, valid=[0, 100], sentinel=65535),
    "fire_alarm": _fast(14, enum={"0": "no fire", "1": "fire"}),
    "gas_alarm": _fast(15, enum={"0": "no gas", "1": "gas"}),
    "insulation_resistance": _fast(16, "kΩ", valid=[0, 10000], sentinel=65535),
    "battery_voltage": _fast(17, "V", gain=0.1, valid=[0, 1000], sentinel=65535),
    "contactor_status": _fast(18, enum={"0": "open", "1": "closed"}),
    "mode": {"address": 20, "type": "u16", "access": "rw", "enum": {"0": "own", "1": "remote"}},
    "setpoint": {
        "address": 21,
        "type": "i32",
        "gain": 0.001,
        "unit": "kW",
        "access": "rw",
        "valid": [-100, 100],
    },
    "timeout": {"address": 23, "type": "u16", "unit": "s", "access": "rw"},
}


_VARS: dict[str, Any] = {
    "reactive_power": _fast(30, "kvar", type="i32", gain=0.001, valid=[-100, 100], sentinel=0x7FFFFFFF),
    "reactive_power_max": _fast(32, "kvar", gain=0.01, valid=[0, 100], sentinel=65535),
    "apparent_power_max": _fast(33, "kVA", gain=0.01, valid=[0, 100], sentinel=65535),
    "reactive_setpoint": {"address": 34, "type": "i32", "gain": 0.001, "unit": "kvar", "access": "rw"},
}
_REACTIVE: dict[str, Any] = {
    "reactive": [{"point": "reactive_setpoint", "quantity": "reactive"}],
    "reactive_power_max": "reactive_power_max",
    "apparent_power_max": "apparent_power_max",
    "measured_reactive": "reactive_power",
}


@cache
def pack() -> Profile:
    """A battery that tells all of its cells, a counter that shows it alive, and a dead-man of 10 s."""
    return _pack(_POINTS, _CONTROL)


@cache
def reactive_pack() -> Profile:
    """The same with a converter that is told kvar as well."""
    return _pack(_POINTS | _VARS, _CONTROL | _REACTIVE)


def _pack(points: dict[str, Any], control: dict[str, Any]) -> Profile:
    return _loaded(
        document(
            points,
            connection={"timeout": 0.4, "retries": 1},
            control=control,
            dead_man={
                "kind": "timeout", "point": "timeout", "time": 10, "feed": ["mode"], "fallback": "own mode",
                "sources": ["t"],
            },
            alive={"point": "alive", "within": 3},
        )
    )  # fmt: skip


@cache
def huawei() -> Profile:
    """The registry's Huawei SUN2000: a command of 120 s that is written again every 30 s."""
    return load_profile(find_profile("huawei_sun2000"))


PROFILES = {"huawei_sun2000": huawei, "pack": pack, "reactive_pack": reactive_pack}


def _loaded(content: dict[str, Any]) -> Profile:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / f"{content['id']}.json"
        path.write_text(json.dumps(content))
        return load_profile(path)


@cache
def three() -> tuple[Place, ...]:
    """Three packs of different size; two of them cannot run at a small power."""
    return tuple(
        Place(
            name=name,
            profile=pack(),
            power_min=least,
            plant=PlantConfig(
                battery=BatteryConfig(
                    energy_capacity=energy,
                    charge_power_max=charge,
                    discharge_power_max=discharge,
                    initial_soc=soc,
                )
            ),
        )
        for name, energy, charge, discharge, soc, least in (
            ("north", 15.0, 10.0, 10.0, 50.0, 0.0),
            ("south", 30.0, 8.0, 10.0, 30.0, 2.0),
            ("west", 10.0, 5.0, 4.0, 80.0, 1.5),
        )
    )
