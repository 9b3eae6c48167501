"""How often a device may be told to do more.

Setpoints written faster than a bridge could pass them on, and repeated because they did not arrive, once stopped a
real battery for a day (https://github.com/ffunes/Omnibattery/issues/452). Less power and the safe state never
wait: each reduction needs a rise before it, so limiting the rises limits the flood.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

_MINUTE = 60.0
_NOT_COUNTED = frozenset({"feed"})
_ALWAYS = frozenset({"zero", "stop", "feed"})


@dataclass(slots=True, kw_only=True)
class WriteLimitMemory:
    """All that persists between cycles."""

    recent: list[float] = field(default_factory=list)
    """Monotonic seconds of the last setpoints, at most `per_minute` of them."""
    passed: int = 0
    """Setpoints that were let through since the start, whatever their kind."""
    held: int = 0
    """Setpoints that had to wait."""


class WriteLimit:
    """Limits the setpoints that are written to one device.

    Args:
        min_interval: seconds between the last setpoint and one that asks for more.
        per_minute: setpoints in any 60 s after which one that asks for more waits.

    Raises:
        ValueError: an interval that is negative or no number, or no setpoint a minute.
    """

    def __init__(self, min_interval: float, per_minute: int) -> None:
        if not 0 <= min_interval < math.inf:
            raise ValueError(f"min_interval={min_interval}: give seconds, 0 for none")
        if per_minute < 1:
            raise ValueError(f"per_minute={per_minute}: give 1 or more")
        self._min_interval = min_interval
        self._per_minute = per_minute
        self.memory = WriteLimitMemory()

    def allows(self, kind: str, magnitude_rises: bool, now: float) -> bool:
        """Whether a setpoint may be written now; True counts it as written.

        Args:
            kind: of the command: `zero`, `stop` and `feed` always pass, and a feed is no setpoint.
            magnitude_rises: more power than the device has been told, the other direction, or power that is written
                again because it did not arrive.
            now: monotonic seconds.
        """
        if kind in _NOT_COUNTED:
            return True
        memory = self.memory
        memory.recent = [time for time in memory.recent if now - _MINUTE < time <= now]
        if kind not in _ALWAYS and magnitude_rises and self._waits(memory.recent, now):
            memory.held += 1
            return False
        memory.passed += 1
        memory.recent = [*memory.recent, now][-self._per_minute :]
        return True

    def _waits(self, recent: list[float], now: float) -> bool:
        # 1 ms: a cycle that comes that much early is not late by a whole cycle for it
        too_soon = bool(recent) and now - recent[-1] < self._min_interval - 1e-3
        return too_soon or len(recent) >= self._per_minute
