"""The judge of one unit: what may be on the device, from docs/limits.md and the limits as data.

It shares no code with the envelope, the limits' checks and the guard. `core/recheck.py` is one of its checks; what
that does not know is judged here: hysteresis, flags, currents, valid cycles, reactive power.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bessai.core.recheck import Curve, Facts, objection
from bessai.model import GuardState, Quality
from support.profiles import CONTROL
from support.stateful.setup import DURATION, UnitSetup

Readings = Mapping[str, float | Quality]

CURVES: tuple[tuple[str, Curve, Curve], ...] = (
    (
        "battery_temperature",
        ((0.0, 0.0), (18.0, 1.0), (35.0, 1.0), (40.0, 0.0)),
        ((0.0, 0.0), (12.0, 1.0), (45.0, 1.0), (55.0, 0.0)),
    ),
    ("cell_voltage_max", ((3.45, 1.0), (3.60, 0.02), (3.65, 0.0)), ()),
    ("cell_voltage_min", (), ((2.90, 0.0), (3.00, 1.0))),
)
"""Of LFP, docs/limits.md, typed anew; a test compares them with the data."""
TRIPS = (
    ("battery_temperature", "high", 60.0, 5.0),
    ("cell_voltage_max", "high", 3.65, 5.0),
    ("cell_voltage_min", "low", 2.4, 5.0),
)
"""Of LFP: point, side, level, seconds. Typed anew, too."""
FLAGS = {"fire_alarm": (0.0, 0.0), "gas_alarm": (0.0, 0.0), "contactor_status": (1.0, 2.0)}
"""Point: the only value at which power may flow, and the seconds for which it must have had it."""
GRANTS = frozenset({GuardState.NORMAL, GuardState.DERATED})
VALID = 3
"""Complete cycles before power, after a start and after every hold."""
_CURRENTS = ("charge_current_max", "discharge_current_max", "battery_current", "battery_voltage")
_EXCUSED = frozenset({"soh", *_CURRENTS, "insulation_resistance", "battery_alarm"})
"""Points of which `not available` is an answer as long as no value was ever seen."""
_NEVER = frozenset({Quality.ABSENT, Quality.NOT_AVAILABLE})
_HAIR = 1e-6


@dataclass(frozen=True, slots=True)
class Zone:
    """Values at which something is stopped, and how far outside it may go on."""

    point: str
    high: bool
    edge: float
    hysteresis: float
    sign: int
    """-1: stops charging, +1: discharging, 0: both."""

    def inside(self, value: float) -> bool:
        """At the edge or beyond."""
        return value >= self.edge if self.high else value <= self.edge

    def near(self, value: float) -> bool:
        """Not yet so far outside that it may go on."""
        off = self.edge - value if self.high else value - self.edge
        return off < self.hysteresis - _HAIR


class UnitJudge:
    """Judges one unit. It remembers only what a bystander sees: readings, writes and their outcome."""

    def __init__(self, setup: UnitSetup) -> None:
        self.setup = setup
        limits, points = setup.limits, setup.device.layout.index
        self.levels = [limit for limit in limits.levels if limit.point in points]
        self.flags = {point: rule for point, rule in FLAGS.items() if point in points}
        sheet = limits.charge_current_max, limits.discharge_current_max
        self.currents = sheet != (None, None) or "charge_current_max" in points
        needed = ["soc", *(limit.point for limit in self.levels), *self.flags]
        self.needed = [*needed, *(_CURRENTS if self.currents else ())]
        self.needed = [name for name in dict.fromkeys(self.needed) if name in points]
        self.zones = list(self._zones())
        top, bottom = limits.soc_max, limits.soc_min
        taper: tuple[str, Curve, Curve] = (
            "soc",
            ((top - limits.soc_taper, 1.0), (top, 0.1)),
            ((bottom, 0.1), (bottom + limits.soc_taper, 1.0)),
        )
        self.curves: list[tuple[str, Curve, Curve]] = [taper]
        for limit in self.levels:
            curves = [() if curve is None else curve.points for curve in (limit.charge, limit.discharge)]
            self.curves.append((limit.point, curves[0], curves[1]))
        self.trips = [
            (limit.point, limit.side, limit.trip.at) for limit in self.levels if limit.trip is not None
        ]
        self.restarted()

    def _zones(self) -> Iterator[Zone]:
        limits = self.setup.limits
        yield Zone("soc", True, limits.soc_max, limits.soc_hysteresis, -1)
        yield Zone("soc", False, limits.soc_min, limits.soc_hysteresis, +1)
        for limit in self.levels:
            for curve, sign in ((limit.charge, -1), (limit.discharge, +1)):
                if curve is None:
                    continue
                (first, low), (last, high) = curve.points[0], curve.points[-1]
                if low == 0.0:
                    yield Zone(limit.point, False, first, limit.hysteresis, sign)
                if high == 0.0:
                    yield Zone(limit.point, True, last, limit.hysteresis, sign)
            if limit.trip is not None:
                yield Zone(limit.point, limit.side == "high", limit.trip.at, limit.hysteresis, 0)

    def restarted(self) -> None:
        """A new process knows no device: everything must be seen again."""
        self.told: set[str] = set()
        self._blocked: set[Zone] = set()
        self._open: dict[str, float] = {}
        self.values: dict[str, float] = {}
        self._readings: Readings = {}
        self.reconnected()

    def reconnected(self) -> None:
        """What was proved on the last connection proves nothing on this one."""
        self.armed = -math.inf
        self._valid = 0

    def verified(self, now: float) -> None:
        """The device confirmed a command with its dead-man."""
        self.armed = now

    def see(self, readings: Readings, now: float) -> None:
        """What is read in this cycle."""
        self._readings = readings
        self.values = {name: v for name, v in readings.items() if not isinstance(v, Quality)}
        self.told |= self.values.keys()
        for zone in self.zones:
            value = self.values.get(zone.point)
            if value is None:
                continue
            if zone.inside(value):
                self._blocked.add(zone)
            elif not zone.near(value):
                self._blocked.discard(zone)
        for point, (right, delay) in self.flags.items():
            value, since = self.values.get(point), self._open.get(point)
            if (value is not None and value != right) or (value is None and since is not None):
                self._open[point] = math.inf
            elif since == math.inf:
                since = self._open[point] = now
            if since is not None and now - since >= delay - _HAIR:
                del self._open[point]
        self._now = now

    def count(self, *, fresh: bool, stopped: bool) -> None:
        """Count the cycle if it is a complete one. `stopped`: a trip or people keep the unit at zero."""
        safe = not any(name not in self.values for name in self.evidence())
        safe = safe and self.values.get("device_status") == 1.0
        self._valid = 0 if stopped or not safe else self._valid + fresh

    def evidence(self) -> list[str]:
        """Without which nothing may flow."""
        needed = list(CONTROL["evidence"])
        for name in self.needed:
            quality = self._readings.get(name, Quality.MISSING)
            never = name not in self.told
            absent = quality is Quality.ABSENT or (quality is Quality.NOT_AVAILABLE and name in _EXCUSED)
            if not (never and absent):
                needed.append(name)
        return needed

    def caps(self, sign: int) -> list[float]:
        """Every cap of a direction in kW; empty where one is not known."""
        limits = self.setup.limits
        name = "charge_power_max" if sign < 0 else "discharge_power_max"
        site = limits.charge_power_max if sign < 0 else limits.discharge_power_max
        own = self.values.get(name)
        if own is None and not (name not in self.told and self._readings.get(name) in _NEVER):
            return []  # it told its limit once, or may yet: not knowing it now is no freedom
        return [cap for cap in (site, own) if cap is not None]

    def current_caps(self, sign: int) -> list[float]:
        """What the allowed current amounts to in kW."""
        limits = self.setup.limits
        name = "charge_current_max" if sign < 0 else "discharge_current_max"
        sheet = limits.charge_current_max if sign < 0 else limits.discharge_current_max
        amperes = [a for a in (self.values.get(name), sheet) if a is not None]
        volts = self.values.get("battery_voltage")
        if volts is None and limits.cells_in_series:
            volts = limits.cells_in_series * limits.cell_voltage_min
        return [min(amperes) * volts / 1000.0] if amperes and volts is not None else []

    def rated(self, sign: int) -> float:
        """kW that the unit may at best."""
        return max(0.0, min(self.caps(sign), default=0.0))

    def against(self, power: float, state: GuardState) -> str | None:
        """Why this power in kW must not be on the device now."""
        if power == 0:
            return None
        sign = 1 if power > 0 else -1
        facts = Facts(
            values=self.values,
            evidence=self.evidence(),
            running={"device_status": (1,)},
            caps_charge=self.caps(-1),
            caps_discharge=self.caps(1),
            soc_min=self.setup.limits.soc_min,
            soc_max=self.setup.limits.soc_max,
            curves=self.curves,
            trips=self.trips,
            armed=self._now - self.armed <= DURATION,
            granted=state in GRANTS,
            last=None,
        )
        if (why := objection(power, facts)) is not None:
            return why
        if any(abs(power) > cap + 0.001 for cap in self.current_caps(sign)):
            return f"it is more than the allowed current gives, {self.current_caps(sign)} kW"
        for zone in self._blocked:
            if zone.sign in {0, sign}:
                return f"{zone.point} {self.values.get(zone.point)} is not back from {zone.edge:g} far enough"
        for point, (right, _) in self.flags.items():
            if self.values.get(point, right) != right or point in self._open:
                return f"{point} {self.values.get(point)} stops everything"
        if self._valid < VALID:
            return f"only {self._valid} complete cycles since the last hold"
        least = self.setup.power_min
        if abs(power) < least - 0.0005:
            return f"it cannot run below {least:g} kW"
        return None

    def against_reactive(self, power: float, state: GuardState) -> str | None:
        """Why this reactive power in kvar must not be on the device now."""
        most = self.values.get("reactive_power_max", 0.0)
        if power and state not in GRANTS:
            return "the state allows no reactive power"
        return f"it is more than the {most:g} kvar that it can" if abs(power) > most + 0.001 else None
