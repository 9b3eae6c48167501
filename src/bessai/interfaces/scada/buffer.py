"""Events on their way to the masters: kept across lost links, in order, until each master has acknowledged them.

A block is an encoded ASDU with some events; all masters are sent the same bytes. Each master has a mark of its own. A
master that nobody has seen since the start gets what is there. When the buffer is full the oldest events are dropped,
which is counted and said.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_REMEMBERED: Final = 32
"""Masters that are remembered; the one that was away longest is forgotten first."""


@dataclass(frozen=True, slots=True)
class Block:
    """One ASDU of events."""

    number: int
    """Counts up from 0."""
    data: bytes
    """The ASDU."""
    events: int
    """How many are in it."""


class EventBuffer:
    """Bounded; holds at most `capacity` events."""

    def __init__(self, capacity: int) -> None:
        self.lost = 0
        """Events dropped that some master had not acknowledged, since the start."""
        self.overflowed = False
        """True from a loss to a linked master, or when one comes back to a loss, until all have what is left."""
        self._capacity = capacity
        self._blocks: deque[Block] = deque()
        self._events = 0
        self._next = 0
        self._marks: OrderedDict[str, int] = OrderedDict()
        self._linked: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Events held."""
        return self._events

    @property
    def known(self) -> bool:
        """True once a master has been here."""
        return bool(self._marks)

    @property
    def end(self) -> int:
        """The number that the next block gets."""
        return self._next

    def append(self, asdus: Iterable[tuple[bytes, int]]) -> None:
        """Add ASDUs, each with the number of its events."""
        for data, events in asdus:
            self._blocks.append(Block(self._next, data, events))
            self._next += 1
            self._events += events
        while self._events > self._capacity and len(self._blocks) > 1:
            number = self._blocks[0].number
            self.lost += self._drop()
            missing = [self._marks.get(master, 0) <= number for master in self._linked]
            self.overflowed |= any(missing) or not missing

    def join(self, master: str) -> int:
        """A master begins; returns the number of the first block that it has not acknowledged."""
        known = self._marks.get(master)
        self.overflowed |= known is not None and known < self._first
        mark = max(known or 0, self._first)
        self._marks[master] = mark
        self._marks.move_to_end(master)
        while len(self._marks) > _REMEMBERED:
            self._marks.popitem(last=False)
        return mark

    def block(self, number: int) -> Block | None:
        """The block of this number, or the oldest one where that was dropped; None when there is none yet."""
        i = max(0, number - self._first)
        return self._blocks[i] if i < len(self._blocks) else None

    def acknowledge(self, master: str, number: int) -> None:
        """A master has every block up to this one."""
        if number >= self._marks.get(master, number + 1):
            self._marks[master] = number + 1
            self._marks.move_to_end(master)
            done = min(self._marks.values())
            while self._blocks and self._blocks[0].number < done:
                self._drop()

    def waiting(self, master: str) -> int:
        """Events that a master has not acknowledged."""
        start = max(0, self._marks.get(master, 0) - self._first)
        return sum(block.events for block in itertools.islice(self._blocks, start, None))

    def settle(self, linked: Iterable[str]) -> None:
        """The overflow is over once every linked master has acknowledged what there is."""
        self._linked = tuple(linked)
        marks = [self._marks.get(master, 0) for master in self._linked]
        if self.overflowed and marks and min(marks) >= self._next:
            self.overflowed = False

    @property
    def _first(self) -> int:
        return self._blocks[0].number if self._blocks else self._next

    def _drop(self) -> int:
        block = self._blocks.popleft()
        self._events -= block.events
        return block.events
