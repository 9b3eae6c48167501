"""Events by class, kept in order until the master has confirmed them."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["binary", "analog", "counter"]

CLASSES = (1, 2, 3)


@dataclass(frozen=True, slots=True)
class PointEvent:
    """One change of one point."""

    serial: int
    """Counts up from 0 over all classes."""
    kind: Kind
    index: int
    value: float
    flags: int
    """DNP3 flags, for a binary with its state."""
    time_ms: int
    """UTC milliseconds at which the value was measured."""


class Events:
    """Bounded; a class that is full drops its oldest event.

    Args:
        capacity: events of each class.
    """

    def __init__(self, capacity: int) -> None:
        self.lost = 0
        """Events that were dropped before any master had confirmed them."""
        self.overflowed = False
        """True from a loss until everything that is left has been confirmed."""
        self._capacity = capacity
        self._held: dict[int, deque[PointEvent]] = {number: deque() for number in CLASSES}
        self._next = 0

    def __len__(self) -> int:
        return sum(len(held) for held in self._held.values())

    def add(self, number: int, kind: Kind, index: int, value: float, flags: int, time_ns: int) -> None:
        """Keep an event; those of class 0 are none."""
        if number not in self._held:
            return
        held = self._held[number]
        if len(held) >= self._capacity:
            held.popleft()
            self.lost += 1
            self.overflowed = True
        held.append(PointEvent(self._next, kind, index, value, flags, time_ns // 1_000_000))
        self._next += 1

    def waiting(self, number: int, told: Collection[int] = ()) -> bool:
        """True when a class has events other than those that are being told."""
        held = self._held[number]
        return len(held) > len(told) or any(event.serial not in told for event in held)

    def of_class(self, number: int) -> Iterable[PointEvent]:
        """The events of a class, oldest first."""
        return tuple(self._held[number])

    def of_kind(self, kind: Kind) -> Iterable[PointEvent]:
        """The events of a kind of point in all classes, oldest first."""
        found = [event for held in self._held.values() for event in held if event.kind == kind]
        return sorted(found, key=lambda event: event.serial)

    def confirm(self, serials: Collection[int]) -> None:
        """Forget events that have arrived."""
        for number, held in self._held.items():
            if any(event.serial in serials for event in held):
                self._held[number] = deque(event for event in held if event.serial not in serials)
        self.overflowed = self.overflowed and len(self) > 0
