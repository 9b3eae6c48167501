"""How fast the setpoint may follow what the requests want: ramps, minimum on and off times.

    dynamics = Dynamics(RampLimits(up=0.01), min_on=60.0, cycle=1.0)
    step = dynamics.step(target, bounds, rated, now, running=True, least=2.0)
    ...                                             # split, written, read back
    dynamics.commanded(power, now, left=split.left)

Only the wish is slowed. Bounds narrow at once, whatever ramp or dwell time stands against it. The ramp goes on
from the power that was really commanded, so a device that was cut or did not take a command is never met by a
ramp that ran ahead of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from bessai.model import Bounds

_WATT = 0.001
"""kW by which whole watts differ from the exact ramp; also the smallest power that can be commanded."""

_LATE = 2.0
"""Cycles whose worth one step may move. Judgement: a cycle that is late by up to its own length catches up, so
jitter does not make the ramp slower; after a longer pause the grid sees a ramp, not a jump."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RampLimits:
    """Fastest changes of the signed power, in share of the rated power per second; None for no limit."""

    up: float | None = None
    """Towards export."""
    down: float | None = None
    """Towards import."""
    start: float | None = None
    """Both ways, from the first power after a start until a target is reached; never faster than up and down."""
    recovery: float | None = None
    """The same after a hold or a trip."""

    def __post_init__(self) -> None:
        for name in ("up", "down", "start", "recovery"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"{name}={value}: give a share of rated power per second above 0, or none")


@dataclass(frozen=True, slots=True)
class Step:
    """The power of one cycle."""

    power: float
    """kW, inside the bounds."""
    limited_by: tuple[str, ...] = ()
    """`ramp_up`, `ramp_down`, `ramp_request`, `ramp_start`, `ramp_recovery`, `min_on`, `min_off`."""


@dataclass(slots=True, kw_only=True)
class DynamicsMemory:
    """All that persists between cycles."""

    told: float = 0.0
    """kW that was commanded last."""
    left: float = 0.0
    """kW of the wish that the units could not make of it, for instance inside an exclusion zone."""
    position: float = 0.0
    """kW, the last step before it was rounded and split; believed only while `told` + `left` agrees with it."""
    time: float | None = None
    """Monotonic seconds of the last step."""
    since: float | None = None
    """Monotonic seconds since when power flows in this direction, or does not flow."""
    phase: str = "start"
    """`start`, `recovery` or empty."""
    begun: bool = False
    """Power was granted in this phase."""
    ran: bool = False
    """The last step was one of a running plant."""


