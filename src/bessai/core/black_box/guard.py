"""The recorder in front of the guard: same methods, same results, every call noted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from bessai.core.black_box.box import BlackBox
from bessai.core.black_box.calls import Raised
from bessai.model import Command, Decision, ProcessImage, Request, WriteOutcome

T = TypeVar("T")


class Guard(Protocol):
    """The guard's methods that change its memory: recorded in order, they replay it bit for bit."""

    @property
    def memory(self) -> Any:
        """Everything that lasts between calls, as `bessai.core.memory` can restore it."""
        ...

    def remember(self, memory: Any) -> None:
        """Go on from a memory."""
        ...

    def decide(
        self, images: Mapping[str, ProcessImage], requests: Sequence[Request], *, fresh: frozenset[str]
    ) -> Decision:
        """The decision of a cycle."""
        ...

    def command(self, unit: str, now: float) -> Command | None:
        """What must be written for the last decision."""
        ...

    def feed(self, unit: str, now: float) -> Command | None:
        """What keeps the dead-man alive."""
        ...

    def wrote(self, unit: str, outcome: WriteOutcome, now: float) -> None:
        """What became of the unit's last command."""
        ...

    def connection_changed(self, unit: str) -> None:
        """The device may have forgotten what it was told."""
        ...

    def operate(self, operation: Any, now: float, wall_ns: int) -> str | None:
        """A person's operation; an objection, or None when it was done."""
        ...

    def settled(self, revision: int) -> None:
        """The latch's record of a revision is durable."""
        ...

    def fall_back(self, why: str) -> Decision:
        """The safe state, when a decision failed."""
        ...


class RecordedGuard:
    """A guard whose calls are noted. What is not a call that changes its memory passes through.

    Args:
        guard: the guard.
        box: where to note.
    """

    def __init__(self, guard: Guard, box: BlackBox) -> None:
        self._guard = guard
        self._box = box

    def __getattr__(self, name: str) -> Any:
        return getattr(self._guard, name)

    def decide(
        self, images: Mapping[str, ProcessImage], requests: Sequence[Request], *, fresh: frozenset[str]
    ) -> Decision:
        """See `Guard.decide`. A new trip starts a recording."""
        held, asked = dict(images), tuple(requests)
        first = next(iter(held.values()), None)
        now = None if first is None else first.monotonic
        self._box.advance(now, self._memory)
        decision = self._noted(
            ("decide", held, asked, fresh), lambda: self._guard.decide(held, asked, fresh=fresh)
        )
        if first is not None:
            self._box.watch(decision.trips, first.monotonic, first.wall_ns)
        return decision

    def command(self, unit: str, now: float) -> Command | None:
        """See `Guard.command`."""
        return self._noted(("command", unit, now), lambda: self._guard.command(unit, now))

    def feed(self, unit: str, now: float) -> Command | None:
        """See `Guard.feed`."""
        return self._noted(("feed", unit, now), lambda: self._guard.feed(unit, now))

    def wrote(self, unit: str, outcome: WriteOutcome, now: float) -> None:
        """See `Guard.wrote`."""
        self._noted(("wrote", unit, outcome, now), lambda: self._guard.wrote(unit, outcome, now))

    def connection_changed(self, unit: str) -> None:
        """See `Guard.connection_changed`."""
        self._noted(("connection_changed", unit), lambda: self._guard.connection_changed(unit))

    def operate(self, operation: Any, now: float, wall_ns: int) -> str | None:
        """See `Guard.operate`."""
        return self._noted(
            ("operate", operation, now, wall_ns), lambda: self._guard.operate(operation, now, wall_ns)
        )

    def settled(self, revision: int) -> None:
        """See `Guard.settled`."""
        self._noted(("settled", revision), lambda: self._guard.settled(revision))

    def fall_back(self, why: str) -> Decision:
        """See `Guard.fall_back`."""
        return self._noted(("fall_back", why), lambda: self._guard.fall_back(why))

    def _memory(self) -> Any:
        return self._guard.memory

    def _noted(self, call: tuple[Any, ...], run: Callable[[], T]) -> T:
        self._box.begin(self._memory)
        try:
            result = run()
        except Exception as error:
            self._box.note((*call, Raised(f"{type(error).__name__}: {error}")))
            raise
        self._box.note((*call, result))
        return result
