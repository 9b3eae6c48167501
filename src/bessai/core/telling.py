"""What the guard says of the plant in a cycle: standing trips, maintenance, and each unit's conditions by its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bessai.core.latch import Maintenance
from bessai.core.unit import Look, Unit
from bessai.model import Condition, Severity, Trip


def conditions_of(
    trips: Sequence[Trip],
    maintenance: Maintenance | None,
    units: Mapping[str, Unit],
    looks: Mapping[str, Look],
    objections: Mapping[str, str],
    failed: str | None = None,
) -> tuple[Condition, ...]:
    """All conditions of a cycle, each code and point once; a trip's own comes first.

    Args:
        trips: that stand.
        maintenance: who has the plant in maintenance.
        units: by name.
        looks: of the units that could be looked at.
        objections: by unit, why the second look refused a setpoint.
        failed: why there is no decision, where there is none.
    """
    found: dict[tuple[str, str | None], Condition] = {}
    several = len(units) > 1
    if failed is not None:
        found["cycle_failed", None] = Condition(code="cycle_failed", severity=Severity.ALARM, message=failed)
    for trip in trips:
        condition = _named(
            trip.unit,
            Condition(
                code=trip.code,
                severity=Severity.ALARM,
                message=f"tripped, waits for a reset: {trip.message}",
                point=trip.point,
                value=trip.value,
            ),
            several=several,
        )
        found[condition.code, condition.point] = condition
    if maintenance is not None:
        message = f"maintenance, switched on by {maintenance.user}: {maintenance.reason}"
        found["maintenance_on", None] = Condition(
            code="maintenance_on", severity=Severity.WARNING, message=message
        )
    for name, look in looks.items():
        own = list(look.conditions)
        if units[name].withheld:
            message = "a dead-man test runs: nothing is written to the device"
            own.append(Condition(code="dead_man_test", severity=Severity.WARNING, message=message))
        if (why := objections.get(name)) is not None:
            message = f"the second look refused a setpoint: {why}"
            own.append(Condition(code="recheck_refused", severity=Severity.ALARM, message=message))
        for condition in own:
            named = _named(name, condition, several=several)
            found.setdefault((named.code, named.point), named)
    return tuple(found.values())


def _named(unit: str, condition: Condition, *, several: bool) -> Condition:
    """A condition of one of several devices says which."""
    if not unit or not several:
        return condition
    point = unit if condition.point is None else f"{unit}.{condition.point}"
    return replace(condition, point=point, message=f"{unit}: {condition.message}")
