"""Whether the measured power follows the setpoint that the device has verifiably been given."""

from __future__ import annotations

from dataclasses import dataclass, field

from bessai.model import Bounds, Condition, ProcessImage, Severity
from bessai.registry.commands import Control

_FLOOR = 0.5
"""kW or kvar that are never called a difference: a device's own consumption, and noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """The verdict of one cycle."""

    conditions: tuple[Condition, ...] = ()
    repeat: bool = False
    """True when the device should be told again, once per response time."""
    disobeys: bool = False
    """True when it has been doing more than it was told, or the opposite, for two response times."""


@dataclass(slots=True)
class Memory:
    """What is kept between cycles."""

    since: dict[str, float] = field(default_factory=dict)
    told: float = 0.0
    recent: list[tuple[float, float]] = field(default_factory=list)
    """Time and setpoint (kW) of the last response time."""
    largest: float = 0.0


_FOLLOWS = Effect()


class EffectCheck:
    """Compares measured power with the standing setpoint over the profile's response time.

    Less power than asked for is a warning: a battery that is nearly full tapers. More power, or power in the
    other direction, is an alarm, and then a reason for the safe state. Neither a new setpoint nor a new
    connection restarts the time.
    """

    def __init__(self, control: Control | None) -> None:
        self._control = control
        self.memory = Memory()

    def check(self, image: ProcessImage, standing: float | None, rated: Bounds) -> Effect:
        """The verdict for this image. `standing` is in kW; None when the device was not verifiably told."""
        control = self._control
        measured = None if control is None else image.good(control.measured)
        if control is None or measured is None:
            return _FOLLOWS
        memory, now = self.memory, image.monotonic
        memory.largest = max(memory.largest, -rated.low, rated.high)
        tolerance = max(control.tolerance * memory.largest, _FLOOR)
        if standing is not None:
            recent = memory.recent
            if recent and recent[-1][1] == standing:
                recent[-1] = (now, standing)
            else:
                recent.append((now, standing))  # the device may still be on its way from an earlier one
            while recent[0][0] < now - control.response_time:
                del recent[0]
            powers = [power for _, power in recent]
            lowest, highest = min(powers), max(powers)
            allowed = min(lowest, 0.0) - tolerance <= measured <= max(highest, 0.0) + tolerance
            reached = lowest - tolerance <= measured <= highest + tolerance
            self._keep("excess", not allowed, now)
            self._keep("short", allowed and not reached, now)
        if not memory.since:
            memory.told = now
            return _FOLLOWS
        if now - min(memory.since.values()) < control.response_time:
            return _FOLLOWS
        repeat = now - memory.told >= control.response_time
        memory.told = now if repeat else memory.told
        excess = now - memory.since["excess"] if "excess" in memory.since else 0.0
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
            self.memory.since.setdefault(what, now)
        else:
            self.memory.since.pop(what, None)


SIGNED = "reactive_power"
"""The one name of a measured reactive power that promises a sign; any other point is judged by its size alone."""


@dataclass(slots=True)
class ReactiveMemory:
    """What is kept between cycles."""

    since: float | None = None
    """When the measured kvar left what was told within the response time; None while they follow."""
    recent: list[tuple[float, float]] = field(default_factory=list)
    """Time and setpoint (kvar) of the last response time."""
    largest: float = 0.0
    """Kvar, the highest that the device ever told it takes."""


class ReactiveCheck:
    """Compares measured reactive power with the standing setpoint. A difference is a warning, never more.

    What the grid wants of voltage is the business of the functions that ask; a device that gives too few or too
    many kvar endangers nobody here, and its own current limit takes kvar first.
    """

    def __init__(self, control: Control | None) -> None:
        self._control = control
        self.memory = ReactiveMemory()

    def check(self, image: ProcessImage, standing: float | None) -> tuple[Condition, ...]:
        """What is wrong. `standing` is in kvar; None when the device was not verifiably told."""
        control = self._control
        name = None if control is None else control.measured_reactive
        measured = None if name is None else image.good(name)
        if control is None or measured is None or standing is None:
            self.memory.since = None
            self.memory.recent.clear()
            return ()
        memory, now = self.memory, image.monotonic
        limits = (control.reactive_power_max, control.absorbed_reactive_power_max)
        memory.largest = max(memory.largest, *(abs(image.good(limit or "") or 0.0) for limit in limits))
        tolerance = max(control.tolerance * memory.largest, _FLOOR)
        told = standing if name == SIGNED else abs(standing)
        recent = memory.recent
        if recent and recent[-1][1] == told:
            recent[-1] = (now, told)
        else:
            recent.append((now, told))  # the device may still be on its way from an earlier one
        while recent[0][0] < now - control.response_time:
            del recent[0]
        shown = measured if name == SIGNED else abs(measured)
        values = [kvar for _, kvar in recent]
        if min(values) - tolerance <= shown <= max(values) + tolerance:
            memory.since = None
            return ()
        memory.since = now if memory.since is None else memory.since
        if now - memory.since < control.response_time:
            return ()
        return (
            Condition(
                code="reactive_power_not_followed",
                severity=Severity.WARNING,
                message=f"{name} does not follow the reactive power of {standing:g} kvar",
                point=name,
                value=measured,
            ),
        )
