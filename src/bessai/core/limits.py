"""What the battery may be asked for: curves over its state, LFP values as defaults.

Each curve gives the share (0 … 1) of the charge or discharge power that is allowed. The site's data sheet
always wins; these defaults follow the levels that MG Energy publishes for its LFP batteries and the curves of
OpenEMS (Fenecon Home and Commercial), see docs/decisions/0005.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Curve:
    """Straight lines between points (x, share), constant beyond both ends."""

    points: tuple[tuple[float, float], ...]

    def __call__(self, x: float) -> float:
        """The share at x."""
        xs = [point[0] for point in self.points]
        i = bisect_right(xs, x)
        if i == 0:
            return self.points[0][1]
        if i == len(xs):
            return self.points[-1][1]
        (x0, y0), (x1, y1) = self.points[i - 1], self.points[i]
        return y0 + (y1 - y0) * (x - x0) / (x1 - x0)


@dataclass(frozen=True, slots=True, kw_only=True)
class StateLimit:
    """How one measured quantity limits both directions."""

    point: str
    """Shared name of the point."""
    charge: Curve
    discharge: Curve
    hysteresis: float
    """In the point's unit: a direction that reached 0 opens again only this far inside."""


_COLD_HOT_CHARGE = Curve(((0.0, 0.0), (18.0, 1.0), (35.0, 1.0), (40.0, 0.0)))
_COLD_HOT_DISCHARGE = Curve(((0.0, 0.0), (12.0, 1.0), (45.0, 1.0), (55.0, 0.0)))
_ALWAYS = Curve(((0.0, 1.0),))

LFP: tuple[StateLimit, ...] = (
    *(
        StateLimit(point=point, charge=_COLD_HOT_CHARGE, discharge=_COLD_HOT_DISCHARGE, hysteresis=1.0)
        for point in ("battery_temperature", "cell_temperature_min", "cell_temperature_max")
    ),
    StateLimit(
        point="cell_voltage_max",
        charge=Curve(((3.45, 1.0), (3.60, 0.02), (3.65, 0.0))),
        discharge=_ALWAYS,
        hysteresis=0.02,
    ),
    StateLimit(
        point="cell_voltage_min",
        charge=_ALWAYS,
        discharge=Curve(((2.90, 0.0), (3.00, 1.0))),
        hysteresis=0.02,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The plant's envelope. Powers in kW, SOC in %."""

    soc_min: float = 10.0
    """No discharge at or below it."""
    soc_max: float = 95.0
    """No charge at or above it."""
    soc_hysteresis: float = 1.0
    """A blocked direction opens again this far inside."""
    charge_power_max: float | None = None
    """None: what the device reports as its maximum."""
    discharge_power_max: float | None = None
    states: tuple[StateLimit, ...] = field(default=LFP)
