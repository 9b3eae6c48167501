"""What the status says of control, as plain JSON-safe data."""

from __future__ import annotations

import math
from typing import Any

from bessai.core.guard import SafetyGuard
from bessai.core.latch import trip_status
from bessai.core.unit import Unit
from bessai.drivers import UniversalDriver
from bessai.model import Bounds, Considered, CycleRecord, GuardState


def control_status(last: CycleRecord | None) -> dict[str, Any]:
    """The last decision: what the plant was told, who asked, and what narrowed it."""
    if last is None:
        return {"state": GuardState.STARTING.value}
    decision = last.decision
    return {
        "state": decision.state.value,
        "setpoint": decision.setpoint,
        "target": decision.target,
        "offset": decision.offset,
        "bounds": _bounds(decision.bounds),
        "asked": decision.asked,
        "reactive": decision.reactive,
        "reactive_asked": decision.reactive_asked,
        "source": decision.source,
        "reason": decision.reason,
        "limited_by": list(decision.limited_by),
        "reasons": list(decision.reasons),
        "requests": [_considered(request) for request in decision.considered],
        "trips": [trip_status(trip) for trip in decision.trips],
        "verified": last.verified,
    }


def unit_status(guard: SafetyGuard, unit: Unit, driver: UniversalDriver | None, now: float) -> dict[str, Any]:
    """One commanded device: state, setpoint, dead-man."""
    told = guard.told(unit.name)
    control, image, dead_man = unit.profile.control, unit.image, unit.dead_man
    measured = image.good(control.measured) if control is not None and image is not None else None
    left = image.good(dead_man.remaining) if dead_man.remaining and image is not None else None
    age = dead_man.fed_age(now)
    test = guard.latch.test_of(unit.name)
    return {
        "state": unit.memory.state.value,
        "setpoint": told.setpoint if told else None,
        "reactive": told.reactive if told else None,
        "bounds": _bounds(told.bounds) if told else [0.0, 0.0],
        "standing": unit.standing,
        "measured": measured,
        "measured_point": control.measured if control is not None else None,
        "tolerance": control.tolerance if control is not None else None,
        "response_time": control.response_time if control is not None else None,
        "limited_by": list(told.limited_by) if told else [],
        "connected": driver.connected if driver is not None else False,
        "problem": driver.problem if driver is not None else None,
        "dead_man": {
            "kind": dead_man.kind,
            "time": dead_man.time,
            "interval": dead_man.interval,
            "fallback": dead_man.fallback,
            "armed": dead_man.armed(now),
            "fed_age": None if age is None else round(age, 3),
            "remaining": left,
            "withheld": unit.withheld,
            "refusal": dead_man.refusal,
            "tested": None
            if test is None
            else {
                "passed": test.passed,
                "wall_ns": test.wall_ns,
                "user": test.user,
                "profile": test.fingerprint,
            },
        },
    }


def maintenance_status(guard: SafetyGuard) -> dict[str, Any] | None:
    """Who has the plant in maintenance; None when nobody."""
    people = guard.latch.maintenance
    if people is None:
        return None
    return {"user": people.user, "reason": people.reason, "wall_ns": people.wall_ns}


def _considered(request: Considered) -> dict[str, Any]:
    return {
        "source": request.source,
        "priority": request.priority.name.lower(),
        "power": request.power,
        "reactive": request.reactive,
        "soc_target": request.soc_target,
        "offset": request.offset,
        "bounds": _bounds(request.bounds),
        "seconds_left": round(request.seconds_left, 1),
        "role": request.role,
        "reason": request.reason,
        "id": request.id,
    }


def _bounds(bounds: Bounds) -> list[float | None]:
    return [bound if math.isfinite(bound) else None for bound in (bounds.low, bounds.high)]
