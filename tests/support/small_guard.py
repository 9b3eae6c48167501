"""A small guard with the interface of the real one: units, a ramp, a latch, memory of every plain kind."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bessai.core.black_box import BlackBox, RecordedGuard
from bessai.model import (
    Bounds,
    Command,
    Decision,
    GuardState,
    Layout,
    Priority,
    ProcessImage,
    Quality,
    Request,
    Trip,
    UnitDecision,
    Write,
    WriteOutcome,
)
from bessai.model.command import _issue

LAYOUT = Layout(
    ("soc", "battery_power", "device_status"), ("%", "kW", None), {"device_status": {1: "on"}}, {}
)
START_NS = 1_767_225_600_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    kind: str
    user: str


@dataclass(slots=True)
class UnitMemory:
    state: GuardState = GuardState.STARTING
    setpoint: float = 0.0
    lowest: float = math.inf
    standing: tuple[str, float] | None = None
    refusals: dict[str, tuple[int, float]] = field(default_factory=dict)
    history: list[float] = field(default_factory=list)


@dataclass(slots=True)
class SmallMemory:
    units: dict[str, UnitMemory] = field(default_factory=dict)
    trips: tuple[Trip, ...] = ()
    cycles: int = 0


class SmallGuard:
    """Follows the first request with a ramp; trips above 90 % SOC. `step` is the ramp in kW a cycle."""

    def __init__(self, units: Sequence[str] = ("",), *, step: float = 0.1) -> None:
        self.memory = SmallMemory({unit: UnitMemory() for unit in units})
        self.step = step
        self.active: list[str] = ["passes through"]

    def remember(self, memory: SmallMemory) -> None:
        self.memory = memory

    def decide(
        self, images: Mapping[str, ProcessImage], requests: Sequence[Request], *, fresh: frozenset[str]
    ) -> Decision:
        self.memory.cycles += 1
        wanted = next((r.power for r in requests if r.power is not None), 0.0)
        decisions = []
        for unit, image in images.items():
            soc = image.good("soc")
            if soc == 13:
                raise RuntimeError("unlucky")
            own = self.memory.units[unit]
            if soc is not None and soc > 90 and not self.memory.trips:
                trip = Trip(code="soc_high", unit=unit, value=soc, wall_ns=image.wall_ns, message="too full")
                self.memory.trips = (trip,)
            granted = not self.memory.trips and soc is not None and unit in fresh
            target = wanted if granted else 0.0
            change = min(max(target - own.setpoint, -self.step), self.step)
            own.setpoint = own.setpoint + change if granted else 0.0
            own.lowest = min(own.lowest, own.setpoint)
            own.history = [*own.history[-4:], own.setpoint]
            own.state = GuardState.NORMAL if granted else GuardState.HOLD
            decisions.append(
                UnitDecision(
                    unit=unit, state=own.state, setpoint=own.setpoint, bounds=Bounds(-math.inf, own.lowest)
                )
            )
        return Decision(
            state=GuardState.TRIPPED if self.memory.trips else GuardState.NORMAL,
            setpoint=sum(d.setpoint or 0.0 for d in decisions),
            bounds=Bounds(),
            trips=self.memory.trips,
            units=tuple(decisions),
        )

    def command(self, unit: str, now: float) -> Command | None:
        own = self.memory.units[unit]
        if own.standing == ("power", own.setpoint):
            return None
        own.refusals["power"] = (1, now)
        return _issue("discharge", own.setpoint, (Write("power", own.setpoint),))

    def feed(self, unit: str, now: float) -> Command | None:
        return _issue("feed", None, (Write("beat", float(self.memory.cycles % 7)),), feed=True)

    def wrote(self, unit: str, outcome: WriteOutcome, now: float) -> None:
        own = self.memory.units[unit]
        own.standing = ("power", own.setpoint) if outcome.verified else None

    def connection_changed(self, unit: str) -> None:
        self.memory.units[unit].standing = None

    def operate(self, operation: Operation, now: float, wall_ns: int) -> str | None:
        if operation.user != "ana":
            return "who are you?"
        self.memory.trips = ()
        return None

    def settled(self, revision: int) -> None:
        pass

    def fall_back(self, why: str) -> Decision:
        raise NotImplementedError


def make_image(now: float, cycle: int, **values: float | Quality) -> ProcessImage:
    columns, quality = np.full(len(LAYOUT), math.nan), np.full(len(LAYOUT), Quality.MISSING, np.uint8)
    for name, value in {"soc": 50.0, "battery_power": -0.0, "device_status": 1.0, **values}.items():
        i = LAYOUT.index[name]
        if isinstance(value, Quality):
            quality[i] = value
        else:
            columns[i], quality[i] = value, Quality.GOOD
    wall_ns = START_NS + int((now - 1000) * 1e9)
    return ProcessImage(LAYOUT, cycle, now, wall_ns, columns, quality, np.full(len(LAYOUT), now))


class Recorded:
    """A recorded guard and its day: one call of `cycle` is one cycle of a second."""

    def __init__(self, directory: Path, units: Sequence[str] = ("",), **box: Any) -> None:
        self.directory = directory
        self.guard = SmallGuard(units)
        options: dict[str, Any] = {"before": 20.0, "after": 10.0, "max_bytes": 8 << 20, "threaded": False}
        self.box = BlackBox(directory, {"units": list(units)}, **(options | box))
        self.recorded = RecordedGuard(self.guard, self.box)
        self.units = tuple(units)
        self.now = 1000.0
        self.number = 0

    @property
    def wall_ns(self) -> int:
        return START_NS + int((self.now - 1000) * 1e9)

    @property
    def files(self) -> list[Path]:
        return sorted(self.directory.glob("*.bbox"))

    def cycle(self, power: float = 5.0, **values: float | Quality) -> Decision:
        self.now += 1.0
        self.number += 1
        request = Request(
            source="operator", priority=Priority.OPERATOR, power=power, expires=self.now + 60, reason="test"
        )
        images = {unit: make_image(self.now, self.number, **values) for unit in self.units}
        decision = self.recorded.decide(images, [request], fresh=frozenset(self.units))
        for unit in self.units:
            command = self.recorded.command(unit, self.now)
            if command is not None:
                outcome = WriteOutcome(verified=self.number % 5 != 0, written=command.writes)
                self.recorded.wrote(unit, outcome, self.now + 0.25)
            self.recorded.feed(unit, self.now + 0.5)
        return decision

    def cycles(self, count: int, **values: float | Quality) -> None:
        for _ in range(count):
            self.cycle(**values)
