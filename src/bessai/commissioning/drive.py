"""A drive to a power, watched all the way."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean

from bessai.commissioning.device import Device
from bessai.commissioning.procedure import (
    SOURCE,
    AbortedError,
    Plan,
    Steps,
    Watch,
    Wish,
    because,
    not_possible,
    pinned,
)
from bessai.commissioning.samples import Sample

HOLD = 3.0
"""Seconds that a power must stay where it belongs to count as reached: three cycles of a second. Judgement."""
STUCK = 15.0
"""Seconds without any movement after which a setpoint is not waited for any longer. Judgement."""
LONGEST = 600.0
"""Seconds that a ramp may take altogether."""
_WATT = 0.002
"""kW: the gateway settles in whole watts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """How a unit came to a power."""

    target: float
    """kW that the unit was told."""
    granted_after: float
    """Seconds from the request until the gateway's setpoint was there."""
    reached_after: float
    """Seconds from then until the measured power was and stayed within the tolerance."""
    overshoot: float
    """kW beyond the target at most."""
    mean: float
    """kW, mean of the measured power in the second half of the time that it was held."""
    last: Sample


def drive(watch: Watch, plan: Plan, power: float, phase: str, *, hold: float = HOLD) -> Steps[Arrival]:
    """Bring the unit to a power in kW and hold it there; the caller starts from rest.

    Raises:
        AbortedError: an alarm, a wrong sign, too much power, or it is not granted or not reached in time.
    """
    device, asked = plan.device, power * plan.units
    wish = Wish(phase=phase, asks=(pinned(asked),))
    began = moved = granted = inside = None
    before: float | None = None
    target, overshoot, held = 0.0, 0.0, [0.0]
    while True:
        sample = yield from watch.tick(wish)
        now = sample.time
        if sample.objections:
            raise AbortedError(f"the gateway refuses the request: {'; '.join(sample.objections)}")
        began = now if began is None else began
        moved = now if moved is None or sample.plant_setpoint != before else moved
        before = sample.plant_setpoint
        measured = sample.measured
        if measured is None:
            raise AbortedError(f"the measured power ({device.measured}) is {sample.quality}")
        beyond = check_direction(device, power, measured)
        if granted is None:
            if sample.source == SOURCE and _is(sample.plant_setpoint, asked):
                granted, target = now, sample.setpoint or 0.0
                if power and not target:
                    raise not_possible(
                        "the gateway gives this unit no part of the power; ask for more (--power)"
                    )
            elif now - moved > STUCK or now - began > LONGEST:
                raise not_possible(_not_granted(sample, asked))
            else:
                continue
        elif not _is(sample.plant_setpoint, asked):
            raise AbortedError(f"the gateway took the power back: {_not_granted(sample, asked)}")
        overshoot = max(overshoot, beyond - abs(target)) if power else 0.0
        if abs(measured - target) > device.tolerance:
            inside = None
            if now - granted > device.response_time + 2.0:
                raise AbortedError(
                    f"{now - granted:.1f} s after the setpoint was {target:+.2f} kW the measured power is "
                    f"{measured:+.2f} kW; wanted: within {device.tolerance:.2f} kW after {device.response_time:g} s"
                )
            continue
        if inside is None:
            inside, held = now, []
        held.append(measured)
        if now - inside >= hold:
            return Arrival(
                target=target,
                granted_after=granted - began,
                reached_after=inside - granted,
                overshoot=max(0.0, overshoot),
                mean=fmean(held[len(held) // 2 :]),
                last=sample,
            )


def hold_until_read(
    watch: Watch, plan: Plan, power: float, arrival: Arrival, names: tuple[str, ...]
) -> Steps[Sample]:
    """Hold a power until these points were read since the unit arrived there, at most for the plan's `wait`.

    Returns the last sample.
    """
    sample, since = arrival.last, arrival.last.time
    wish = Wish(phase="hold until slower values are read", asks=(pinned(power * plan.units),))
    while sample.time - since < plan.wait and not all(fresh(sample, name, since) for name in names):
        sample = yield from watch.tick(wish)
        if sample.measured is None:
            raise AbortedError(f"the measured power ({plan.device.measured}) is {sample.quality}")
        check_direction(plan.device, power, sample.measured)
        if not _is(sample.plant_setpoint, power * plan.units):
            raise AbortedError(f"the gateway took the power back: {_not_granted(sample, power * plan.units)}")
    return sample


def fresh(sample: Sample, name: str, since: float) -> bool:
    """True when a point was read after `since`, or is not there to be read."""
    point = sample.points.get(name)
    if point is None or point.quality != "good":
        return True
    return point.age is not None and sample.time - point.age >= since - HOLD


def check_direction(device: Device, power: float, measured: float) -> float:
    """The measured power in the direction of `power`, kW.

    Raises:
        AbortedError: it flows the other way, or far more than was asked for flows.
    """
    if power == 0:
        return 0.0
    along = measured if power > 0 else -measured
    if along < -device.tolerance:
        asked, seen = ("discharge", "charges") if power > 0 else ("charge", "discharges")
        raise AbortedError(
            f"wrong sign: asked to {asked} ({power:+.2f} kW) it {seen}: {measured:+.2f} kW measured"
        )
    if along > abs(power) + max(2 * device.tolerance, abs(power)):
        raise AbortedError(f"far too much power: {measured:+.2f} kW measured, {power:+.2f} kW asked for")
    return along


def _is(setpoint: float | None, asked: float) -> bool:
    return setpoint is not None and abs(setpoint - asked) <= _WATT


def _not_granted(sample: Sample, asked: float) -> str:
    setpoint = "nothing" if sample.plant_setpoint is None else f"{sample.plant_setpoint:+.2f} kW"
    why = f", limited by {', '.join(sample.limited_by)}" if sample.limited_by else ""
    who = f"; {sample.source} decides" if sample.source not in {None, SOURCE} else ""
    return f"{asked:+.2f} kW asked for, {setpoint} granted{why}{who}{because(sample)}"
