"""What the gateway's status says of one unit at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_ALARMING = frozenset({"alarm", "critical", "fault", "trip"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One point."""

    value: float | None
    unit: str | None = None
    quality: str = "good"
    meaning: str = ""
    age: float | None = None
    """Seconds since the device was read."""

    @property
    def text(self) -> str:
        """As an engineer reads it."""
        if self.value is None:
            return self.quality
        if self.meaning:
            return self.meaning
        return f"{self.value:,.3f}".rstrip("0").rstrip(".") + (f" {self.unit}" if self.unit else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """An alarm or a latched trip that stands."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One unit and its plant, as one status told."""

    time: float
    """Monotonic seconds at which the status was read."""
    wall_ns: int
    """UTC nanoseconds of the same moment."""
    state: str
    setpoint: float | None
    """kW that the unit is commanded to."""
    measured: float | None
    """kW, + = discharge; None while it is not known."""
    quality: str
    low: float
    high: float
    """kW, what the guard allows the unit."""
    armed: bool = False
    fed_age: float | None = None
    remaining: float | None = None
    withheld: bool = False
    """True while the gateway feeds nothing and writes nothing to the unit, for the test."""
    plant_setpoint: float | None = None
    asked: float | None = None
    source: str | None = None
    """Who wins in the plant."""
    limited_by: tuple[str, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    points: Mapping[str, Value] = field(default_factory=dict)
    objections: tuple[str, ...] = ()
    """What the gateway answered to operations and requests that it did not accept."""
    answer: bool | None = None
    """What a person answered; None when nobody was asked, or nobody was there."""

    def good(self, name: str) -> float | None:
        """The value of a point when it is good."""
        point = self.points.get(name)
        return point.value if point is not None and point.quality == "good" else None


def sample_of(status: Mapping[str, Any], unit: str, measured_point: str, time: float, wall_ns: int) -> Sample:
    """The sample of one unit in a status of the gateway.

    Raises:
        KeyError: the status knows no such unit.
    """
    own, control = status["units"][unit], status["control"]
    points = {name: _value(point) for name, point in status.get("points", {}).items()}
    dead_man = own.get("dead_man") or {}
    low, high = own.get("bounds") or (0.0, 0.0)
    measured = own.get("measured")
    shown = points.get(measured_point) if len(status["units"]) == 1 else None
    quality = shown.quality if shown is not None else "good" if measured is not None else "missing"
    alarms = [
        Alarm(code=c["code"], message=c["message"])
        for c in status.get("conditions", ())
        if c["severity"] in _ALARMING
    ]
    alarms += [
        Alarm(
            code=f"trip:{trip.get('code', '')}", message=trip.get("message") or f"trip {trip.get('code', '')}"
        )
        for trip in status.get("trips") or ()
    ]
    return Sample(
        time=time,
        wall_ns=wall_ns,
        state=own["state"],
        setpoint=own.get("setpoint"),
        measured=measured if quality == "good" else None,
        quality=quality,
        low=low,
        high=high,
        armed=bool(dead_man.get("armed")),
        fed_age=dead_man.get("fed_age"),
        remaining=dead_man.get("remaining"),
        withheld=bool(dead_man.get("withheld")),
        plant_setpoint=control.get("setpoint"),
        asked=control.get("asked"),
        source=control.get("source"),
        limited_by=tuple(dict.fromkeys([*control.get("limited_by", ()), *(own.get("limited_by") or ())])),
        alarms=tuple(alarms),
        points=points,
    )


def _value(point: Mapping[str, Any]) -> Value:
    meaning = point.get("meaning") or ""
    return Value(
        value=point.get("value"),
        unit=point.get("unit"),
        quality=point.get("quality", "missing"),
        age=point.get("age"),
        meaning=meaning if isinstance(meaning, str) else ", ".join(map(str, meaning)),
    )
