"""How much reactive power each unit may be told: what its device takes, and what the active power leaves of it.

Active power comes first. Where a profile tells an apparent power, Q is at most sqrt(S² - P²) of each unit. A limit
that is there and not known allows none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bessai.core.requests import Resolution
from bessai.core.summing import total
from bessai.core.unit import Unit
from bessai.model import Bounds, GuardState, UnitDecision

NONE = Bounds(0.0, 0.0)


def supported(unit: Unit) -> bool:
    """True when the device can be told a reactive power."""
    return unit.profile.control is not None and unit.profile.control.reactive is not None


def reactive_bounds(unit: Unit) -> Bounds:
    """Kvar that the device takes by what it tells of itself; none where it tells nothing now."""
    control, image = unit.profile.control, unit.image
    if control is None or control.reactive_power_max is None or image is None:
        return NONE
    exported = image.good(control.reactive_power_max)
    absorbed = image.good(control.absorbed_reactive_power_max or control.reactive_power_max)
    if exported is None or absorbed is None:
        return NONE
    return Bounds(-max(0.0, absorbed) + 0.0, max(0.0, exported))


def beside(unit: Unit, bounds: Bounds, power: float) -> Bounds:
    """What is left of reactive bounds beside an active power in kW: a circle of the apparent power."""
    control, image = unit.profile.control, unit.image
    if control is None or control.apparent_power_max is None:
        return bounds
    apparent = image.good(control.apparent_power_max) if image is not None else None
    if apparent is None or not abs(power) < apparent:
        return NONE
    room = math.sqrt((apparent - power) * (apparent + power))
    return bounds & Bounds(-room, room)


def share(wanted: float, bounds: Mapping[str, Bounds]) -> dict[str, float]:
    """Kvar of each unit in proportion to what it may, in whole vars towards zero."""
    most = {name: one.high if wanted > 0 else -one.low for name, one in bounds.items()}
    whole = math.fsum(most.values())
    if not wanted or not whole > 0:
        return dict.fromkeys(bounds, 0.0)
    part = min(1.0, abs(wanted) / whole)
    return {
        name: math.copysign(math.trunc(round(one * part * 1000, 6)) / 1000, wanted) + 0.0
        for name, one in most.items()
    }


def with_reactive(
    devices: Mapping[str, Unit],
    units: Sequence[UnitDecision],
    resolution: Resolution,
    caps: Mapping[str, Bounds],
    state: GuardState,
) -> tuple[list[UnitDecision], list[str]]:
    """The units with their kvar (0 when nobody asks, None when a device cannot be told), and what limits it.

    Args:
        devices: by name.
        units: what each is told of active power.
        resolution: of the requests.
        caps: kvar that each may be told, of those that are granted power.
        state: the plant's.
    """
    rooms = {
        unit.unit: beside(devices[unit.unit], caps[unit.unit], unit.setpoint or 0.0)
        for unit in units
        if unit.unit in caps
    }
    wanted = resolution.reactive or 0.0
    shares = share(wanted, rooms)
    done = []
    for unit in units:
        device = devices[unit.unit]
        reactive = shares.get(unit.unit, 0.0) if supported(device) and unit.setpoint is not None else None
        if device.withheld and device.standing is not None:
            reactive = device.memory.reactive
        done.append(replace(unit, reactive=reactive))
    asked = resolution.reactive_asked
    if asked is None:
        return done, []
    if not any(supported(device) for device in devices.values()):
        return done, ["reactive_not_supported"]
    if not caps:
        return done, [state.value]
    limited = []
    if total(caps.values()).clip(asked) != asked:
        limited.append("reactive_power_max")
    if total(rooms.values()).clip(wanted) != wanted:
        limited.append("apparent_power_max")
    return done, limited
