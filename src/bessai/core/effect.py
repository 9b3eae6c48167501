"""Whether the measured power follows the setpoint that the device has verifiably been given."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from bessai.core.conditions import Condition
from bessai.model import Bounds, ProcessImage, Severity
from bessai.registry.commands import Control

_FLOOR = 0.5
"""kW that are never called a difference: a device's own consumption, and noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """The verdict of one cycle."""

    conditions: tuple[Condition, ...] = ()
    repeat: bool = False
    """True when the device should be told again, once per response time."""
    disobeys: bool = False
    """True when it has been doing more than it was told, or the opposite, for two response times."""


class EffectCheck:
    """Compares measured power with the standing setpoint over the profile's response time.

    Less power than asked for is a warning: a battery that is nearly full tapers. More power, or power in the
    other direction, is an alarm, and then a reason for the safe state. Neither a new setpoint nor a new
    connection restarts the time.
    """

    def __init__(self, control: Control | None) -> None:
        self._control = control
        self._since: dict[str, float] = {}
        self._told = 0.0
        self._recent: deque[tuple[float, float]] = deque()
        self._largest = 0.0

    def check(self, image: ProcessImage, standing: float | None, rated: Bounds) -> Effect:
        """The verdict for this image. `standing` is in kW; None when the device was not verifiably told."""
        control = self._control
        measured = None if control is None else image.good(control.measured)
        if control is None or measured is None:
            return Effect()
        self._largest = max(self._largest, -rated.low, rated.high)
        tolerance = max(control.tolerance * self._largest, _FLOOR)
        if standing is not None:
            now = image.monotonic
            while self._recent and self._recent[0][0] < now - control.response_time:
                self._recent.popleft()
            self._recent.append((now, standing))  # the device may still be on its way from an earlier one
            lowest, highest = (f(power for _, power in self._recent) for f in (min, max))
            allowed = min(lowest, 0.0) - tolerance <= measured <= max(highest, 0.0) + tolerance
            reached = lowest - tolerance <= measured <= highest + tolerance
            self._keep("excess", not allowed, now)
            self._keep("short", allowed and not reached, now)
        longest = max((image.monotonic - since for since in self._since.values()), default=0.0)
        if longest < control.response_time:
            self._told = image.monotonic if not self._since else self._told
            return Effect()
        repeat = image.monotonic - self._told >= control.response_time
        self._told = image.monotonic if repeat else self._told
        excess = image.monotonic - self._since["excess"] if "excess" in self._since else 0.0
        alarm = excess >= control.response_time
        condition = Condition(
            code="setpoint_not_followed" if alarm else "setpoint_not_reached",
            severity=Severity.ALARM if alarm else Severity.WARNING,
            message=f"{control.measured} {'does not follow' if alarm else 'stays below'} the setpoint",
            point=control.measured,
            value=measured,
        )
        return Effect(conditions=(condition,), repeat=repeat, disobeys=excess >= 2 * control.response_time)

    def _keep(self, what: str, true: bool, now: float) -> None:
        if true:
            self._since.setdefault(what, now)
        else:
            self._since.pop(what, None)
