"""The grid: frequency and voltage that wander about their nominal values, and scripted events. No I/O."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True, kw_only=True)
class GridEvent:
    """A disturbance: from `start` on for `duration` seconds, reached and left over `ramp` seconds."""

    start: float
    """Simulated seconds since the plant's start."""
    duration: float
    """Seconds, both ramps included."""
    frequency_offset: float = 0.0
    """Hz on top of the wandering frequency; -0.5 is a dip."""
    voltage_factor: float = 1.0
    """Share of the wandering voltage; 0.7 is a sag."""
    ramp: float = 0.0
    """Seconds from nothing to full strength."""

    def strength(self, time: float) -> float:
        """How much of the event is felt at a simulated time, 0 … 1."""
        if not self.start <= time < self.start + self.duration:
            return 0.0
        if self.ramp <= 0:
            return 1.0
        return min(1.0, (time - self.start) / self.ramp, (self.start + self.duration - time) / self.ramp)


@dataclass(frozen=True, slots=True, kw_only=True)
class GridConfig:
    """How calm the grid is. The deviations are representative of a large synchronous area."""

    nominal_frequency: float = 50.0
    """Hz."""
    frequency_deviation: float = 0.02
    """Standard deviation in Hz."""
    frequency_time: float = 60.0
    """Seconds after which a deviation is forgotten to 1/e."""
    nominal_voltage: float = 230.0
    """V of a phase to neutral."""
    voltage_deviation: float = 1.5
    """Standard deviation in V."""
    voltage_time: float = 120.0
    """Seconds after which a deviation is forgotten to 1/e."""
    events: Sequence[GridEvent] = ()
    """The script."""


class Grid:
    """The grid's state; every random number comes from `random`."""

    def __init__(self, config: GridConfig, random: Random) -> None:
        self.config = config
        self.events = list(config.events)
        """The script; events may be added while running."""
        self.frequency = config.nominal_frequency
        """Hz."""
        self.voltage = config.nominal_voltage
        """V of a phase to neutral."""
        self._random = random
        self._frequency_walk = 0.0
        self._voltage_walk = 0.0

    def step(self, time: float, dt: float) -> None:
        """Move on by `dt` seconds, to the simulated time `time`."""
        config = self.config
        self._frequency_walk = wander(
            self._frequency_walk, config.frequency_deviation, config.frequency_time, dt, self._random
        )
        self._voltage_walk = wander(
            self._voltage_walk, config.voltage_deviation, config.voltage_time, dt, self._random
        )
        self.frequency = config.nominal_frequency + self._frequency_walk
        self.voltage = config.nominal_voltage + self._voltage_walk
        for event in self.events:
            if strength := event.strength(time):
                self.frequency += strength * event.frequency_offset
                self.voltage *= 1 - strength * (1 - event.voltage_factor)


def wander(value: float, deviation: float, memory: float, dt: float, random: Random) -> float:
    """One step of a random walk that returns to 0 (Ornstein and Uhlenbeck), exact for any `dt`.

    Its standard deviation in the long run is `deviation`; it forgets to 1/e in `memory` seconds.
    """
    keep = math.exp(-dt / memory)
    return value * keep + deviation * math.sqrt(1 - keep * keep) * random.gauss(0.0, 1.0)