class Dynamics:
    """Ramps and dwell times of a plant.

    Args:
        limits: the ramps.
        min_on: seconds that power flows at least in one direction once it flows.
        min_off: seconds of zero power before power flows again. A change of direction then stops in between.
        cycle: seconds of a control cycle.

    Raises:
        ValueError: a time that is negative or no number, or a cycle of no length.
    """

    def __init__(
        self, limits: RampLimits, *, min_on: float = 0.0, min_off: float = 0.0, cycle: float = 1.0
    ) -> None:
        for name, seconds in (("min_on", min_on), ("min_off", min_off), ("cycle", cycle)):
            if not 0 <= seconds < math.inf or (name == "cycle" and seconds == 0):
                raise ValueError(f"{name}={seconds}: give seconds")
        self._limits = limits
        self._min_on = min_on
        self._min_off = min_off
        self._cycle = cycle
        self.memory = DynamicsMemory()

    @property
    def cycle(self) -> float:
        """Seconds of a control cycle."""
        return self._cycle

    def rehearsed(self) -> Dynamics:
        """An equal one with a memory of its own."""
        equal = Dynamics(self._limits, min_on=self._min_on, min_off=self._min_off, cycle=self._cycle)
        equal.memory = replace(self.memory)
        return equal

    def commanded(self, power: float, now: float, *, left: float = 0.0) -> None:
        """Learn the power that the plant was really commanded to; once a cycle, also when it did not change.

        Args:
            power: kW; 0 when the safe state was commanded, and when it is not known what the device took.
            now: monotonic seconds.
            left: kW that the split could not make. Without it a ramp would never get through an exclusion zone.
        """
        memory = self.memory
        if _sign(power) != _sign(memory.told):
            memory.since = now
        memory.told, memory.left = power, left

    def step(
        self,
        target: float,
        bounds: Bounds,
        rated: Bounds,
        now: float,
        *,
        running: bool,
        least: float = 0.0,
        ramp: float | None = None,
    ) -> Step:
        """The power of this cycle on the way to `target`.

        Args:
            target: kW that the requests want.
            bounds: kW that safety allows; the result is inside them, or 0 when they are empty.
            rated: kW that the ramps are a share of (its larger side).
            now: monotonic seconds.
            running: False in every state that grants no power: the result is then 0.
            least: kW, the smallest magnitude that the plant can run at.
            ramp: fastest change that a request allows, both ways, in kW per second; None: any.
        """
        memory = self.memory
        seconds = 0.0 if memory.time is None else min(max(now - memory.time, 0.0), _LATE * self._cycle)
        memory.time = now
        memory.since = now if memory.since is None else memory.since  # nobody knows for how long it was off
        if memory.ran and not running:
            memory.phase, memory.begun = memory.phase or "recovery", False
        memory.ran = running
        if not running or bounds.empty:
            memory.position = 0.0
            return Step(0.0)
        target = bounds.clip(target) if math.isfinite(target) else bounds.clip(0.0)
        if (
            memory.begun and target == 0 and bounds.low < 0 < bounds.high
        ):  # wanted, not what bounds made of a wish
            memory.phase, memory.begun = "", False
        ramped, why = self._ramp(target, rated, seconds, ramp)
        power, dwell = self._dwell(ramped, target, bounds, now, least)
        power = bounds.clip(power)
        memory.position = power
        memory.begun = memory.begun or power != 0
        if power == target != 0:
            memory.phase, memory.begun = "", False
        limited = dwell or why
        return Step(power, (limited,) if limited and power != target else ())

    def most_in_a_step(
        self, rated: Bounds, seconds: float, least: float = 0.0, ramp: float | None = None
    ) -> tuple[float, float]:
        """The kW that any ramp lets the power rise and fall within some seconds; inf where there is none."""
        whole, seconds = max(-rated.low, rated.high), min(seconds, _LATE * self._cycle)
        up, down = (
            min(
                (rate for rate in (None if own is None else own * whole, ramp) if rate is not None),
                default=None,
            )
            for own in (self._limits.up, self._limits.down)
        )
        return (
            math.inf if up is None else up * seconds + least,
            math.inf if down is None else down * seconds + least,
        )

    def _ramp(self, target: float, rated: Bounds, seconds: float, asked: float | None) -> tuple[float, str]:
        """The power on the way to the target, and the name of the ramp that holds it back."""
        memory = self.memory
        agrees = abs(memory.told + memory.left - memory.position) <= _WATT + 1e-9
        base = memory.position if agrees else memory.told
        up = target > base
        whole = max(-rated.low, rated.high)
        whole = whole if math.isfinite(whole) else 0.0
        shares = [(self._limits.up, "ramp_up") if up else (self._limits.down, "ramp_down")]
        if memory.phase:
            own = self._limits.start if memory.phase == "start" else self._limits.recovery
            shares.append((own, f"ramp_{memory.phase}"))
        known = [(share * whole, name) for share, name in shares if share is not None]
        known += [] if asked is None else [(asked, "ramp_request")]
        if target == base or not known:
            return target, ""
        rate, name = min(known)
        move = rate * seconds
        if abs(target - base) <= move:
            return target, ""
        return (base + move if up else base - move), name

    def _dwell(
        self, power: float, target: float, bounds: Bounds, now: float, least: float
    ) -> tuple[float, str]:
        """The power that the minimum times leave, and the name of the one that changed it."""
        memory = self.memory
        flow = _sign(memory.told)
        age = math.inf if memory.since is None else now - memory.since
        if flow == 0:
            return (0.0, "min_off") if age < self._min_off and target != 0 else (power, "")
        smallest = max(least, _WATT)
        if (
            age < self._min_on and flow * power < smallest <= abs(memory.told) + _WATT
        ):  # it never raises power
            held = flow * smallest
            if bounds.clip(held) == held:
                return held, "min_on"
        if self._min_off > 0 and flow * power < 0:
            return 0.0, "min_off"
        return power, ""


def _sign(power: float) -> int:
    return (power > 0) - (power < 0)
