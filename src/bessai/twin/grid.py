"""The grid: frequency and voltage that wander about their nominal values, and scripted events. No I/O.

It is stiff unless `short_circuit_power` is given: then it is a voltage source behind an impedance, and the voltage at
the point of connection moves with the power that flows there. That voltage is solved in closed form at the end of
every step, so the plant meets it one step later and there is no loop to converge.
"""

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
    short_circuit_power: float | None = None
    """kVA at the point of connection at nominal voltage; None: stiff, the plant does not move the voltage."""
    x_over_r: float = 5.0
    """Reactance of the grid's impedance as a multiple of its resistance. Representative of medium voltage."""
    events: Sequence[GridEvent] = ()
    """The script."""

    def __post_init__(self) -> None:
        power = self.short_circuit_power
        if power is not None and not 0 < power < math.inf:
            raise ValueError(f"short_circuit_power must be greater than 0 kVA, not {power:g}")
        if not 0 <= self.x_over_r < math.inf:
            raise ValueError(f"x_over_r must be 0 or more, not {self.x_over_r:g}")


class Grid:
    """The grid's state; every random number comes from `random`."""

    def __init__(self, config: GridConfig, random: Random) -> None:
        self.config = config
        self.events = list(config.events)
        """The script; events may be added while running."""
        self.frequency = config.nominal_frequency
        """Hz."""
        self.source_voltage = config.nominal_voltage
        """V of a phase to neutral without the plant: behind the grid's impedance."""
        self.voltage = config.nominal_voltage
        """V of a phase to neutral at the point of connection."""
        self.frequency_shift = 0.0
        """Hz on top of everything, for as long as somebody wants it."""
        self.voltage_share = 1.0
        """The same of the source's voltage, as a share of it."""
        self._flow = (0.0, 0.0)
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
        self.frequency = config.nominal_frequency + self._frequency_walk + self.frequency_shift
        self.source_voltage = (config.nominal_voltage + self._voltage_walk) * self.voltage_share
        for event in self.events:
            if strength := event.strength(time):
                self.frequency += strength * event.frequency_offset
                self.source_voltage *= 1 - strength * (1 - event.voltage_factor)
        self.carry(*self._flow)

    def carry(self, active_power: float, reactive_power: float) -> None:
        """Take the power in kW and kvar that flows into the grid; its voltage follows at once."""
        self._flow = active_power, reactive_power
        base = self.config.short_circuit_power
        if base is None:
            self.voltage = self.source_voltage
            return
        nominal = self.config.nominal_voltage
        share = voltage_behind(
            self.source_voltage / nominal, active_power / base, reactive_power / base, self.config.x_over_r
        )
        self.voltage = share * nominal


def voltage_behind(source: float, active: float, reactive: float, x_over_r: float) -> float:
    """The voltage where a power enters a grid, per unit of nominal voltage and short-circuit power.

    With V at the point of connection and E behind R + jX, E² V² = (V² - a)² + b² where a = R P + X Q and
    b = X P - R Q; of the two solutions in V² the upper one is stable. Beyond the highest power that the grid can
    carry there is none, and the voltage of that limit is returned.
    """
    size = math.hypot(1.0, x_over_r)
    resistance, reactance = 1 / size, x_over_r / size
    along = resistance * active + reactance * reactive
    across = reactance * active - resistance * reactive
    middle = source * source / 2 + along
    inside = middle * middle - along * along - across * across
    return math.sqrt(max(0.0, middle + math.sqrt(max(0.0, inside))))


def wander(value: float, deviation: float, memory: float, dt: float, random: Random) -> float:
    """One step of a random walk that returns to 0 (Ornstein and Uhlenbeck), exact for any `dt`.

    Its standard deviation in the long run is `deviation`; it forgets to 1/e in `memory` seconds.
    """
    keep = math.exp(-dt / memory)
    return value * keep + deviation * math.sqrt(1 - keep * keep) * random.gauss(0.0, 1.0)
