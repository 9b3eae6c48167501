"""What the grid functions know of their plant: sizes, points, start values and the site's own narrower limits."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bessai.grid.parameters import NONE, PARAMETERS, Parameter, Value

_NEEDS: Mapping[tuple[str, Value], str] = {
    ("frequency.enabled", True): "frequency",
    ("voltage.mode", "voltage"): "voltage",
    ("voltage.mode", "voltage_droop"): "voltage",
    ("voltage.mode", "ieee1547_volt_var"): "voltage",
    ("voltage.mode", "power_factor"): "active_power",
    ("voltage.mode", "ieee1547_watt_var"): "active_power",
    ("active.volt_watt", True): "voltage",
}
"""What a function measures with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GridPoints:
    """Columns of the layout that the functions measure with; None where the plant has no such point."""

    frequency: str | None = "grid_frequency"
    voltage: str | None = "grid_voltage"
    active_power: str | None = "grid_power"
    reactive_power: str | None = "grid_reactive_power"
    soc: str | None = "soc"
    converters: str | None = None
    """The device's own word on grid-forming or grid-following, to compare with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GridConfig:
    """One plant at its point of connection."""

    rated_power: float
    """kW, Pn."""
    rated_apparent_power: float
    """kVA, Sn."""
    nominal_voltage: float
    """V, as the voltage point measures it (line to line or line to neutral)."""
    nominal_frequency: float = 50.0
    """Hz."""
    converters: Literal["gfm", "gfl"] = "gfm"
    """Grid-forming (all storage by AT-IBR Art. 3-12) or grid-following."""
    short_circuit_power: float | None = None
    """kVA at the point of connection: how far voltage moves with kvar. None: a weak grid is assumed, which is
    stable everywhere and slower where the grid is strong."""
    points: GridPoints = field(default_factory=GridPoints)
    values: Mapping[str, Value] = field(default_factory=dict)
    """Start values that are not the defaults, by parameter."""
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """The site's own limits of a parameter, inside those of the code."""
    capability: tuple[tuple[float, float, float], ...] = ()
    """P-Q curve at the point of connection: (kW, lowest kvar, highest kvar), kW ascending, straight in between;
    empty: the circle of the rated apparent power."""
    drift: Mapping[str, str] = field(default_factory=dict)
    """Parameter to the point that reads the device's own setting back."""
    fallback: Mapping[str, Value] = field(default_factory=dict)
    """Commands that are applied when AGC is on and has not been heard for `fallback_after`."""
    fallback_after: float | None = None
    """Seconds; None: never."""

    def limits(self, name: str) -> tuple[float, float] | None:
        """Lowest and highest number of a parameter on this plant; None when it is no number.

        Raises:
            KeyError: there is no such parameter.
        """
        parameter = PARAMETERS[name]
        if parameter.type != "number":
            return None
        low, high = parameter.low, parameter.high
        if low is None or high is None:
            low, high = {
                "voltage.reactive_power": (-self.rated_apparent_power, self.rated_apparent_power),
                "active.setpoint": (-self.rated_power, self.rated_power),
                "active.maximum": (0.0, self.rated_power),
            }[name]
        own = self.bounds.get(name)
        return (low, high) if own is None else (max(low, own[0]), min(high, own[1]))

    def default(self, name: str) -> Value:
        """The value at the first start."""
        if name in self.values:
            return self.values[name]
        if name == "active.ramp" and self.converters == "gfl":
            return self._clip(name, 20.0)
        value = PARAMETERS[name].default
        return self._clip(name, value) if isinstance(value, float) else value

    def checked(self, name: str, value: Any) -> Value:
        """The value as it may be applied: a whole number becomes a float.

        Raises:
            ValueError: with the mend: unknown name, wrong type, or outside the limits, which names the clause.
        """
        parameter = PARAMETERS.get(name)
        if parameter is None:
            near = difflib.get_close_matches(name, PARAMETERS, 1)
            raise ValueError(
                f"there is no parameter {name!r}" + (f"; did you mean {near[0]}?" if near else "")
            )
        if parameter.type == "switch":
            if not isinstance(value, bool):
                raise ValueError("give true or false")
            return self._measurable(name, value)
        if isinstance(value, str) and value in parameter.choices:
            return self._measurable(name, value)
        if parameter.type == "choice":
            raise ValueError(f"give one of {', '.join(parameter.choices)}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < math.inf:
            raise ValueError(
                f"give a number in {parameter.unit or '1'}" + (", or none" if parameter.choices else "")
            )
        limits = self.limits(name)
        assert limits is not None  # noqa: S101 - it is a number
        if not limits[0] <= value <= limits[1] or abs(value) < (parameter.least or 0.0):
            raise ValueError(f"give {self.range_text(name)}")
        return float(value) + 0.0

    def contradictions(self, values: Mapping[str, Value]) -> list[tuple[str, str]]:
        """What is wrong between sound values: parameter and mend. A sound set has none."""
        found = []
        room = _as_number(values["frequency.soc_high"]) - _as_number(values["frequency.soc_low"])
        taper = _as_number(values["frequency.soc_taper"])
        if room < 2 * taper:
            mend = f"soc_low and soc_high must be {2 * taper:g} % apart, twice soc_taper"
            found.append(("frequency.soc_high", mend))
        if str(values["frequency.curve"]).startswith("uk_") and self.nominal_frequency != 50.0:
            found.append(("frequency.curve", "is defined for 50 Hz only; use droop or ieee1547_freq_watt"))
        return found

    def _measurable(self, name: str, value: Value) -> Value:
        """The value, when the plant has the points that it needs."""
        needs = _NEEDS.get((name, value), "")
        if needs and getattr(self.points, needs) is None:
            raise ValueError(f"needs a point for {needs}; name it under `points` of the grid file")
        return value

    def range_text(self, name: str) -> str:
        """What may stand, in words, with the clause."""
        parameter, limits = PARAMETERS[name], self.limits(name)
        if limits is None:
            return " or ".join(parameter.choices) if parameter.choices else "true or false"
        text = f"{limits[0]:g} … {limits[1]:g} {parameter.unit}".rstrip()
        if parameter.least is not None:
            text += f", magnitude at least {parameter.least:g}"
        if parameter.choices:
            text += f" or {NONE}"
        why = [_basis(parameter)] if parameter.clause else []
        if name in self.bounds:
            why.append("the site's own bounds")
        return f"{text} ({'; '.join(why)})" if why else text

    def _clip(self, name: str, value: float) -> float:
        limits = self.limits(name)
        return value if limits is None else min(max(value, limits[0]), limits[1])


def _as_number(value: Value) -> float:
    assert isinstance(value, float)  # noqa: S101 - sound values
    return value


def _basis(parameter: Parameter) -> str:
    return f"{parameter.clause}, provisional" if parameter.provisional else parameter.clause
