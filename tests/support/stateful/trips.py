"""The judge of trips: they come when they must, stay across restarts until they may be reset, and stop all power."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bessai.model import Decision, Role, Trip
from support.stateful.judge import FLAGS, UnitJudge

Key = tuple[str, str, str | None]
"""Code, unit and point of a trip."""
_WIDE = frozenset({"fire_alarm", "gas_alarm"})
_OVER = (1.05, 2.0, 20.0)
"""Overcurrent: times the allowed current, plus A, for s (docs/limits.md)."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What must be on disk."""

    trips: Mapping[Key, Trip] = field(default_factory=dict)
    maintenance: Role | None = None


class TripJudge:
    """Watches the trips of a plant."""

    def __init__(self, units: Mapping[str, UnitJudge]) -> None:
        self.maintenance: Role | None = None
        """The role that began it."""
        self._units = units
        self._standing: dict[Key, Trip] = {}
        self._leaving: dict[Key, int] = {}
        self._durable = 0
        self._beyond: dict[Key, float] = {}
        self._due: set[Key] = set()

    @property
    def standing(self) -> list[Trip]:
        """The trips that must stand now."""
        return list(self._standing.values())

    def to_keep(self) -> Kept:
        """What a record that is made now must hold."""
        staying = {key: trip for key, trip in self._standing.items() if key not in self._leaving}
        return Kept(staying, self.maintenance)

    def restarted(self, kept: Kept) -> None:
        """A delay begins anew with a new process; what was on disk stays."""
        self._beyond.clear()
        self._due.clear()
        self._leaving.clear()
        self._durable = 0
        self._standing = dict(kept.trips)
        self.maintenance = kept.maintenance

    def settled(self, revision: int) -> None:
        """A record is on disk: what was reset by it may go."""
        self._durable = max(self._durable, revision)

    def reset(self, code: str, role: Role, revision: int, now: float) -> str | None:
        """The guard said that it reset something; what is wrong with that."""
        for key, trip in self._standing.items():
            if code not in {"all", trip.code} or key in self._leaving:
                continue
            if role < trip.reset:
                return f"a {role.label} reset {trip.code}, which takes a {trip.reset.label}"
            if self._there(key, now):
                return (
                    f"{trip.code} of {trip.unit or 'the unit'} was reset while its cause is there or unknown"
                )
            self._leaving[key] = revision
        return None

    def switched(self, on: bool, role: Role) -> str | None:
        """The guard said that it began or ended maintenance; what is wrong with that."""
        if not on and self.maintenance is not None and role < self.maintenance:
            return f"a {role.label} ended the maintenance of a {self.maintenance.label}"
        if not on or self.maintenance is None:
            self.maintenance = role if on else None
        return None

    def must_stand(self, code: str, unit: str) -> None:
        """A trip that must be there in the next decision."""
        self._due.add((code, unit, None))

    def check(self, decision: Decision, now: float) -> str | None:
        """What is wrong with the decision's trips; None when nothing is."""
        there: dict[Key, Trip] = {(trip.code, trip.unit, trip.point): trip for trip in decision.trips}
        for key in (*self._standing, *self._due):
            if key not in there and self._leaving.get(key, self._durable + 1) > self._durable:
                return f"trip {key[0]} of {key[1] or 'the unit'} is gone and nobody reset it"
        self._due.clear()
        self._leaving = {key: revision for key, revision in self._leaving.items() if key in there}
        self._standing = there
        for name, judge in self._units.items():
            for key, beyond, delay in self._causes(name, judge):
                if beyond is False:
                    self._beyond.pop(key, None)
                    continue
                since = self._beyond.get(key)
                if since is None:
                    if beyond is None:
                        continue  # what was never seen beyond its level starts no delay
                    since = self._beyond[key] = now
                if now - since >= delay and not self.tripped(name):
                    return f"{key[2]} is beyond the level of {key[0]} for {now - since:g} s, nothing tripped"
        return None

    def tripped(self, unit: str) -> bool:
        """Whether a trip stops this unit."""
        return any(
            trip.unit in {"", unit} or trip.plant_wide or trip.code in _WIDE
            for trip in self._standing.values()
        )

    def against(self, unit: str, power: float) -> str | None:
        """Why this unit must have no power."""
        if power and self.tripped(unit):
            return "a trip stands"
        if power and self.maintenance is not None:
            return "people work on the plant"
        return None

    def _there(self, key: Key, now: float) -> bool:
        code, unit, point = key
        judge = self._units.get(unit)
        if judge is None or point is None or point not in judge.setup.device.layout.index:
            return False
        if point not in judge.values:
            return True
        return any(
            beyond and (code != "overcurrent" or now - self._beyond.get(other, now) >= delay)
            for other, beyond, delay in self._causes(unit, judge)
            if other[0] == code
        )

    @staticmethod
    def _causes(unit: str, judge: UnitJudge) -> Sequence[tuple[Key, bool | None, float]]:
        """Cause of each trip, whether it is there (None: not known), and its delay in s."""
        found: list[tuple[Key, bool | None, float]] = []
        values = judge.values
        for limit in judge.levels:
            if limit.trip is not None:
                value, at = values.get(limit.point), limit.trip.at
                beyond = None if value is None else value >= at if limit.side == "high" else value <= at
                found.append(((limit.code, unit, limit.point), beyond, limit.trip.delay))
        for point in judge.flags:
            if point in _WIDE:
                value = values.get(point)
                found.append(((point, unit, point), None if value is None else value != FLAGS[point][0], 0.0))
        limits, current = judge.setup.limits, values.get("battery_current")
        sheets = (
            ("charge", -1.0, limits.charge_current_max),
            ("discharge", 1.0, limits.discharge_current_max),
        )
        for way, sign, sheet in sheets if judge.currents else ():
            told = values.get(f"{way}_current_max")
            known = [max(0.0, a) for a in (told, sheet) if a is not None]
            over = None if current is None or not known else sign * current > min(known) * _OVER[0] + _OVER[1]
            found.append((("overcurrent", unit, way), over, _OVER[2]))
        return found
