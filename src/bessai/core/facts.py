"""What the second look at a setpoint is told: measured values, the limits as data, and what the device stands at."""

from __future__ import annotations

import math

from bessai.core.recheck import Facts
from bessai.core.unit import Unit
from bessai.model import Bounds


def facts_of(
    unit: Unit, *, armed: bool, granted: bool, bounds: Bounds, last: float | None, rise: float, fall: float
) -> Facts:
    """The facts of one unit in this cycle.

    Args:
        unit: after it looked at the cycle's image.
        armed: its dead-man counts.
        granted: its state allows power.
        bounds: kW, what guard and requests left.
        last: kW that it was told last.
        rise: kW that the setpoint may rise in this cycle.
        fall: kW that it may fall.
    """
    image, control, limits = unit.image, unit.profile.control, unit.limits
    if image is None or control is None:
        raise ValueError("a unit that saw nothing, or cannot be commanded, has no facts")
    columns = zip(image.layout.names, image.values.tolist(), image.quality.tolist(), strict=True)
    values = {name: value for name, value, quality in columns if quality == 0}
    charge, discharge, _, _ = unit.check.caps(image)
    from_current = unit.check.current_caps
    exported, apparent = control.reactive_power_max, control.apparent_power_max
    return Facts(
        values=values,
        evidence=control.evidence,
        running=control.running_states,
        caps_charge=charge or (),
        caps_discharge=discharge or (),
        currents_charge=from_current[0],
        currents_discharge=from_current[1],
        soc_min=limits.soc_min,
        soc_max=limits.soc_max,
        curves=unit.curves,
        trips=unit.trip_levels,
        armed=armed,
        granted=granted,
        last=last,
        max_rise=rise,
        max_fall=fall,
        low=bounds.low,
        high=bounds.high,
        exported=values.get(exported or ""),
        absorbed=values.get(control.absorbed_reactive_power_max or exported or ""),
        apparent=math.inf if apparent is None else values.get(apparent),
    )
