"""What stands in each register when the device starts, chosen so that nothing is pretended.

* A point that the plant models (a shared name, or one that profiles commonly add) is *live*.
* A state (`enum`) that the profile lists in `running_states`, or whose meaning says so, is running or normal.
* A bit field is 0: the twin has no alarm.
* A writable point is a setting: what the profile's `stop` sequence writes, the device's maximum for limits,
  otherwise 0 (or the number nearest to it that the point allows).
* A text names the twin.
* Anything else is answered as *not available*: the type's sentinel, or NaN. A point that has neither does not
  exist on the twin, and reading it fails with exception 2. 0 would be a measurement that nobody made.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from bessai.registry.schema import Point, Profile
from bessai.twin.control import limit_points, steps_of
from bessai.twin.plant import Plant
from bessai.twin.quantities import quantity_of
from bessai.twin.registers import Registers, pack_text

_RUNNING = ("on-grid", "running", "normal", "online", "operating")
_STATES = ("device_status", "battery_status", "meter_status")


def fill(registers: Registers, profile: Profile, plant: Plant) -> dict[str, Callable[[Plant], float]]:
    """Write every point's first words, and return the live ones, which the caller refreshes."""
    live: dict[str, Callable[[Plant], float]] = {}
    texts = {
        "manufacturer": profile.manufacturer,
        "model": profile.model,
        "model_name": profile.model,
        "serial_number": f"TWIN{plant.seed:06d}",
    }
    settings = _settings(registers, profile, plant)
    for name, point in profile.points.items():
        if point.type == "text":
            registers.place(name, pack_text(point, texts.get(name, "twin")))
            continue
        quantity = quantity_of(name, point.unit, plant)
        if quantity is not None and point.access == "r":
            live[name] = quantity
            registers.show(name, quantity(plant))
        elif point.access != "r":
            registers.show(name, settings.get(name, _neutral(point)))
        else:
            raw = _running(profile, name, point) if point.enum else 0 if point.bits else None
            registers.show(name, math.nan if raw is None else raw * point.gain + point.offset)
    return live


def _settings(registers: Registers, profile: Profile, plant: Plant) -> dict[str, float]:
    control = profile.control
    if control is None:
        return {}
    settings: dict[str, float] = {}
    bounds = limit_points(control)
    for steps in (control.charge_limit, control.discharge_limit):
        for step in steps or ():
            bound = quantity_of(bounds.get(step.point, ""), "kW", plant)
            if step.quantity == "limit" and bound is not None:
                settings[step.point] = bound(plant)
    for step in steps_of(control, "stop"):
        if step.value is not None:
            settings[step.point] = step.value
    return settings


def _neutral(point: Point) -> float:
    """0, or the allowed value nearest to it."""
    if point.enum:
        raw = min((int(key, 0) for key in point.enum), key=abs)
        return raw * point.gain + point.offset
    low, high = point.valid or (-math.inf, math.inf)
    return min(max(0.0, low), high)


def _running(profile: Profile, name: str, point: Point) -> int | None:
    meanings = {int(key, 0): text.lower() for key, text in (point.enum or {}).items()}
    listed = profile.control.running_states.get(name) if profile.control else None
    if listed is None and name not in _STATES:
        return None
    for word in _RUNNING:
        for raw in listed or meanings:
            if word in meanings.get(raw, ""):
                return raw
    return listed[0] if listed else None
