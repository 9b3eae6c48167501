"""The judge: what may be written, by the second implementation, and what must have latched."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bessai.core.recheck import Curve, Facts, objection
from bessai.model import Decision, GuardState, Quality, Request, Role, Trip
from support.profiles import CONTROL
from support.stateful.world import DURATION

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
"""docs/decisions/0005-lfp-defaults.md, typed anew."""
_GRANTS = {GuardState.NORMAL, GuardState.DERATED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectations:
    """What the guard under test was configured with."""

    curves: Sequence[tuple[str, Curve, Curve]] = CURVES
    trips: Sequence[tuple[str, str, float]] = ()
    """No power from these levels on: point, `high` or `low`, level."""
    must_trip: Sequence[tuple[str, str, float, float]] = ()
    """Point, `high` or `low`, level and the seconds beyond it after which a trip must stand."""
    soc_min: float = 10.0
    soc_max: float = 95.0
    charge_power_max: float | None = None
    discharge_power_max: float | None = None
    rise: float = math.inf
    """kW per second."""
    fall: float = math.inf
    """kW per second."""
    retry: float = 5.0
    """Seconds within which a write that the device refused is tried again, while what stands must not."""


class Oracle:
    """Judges one unit. It remembers only what a bystander sees: readings, writes and their outcome."""

    def __init__(self, expected: Expectations) -> None:
        self._expected = expected
        self.restarted()

    def restarted(self) -> None:
        """A new process knows no device: everything must be seen again."""
        self._told: set[str] = set()
        self.reconnected()

    def reconnected(self) -> None:
        """What was proved on the last connection proves nothing on this one."""
        self._armed = -math.inf

    def verified(self, now: float) -> None:
        """The device confirmed a command with its dead-man."""
        self._armed = now

    def facts(
        self, readings: Readings, decision: Decision, bounds: tuple[float, float], last: float, now: float
    ) -> Facts:
        """Everything that is known now about this unit."""
        expected = self._expected
        values = {name: v for name, v in readings.items() if not isinstance(v, Quality)}
        self._told |= values.keys()
        limits = [name for name, _, _ in expected.curves]
        limits += [name for name, _, _ in expected.trips]
        needed = [
            n for n in limits if n in self._told or readings.get(n, Quality.ABSENT) is not Quality.ABSENT
        ]
        return Facts(
            values=values,
            evidence=[*CONTROL["evidence"], *needed],
            running={"device_status": (1,)},
            caps_charge=self._caps("charge_power_max", values, expected.charge_power_max),
            caps_discharge=self._caps("discharge_power_max", values, expected.discharge_power_max),
            soc_min=expected.soc_min,
            soc_max=expected.soc_max,
            curves=expected.curves,
            trips=expected.trips,
            armed=now - self._armed <= DURATION,
            granted=decision.state in _GRANTS,
            last=last,
            max_rise=expected.rise,
            max_fall=expected.fall,
            low=bounds[0],
            high=bounds[1],
        )

    def _caps(self, name: str, values: Mapping[str, float], site: float | None) -> list[float]:
        if name in self._told and name not in values:
            return []  # it told its limit once: not knowing it now is no freedom
        return [cap for cap in (site, values.get(name)) if cap is not None]

    def against(self, power: float, facts: Facts) -> str | None:
        """Why this power must not be on the device."""
        return objection(power, facts)


def request_bounds(requests: Sequence[Request], source: str | None) -> tuple[float, float]:
    """The bounds in kW that the winner must keep to for certain.

    Bounds that leave out zero may be impossible, and then count as none, and so may what they contradict: those are
    left out here, which makes the answer wider than the truth, never narrower.
    """
    winner = min((r.priority for r in requests if r.source == source), default=None)
    hard = max((r.priority for r in requests if not r.bounds.low <= 0 <= r.bounds.high), default=-1)
    low, high = -math.inf, math.inf
    for request in requests:
        if winner is not None and request.priority >= winner and request.priority > hard:
            low, high = max(low, request.bounds.low), min(high, request.bounds.high)
    return low, high


class Latch:
    """Watches that trips come when they must, stay, and let no power through."""

    def __init__(self, expected: Expectations, units: Sequence[str]) -> None:
        self._expected = expected
        self._beyond: dict[tuple[str, str, str], float] = {}
        self._units = units
        self._standing: dict[tuple[str, str], Trip] = {}
        self.maintenance = False

    @property
    def standing(self) -> list[Trip]:
        """The trips that must stand now."""
        return list(self._standing.values())

    def restarted(self) -> None:
        """A delay begins anew with a new process; a trip stays."""
        self._beyond.clear()

    def reset(self, code: str, role: Role) -> None:
        """A person reset what they may; the guard said that it did."""
        for key, trip in list(self._standing.items()):
            if code in {"all", trip.code} and role >= trip.reset:
                del self._standing[key]

    def check(self, readings: Mapping[str, Readings], decision: Decision, now: float) -> str | None:
        """What is wrong with the decision's trips; None when nothing is."""
        there = {(trip.code, trip.unit): trip for trip in decision.trips}
        for key in self._standing:
            if key not in there:
                return f"trip {key[0]} of {key[1] or 'the unit'} is gone and nobody reset it"
        self._standing = there
        for unit in self._units:
            for point, side, level, delay in self._expected.must_trip:
                value, key3 = readings[unit].get(point), (unit, point, side)
                if not isinstance(value, float):
                    continue  # what cannot be seen does not start the delay anew
                if (value >= level) if side == "high" else (value <= level):
                    since = self._beyond.setdefault(key3, now)
                    if now - since > delay and not self._tripped(unit):
                        return f"{point} {value:g} is beyond {level:g} for {now - since:g} s, nothing tripped"
                else:
                    self._beyond.pop(key3, None)
        return None

    def _tripped(self, unit: str) -> bool:
        return any(trip.plant_wide or trip.unit in {"", unit} for trip in self._standing.values())

    def against(self, unit: str, power: float) -> str | None:
        """Why this unit must have no power."""
        if power and self._tripped(unit):
            return "a trip stands"
        if power and self.maintenance:
            return "people work on the plant"
        return None
