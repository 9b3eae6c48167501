"""What the battery may be asked for: curves over its state, LFP values as defaults.

Each curve gives the share (0 … 1) of the charge or discharge power that is allowed. The site's data sheet
always wins; these defaults follow the levels that MG Energy publishes for its LFP batteries and the curves of
OpenEMS (Fenecon Home and Commercial), see docs/decisions/0005.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from bessai.core.conditions import Condition
from bessai.model import ProcessImage, Quality, Severity, Trip


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

    @property
    def points(self) -> frozenset[str]:
        """Names of the points that these limits look at."""
        return frozenset({"soc", "soc_highest", "soc_lowest", *(limit.point for limit in self.states)})


@dataclass(slots=True)
class Memory:
    """What the check keeps between cycles."""

    full: bool = False
    empty: bool = False
    blocked: dict[str, bool] = field(default_factory=dict)
    seen: dict[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitReport:
    """What the limits allow."""

    charge: float
    discharge: float
    charge_power: float | None = None
    discharge_power: float | None = None
    limited_by: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    trips: tuple[Trip, ...] = ()
    lost: tuple[Condition, ...] = ()


class LimitCheck:
    """Compares an image with the limits."""

    def __init__(self, limits: Limits) -> None:
        self.memory = Memory()
        self._limits = limits

    def check(self, image: ProcessImage) -> LimitReport:
        """What this image proves."""
        conditions: list[Condition] = []
        lost: list[Condition] = []
        limited: list[str] = []
        charge = discharge = 1.0
        looked_at = ("soc", "soc_highest", "soc_lowest", *(limit.point for limit in self._limits.states))
        for name in looked_at:
            if name not in image.layout.index:
                continue
            if image.good(name) is not None:
                self.memory.seen[name] = True
                continue
            quality = image.quality_of(name)
            if quality is Quality.ABSENT and name not in self.memory.seen:
                continue
            known = quality is Quality.OUT_OF_RANGE
            lost.append(
                Condition(
                    code="evidence_lost",
                    severity=Severity.ALARM,
                    message=f"{name} is {quality.label}",
                    point=name,
                    value=float(image.values[image.layout.index[name]]) if known else None,
                )
            )
        for point, condition, c, d in self._shares(image):
            if condition is not None:
                conditions.append(condition)
            if min(c, d) < 1.0:
                limited.append(point)
            charge, discharge = min(charge, c), min(discharge, d)
        return LimitReport(
            charge=0.0 if lost else charge,
            discharge=0.0 if lost else discharge,
            limited_by=tuple(limited),
            conditions=tuple(conditions),
            lost=tuple(lost),
        )

    def _shares(self, image: ProcessImage) -> Iterator[tuple[str, Condition | None, float, float]]:
        limits, soc = self._limits, image.good("soc")
        highest, lowest = (
            image.good(name) for name in ("soc_highest", "soc_lowest")
        )  # of a plant's batteries
        if (fullest := soc if highest is None else highest) is not None:
            self.memory.full = fullest >= limits.soc_max - (
                limits.soc_hysteresis if self.memory.full else 0.0
            )
            if self.memory.full:
                beyond = fullest > limits.soc_max
                yield "soc_high", _edge("soc_high", "above", "charge", fullest, beyond=beyond), 0.0, 1.0
        if (emptiest := soc if lowest is None else lowest) is not None:
            self.memory.empty = emptiest <= limits.soc_min + (
                limits.soc_hysteresis if self.memory.empty else 0.0
            )
            if self.memory.empty:
                beyond = emptiest < limits.soc_min
                yield "soc_low", _edge("soc_low", "below", "discharge", emptiest, beyond=beyond), 1.0, 0.0
        for limit in self._limits.states:
            value = image.good(limit.point)
            if value is None:
                continue
            charge = self._share(limit, "charge", limit.charge, value)
            discharge = self._share(limit, "discharge", limit.discharge, value)
            condition = None
            if charge <= 0.0 or discharge <= 0.0:
                both = charge <= 0.0 and discharge <= 0.0
                stopped = "charge and discharge" if both else "charge" if charge <= 0.0 else "discharge"
                condition = Condition(
                    code="limit_reached",
                    severity=Severity.ALARM if both else Severity.WARNING,
                    message=f"{limit.point} is beyond its limit: no {stopped}",
                    point=limit.point,
                    value=value,
                )
            yield limit.point, condition, charge, discharge

    def _share(self, limit: StateLimit, direction: str, curve: Curve, value: float) -> float:
        """The curve's share; a direction that is blocked opens again only beyond the hysteresis."""
        key = f"{limit.point} {direction}"
        near = min(curve(value - limit.hysteresis), curve(value), curve(value + limit.hysteresis))
        if curve(value) <= 0.0 or (key in self.memory.blocked and near <= 0.0):
            self.memory.blocked[key] = True
            return 0.0
        self.memory.blocked.pop(key, None)
        return curve(value)


def _edge(code: str, where: str, stopped: str, soc: float, *, beyond: bool) -> Condition:
    return Condition(
        code=code,
        severity=Severity.ALARM if beyond else Severity.WARNING,
        message=f"state of charge at or {where} its limit: no {stopped}",
        point="soc",
        value=soc,
    )
