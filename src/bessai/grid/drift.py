"""Drift: what the devices say of their own settings, against what is in force here.

A setting that cannot be read is "not comparable", never "equal".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bessai.grid.config import GridConfig
from bessai.grid.parameters import PARAMETERS, Value
from bessai.model import Condition, ProcessImage, Severity

EVERY = 1.0
"""Seconds between comparisons."""
RELATIVE, OF_RANGE = 0.01, 0.001
"""Share of the value, and of the parameter's range, by which a device's register may differ: it rounds. A judgement."""

_SCALES = {
    ("Hz", "mHz"): 1000.0,
    ("ms", "s"): 0.001,
    ("pu", "%"): 100.0,
    ("W", "kW"): 0.001,
    ("var", "kvar"): 0.001,
}
_CONVERTERS = {"gfm": ("gfm", "forming"), "gfl": ("gfl", "following")}
_WORDS = {"gfm": "grid-forming", "gfl": "grid-following"}
CONVERTERS = "converters"
"""Stands for the mode of the converters, which is configured and no parameter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One setting, here and in the device."""

    name: str
    """The parameter, or `converters`."""
    point: str
    """Where the device's setting is read."""
    here: Value
    """In force at the gateway."""
    device: Value | None
    """In the device, in the parameter's unit; None when it is unknown."""
    verdict: str
    """`equal`, `differs` or `not comparable`."""
    why: str = ""
    """Why it cannot be compared."""


class DriftWatch:
    """Compares once a second.

    Args:
        config: says which point reads which setting back.
    """

    def __init__(self, config: GridConfig) -> None:
        self._config = config
        self._next: float | None = None
        self._found: list[Compared] = []

    def look(self, image: ProcessImage, values: Mapping[str, Value]) -> None:
        """Compare, when it is time. Time is that of the image."""
        if self._next is not None and image.monotonic < self._next:
            return
        self._next = image.monotonic + EVERY
        self._found = [
            _compared(self._config, name, point, values[name], image)
            for name, point in self._config.drift.items()
        ]
        if (point := self._config.points.converters) is not None:
            self._found.append(_mode(point, self._config.converters, image))

    def conditions(self) -> list[Condition]:
        """One for each setting that differs."""
        return [
            _mode_differs(one) if one.name == CONVERTERS else _differs(one)
            for one in self._found
            if one.verdict == "differs"
        ]

    def status(self) -> dict[str, dict[str, Any]]:
        """The last comparison, by parameter."""
        return {
            one.name: {
                "point": one.point, "here": one.here, "device": one.device, "verdict": one.verdict, "why": one.why,
            }
            for one in self._found
        }  # fmt: skip


def _compared(config: GridConfig, name: str, point: str, here: Value, image: ProcessImage) -> Compared:
    parameter = PARAMETERS[name]
    device: Value | None = None
    value, unit = image.good(point), _unit(image, point)
    if value is None:
        return _unknown(name, point, here, f"{point} is {image.quality_of(point).name.lower()}")
    if parameter.type == "choice":
        meaning = image.layout.meaning(point, value)
        if not isinstance(meaning, str):
            return _unknown(name, point, here, f"{point} = {value:g} has no meaning in the profile")
        device = meaning
        equal = meaning == here
    elif parameter.type == "switch":
        device = value != 0
        equal = device == here
    else:
        scale = (
            1.0
            if _same(unit, parameter.unit)
            else _SCALES.get((unit or "", parameter.unit.partition(" ")[0]))
        )
        if scale is None:
            return _unknown(name, point, here, f"{point} is in {unit}, the parameter in {parameter.unit}")
        device = value * scale
        if isinstance(here, str):
            return _unknown(name, point, here, "no number is set here", device)
        limits = config.limits(name) or (0.0, 0.0)
        allowed = max(RELATIVE * abs(here), OF_RANGE * (limits[1] - limits[0]))
        equal = abs(device - here) <= allowed
    return Compared(name=name, point=point, here=here, device=device, verdict="equal" if equal else "differs")


def _mode(point: str, here: str, image: ProcessImage) -> Compared:
    value = image.good(point)
    if value is None:
        return _unknown(CONVERTERS, point, here, f"{point} is {image.quality_of(point).name.lower()}")
    meaning = image.layout.meaning(point, value)
    said = meaning.lower() if isinstance(meaning, str) else ""
    modes = [mode for mode, words in _CONVERTERS.items() if any(word in said for word in words)]
    if len(modes) != 1:
        return _unknown(CONVERTERS, point, here, f"{point} = {value:g} says neither gfm nor gfl")
    return Compared(
        name=CONVERTERS, point=point, here=here, device=modes[0],
        verdict="equal" if modes[0] == here else "differs",
    )  # fmt: skip


def _unknown(name: str, point: str, here: Value, why: str, device: Value | None = None) -> Compared:
    return Compared(name=name, point=point, here=here, device=device, verdict="not comparable", why=why)


def _unit(image: ProcessImage, point: str) -> str | None:
    i = image.layout.index.get(point)
    return None if i is None else image.layout.units[i]


def _same(unit: str | None, wanted: str) -> bool:
    """A register often says no unit, or % without what it is a share of."""
    return unit in (None, "", wanted) or unit == wanted.partition(" ")[0]


def _differs(one: Compared) -> Condition:
    unit = PARAMETERS[one.name].unit
    device, here = (f"{shown(value)} {unit}".rstrip() for value in (one.device, one.here))
    return Condition(
        code="grid_parameter_drift",
        severity=Severity.WARNING,
        message=f"{one.name}: the device has {device} ({one.point}), in force here is {here}",
        point=one.point,
        value=float(one.device) if isinstance(one.device, int | float) else None,
    )


def _mode_differs(one: Compared) -> Condition:
    return Condition(
        code="grid_converters_differ",
        severity=Severity.WARNING,
        message=f"the converters run {_WORDS[str(one.device)]} ({one.point}), configured is "
        f"{_WORDS[str(one.here)]} (AT-IBR Art. 3-12)",
        point=one.point,
    )


def shown(value: Value | None) -> str:
    """A value for people."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, int | float) else value
