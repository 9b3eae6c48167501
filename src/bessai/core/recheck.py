"""The last look at a setpoint before a command is issued, written a second time and differently.

The envelope computes what is allowed and clips to it, in floating point. This takes the setpoint that came out
and looks for a reason against it, in whole milliwatts, from the facts alone: it shares no code with the envelope
and imports nothing of the gateway. A mistake must be made twice, in two ways, before it reaches a device.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite

Curve = Sequence[tuple[float, float]]
"""(x, allowed share 0..1) with x ascending: linear between, constant beyond. Empty: no limit in this direction."""

_TOLERANCE = 1000  # milliwatts: the guard settles on whole watts
_FINE = 1_000_000_000  # steps of a unit: finer than any register, coarser than floating-point noise


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known when a unit is about to be written."""

    values: Mapping[str, float]
    """Good and fresh values only, by shared point name, each in its shared unit."""
    evidence: Sequence[str] = ()
    """Names without which no power may flow."""
    running: Mapping[str, Collection[int]]
    """Point → raw states in which power is allowed."""
    caps_charge: Sequence[float]
    caps_discharge: Sequence[float]
    """Every known cap of a direction in kW; empty: unknown, so no power that way."""
    currents_charge: Sequence[float] = ()
    currents_discharge: Sequence[float] = ()
    """kW that the allowed currents amount to; no curve takes a share of these."""
    soc_min: float
    soc_max: float
    """%; no discharge at or below the one, no charge at or above the other."""
    curves: Sequence[tuple[str, Curve, Curve]] = ()
    """Point, curve of charging, of discharging. Judged when `values` has the point; `evidence` says which must."""
    trips: Sequence[tuple[str, str, float]] = ()
    """Point, `high` or `low`, level: from it on no power in either direction."""
    armed: bool
    """The device's dead-man is proved and counts."""
    granted: bool
    """The guard's state allows power."""
    last: float | None
    """kW that was written last and stands; None: nothing, counts as zero."""
    max_rise: float = inf
    max_fall: float = inf
    """kW that the setpoint may rise or fall in this step; inf: no ramp."""
    low: float = -inf
    high: float = inf
    """kW, the bounds that the live requests leave."""
    exported: float | None = None
    absorbed: float | None = None
    """Kvar that the device tells as its highest in each direction; None: not told, so no reactive power."""
    apparent: float | None = inf
    """kVA of both powers together; inf: the device knows no such limit, None: it does and does not tell it."""


def objection(power: float, facts: Facts) -> str | None:
    """Why this power in kW must not be written; None when it may. Zero always may."""
    if power == 0:
        return None
    if not isfinite(power):
        return f"power {power} is not a number"
    if not facts.granted or not facts.armed:
        return "the dead-man is not armed" if facts.granted else "the state allows no power"
    try:
        against = _of_evidence(facts) or _of_energy(power, facts) or _of_limits(power, facts)
        return against or _of_step(power, facts)
    except OverflowError:
        return "a number is too large to be true"


def reactive_objection(reactive: float, power: float, facts: Facts) -> str | None:
    """Why these kvar must not be written beside a power in kW; None when they may. Zero always may."""
    if reactive == 0:
        return None
    if not isfinite(reactive) or not isfinite(power):
        return f"reactive power {reactive} beside {power} kW is not a number"
    if not facts.granted or not facts.armed:
        return f"{reactive:g} kvar: " + (
            "the dead-man is not armed" if facts.granted else "the state allows none"
        )
    try:
        return _of_evidence(facts) or _of_reactive(reactive, power, facts)
    except OverflowError:
        return "a number is too large to be true"


def _of_reactive(reactive: float, power: float, facts: Facts) -> str | None:
    size = abs(_milliwatts(reactive)) - _TOLERANCE  # millivars
    for most in (facts.exported, facts.absorbed):
        if most is None or not 0 <= most < inf:
            return "the highest reactive power of the device is not known"
    most = facts.exported if reactive > 0 else facts.absorbed
    if size > _milliwatts(most or 0.0):
        return f"{reactive:g} kvar is more than the {most:g} kvar that the device takes"
    if facts.apparent == inf:
        return None
    if facts.apparent is None or not 0 < facts.apparent < inf:
        return "the apparent power of the device is not known"
    if size > 0 and size**2 + _milliwatts(power) ** 2 > _milliwatts(facts.apparent) ** 2:
        return f"{reactive:g} kvar beside {power:g} kW is more than {facts.apparent:g} kVA"
    return None


