"""Time, handed in so that the same code can step through simulated days."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """A source of monotonic and of wall time."""

    def monotonic(self) -> float:
        """Seconds that only grow; for every timer and every age."""
        ...

    def wall_ns(self) -> int:
        """UTC nanoseconds since 1970; for people and clouds, never for a timer."""
        ...


class SystemClock:
    """The machine's clocks.

    Not `loop.time()`, which under uvloop stands still within an iteration and counts milliseconds; on Linux
    both run on CLOCK_MONOTONIC, so their values compare.
    """

    def monotonic(self) -> float:
        """Seconds of CLOCK_MONOTONIC."""
        return time.monotonic()

    def wall_ns(self) -> int:
        """UTC nanoseconds since 1970."""
        return time.time_ns()
