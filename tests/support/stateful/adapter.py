"""The guard as the driver sees it: its public methods, and a restart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from bessai.core.guard import SafetyGuard
from bessai.core.latch import Latch, from_state, to_state
from bessai.core.requests import RequestBook
from bessai.model import Command, Decision, ProcessImage, Request, WriteOutcome


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

    def operate(self, operation: Any, now: float, wall_ns: int) -> str | None:
        """A person's operation; returns the objection."""
        ...

    def restart(self) -> None:
        """A new process: only what is on disk survives."""
        ...


class PresentGuard:
    """The guard of one device."""

    units: tuple[str, ...] = ("",)
    latches = False

    def __init__(self, make: Callable[[Latch], SafetyGuard]) -> None:
        self._make = make
        self._guard = make(Latch())
        self._command: Command | None = None

    def restart(self) -> None:
        self._guard = self._make(Latch(from_state(to_state(self._guard.latch.memory))))
        self._command = None

    def decide(
        self, images: Mapping[str, ProcessImage], requests: Sequence[Request], *, fresh: frozenset[str]
    ) -> Decision:
        book = RequestBook()
        for request in requests:
            book.put(request)
        self._guard.take_events()
        now = next(iter(images.values())).monotonic
        return self._guard.decide(images, book.live(now), fresh=fresh)

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

    def operate(self, operation: Any, now: float, wall_ns: int) -> str | None:
        return self._guard.operate(operation, now, wall_ns)
