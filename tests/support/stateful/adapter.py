"""The guard as the driver sees it: its public methods, and a restart."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from bessai.core.guard import SafetyGuard
from bessai.core.latch import Latch, from_state, to_state
from bessai.model import Command, Decision, Operation, ProcessImage, Request, WriteOutcome


class GuardUnderTest(Protocol):
    """What changes the guard's memory, and nothing else."""

    units: tuple[str, ...]
    latches: bool
    """False: it has no trips, resets and maintenance yet, so the driver asks for none."""

    def decide(
        self, images: Mapping[str, ProcessImage], requests: Sequence[Request], *, fresh: frozenset[str]
    ) -> Decision:
        """One cycle; `fresh` are the units whose evidence was read completely."""
        ...

    def command(self, unit: str, now: float) -> Command | None:
        """What must be written for the last decision."""
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

    def restart(self) -> None:
        """A new process: only what is on disk survives."""
        ...


class PresentGuard:
    """The guard of one device, with a disk that is instantly durable."""

    units: tuple[str, ...] = ("",)
    latches = True

    def __init__(self, make: Callable[[Latch], SafetyGuard]) -> None:
        self._make = make
        self._guard = make(Latch())

    def restart(self) -> None:
        kept = json.dumps(to_state(self._guard.latch.memory))
        self._guard = self._make(Latch(from_state(json.loads(kept))))

    def decide(
        self, images: Mapping[str, ProcessImage], requests: Sequence[Request], *, fresh: frozenset[str]
    ) -> Decision:
        self._guard.take_events()
        return self._guard.decide(images, requests, fresh=fresh)

    def command(self, unit: str, now: float) -> Command | None:
        self._command = self._guard.command(unit, now)
        return self._command

    def feed(self, unit: str, now: float) -> Command | None:
        self._command = self._guard.feed(unit, now)
        return self._command

    def wrote(self, unit: str, outcome: WriteOutcome, now: float) -> None:
        self._guard.wrote(unit, outcome, now)

    def connection_changed(self, unit: str) -> None:
        self._guard.connection_changed(unit)

    def operate(self, operation: Operation, now: float, wall_ns: int) -> str | None:
        refused = self._guard.operate(operation, now, wall_ns)
        self._guard.settled(self._guard.latch.memory.revision)
        return refused
