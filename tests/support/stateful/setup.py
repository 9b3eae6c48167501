"""What one episode runs on: one to three units with different devices and limits, ramps, dwell times, a cycle time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from bessai.core.limits import Limits, preset_limits
from bessai.registry import CompiledProfile
from support.profiles import BATTERY, CONTROL, DEAD_MAN, compiled

DURATION = float(DEAD_MAN["time"])
"""Seconds after which the device falls back by itself."""

_PLAIN: dict[str, Any] = {
    **BATTERY,
    "cell_voltage_max": {"address": 7, "type": "u16", "gain": 0.001, "unit": "V", "poll": "fast"},
    "cell_voltage_min": {"address": 8, "type": "u16", "gain": 0.001, "unit": "V", "poll": "fast"},
}
_FULL: dict[str, Any] = {
    **_PLAIN,
    "battery_voltage": {"address": 9, "type": "u16", "gain": 0.1, "unit": "V", "poll": "fast"},
    "battery_current": {"address": 10, "type": "i16", "gain": 0.1, "unit": "A", "poll": "fast"},
    "charge_current_max": {"address": 11, "type": "u16", "gain": 0.1, "unit": "A", "poll": "fast"},
    "discharge_current_max": {"address": 12, "type": "u16", "gain": 0.1, "unit": "A", "poll": "fast"},
    "insulation_resistance": {"address": 13, "type": "u16", "unit": "kΩ", "poll": "fast"},
    "fire_alarm": {"address": 14, "type": "u16", "poll": "fast"},
    "gas_alarm": {"address": 15, "type": "u16", "poll": "fast"},
    "contactor_status": {"address": 16, "type": "u16", "poll": "fast"},
    "reactive_power_max": {"address": 17, "type": "u16", "gain": 0.1, "unit": "kvar", "poll": "fast"},
    "energy_capacity": {"address": 18, "type": "u16", "gain": 0.1, "unit": "kWh", "poll": "fast"},
    "reactive_setpoint": {"address": 26, "type": "i32", "gain": 0.001, "unit": "kvar", "access": "rw"},
}
_REACTIVE = {
    "reactive": [{"point": "reactive_setpoint", "quantity": "reactive"}],
    "reactive_power_max": "reactive_power_max",
}
_REGISTERS = ("mode", "charge_setpoint", "discharge_setpoint", "duration", "reactive_setpoint")
_FAR: Mapping[str, Sequence[float]] = {
    "battery_temperature": (-40.0, 90.0),
    "charge_power_max": (0.0, 0.5, 25.0, 50.0),
    "discharge_power_max": (0.0, 0.5, 20.0, 40.0),
    "charge_current_max": (0.0, 1.0, 30.0, 100.0),
    "discharge_current_max": (0.0, 1.0, 30.0, 100.0),
    "device_status": (1.0, 2.0),
    "fire_alarm": (0.0, 1.0),
    "gas_alarm": (0.0, 1.0),
    "contactor_status": (0.0, 1.0, 2.0),
    "reactive_power_max": (0.0, 10.0, 25.0),
}
"""Values beside the levels of the limits: far beyond, and those of states."""
_CELL = {"lfp": (3.3, 3.25), "nmc": (3.75, 3.7)}


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitSetup:
    """One commanded device and its battery."""

    name: str
    device: CompiledProfile
    limits: Limits
    power_min: float = 0.0
    home: Mapping[str, float] = field(init=False)
    """Values at which everything is allowed."""
    edges: Mapping[str, Sequence[float]] = field(init=False)
    """Values at and around every level, and far beyond."""

    def __post_init__(self) -> None:
        points, limits = self.device.layout.index, self.limits
        high, low = _CELL[limits.chemistry]
        home = {
            "soc": 50.0, "battery_temperature": 27.0, "cell_voltage_max": high, "cell_voltage_min": low,
            "charge_power_max": 50.0, "discharge_power_max": 40.0, "device_status": 1.0,
            "battery_voltage": low * (limits.cells_in_series or 240), "charge_current_max": 100.0,
            "discharge_current_max": 100.0, "insulation_resistance": 5000.0, "fire_alarm": 0.0,
            "gas_alarm": 0.0, "contactor_status": 1.0, "reactive_power_max": 25.0, "energy_capacity": 5.0,
        }  # fmt: skip
        object.__setattr__(self, "home", {name: value for name, value in home.items() if name in points})
        edges = {name: list(values) for name, values in _FAR.items()}
        for edge in (limits.soc_min, limits.soc_max):
            off = (-1.0, -0.9, -0.5, -0.1, 0.0, 0.1, 0.5, 0.9, 1.0)
            edges.setdefault("soc", [0.0, 100.0]).extend(edge + by for by in off)
        for limit in limits.levels:
            levels = [x for c in (limit.charge, limit.discharge) if c is not None for x, _ in c.points]
            levels += [] if limit.trip is None else [limit.trip.at, limit.trip.at]
            values = [x + by * limit.hysteresis for x in levels for by in (-1.0, -0.5, 0.0, 0.0, 0.5, 1.0)]
            edges.setdefault(limit.point, []).extend(round(value, 4) for value in values)
        chosen = {name: tuple(values) for name, values in edges.items() if name in home and name in points}
        object.__setattr__(self, "edges", chosen)

    @property
    def registers(self) -> list[str]:
        """What can be written."""
        return [name for name in _REGISTERS if name in self.device.points]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """One plant."""

    units: tuple[UnitSetup, ...]
    up: float | None = None
    """Share of rated power per second, as are the others."""
    down: float | None = None
    start: float | None = None
    recovery: float | None = None
    min_on: float = 0.0
    min_off: float = 0.0
    cycle: float = 1.0

    @property
    def text(self) -> str:
        """What matters of it, in a line."""
        units = [(u.name, len(u.device.points), u.limits.chemistry, u.limits.soc_min, u.limits.soc_max,
                  u.limits.charge_power_max, u.limits.discharge_power_max, u.limits.discharge_current_max,
                  u.limits.cells_in_series, u.power_min) for u in self.units]  # fmt: skip
        ramps = self.up, self.down, self.start, self.recovery
        return f"{units} ramps {ramps}, dwell {self.min_on, self.min_off}, cycle {self.cycle}"


@dataclass(frozen=True, slots=True)
class Devices:
    """The compiled profiles that setups are made of."""

    plain: CompiledProfile
    full: CompiledProfile

    @classmethod
    def of(cls, directory: Path) -> Devices:
        """Compile them."""
        more = {"control": {**CONTROL, **_REACTIVE}, "dead_man": DEAD_MAN}
        plain = compiled(directory, _PLAIN, control=CONTROL, dead_man=DEAD_MAN)
        return cls(plain, compiled(directory, _FULL, **more))

    def simple(self) -> Setup:
        """One plain unit without ramps."""
        limits = Limits(charge_power_max=48.0, discharge_power_max=44.0)
        return Setup(units=(UnitSetup(name="", device=self.plain, limits=limits),))

    def several(self) -> Setup:
        """Two full units without ramps."""
        limits = preset_limits("lfp", 240)
        return Setup(units=tuple(UnitSetup(name=n, device=self.full, limits=limits) for n in ("one", "two")))

    def any(self, random: Random) -> Setup:
        """A plant by chance."""
        count = random.choice((1, 1, 1, 2, 3))
        names = ("",) if count == 1 else ("one", "two", "three")[:count]
        ramps, dwells = random.random() < 0.5, random.random() < 0.4
        rates = (None, 0.002, 0.02, 0.2)
        return Setup(
            units=tuple(self._unit(name, random) for name in names),
            up=random.choice(rates) if ramps else None,
            down=random.choice(rates) if ramps else None,
            start=random.choice(rates) if ramps else None,
            recovery=random.choice(rates) if ramps else None,
            min_on=random.choice((0.0, 5.0, 30.0)) if dwells else 0.0,
            min_off=random.choice((0.0, 5.0, 30.0)) if dwells else 0.0,
            cycle=random.choice((0.1, 0.5, 1.0, 1.0, 1.0)),
        )

    def _unit(self, name: str, random: Random) -> UnitSetup:
        limits = preset_limits(random.choice(("lfp", "lfp", "nmc")), random.choice((None, 240)))
        limits = replace(
            limits,
            charge_power_max=random.choice((None, 48.0, 12.0)),
            discharge_power_max=random.choice((None, 44.0, 12.0)),
            soc_min=random.choice((10.0, 20.0)),
            soc_max=random.choice((95.0, 90.0)),
            discharge_current_max=random.choice((None, None, 25.0)),
        )
        return UnitSetup(
            name=name,
            device=random.choice((self.plain, self.full, self.full)),
            limits=limits,
            power_min=random.choice((0.0, 0.0, 4.0)),
        )
