"""What people do to the guard: resets, maintenance, dead-man tests. Each needs a name, a role and a reason."""

from __future__ import annotations

from collections.abc import Mapping

from bessai.core.latch import Latch, OperationRefused
from bessai.core.unit import Look, Unit
from bessai.core.unit_memory import DISOBEYED_CODE, GRANTING
from bessai.model import Event, Operation, Role, Severity, Trip

_AFTER = 30.0
"""Seconds after twice the dead-man's time in which a test that nobody ends ends by itself."""

_CODES = {
    "reset": "trip_reset",
    "maintenance_off": "maintenance_off",
    "deadman_test_end": "dead_man_test_ended",
}
"""What begins is a condition as long as it lasts; what ends is an event."""


class Desk:
    """Does what people ask for, or says why not.

    Args:
        units: of the guard.
        latch: of the guard.
    """

    def __init__(self, units: Mapping[str, Unit], latch: Latch) -> None:
        self._units = units
        self._latch = latch

    def perform(
        self, operation: Operation, looks: Mapping[str, Look], now: float, wall_ns: int
    ) -> Event | None:
        """Do it, and tell what ended by it.

        Raises:
            OperationRefused: with the reason.
        """
        message = self._perform(operation, looks, now, wall_ns)
        code = _CODES.get(operation.kind)
        if code is None:
            return None
        return Event(
            code=code,
            severity=Severity.WARNING,
            message=f"{message} by {operation.user} ({operation.role.label}): {operation.reason}",
            wall_ns=wall_ns,
            user=operation.user,
        )

    def _perform(self, operation: Operation, looks: Mapping[str, Look], now: float, wall_ns: int) -> str:
        unit = self._units.get(operation.unit)
        if unit is None and not operation.unit and len(self._units) == 1:
            (unit,) = self._units.values()
        if operation.kind == "reset":
            gone = self._latch.reset(operation, self._still(looks), wall_ns)
            for trip in gone:
                if trip.code == DISOBEYED_CODE and trip.unit in self._units:
                    self._units[trip.unit].memory.disobeyed = []
            return f"reset {', '.join(dict.fromkeys(trip.code for trip in gone))}"
        if operation.kind in {"maintenance_on", "maintenance_off"}:
            changed = self._latch.switch_maintenance(operation, wall_ns)
            return f"maintenance {operation.kind[12:]}" + ("" if changed else " (as before)")
        if unit is None:
            raise OperationRefused(f"there is no unit {operation.unit!r}; use one of {sorted(self._units)}")
        where = f" of {unit.name}" if unit.name else ""
        if operation.role < Role.ENGINEER:
            raise OperationRefused(f"a dead-man test{where} takes the role {Role.ENGINEER.label}")
        if operation.kind == "deadman_test":
            if unit.withheld:
                raise OperationRefused(f"a dead-man test{where} runs already")
            if unit.memory.state not in GRANTING or not unit.standing:
                raise OperationRefused(
                    f"a dead-man test{where} needs power that flows and is verified; ask for a small power first"
                )
            unit.withhold(now + 2 * unit.dead_man.time + _AFTER)
            return f"dead-man test{where} begun"
        if not unit.withheld and operation.passed:
            raise OperationRefused(f"no dead-man test{where} runs")
        if unit.withheld:
            unit.resume()
        if operation.evidence.get("aborted"):
            return f"dead-man test{where} ended without a result"
        passed = bool(operation.passed)
        self._latch.note_test(unit.name, unit.profile.id, passed, operation.user, wall_ns, operation.evidence)
        if not passed:
            self._latch.trip(
                Trip(
                    code="dead_man_test_failed",
                    unit=unit.name,
                    message="the device did not fall back by itself when it was tested",
                    wall_ns=wall_ns,
                )
            )
        return f"dead-man test{where} {'passed' if passed else 'failed'}"

    def _still(self, looks: Mapping[str, Look]) -> set[tuple[str, str, str | None]]:
        """Causes of trips that are there now, or that nobody can judge now."""
        still: set[tuple[str, str, str | None]] = {  # right after a start nobody has looked yet
            (trip.code, trip.unit, trip.point)
            for trip in self._latch.standing
            if trip.point is not None and trip.unit in self._units and trip.unit not in looks
        }
        for name, look in looks.items():
            image = self._units[name].image
            present = {(c.code, c.point) for c in look.envelope.conditions if c.severity >= Severity.ALARM}
            present |= {(trip.code, trip.point) for trip in look.trips}
            for trip in self._latch.standing:
                if trip.unit != name:
                    continue
                unknown = (
                    image is not None
                    and trip.point is not None
                    and trip.point in image.layout.index
                    and image.good(trip.point) is None
                )
                disobeys = trip.code == DISOBEYED_CODE and look.effect.disobeys
                if unknown or disobeys or (trip.code, trip.point) in present:
                    still.add((trip.code, trip.unit, trip.point))
        return still
