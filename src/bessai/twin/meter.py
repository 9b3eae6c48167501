"""The site's load, and the meter at the point of connection. No I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from bessai.twin.grid import wander


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadConfig:
    """What the site consumes: a base and two peaks a day. Representative of a large household."""

    base: float = 0.5
    """kW at all times."""
    morning: float = 1.2
    """kW on top at the height of the morning peak."""
    morning_hour: float = 7.5
    """Hour of the day of the morning peak."""
    evening: float = 2.5
    """kW on top at the height of the evening peak."""
    evening_hour: float = 19.5
    """Hour of the day of the evening peak."""
    peak_width: float = 1.5
    """Standard deviation of each peak, in hours."""
    deviation: float = 0.15
    """Standard deviation of the random part, in kW."""
    deviation_time: float = 30.0
    """Seconds after which the random part is forgotten to 1/e."""
    reactive_share: float = 0.2
    """kvar for each kW."""


class Load:
    """The consumption's state."""

    def __init__(self, config: LoadConfig, random: Random) -> None:
        self.config = config
        self.active_power = config.base
        """kW consumed, never negative."""
        self._random = random
        self._walk = 0.0

    @property
    def reactive_power(self) -> float:
        """Reactive power consumed, in kvar."""
        return self.active_power * self.config.reactive_share

    def step(self, hour: float, dt: float) -> None:
        """Move on by `dt` seconds, to an hour of the day of 0 … 24."""
        config = self.config
        self._walk = wander(self._walk, config.deviation, config.deviation_time, dt, self._random)
        expected = config.base
        for height, peak in ((config.morning, config.morning_hour), (config.evening, config.evening_hour)):
            distance = (hour - peak + 12) % 24 - 12
            expected += height * math.exp(-((distance / config.peak_width) ** 2) / 2)
        self.active_power = max(0.0, expected + self._walk)


class Meter:
    """The meter at the point of connection. Signs: + exports to the grid."""

    def __init__(self) -> None:
        self.active_power = 0.0
        """kW."""
        self.reactive_power = 0.0
        """kvar."""
        self.energy_exported = 0.0
        """kWh ever exported."""
        self.energy_imported = 0.0
        """kWh ever imported."""

    def step(self, active_power: float, reactive_power: float, dt: float) -> None:
        """Count `dt` seconds at a power in kW and kvar."""
        self.active_power = active_power
        self.reactive_power = reactive_power
        energy = active_power * dt / 3600
        if energy > 0:
            self.energy_exported += energy
        else:
            self.energy_imported -= energy
