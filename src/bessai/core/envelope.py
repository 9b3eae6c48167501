"""What the plant's state allows at this moment. Evidence, not absence: an unknown value allows nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bessai.core.conditions import Condition
from bessai.core.limits import Curve, Limits, StateLimit
from bessai.model import Bounds, ProcessImage, Quality, Severity
from bessai.registry import CompiledProfile
from bessai.registry.commands import Control

_NONE = {Quality.NOT_AVAILABLE, Quality.ABSENT}


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


class EnvelopeCheck:
    """Computes the envelope of each cycle. Keeps what hysteresis needs, and which points it ever saw."""

    def __init__(self, profile: CompiledProfile, limits: Limits) -> None:
        self._profile = profile
        self._limits = limits
        self._full = False
        self._empty = False
        self._blocked: set[tuple[str, str]] = set()
        self._seen: set[str] = set()

    def check(self, image: ProcessImage) -> Envelope:
        """The envelope that this image proves."""
        control = self._profile.control
        if control is None:
            return Envelope(bounds=Bounds(0, 0), rated=Bounds(0, 0), safe=True, limited_by=(), conditions=())
        conditions = [*self._evidence(control, image)]
        safe = not conditions
        charge, discharge = 1.0, 1.0
        limited: list[str] = []
        for point, condition, charge_share, discharge_share in self._shares(image):
            if condition is not None:
                conditions.append(condition)
            if min(charge_share, discharge_share) < 1.0:
                limited.append(point)
            charge, discharge = min(charge, charge_share), min(discharge, discharge_share)
            safe = safe and (charge_share > 0 or discharge_share > 0)
        rated, unknown = self._rated(control, image)
        conditions += unknown
        limited += [condition.code for condition in unknown]
        bounds = Bounds(rated.low * charge, rated.high * discharge) if safe else Bounds(0.0, 0.0)
        return Envelope(
            bounds=Bounds(bounds.low + 0.0, bounds.high + 0.0),  # no negative zero
            rated=rated,
            safe=safe,
            limited_by=tuple(limited),
            conditions=tuple(conditions),
        )

    def _evidence(self, control: Control, image: ProcessImage) -> Iterator[Condition]:
        """What the profile calls evidence, and every other point that a limit looks at.

        Such a point is excused only while the device refuses its address and always has.
        """
        names = image.layout.index
        looked_at = ("soc", "soc_highest", "soc_lowest", *(limit.point for limit in self._limits.states))
        further = [name for name in looked_at if name in names and name not in control.evidence]
        for name in (*control.evidence, *further):
            value = image.good(name)
            if value is not None:
                self._seen.add(name)
            else:
                quality = image.quality_of(name)
                if name in further and quality is Quality.ABSENT and name not in self._seen:
                    continue
                known = quality is Quality.OUT_OF_RANGE
                yield Condition(
                    code="evidence_lost",
                    severity=Severity.ALARM,
                    message=f"{name} is {quality.label}",
                    point=name,
                    value=float(image.values[names[name]]) if known else None,
                )
                continue
            if name in control.running_states and int(value) not in control.running_states[name]:
                meaning = image.layout.meaning(name, value) or f"{int(value):#06x}"
                yield Condition(
                    code="device_not_running",
                    severity=Severity.ALARM,
                    message=f"{name} is {meaning}",
                    point=name,
                    value=value,
                )

    def _shares(self, image: ProcessImage) -> Iterator[tuple[str, Condition | None, float, float]]:
        limits, soc = self._limits, image.good("soc")
        highest, lowest = (
            image.good(name) for name in ("soc_highest", "soc_lowest")
        )  # of a plant's batteries
        if (fullest := soc if highest is None else highest) is not None:
            self._full = fullest >= limits.soc_max - (limits.soc_hysteresis if self._full else 0.0)
            if self._full:
                beyond = fullest > limits.soc_max
                yield "soc_high", _edge("soc_high", "above", "charge", fullest, beyond=beyond), 0.0, 1.0
        if (emptiest := soc if lowest is None else lowest) is not None:
            self._empty = emptiest <= limits.soc_min + (limits.soc_hysteresis if self._empty else 0.0)
            if self._empty:
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
        key = (limit.point, direction)
        near = min(curve(value - limit.hysteresis), curve(value), curve(value + limit.hysteresis))
        if curve(value) <= 0.0 or (key in self._blocked and near <= 0.0):
            self._blocked.add(key)
            return 0.0
        self._blocked.discard(key)
        return curve(value)

    def _limit_points(self, own: str | None, shared: str, image: ProcessImage) -> Iterator[str]:
        """The device's own limit, and the one that the plant's batteries tell where the device has no such point."""
        if own is not None:
            yield own
        if shared != own and shared in image.layout.index and shared not in self._profile.layout.index:
            yield shared

    def _rated(self, control: Control, image: ProcessImage) -> tuple[Bounds, list[Condition]]:
        """The plant's power limits: the smallest of the site's, the device's own and its batteries'."""
        found: list[float] = []
        unknown: list[Condition] = []
        for direction, own, point in (
            ("charge", self._limits.charge_power_max, control.charge_power_max),
            ("discharge", self._limits.discharge_power_max, control.discharge_power_max),
        ):
            known = [] if own is None else [own]
            lost: str | None = None
            for name in self._limit_points(point, f"{direction}_power_max", image):
                device = image.good(name)
                if device is not None:
                    self._seen.add(name)
                    known.append(device)
                elif not (image.quality_of(name) in _NONE and name not in self._seen):
                    lost = name  # there is a limit, and it is not known now
            if lost is not None:
                known = []
            if not known:
                unknown.append(
                    Condition(
                        code="power_limit_unknown",
                        severity=Severity.WARNING,
                        message=f"highest {direction} power unknown: no {direction}",
                        point=lost or point or direction,
                    )
                )
            found.append(max(0.0, min(known)) if known else 0.0)
        return Bounds(-found[0], found[1]), unknown


def _edge(code: str, where: str, stopped: str, soc: float, *, beyond: bool) -> Condition:
    return Condition(
        code=code,
        severity=Severity.ALARM if beyond else Severity.WARNING,
        message=f"state of charge at or {where} its limit: no {stopped}",
        point="soc",
        value=soc,
    )
