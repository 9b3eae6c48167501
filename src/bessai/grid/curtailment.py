"""How long the plant takes to keep to a new maximum, by the meter at the point of connection.

The time runs from the command to the first measurement, made after it, that is at or below the maximum.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bessai.grid.config import GridConfig
from bessai.grid.settings import ActiveSettings
from bessai.model import Condition, Event, Severity

TOLERANCE = 0.01
"""Share of Pn above the maximum that still keeps to it: the error of meter and converter."""


class Curtailment:
    """Watches one maximum at a time."""

    def __init__(self, config: GridConfig) -> None:
        self.maximum: float | None = None
        """kW; None: none."""
        self.seconds: float | None = None
        """How long the last one took; None while it is not reached, or was there from the start."""
        self._config = config
        self._reached = True
        self._late = False
        self._waiting = False
        self._since: float | None = None
        self._over: float | None = None
        self._excess = 0.0
        self._events: list[Event] = []

    def stand(self, maximum: float | None) -> None:
        """A maximum that was there before the start: it is watched, and no time is measured."""
        self.maximum = maximum

    def command(self, maximum: float | None, at: float | None) -> None:
        """A new maximum in kW, ordered at a monotonic time; None of the time: at the next look."""
        lower = maximum is not None and (self.maximum is None or maximum < self.maximum)
        self.maximum, self._reached, self.seconds = maximum, not lower, None
        self._waiting, self._since, self._over = lower and at is None, at, at if lower else None
        self._excess = 0.0

    def look(
        self, power: float | None, measured: float, settings: ActiveSettings, now: float, wall_ns: int
    ) -> None:
        """One cycle.

        Args:
            power: kW at the point of connection; None when it is not known.
            measured: monotonic seconds at which it was measured.
            settings: present values.
            now: monotonic seconds.
            wall_ns: UTC nanoseconds.
        """
        if self.maximum is None:
            self._late, self._over = False, None
            return
        if self._waiting:
            self._waiting, self._since, self._over = False, now, now
        keeps = power is not None and power <= self.maximum + TOLERANCE * self._config.rated_power
        if not self._reached and self._since is not None:
            # a measurement from before the command proves nothing
            if keeps and measured > self._since:
                self._reach(measured - self._since, wall_ns)
        elif keeps:
            self._over, self._excess = None, 0.0
        elif self._over is None:
            self._over = now
        if power is not None:
            self._excess = max(self._excess, power - self.maximum)
        self._late = self._over is not None and now - self._over > self._allowed(settings)

    def _reach(self, seconds: float, wall_ns: int) -> None:
        self._reached, self._over, self.seconds = True, None, seconds
        self._events.append(
            Event(
                code="curtailment_reached",
                severity=Severity.INFO,
                message=f"The plant keeps to its maximum of {self.maximum:g} kW, {seconds:.2f} s after the command.",
                wall_ns=wall_ns,
                point=self._config.points.active_power,
                value=round(seconds, 3),
            )
        )

    def _allowed(self, settings: ActiveSettings) -> float:
        """Seconds until it is late; the ramp has its time as well."""
        way = self._excess / self._config.rated_power
        return settings.curtailment_time + (way / settings.ramp if settings.ramp else 0.0)

    def conditions(self) -> Sequence[Condition]:
        """What is wrong now."""
        if not self._late:
            return ()
        return (
            Condition(
                code="curtailment_not_reached",
                severity=Severity.ALARM,
                message="The measured power does not keep to the maximum that was ordered.",
                point=self._config.points.active_power,
                value=self.maximum,
            ),
        )

    def take_events(self) -> Sequence[Event]:
        """What happened since the last call."""
        events, self._events = self._events, []
        return events

    def status(self) -> dict[str, Any]:
        """For people and tools."""
        return {"reached": self._reached, "seconds": self.seconds, "late": self._late}
