"""The device's own dead-man, in simulated time: what makes it end external control by itself."""

from __future__ import annotations

import math
from collections.abc import Callable

from bessai.registry.commands import (
    DeadMan,
    DurationDeadMan,
    HeartbeatDeadMan,
    NoDeadMan,
    RewriteDeadMan,
    TimeoutDeadMan,
)
from bessai.registry.schema import Point


class DeadManTimer:
    """Counts the silence of the master as the profile's `dead_man` section says.

    * `duration`: a command runs for the time in a register since it began or was last fed, then ends.
    * `timeout`: the time in a register since the last feed; 0 switches the timer off, as it does on devices.
    * `heartbeat`: the profile's time since the counter last *changed*.
    * `rewrite`: the profile's time since the setpoint was last written.
    * `none`, or no section: never.
    """

    def __init__(self, dead_man: DeadMan | None, points: Callable[[str], Point]) -> None:
        self.dead_man = dead_man
        self._points = points
        self._fed_at = 0.0

    def begin(self, now: float) -> None:
        """A command begins at simulated time `now`."""
        self._fed_at = now

    def written(self, name: str, before: float, after: float, now: float) -> bool:
        """Tell of a write by the master.

        Returns:
            True when the write feeds the dead-man.
        """
        match self.dead_man:
            case HeartbeatDeadMan(point=point):
                fed = name == point and before != after
            case DurationDeadMan(feed=feed) | TimeoutDeadMan(feed=feed) | RewriteDeadMan(feed=feed):
                fed = name in feed
            case _:
                fed = False
        if fed:
            self._fed_at = now
        return fed

    def deadline(self, value_of: Callable[[str], float]) -> float:
        """Simulated time at which the device falls back; infinite when it never does."""
        match self.dead_man:
            case None | NoDeadMan():
                return math.inf
            case DurationDeadMan(point=point):
                return self._fed_at + self._seconds(point, value_of)
            case TimeoutDeadMan(point=point):
                return self._fed_at + (self._seconds(point, value_of) or math.inf)
            case HeartbeatDeadMan(time=time) | RewriteDeadMan(time=time):
                return self._fed_at + time

    def _seconds(self, name: str, value_of: Callable[[str], float]) -> float:
        value = value_of(name)
        if math.isnan(value):
            return 0.0
        return value * 60 if self._points(name).unit == "min" else value
