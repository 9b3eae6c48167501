"""Point lists that ship with the gateway.

`sitr` is a minimum set for the real-time information system of the Chilean Coordinator. It is provisional: made from
secondary sources and engineering judgement, not from the official annex. The operator's own list counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MW: dict[str, Any] = {"scale": 0.001, "unit": "MW", "dead_band": 0.01}
_MVAR: dict[str, Any] = {"scale": 0.001, "unit": "Mvar", "dead_band": 0.01}


def _point(ioa: int, name: str, group: int, kind: str = "float", **more: Any) -> dict[str, Any]:
    return {"ioa": ioa, "name": name, "group": group, "type": kind, **more}


_SITR_POINTS = (
    _point(1, "grid_power", 1, **_MW, agc=True),
    _point(2, "grid_reactive_power", 1, **_MVAR),
    _point(3, "grid_voltage", 1, scale=0.001, unit="kV", dead_band=0.05),
    _point(4, "grid_frequency", 1, dead_band=0.002),
    _point(5, "grid_current", 1, dead_band=1.0),
    _point(6, "decision.power_max", 1, **_MW, agc=True),
    _point(7, "decision.power_min", 1, **_MW, agc=True),
    _point(21, "decision.setpoint", 2, **_MW, agc=True),
    _point(22, "command.active_power", 2, **_MW, agc=True),
    _point(23, "command.active_power_max", 2, **_MW),
    _point(24, "decision.reactive", 2, **_MVAR),
    _point(25, "grid.voltage.setpoint", 2, dead_band=0.05),
    _point(26, "grid.voltage.power_factor", 2, dead_band=0.001),
    _point(27, "grid.voltage.reactive_power", 2, **_MVAR),
    _point(41, "grid.voltage.mode", 3, "scaled"),
    _point(42, "grid.frequency.enabled", 3, "single"),
    _point(43, "grid.active.agc", 3, "single"),
    _point(44, "grid.frequency.droop", 3),
    _point(45, "grid.frequency.dead_band", 3),
    _point(46, "grid.voltage.droop", 3),
    _point(47, "grid.active.ramp", 3),
    _point(61, "battery_power", 4, **_MW),
    _point(62, "soc", 4, dead_band=0.1),
    _point(63, "stored_energy", 4, scale=0.001, unit="MWh", dead_band=0.01),
    _point(64, "operating_state", 4, "scaled"),
    _point(65, "decision.state", 4, "scaled"),
    _point(66, "energy_charged_total", 4, "counter"),
    _point(67, "energy_discharged_total", 4, "counter"),
    _point(81, "breaker_status", 5, "single"),
    _point(82, "decision.tripped", 5, "single"),
    _point(83, "gateway.alarm", 5, "single"),
    _point(84, "alarm:fire_alarm", 5, "single"),
    _point(85, "alarm:battery_alarm", 5, "single"),
    _point(86, "alarm:evidence_lost", 5, "single"),
    _point(87, "gateway.alive", 5, "single"),
    _point(88, "scada.events_lost", 5, "single"),
    _point(89, "scada.fallback", 5, "single"),
)

_SITR_COMMANDS: tuple[dict[str, Any], ...] = (
    {"ioa": 101, "target": "active_power", "scale": 0.001, "unit": "MW", "feedback": 22},
    {"ioa": 102, "target": "active_power_max", "scale": 0.001, "unit": "MW", "feedback": 23},
    {"ioa": 103, "target": "voltage.mode", "type": "scaled", "feedback": 41},
    {"ioa": 104, "target": "voltage.setpoint", "feedback": 25},
    {"ioa": 105, "target": "voltage.power_factor", "feedback": 26},
    {"ioa": 106, "target": "voltage.reactive_power", "scale": 0.001, "unit": "Mvar", "feedback": 27},
    {"ioa": 107, "target": "frequency.enabled", "type": "single", "feedback": 42},
    {"ioa": 108, "target": "active.agc", "type": "single", "feedback": 43},
)

PRESETS: Mapping[str, tuple[tuple[dict[str, Any], ...], tuple[dict[str, Any], ...]]] = {
    "sitr": (_SITR_POINTS, _SITR_COMMANDS)
}
"""Name to points and commands, written as in a site file."""

MENDS: Mapping[str, str] = {
    "grid_voltage": "name the meter's voltage, for example `grid_voltage: { formula: meter_grid.line_voltage_ab, "
    "unit: V }`",
    "grid_current": "name the meter's current, for example `grid_current: { formula: meter_grid.phase_current_a, "
    "unit: A }`",
    "stored_energy": "`stored_energy: { formula: soc * energy_capacity / 100, unit: kWh }`",
    "operating_state": "0 idle, 1 charging, 2 discharging: `operating_state: { formula: 2 if active_power > 1 else "
    "(1 if active_power < -1 else 0) }`",
}
"""How a site gets a point that the preset asks for, under `points:` of the site file."""
