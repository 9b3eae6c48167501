"""What is known of the unit that is commissioned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bessai.commissioning.samples import Sample

NOISE = 0.5
"""kW that are never called a difference, as in the gateway's own check of effects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One commanded unit: what its profile promises, and what it says of itself."""

    unit: str
    """Its name; empty for the only device of a site without a site file."""
    profile: str = ""
    model: str = ""
    address: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Serial number, firmware and other texts that it tells."""
    measured: str = "battery_power"
    """The point that shows whether it obeys."""
    rated: float = 0.0
    """kW, the larger of both directions."""
    rated_from: str = ""
    tolerance_share: float = 0.05
    """Accepted difference as a share of the rated power."""
    response_time: float = 10.0
    """Seconds within which it must follow."""
    dead_man_kind: str = "none"
    dead_man_time: float = 0.0
    """Seconds of silence until it falls back."""
    fallback: str = ""
    """What it does then, in the profile's words."""
    facts_from: str = "profile"
    """Where response time, tolerance and fallback were read."""
    cells: int | None = None
    """Cells in series, when somebody knows."""

    @property
    def tolerance(self) -> float:
        """By how many kW the measured power may differ."""
        return max(self.tolerance_share * self.rated, NOISE)


def device_of(
    unit: str,
    sample: Sample,
    described: Mapping[str, Any],
    dead_man: Mapping[str, Any],
    facts: Mapping[str, Any],
    *,
    cells: int | None = None,
) -> Device:
    """The device from what the gateway tells and from its profile.

    Args:
        unit: its name.
        sample: of the unit, to know its rated power.
        described: the gateway's answer about the device.
        dead_man: the unit's `dead_man` in the status.
        facts: `measured`, `tolerance`, `response_time`, `fallback` of the profile; empty when it was not found.
        cells: cells in series, when the engineer says so.
    """
    rated, origin = _rated(sample)
    counted = sample.good("cell_count")
    return Device(
        unit=unit,
        profile=str(described.get("profile") or ""),
        model=str(described.get("model") or ""),
        address=str(described.get("address") or ""),
        texts={str(k): str(v) for k, v in (described.get("texts") or {}).items()},
        measured=str(facts.get("measured") or "battery_power"),
        rated=rated,
        rated_from=origin,
        tolerance_share=float(facts.get("tolerance") or 0.05),
        response_time=float(facts.get("response_time") or 10.0),
        dead_man_kind=str(dead_man.get("kind") or "none"),
        dead_man_time=float(dead_man.get("time") or 0.0),
        fallback=str(dead_man.get("fallback") or facts.get("fallback") or ""),
        facts_from="profile" if facts else "defaults: the profile was not found",
        cells=cells if cells is not None else int(counted) if counted else None,
    )


def _rated(sample: Sample) -> tuple[float, str]:
    limits = [v for n in ("charge_power_max", "discharge_power_max") if (v := sample.good(n)) is not None]
    bounds = max(-sample.low, sample.high)
    if limits and max(limits) >= bounds:
        return max(limits), "charge_power_max and discharge_power_max of the device"
    return bounds, "what the guard allows now"
