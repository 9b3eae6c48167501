"""What the values of a device's registers amount to, read from the profile's control section.

The profile says which writes charge, discharge, hold zero and stop. This is the other direction: given the
registers, which of the four is in force? Nothing here knows a device.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bessai.registry import CompiledProfile
from bessai.registry.commands import Control, WriteStep
from bessai.twin.pcs import Side

Kind = Literal["charge", "discharge", "zero", "stop"]
_KINDS: tuple[Kind, ...] = ("stop", "zero", "charge", "discharge")


@dataclass(frozen=True, slots=True)
class Order:
    """What the registers command."""

    kind: Kind
    power: float | None
    """kW, + = discharge; None for `stop`."""


def recognise(profile: CompiledProfile, value_of: Callable[[str], float]) -> Order | None:
    """The order that the registers amount to; None when they match no sequence of the profile.

    A sequence matches when every constant that it writes stands in its register and every quantity's register
    holds a number. Of several, the one with the most constants is meant; of equals, stop, zero, charge,
    discharge in this order (two equals that both command a power command the same one).

    Args:
        profile: with a `control` section.
        value_of: a register's value in the point's unit; NaN when it has none.
    """
    if profile.control is None:
        return None
    best: Order | None = None
    most = -1
    for kind in _KINDS:
        steps = steps_of(profile.control, kind)
        constants = [step for step in steps if step.value is not None]
        if not all(_stands(profile, step, value_of(step.point)) for step in constants):
            continue
        power: float | None = None
        if kind == "zero":
            power = 0.0
        elif kind != "stop":
            power = _power(kind, steps, value_of)
            if power is None:
                continue
        if len(constants) > most:
            best, most = Order(kind, power), len(constants)
    return best


def reactive_of(profile: CompiledProfile, value_of: Callable[[str], float]) -> float:
    """The reactive power in kvar that the registers command, + = export; 0 when they command none."""
    steps = profile.control.reactive if profile.control is not None else None
    for step in steps or ():
        if step.value is not None and not _stands(profile, step, value_of(step.point)):
            return 0.0
    found = [step for step in steps or () if step.quantity == "reactive"]
    if not found:
        return 0.0
    value = value_of(found[0].point)
    if found[0].of is not None:
        value *= value_of(found[0].of) / 100
    return 0.0 if math.isnan(value) else value


def steps_of(control: Control, kind: Kind) -> list[WriteStep]:
    """The sequence of a kind."""
    steps: list[WriteStep] = getattr(control, kind)
    return steps


def side_of(control: Control) -> Side:
    """Where the commanded power is measured: at the AC terminals when that is how the profile proves it."""
    return "ac" if control.measured in {"active_power", "grid_power"} else "battery"


def limit_points(control: Control) -> dict[str, str]:
    """Points that hold a power or a limit, with the point whose value they may not exceed."""
    bounded: dict[str, str] = {}
    for field, bound in (
        ("charge", control.charge_power_max),
        ("charge_limit", control.charge_power_max),
        ("discharge", control.discharge_power_max),
        ("discharge_limit", control.discharge_power_max),
    ):
        for step in getattr(control, field) or ():
            # a percentage of a point has no bound in kW
            if bound is not None and step.of is None and step.quantity in {"magnitude", "limit"}:
                bounded[step.point] = bound
    return bounded


def _stands(profile: CompiledProfile, step: WriteStep, value: float) -> bool:
    gain = abs(profile.points[step.point].gain)
    return step.value is not None and abs(value - step.value) <= gain / 2


def _power(kind: Kind, steps: list[WriteStep], value_of: Callable[[str], float]) -> float | None:
    for step in steps:
        value = value_of(step.point)
        if step.of is not None:
            value *= value_of(step.of) / 100
        if step.quantity in {"power", "magnitude"} and math.isnan(value):
            return None
        if step.quantity == "power":
            return value
        if step.quantity == "magnitude":
            return -abs(value) if kind == "charge" else abs(value)
    return None