def _of_evidence(facts: Facts) -> str | None:
    values = facts.values
    for name in facts.evidence:
        if name not in values:
            return f"{name} is not known"
    if not all(map(isfinite, values.values())):
        return "a value is not a number"
    for name, states in facts.running.items():
        state = values.get(name)
        if state is None or state != int(state) or int(state) not in states:
            return f"{name} {state} is not a state in which power is allowed"
    for name, side, level in facts.trips:
        if not isfinite(level) or side not in {"high", "low"}:
            return f"the trip {side} {level} of {name} cannot be judged"
        value = values.get(name)
        if value is not None and ((value > level) == (side == "high") or _fine(value) == _fine(level)):
            return f"{name} {value:g} is at or beyond its trip level {level:g}"
    return None


def _of_energy(power: float, facts: Facts) -> str | None:
    own, limit = ("soc_lowest", facts.soc_min) if power > 0 else ("soc_highest", facts.soc_max)
    known = [facts.values[name] for name in ("soc", own) if name in facts.values]
    if not known or not isfinite(limit):
        return "the state of charge or its limit is not known"
    if power > 0 and min(known) <= limit:
        return f"soc {min(known):g} is not above {limit:g}: no discharge"
    if power < 0 and max(known) >= limit:
        return f"soc {max(known):g} is not below {limit:g}: no charge"
    return None


def _of_limits(power: float, facts: Facts) -> str | None:
    caps = facts.caps_discharge if power > 0 else facts.caps_charge
    if not caps or not all(map(isfinite, caps)):
        return "a cap of this direction is not known"
    cap, size = _milliwatts(min(caps)), abs(_milliwatts(power)) - _TOLERANCE
    if size > cap:
        return f"{power:g} kW is more than the cap of {min(caps):g} kW"
    for current in facts.currents_discharge if power > 0 else facts.currents_charge:
        if not isfinite(current) or size > _milliwatts(current):
            return f"{power:g} kW is more than the {current:g} kW of the allowed current"
    for name, charge, discharge in facts.curves:
        value, points = facts.values.get(name), discharge if power > 0 else charge
        if value is None or not points:
            continue
        above, below = _share(points, value)
        if not below:
            return f"the curve of {name} cannot be judged"
        if size * below > cap * above:  # size > cap * share, in whole numbers
            return f"{power:g} kW is more than {name} {value:g} allows"
    return None


def _share(points: Curve, x: float) -> tuple[int, int]:
    """The share at x as numerator and denominator; the latter is 0 when the curve makes no sense."""
    x0, y0 = -inf, points[0][1]
    found: tuple[int, int] | None = None
    for x1, y1 in points:
        if not (0 <= y1 <= 1 and x0 <= x1 < inf):
            return 0, 0
        if found is None and x <= x1:
            if x0 in {-inf, x1}:
                found = _fine(y1), _FINE
            else:
                width, start = _fine(x1) - _fine(x0) or 1, _fine(y0)
                found = start * width + (_fine(y1) - start) * (_fine(x) - _fine(x0)), width * _FINE
        x0, y0 = x1, y1
    return found or (_fine(y0), _FINE)


def _of_step(power: float, facts: Facts) -> str | None:
    last = facts.last or 0.0
    if not isfinite(last):
        return f"the standing setpoint {last} is not a number"
    if not facts.low - 0.001 <= power <= facts.high + 0.001:
        return f"{power:g} kW is outside the requests' bounds {facts.low:g} … {facts.high:g} kW"
    if 0 < power <= last or last <= power < 0:
        return None  # less power in the same direction is never too fast
    step, most = _milliwatts(power) - _milliwatts(last), facts.max_rise
    if step < 0:
        step, most = -step, facts.max_fall
    if most == inf or (isfinite(most) and step <= _milliwatts(most) + _TOLERANCE):
        return None
    return f"{power:g} kW is {step / 1e6:g} kW from the last; the ramp allows {most:g} kW"


def _milliwatts(power: float) -> int:
    return round(power * 1_000_000)


def _fine(value: float) -> int:
    return round(value * _FINE)
