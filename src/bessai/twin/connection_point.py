"""The point of connection that plants share: one grid, one load, one meter, one clock. No I/O.

The meter counts the sum of the plants' powers minus the load. All plants step together, so the sum is exact in
every step; a grid with an impedance feels it.
"""

from __future__ import annotations

from random import Random
from typing import Protocol

from bessai.twin.grid import Grid, GridConfig
from bessai.twin.meter import Load, LoadConfig, Meter

_NS = 1_000_000_000


class Machine(Protocol):
    """What stands behind the point of connection."""

    def machine_step(self, dt: float) -> None:
        """Move the battery and the converter on by `dt` seconds; the grid has moved already."""

    def power(self) -> tuple[float, float]:
        """Present kW and kvar that it gives."""


class ConnectionPoint:
    """Grid, load and meter of one site, and the time of everything behind it.

    Args:
        grid: the grid.
        load: the site's load.
        seed: of grid and load.
        start_hour: hour of the simulated day at the start.
        step: simulated seconds of one step.
    """

    def __init__(
        self,
        grid: GridConfig | None = None,
        load: LoadConfig | None = None,
        *,
        seed: int = 0,
        start_hour: float = 8.0,
        step: float = 0.1,
    ) -> None:
        # one source of chance a part, so that a change in one leaves the others' numbers alone
        self.grid = Grid(grid or GridConfig(), Random(f"{seed}/grid"))  # noqa: S311
        self.load = Load(load or LoadConfig(), Random(f"{seed}/load"))  # noqa: S311
        self.meter = Meter()
        self.machines: list[Machine] = []
        """Everything whose power the meter counts."""
        self.observers: list[Machine] = []
        """What sees the meter and adds nothing to it: stepped last."""
        self.start_hour = start_hour
        self.step_size = step
        self.steps = 0
        """Steps made so far."""
        self._step_ns = round(step * _NS)
        self._pending_ns = 0
        self.load.step(self.hour, step)

    @property
    def time(self) -> float:
        """Simulated seconds since the start."""
        return self.steps * self._step_ns / _NS

    @property
    def hour(self) -> float:
        """Hour of the simulated day, 0 … 24."""
        return (self.start_hour + self.time / 3600) % 24

    @property
    def day(self) -> int:
        """Midnights passed."""
        return int((self.start_hour + self.time / 3600) // 24)

    def due(self, seconds: float) -> int:
        """Add simulated time and tell how many `step` calls it amounts to; the rest is kept."""
        if seconds < 0:
            raise ValueError(f"time cannot go back by {-seconds:g} s")
        self._pending_ns += round(seconds * _NS)
        count, self._pending_ns = divmod(self._pending_ns, self._step_ns)
        return count

    def step(self) -> None:
        """Move everything on by exactly one step."""
        dt = self.step_size
        self.steps += 1
        self.grid.step(self.time, dt)
        self.load.step(self.hour, dt)
        for machine in self.machines:
            machine.machine_step(dt)
        self.measure(dt)
        for observer in self.observers:
            observer.machine_step(dt)

    def measure(self, dt: float) -> None:
        """Let the meter count `dt` seconds at the present powers, and the grid carry them."""
        active = reactive = 0.0
        for machine in self.machines:
            active_of, reactive_of = machine.power()
            active += active_of
            reactive += reactive_of
        self.meter.step(active - self.load.active_power, reactive - self.load.reactive_power, dt)
        self.grid.carry(self.meter.active_power, self.meter.reactive_power)
