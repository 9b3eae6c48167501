"""A plant at a point of connection for tests of the grid functions: converter lag, delays, a grid with impedance."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bessai.grid import GridConfig, GridFunctions
from bessai.model import (
    Bounds,
    Condition,
    Decision,
    Event,
    GuardState,
    Layout,
    ProcessImage,
    Quality,
    Request,
)

NAMES = ("grid_frequency", "grid_voltage", "grid_power", "grid_reactive_power", "soc")
UNITS = ("Hz", "V", "kW", "kvar", "%")
LAYOUT = Layout(NAMES, UNITS)
CALM: Mapping[str, float] = {
    "grid_frequency": 50.0, "grid_voltage": 220_000.0, "grid_power": 0.0, "grid_reactive_power": 0.0, "soc": 50.0,
}  # fmt: skip


def plant_config(**changes: Any) -> GridConfig:
    """A plant of 50 MW and 55 MVA at 220 kV."""
    sizes: dict[str, Any] = {
        "rated_power": 50_000.0,
        "rated_apparent_power": 55_000.0,
        "nominal_voltage": 220_000.0,
        "short_circuit_power": 550_000.0,
    }
    return GridConfig(**{**sizes, **changes})


def image_of(
    now: float, bad: Mapping[str, Quality] | None = None, /, *, age: float = 0.0, **values: float
) -> ProcessImage:
    """What the gateway reads at a monotonic time; what is not given is calm. `bad` are qualities by point."""
    row = {**CALM, **values}
    quality = [int((bad or {}).get(name, Quality.GOOD)) for name in NAMES]
    return ProcessImage(
        layout=LAYOUT,
        cycle=0,
        monotonic=now,
        wall_ns=int(now * 1e9),
        values=np.array([row[name] for name in NAMES], dtype=np.float64),
        quality=np.array(quality, dtype=np.uint8),
        times=np.full(len(NAMES), now - age),
    )


@dataclass
class Plant:
    """The closed loop: functions, one cycle of delay to the converter, its lag, the grid, and the meter.

    Powers in kW and kvar. The voltage is that of the grid behind its impedance plus what the plant's kvar add.
    """

    functions: GridFunctions
    cycle: float = 0.2
    lag: float = 0.1
    """Time constant of the converter in seconds."""
    delay: int = 1
    """Cycles from a command to the converter."""
    short_circuit_power: float = 550_000.0
    """kVA that the grid really has."""
    loss: float = 0.0
    """kvar that cables and transformers take."""
    power: float = 0.0
    """kW that the schedule asks for."""
    scale: float = 220_000.0
    frequency: Callable[[float], float] = lambda _: 50.0
    voltage: Callable[[float], float] = lambda _: 1.0
    """Share of nominal, without the plant."""
    grants: bool = True
    """False: the guard allows no kvar."""
    now: float = 100.0
    active: float = 0.0
    reactive: float = 0.0
    soc: float = 50.0
    times: list[float] = field(default_factory=list)
    voltages: list[float] = field(default_factory=list)
    reactives: list[float] = field(default_factory=list)
    """At the point of connection."""
    powers: list[float] = field(default_factory=list)
    commands: list[float] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)
    requests: dict[str, Request] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._queue: deque[tuple[float, float]] = deque([(self.active, self.reactive)] * self.delay)

    def run(self, seconds: float, bad: Mapping[str, Quality] | None = None) -> Plant:
        """Let time pass."""
        for _ in range(round(seconds / self.cycle)):
            self._one(bad)
        return self

    def _one(self, bad: Mapping[str, Quality] | None) -> None:
        poc = self.reactive - self.loss
        share = self.voltage(self.now) + poc / self.short_circuit_power
        image = image_of(
            self.now, bad, grid_frequency=self.frequency(self.now), grid_voltage=share * self.scale,
            grid_power=self.active, grid_reactive_power=poc, soc=self.soc,
        )  # fmt: skip
        self.requests = {request.source: request for request in self.functions.propose(image)}
        self.events += self.functions.take_events()
        self.conditions = list(self.functions.conditions())
        offset, kvar, order = (
            self.requests.get(f"grid.{name}") for name in ("frequency", "reactive", "active")
        )
        active = self.power if order is None or order.power is None else order.power
        active += (offset.offset or 0.0) if offset else 0.0
        if order is not None:
            active = order.bounds.clip(active)
        told_kvar = (kvar.reactive or 0.0) if kvar and self.grants else 0.0
        self._queue.append((active, told_kvar))
        self.functions.told(
            Decision(
                state=GuardState.NORMAL,
                setpoint=active,
                bounds=Bounds(),
                reactive=told_kvar if kvar else None,
            )
        )
        self.times.append(self.now)
        self.voltages.append(share)
        self.reactives.append(poc)
        self.powers.append(self.active)
        self.commands.append(self._queue[-1][1])
        told = self._queue.popleft()
        part = -math.expm1(-self.cycle / self.lag)
        self.active += (told[0] - self.active) * part
        self.reactive += (told[1] - self.reactive) * part
        self.now += self.cycle
