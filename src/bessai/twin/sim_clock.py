"""The gateway's clocks in simulated time."""

from __future__ import annotations

from bessai.twin.sim_loop import SimLoop

START_NS = 1_767_225_600_000_000_000
"""UTC nanoseconds of the loop's time 0: 2026-01-01."""


class SimClock:
    """Monotonic time is the loop's. Wall time follows it and can be set, as NTP or a person would."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop
        self._offset_ns = START_NS

    def monotonic(self) -> float:
        """Simulated seconds."""
        return self._loop.now

    def wall_ns(self) -> int:
        """UTC nanoseconds, as far as the gateway knows."""
        return int(self._loop.now * 1e9) + self._offset_ns

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock forward (+) or back (−)."""
        self._offset_ns += int(seconds * 1e9)
