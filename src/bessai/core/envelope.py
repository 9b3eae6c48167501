"""What a unit's state allows at this moment. Evidence, not absence: an unknown value allows nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from bessai.core.limits import LimitCheck, Limits
from bessai.core.limits import Memory as LimitMemory
from bessai.model import Bounds, Condition, ProcessImage, Quality, Severity, Trip
from bessai.registry import CompiledProfile
from bessai.registry.commands import Control

_NONE = {int(Quality.NOT_AVAILABLE), int(Quality.ABSENT)}
_EDGES = {"soc_high", "soc_low"}
"""A battery of which one part is full and another empty may do nothing, but nothing is wrong with it."""
_NOTHING = Bounds(0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What is allowed, and why not more."""

    bounds: Bounds
    """kW; [0, 0] when nothing is allowed."""
    rated: Bounds
    """kW; what would be allowed with the battery in its best state."""
    safe: bool
    """False when the device belongs in its safe state."""
    limited_by: tuple[str, ...]
    """Which limits narrow the bounds."""
    conditions: tuple[Condition, ...]
    trips: tuple[Trip, ...] = ()
    """Violations that must latch."""


@dataclass(slots=True)
class Memory:
    """What the check keeps between cycles."""

    seen: dict[str, bool] = field(default_factory=dict)
    """Power limits that were ever good."""
    limits: LimitMemory = field(default_factory=LimitMemory)


class EnvelopeCheck:
    """Computes the envelope of each cycle."""

    def __init__(self, profile: CompiledProfile, limits: Limits) -> None:
        self._profile = profile
        self._check = LimitCheck(limits)
        self._memory = Memory(limits=self._check.memory)
        control = profile.control
        self._cap_points = tuple(
            (
                site,
                own,
                tuple(n for n in dict.fromkeys((own, shared, f"batteries_{shared}")) if n is not None),
            )
            for shared, site, own in (
                ("charge_power_max", limits.charge_power_max, control.charge_power_max if control else None),
                (
                    "discharge_power_max",
                    limits.discharge_power_max,
                    control.discharge_power_max if control else None,
                ),
            )
        )
        """For charge and discharge: the site's cap in kW, the device's own point, and every point that may hold one."""
        self.current_caps: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())
        """The kW that the allowed currents leave in this cycle, charge and discharge; empty where none is known."""

    @property
    def memory(self) -> Memory:
        """What is kept between cycles."""
        return self._memory

    @memory.setter
    def memory(self, memory: Memory) -> None:
        self._memory, self._check.memory = memory, memory.limits

    def check(self, image: ProcessImage) -> Envelope:
        """The envelope that this image proves."""
        control = self._profile.control
        report = self._check.check(image)
        self.current_caps = (
            () if report.charge_power is None else (report.charge_power,),
            () if report.discharge_power is None else (report.discharge_power,),
        )
        if control is None:  # nothing to command, but a battery to look after
            return Envelope(
                bounds=_NOTHING,
                rated=_NOTHING,
                safe=True,
                limited_by=(),
                conditions=report.conditions,
                trips=report.trips,
            )
        conditions = [*self._evidence(control, image)]
        proved = not conditions and not report.lost
        told = {condition.point for condition in conditions}
        conditions += [c for c in report.lost if c.point not in told]
        conditions += report.conditions
        stopped = report.charge <= 0 and report.discharge <= 0
        violated = stopped and any(
            c.severity is Severity.ALARM and c.code not in _EDGES for c in report.conditions
        )
        safe = proved and not violated
        rated, unknown = self._rated(control, image)
        conditions += unknown
        limited = [*report.limited_by, *(condition.code for condition in unknown)]
        low, high = (rated.low * report.charge, rated.high * report.discharge) if safe else (0.0, 0.0)
        if report.charge_power is not None and -low > report.charge_power:
            low = -max(0.0, report.charge_power)
            limited.append("charge_current_max")
        if report.discharge_power is not None and high > report.discharge_power:
            high = max(0.0, report.discharge_power)
            limited.append("discharge_current_max")
        return Envelope(
            bounds=Bounds(low + 0.0, high + 0.0),  # no negative zero
            rated=rated,
            safe=safe,
            limited_by=tuple(limited),
            conditions=tuple(conditions),
            trips=report.trips,
        )

    def _evidence(self, control: Control, image: ProcessImage) -> Iterator[Condition]:
        """What the profile calls evidence."""
        names = image.layout.index
        for name in control.evidence:
            value = image.good(name)
            if value is None:
                quality = image.quality_of(name)
                known = quality is Quality.OUT_OF_RANGE
                yield Condition(
                    code="evidence_lost",
                    severity=Severity.ALARM,
                    message=f"{name} is {quality.label}",
                    point=name,
                    value=float(image.values[names[name]]) if known else None,
                )
            elif name in control.running_states and int(value) not in control.running_states[name]:
                meaning = image.layout.meaning(name, value) or f"{int(value):#06x}"
                yield Condition(
                    code="device_not_running",
                    severity=Severity.ALARM,
                    message=f"{name} is {meaning}",
                    point=name,
                    value=value,
                )
        if "soc" in names and "soc" not in control.evidence and image.good("soc") is None:
            # also where every device says that it has none: nothing else keeps a battery from its edges
            yield Condition(
                code="evidence_lost",
                severity=Severity.ALARM,
                message=f"soc is {image.quality_of('soc').label}",
                point="soc",
            )

    def caps(self, image: ProcessImage) -> tuple[list[float] | None, list[float] | None, str, str]:
        """Known caps (kW) of charge and discharge, None where one is lost, and the point that is."""
        index, seen = image.layout.index, self._memory.seen
        found: list[list[float] | None] = []
        lost_points: list[str] = []
        for direction, (site, own, names) in zip(("charge", "discharge"), self._cap_points, strict=True):
            caps: list[float] | None = [] if site is None else [site]
            lost = ""
            for name in names:
                if name != own and name not in index:
                    continue
                value = image.good(name)
                if value is not None:
                    seen[name] = True
                    if caps is not None:
                        caps.append(value)
                elif name in seen or name not in index or image.quality.item(index[name]) not in _NONE:
                    lost, caps = name, None  # there is a limit, and it is not known now
            found.append(caps)
            lost_points.append(lost or own or direction)
        return found[0], found[1], lost_points[0], lost_points[1]

    def _rated(self, control: Control, image: ProcessImage) -> tuple[Bounds, list[Condition]]:
        """The unit's power limits: the smallest of the site's, the device's own and its batteries'."""
        charge, discharge, *points = self.caps(image)
        unknown = [
            Condition(
                code="power_limit_unknown",
                severity=Severity.WARNING,
                message=f"highest {direction} power unknown: no {direction}",
                point=point,
            )
            for direction, caps, point in (("charge", charge, points[0]), ("discharge", discharge, points[1]))
            if not caps
        ]
        low = -max(0.0, min(charge)) if charge else 0.0
        return Bounds(low, max(0.0, min(discharge)) if discharge else 0.0), unknown
