"""The guard as the driver sees it: its public methods, its record, and how it is made from it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Protocol

from bessai.core.deadman import DeadMan
from bessai.core.dynamics import Dynamics, RampLimits
from bessai.core.guard import SafetyGuard
from bessai.core.latch import Latch, from_state, to_state
from bessai.core.unit import Unit
from bessai.model import Command, Decision, Operation, ProcessImage, Request, WriteOutcome
from support.stateful.setup import Setup

HEARTBEAT = 5.0


class GuardUnderTest(Protocol):
    """What changes the guard's memory, and nothing else."""

    @property
    def revision(self) -> int:
        """Counts changes of what must be kept."""
        ...

    def state(self) -> str:
        """What must be kept, as JSON."""
        ...

    def restart(self, state: str) -> None:
        """A new process, which finds this."""
        ...

    def decide(
        self, images: Mapping[str, ProcessImage], requests: Sequence[Request], *, fresh: frozenset[str]
    ) -> Decision:
        """One cycle; `fresh` are the units whose evidence was read completely."""
        ...

    def command(self, unit: str, now: float) -> Command | None:
        """What must be written for the last decision."""
        ...

    def standing(self, unit: str) -> bool:
        """The unit is known to have what was decided."""
        ...

    def feed(self, unit: str, now: float) -> Command | None:
        """What keeps the dead-man alive, after a complete cycle."""
        ...

    def wrote(self, unit: str, outcome: WriteOutcome, now: float) -> None:
        """What became of the last command of the unit."""
        ...

    def connection_changed(self, unit: str) -> None:
        """The device is reached anew."""
        ...

    def operate(self, operation: Operation, now: float, wall_ns: int) -> str | None:
        """A person's operation; returns the objection."""
        ...

    def settled(self, revision: int) -> None:
        """A record is durable."""
        ...


class PresentGuard:
    """The SafetyGuard. Negative controls override a method, or `build`."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.guard = self.build(Latch())

    def build(self, latch: Latch) -> SafetyGuard:
        """A new process."""
        setup = self.setup
        units = [
            Unit(
                unit.device,
                unit.limits,
                DeadMan(unit.device, HEARTBEAT, setup.cycle),
                name=unit.name,
                power_min=unit.power_min,
            )
            for unit in setup.units
        ]
        ramps = RampLimits(up=setup.up, down=setup.down, start=setup.start, recovery=setup.recovery)
        dynamics = Dynamics(ramps, min_on=setup.min_on, min_off=setup.min_off, cycle=setup.cycle)
        return SafetyGuard(units, dynamics=dynamics, latch=latch)

    @property
    def revision(self) -> int:
        return self.guard.latch.memory.revision

    def state(self) -> str:
        return json.dumps(to_state(self.guard.latch.memory))

    def restart(self, state: str) -> None:
        self.guard = self.build(Latch(from_state(json.loads(state))))

    def decide(
        self, images: Mapping[str, ProcessImage], requests: Sequence[Request], *, fresh: frozenset[str]
    ) -> Decision:
        self.guard.take_events()
        return self.guard.decide(images, requests, fresh=fresh)

    def command(self, unit: str, now: float) -> Command | None:
        return self.guard.command(unit, now)

    def standing(self, unit: str) -> bool:
        return self.guard.standing(unit)

    def feed(self, unit: str, now: float) -> Command | None:
        return self.guard.feed(unit, now)

    def wrote(self, unit: str, outcome: WriteOutcome, now: float) -> None:
        self.guard.wrote(unit, outcome, now)

    def connection_changed(self, unit: str) -> None:
        self.guard.connection_changed(unit)

    def operate(self, operation: Operation, now: float, wall_ns: int) -> str | None:
        return self.guard.operate(operation, now, wall_ns)

    def settled(self, revision: int) -> None:
        self.guard.settled(revision)
