"""What stands in each register when the device starts, chosen so that nothing is pretended.

* A point that the plant models (a shared name, or one that profiles commonly add) is *live*.
* A state (`enum`) that the profile lists in `running_states`, or whose meaning says so, is running or normal.
* A bit field is 0: the twin has no alarm.
* A writable point is a setting: what the profile's `stop` sequence writes, the device's maximum for limits,
  otherwise 0 (or the number nearest to it that the point allows).
* A text names the twin.
* A scale factor holds the smallest exponent with which what the plant can show fits; the counter of `alive` counts
  simulated seconds, and `…_rvrt_rem` what is left of the time in `…_rvrt_tms` since that was written.
* Where a fingerprint of the profile asks for something else, that is shown (`likeness`).
* Anything else is answered as *not available*: the type's sentinel, or NaN. A point that has neither does not
  exist on the twin, and reading it fails with exception 2. 0 would be a measurement that nobody made.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from bessai.registry.schema import Point, Profile
from bessai.twin.control import limit_points, steps_of
from bessai.twin.likeness import impersonate
from bessai.twin.plant import Plant
from bessai.twin.quantities import quantity_of
from bessai.twin.registers import Registers, pack_text

_RUNNING = ("on-grid", "running", "normal", "online", "operating", "idle")
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
    registers.clock = lambda: plant.time
    settings = _settings(registers, profile, plant)
    fixed = _exponents(profile, plant)
    for name, value in fixed.items():
        registers.show(name, value)
    for name, point in profile.points.items():
        if name in fixed:
            continue
        if profile.alive is not None and name == profile.alive.point:
            live[name] = _seconds
            registers.show(name, _seconds(plant))
            continue
        timer = name.removesuffix("_rvrt_rem") + "_rvrt_tms"
        if name.endswith("_rvrt_rem") and timer in profile.points:
            live[name] = partial(_remaining, registers, timer)
            registers.show(name, 0.0)
            continue
        if point.type == "text":
            registers.place(name, pack_text(point, texts.get(name, "twin")))
            continue
        quantity = quantity_of(name, point.unit, plant)
        if quantity is not None and point.access == "r":
            live[name] = quantity
            registers.show(name, quantity(plant))
        elif point.access != "r":
            default = _neutral(point) if quantity is None else quantity(plant)
            registers.show(name, settings.get(name, default))
        else:
            raw = _running(profile, name, point) if point.enum else 0 if point.bits else None
            registers.show(name, math.nan if raw is None else raw * point.gain + point.offset)
    shown = {name: texts.get(name, "twin") for name, point in profile.points.items() if point.type == "text"}
    impersonate(registers, profile, plant.seed, shown, live)
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


def _seconds(plant: Plant) -> float:
    return float(int(plant.time) % 0xFFFF)


def _remaining(registers: Registers, timer: str, plant: Plant) -> float:
    left = registers.placed_at.get(timer, 0.0) + registers.value_of(timer) - plant.time
    return math.ceil(max(left, 0.0))


def _exponents(profile: Profile, plant: Plant) -> dict[str, float]:
    """An exponent for each scale factor: as fine as the largest value of each point that needs it allows."""
    config = plant.config
    power = 2 * max(
        config.pcs.apparent_power_max, config.battery.charge_power_max, config.battery.discharge_power_max
    )
    largest = {"kW": power, "kVA": power, "kvar": power, "V": 2000.0, "A": 2000.0, "%": 200.0}
    exponents: dict[str, float] = {}
    for name, point in profile.points.items():
        if point.scale is None:
            continue
        value = 10 * config.battery.energy_capacity if point.registers == 1 else 1e6  # a counter grows
        if point.unit != "kWh":
            value = 5.0 if "cell_v" in name else largest.get(point.unit or "", 200.0)
        bits = 16 * point.registers - (point.type[0] == "i")
        fits = math.ceil(math.log10(value / abs(point.gain) / (2**bits - 2)))
        exponents[point.scale] = max(exponents.get(point.scale, -3.0), min(float(fits), 10.0))
    return exponents


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
