"""A disk that records states some cycles late, or never."""

from __future__ import annotations

from collections import deque
from random import Random

from support.stateful.trips import Kept


class Disk:
    """One state at a time becomes durable, in order.

    Args:
        random: says how late; some disks stop for good.
        first: the state of a new installation.
    """

    def __init__(self, random: Random, first: str) -> None:
        self._random = random
        self._slow = random.choice((0, 0, 1, 5))
        self._stops = random.random() < 0.1
        self._waiting: deque[tuple[int, str, Kept]] = deque()
        self.durable: tuple[str, Kept] = first, Kept()
        self._left = 0

    def save(self, revision: int, state: str, kept: Kept) -> None:
        """Begin to record a state."""
        self._waiting.append((revision, state, kept))

    def tick(self) -> int | None:
        """One cycle; returns the latest revision that became durable."""
        if not self._waiting:
            return None
        if self._stops and self._random.random() < 0.01:
            self._slow = 1_000_000
        if self._left > 0:
            self._left -= 1
            return None
        self._left = self._random.randint(0, self._slow)
        revision, *self.durable = self._waiting.popleft()  # type: ignore[assignment]
        return revision

    def crash(self) -> tuple[str, Kept]:
        """What a new process finds: the durable state, or one that was just being written."""
        for _ in range(self._random.randint(0, len(self._waiting))):
            _, *self.durable = self._waiting.popleft()  # type: ignore[assignment]
        self._waiting.clear()
        self._left = 0
        if self._slow > 5:
            self._slow = 1
        return self.durable
