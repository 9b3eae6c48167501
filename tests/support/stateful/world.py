"""A battery whose state wanders and jumps, and the device that carries out what is written to it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from random import Random

from bessai.model import Quality, Write
from support.stateful.setup import UnitSetup

STEP = {
    "soc": 0.3,
    "battery_temperature": 0.7,
    "cell_voltage_max": 0.02,
    "cell_voltage_min": 0.02,
    "battery_voltage": 3.0,
}
"""Standard deviations of one second's wandering."""
_BAD = [quality for quality in Quality if quality is not Quality.GOOD]
_CAPACITY = 5.0
"""kWh: small, so that a minute of power is a sixth of it."""
_MAY_BE_NEVER = ("cell_voltage_max", "charge_power_max", "charge_current_max", "insulation_resistance")


class World:
    """One battery and its device. Power in kW, + = discharge; time in seconds.

    Args:
        setup: the device.
        random: where all chance comes from.
        wild: how often, in a cycle, one value jumps or is lost.
    """

    def __init__(self, setup: UnitSetup, random: Random, wild: float) -> None:
        self.values = dict(setup.home)
        self.power = 0.0
        self._home, self._edges = setup.home, setup.edges
        self._random = random
        self._wild = wild
        self._lost: dict[str, tuple[Quality, int]] = {}
        self._registers = dict.fromkeys(setup.registers, 0.0)
        self._until = -math.inf
        self._wrong = 0
        """Cycles for which the measured current is wrong."""
        if random.random() < 0.3:
            name = random.choice([name for name in _MAY_BE_NEVER if name in self.values])
            never = Quality.ABSENT if random.random() < 0.7 else Quality.NOT_AVAILABLE
            self._lost[name] = never, random.choice([5, 100_000])

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

    @property
    def reactive(self) -> float:
        """kvar that the device is told."""
        return self._registers.get("reactive_setpoint", 0.0)

    def step(self, now: float, seconds: float) -> None:
        """Power follows the target, energy follows power, everything else wanders and jumps."""
        random, values = self._random, self.values
        share = min(1.0, seconds) * random.choice((1.0, 1.0, 1.0, 0.6))
        self.power += (self.target(now) - self.power) * share
        values["soc"] -= self.power * seconds / 36.0 / _CAPACITY
        root = math.sqrt(seconds)
        for name, width in STEP.items():
            if name in values:
                pull = (self._home[name] - values[name]) * 0.02 * seconds if name != "soc" else 0.0
                values[name] = round(values[name] + pull + random.gauss(0.0, width * root), 3)
        values["soc"] = min(max(values["soc"], 0.0), 100.0)
        if random.random() < self._wild:
            name = random.choice(list(self._edges))
            values[name] = random.choice(self._edges[name])
            if not name.endswith(("status", "alarm")) and random.random() < 0.3:
                values[name] += random.choice((-0.001, 0.001))
        elif random.random() < 0.1:
            name = random.choice(list(self._home))
            values[name] = self._home[name]
        if random.random() < self._wild:
            name = random.choice([*self._home, "battery_power"])
            self._lost[name] = random.choice(_BAD), random.randint(1, 12)

    def lose(self, name: str, quality: Quality, cycles: int) -> None:
        """The value of a point is not good for some cycles."""
        self._lost[name] = quality, cycles

    def seen(self) -> dict[str, float | Quality]:
        """What the gateway reads: the values, or why there is none."""
        readings: dict[str, float | Quality] = {**self.values, "battery_power": round(self.power, 3)}
        if "battery_voltage" in readings:  # what flows on the DC side, with now and then a bad sensor
            volts = max(self.values["battery_voltage"], 1.0)
            self._wrong -= 1
            if self._random.random() < 0.004:
                self._wrong = self._random.choice((1, 10, 60))
            wrong = 140.0 if self._wrong > 0 else 0.0
            readings["battery_current"] = round(self.power * 1000.0 / volts + wrong, 2)
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
