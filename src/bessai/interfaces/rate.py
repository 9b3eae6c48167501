"""How much at once and how fast: batch sizes that fit the link, and rates that the operator has set."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

_STEP: Final = 16
"""Records that a batch grows by."""
_REMEMBERED: Final = 10.0
"""Seconds that a meter looks back."""


class Sizer:
    """A number of records that takes about `aim` seconds to deliver: grows by steps, shrinks by halves."""

    def __init__(self, *, first: int, most: int, aim: float) -> None:
        self._first = min(first, most)
        self._most = most
        self._aim = aim
        self.size = self._first

    def took(self, records: int, seconds: float) -> None:
        """Learn from a batch that was delivered."""
        if seconds > self._aim:
            self.size = max(1, min(self.size, records) // 2)
        elif records >= self.size:
            self.size = min(self._most, self.size + _STEP)

    def failed(self) -> None:
        """Learn from a batch that was not: on a thin link it may have been too much for the time limit."""
        self.size = max(1, self.size // 4)

    def restart(self) -> None:
        """Begin small again, after an outage."""
        self.size = min(self.size, self._first)


class Rate:
    """At most so much a second. What is taken at once is paid for afterwards, so no batch is too large."""

    def __init__(self, per_second: float | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_second = per_second
        self._clock = clock
        self._free_at = clock()

    def wait(self) -> float:
        """Seconds until more may be taken."""
        return max(0.0, self._free_at - self._clock())

    def take(self, amount: float) -> None:
        """Note what was taken."""
        if self.per_second:
            self._free_at = max(self._free_at, self._clock()) + amount / self.per_second

    def most(self, seconds: float, otherwise: int) -> int:
        """How much is paid for after `seconds`, at least 1; `otherwise` without a limit."""
        return max(1, int(self.per_second * seconds)) if self.per_second else otherwise


class Meter:
    """How many a second, over about the last ten seconds."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._level = 0.0
        self._at = clock()

    def add(self, count: int) -> None:
        """Note `count` more."""
        self._level = self._now() + count
        self._at = self._clock()

    @property
    def rate(self) -> float:
        """A second."""
        return self._now() / _REMEMBERED

    def _now(self) -> float:
        return self._level * math.exp((self._at - self._clock()) / _REMEMBERED)
