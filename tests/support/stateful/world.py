"""A battery whose state wanders and jumps, and the device that carries out what is written to it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from bessai.model import Quality, Write
from bessai.registry import CompiledProfile
from support.profiles import BATTERY, CONTROL, DEAD_MAN, compiled

DURATION = float(DEAD_MAN["time"])
POINTS = {
    **BATTERY,
    "cell_voltage_max": {"address": 7, "type": "u16", "gain": 0.001, "unit": "V", "poll": "fast"},
    "cell_voltage_min": {"address": 8, "type": "u16", "gain": 0.001, "unit": "V", "poll": "fast"},
}
EDGES = {
    "soc": (0.0, 9.9, 10.0, 10.1, 94.0, 94.9, 95.0, 100.0),
    "battery_temperature": (-40.0, 0.0, 0.1, 12.0, 18.0, 35.0, 39.9, 40.0, 45.0, 54.9, 55.0, 60.0, 90.0),
    "cell_voltage_max": (3.2, 3.449, 3.45, 3.6, 3.649, 3.65, 3.651, 3.8),
    "cell_voltage_min": (2.4, 2.5, 2.899, 2.9, 2.901, 3.0, 3.2),
    "charge_power_max": (0.0, 0.5, 25.0, 50.0),
    "discharge_power_max": (0.0, 0.5, 20.0, 40.0),
    "device_status": (1.0, 2.0),
}
"""Values at and around every level, and far beyond."""
STEP = {"soc": 0.3, "battery_temperature": 0.7, "cell_voltage_max": 0.02, "cell_voltage_min": 0.02}
HOME = {
    "soc": 50.0,
    "battery_temperature": 25.0,
    "cell_voltage_max": 3.3,
    "cell_voltage_min": 3.25,
    "charge_power_max": 50.0,
    "discharge_power_max": 40.0,
    "device_status": 1.0,
}
_BAD = [quality for quality in Quality if quality is not Quality.GOOD]
_CAPACITY = 5.0  # kWh: small, so that a minute of power is a sixth of it


def profile(tmp_path: Path) -> CompiledProfile:
    """The device of `World`: charge, discharge, mode and a duration dead-man of 20 s."""
    return compiled(tmp_path, POINTS, control=CONTROL, dead_man=DEAD_MAN)


class World:
    """One battery and its device. Power in kW, + = discharge; time in seconds.

    Args:
        random: where all chance comes from.
        wild: how often, in a cycle, one value jumps or is lost.
    """

    def __init__(self, random: Random, wild: float) -> None:
        self.values = dict(HOME)
        self.power = 0.0
        self._random = random
        self._wild = wild
        self._lost: dict[str, tuple[Quality, int]] = {}
        self._registers = {"mode": 0.0, "charge_setpoint": 0.0, "discharge_setpoint": 0.0, "duration": 0.0}
        self._until = -math.inf
        if random.random() < 0.1:
            name = random.choice(["cell_voltage_max", "cell_voltage_min", "charge_power_max"])
            self._lost[name] = Quality.ABSENT, random.choice([5, 10_000])

    def target(self, now: float) -> float:
        """What the device is told and has not let go of, in kW."""
        if now > self._until:
            return 0.0
        registers = self._registers
        match registers["mode"]:
            case 1.0:
                return -registers["charge_setpoint"]
            case 2.0:
                return registers["discharge_setpoint"]
        return 0.0

    def step(self, now: float) -> None:
        """One second: power follows the target, energy follows power, everything else wanders and jumps."""
        random, values = self._random, self.values
        self.power += (self.target(now) - self.power) * random.choice((1.0, 1.0, 1.0, 0.6))
        values["soc"] = min(max(values["soc"] - self.power / 36.0 / _CAPACITY, 0.0), 100.0)
        for name, width in STEP.items():
            pull = (HOME[name] - values[name]) * 0.02 if name != "soc" else 0.0
            values[name] = round(values[name] + pull + random.gauss(0.0, width), 3)
        values["soc"] = min(max(values["soc"], 0.0), 100.0)
        if random.random() < self._wild:
            name = random.choice(list(EDGES))
            values[name] = random.choice(EDGES[name])
            if name != "device_status" and random.random() < 0.3:
                values[name] += random.choice((-0.001, 0.001))
        elif random.random() < 0.1:
            name = random.choice(list(HOME))
            values[name] = HOME[name]
        if random.random() < self._wild:
            self._lost[random.choice([*HOME, "battery_power"])] = random.choice(_BAD), random.randint(1, 12)

    def seen(self) -> dict[str, float | Quality]:
        """What the gateway reads: the values, or why there is none."""
        readings: dict[str, float | Quality] = {**self.values, "battery_power": round(self.power, 3)}
        for name, (quality, left) in list(self._lost.items()):
            readings[name] = quality
            if left > 1:
                self._lost[name] = quality, left - 1
            else:
                del self._lost[name]
        return readings

    def write(self, writes: Sequence[Write], now: float) -> Iterator[float]:
        """Carry out writes one by one; yields the target in kW after each."""
        for write in writes:
            assert write.point in self._registers, f"{write.point} is no register of this device"
            self._registers[write.point] = write.value
            if write.point == "mode":
                self._until = now + self._registers["duration"]
            yield self.target(now)
