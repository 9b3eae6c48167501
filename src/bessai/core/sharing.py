"""How the plant's power is shared by its units from cycle to cycle.

`split` says who does what for one power; this gathers what each unit offers, and keeps a share as long as it fits, so
that small changes of energy do not rewrite every setpoint in every cycle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bessai.core.split import Offer, least_power, split
from bessai.core.unit import Unit
from bessai.model import Bounds

REBALANCE = 60.0
"""Seconds after which an unchanged power is shared anew. Judgement."""


@dataclass(slots=True, kw_only=True)
class SharingMemory:
    """The shares that stand."""

    power: float = 0.0
    shares: dict[str, float] = field(default_factory=dict)
    left: float = 0.0
    at: float | None = None


class Sharing:
    """Shares of one plant."""

    def __init__(self) -> None:
        self.memory = SharingMemory()

    def offers(
        self, units: Mapping[str, Unit], allowed: Mapping[str, Bounds], granted: Sequence[str]
    ) -> list[Offer]:
        """What the units that may run can do now."""
        return [self._offer(units[name], allowed[name]) for name in granted]

    def least(self, offers: Sequence[Offer], power: float) -> float:
        """kW, the smallest magnitude that the plant can run at in the direction of a power."""
        if not any(offer.least_charge or offer.least_discharge for offer in offers):
            return 0.0
        return least_power(offers, -1 if power < 0 else 1)

    def split(
        self, power: float, offers: Sequence[Offer], now: float
    ) -> tuple[dict[str, float], float, tuple[str, ...]]:
        """Each unit's power in kW, what they cannot make, and why not."""
        memory = self.memory
        if len(offers) == 1 and not (offers[0].least_charge or offers[0].least_discharge):
            memory.power, memory.shares, memory.left, memory.at = power, {offers[0].unit: power}, 0.0, now
            return memory.shares, 0.0, ()
        names = {offer.unit for offer in offers}
        fits = (
            power == memory.power
            and names == set(memory.shares)
            and memory.at is not None
            and now - memory.at < REBALANCE
            and memory.left == 0.0
            and all(
                offer.bounds.clip(memory.shares[offer.unit]) == memory.shares[offer.unit] for offer in offers
            )
        )
        why: tuple[str, ...] = ()
        if not fits:
            done = split(power, offers)
            shares = {offer.unit: share for offer, share in zip(offers, done.powers, strict=True)}
            memory.power, memory.shares, memory.left, memory.at = power, shares, done.left, now
            why = done.limited_by
        return memory.shares, memory.left, why

    def state_of_charge(self, units: Mapping[str, Unit]) -> tuple[float | None, float | None]:
        """State of charge in % and capacity in kWh of all units together; None where one is not known."""
        found = [
            (unit.image.good("soc"), _capacity(unit)) for unit in units.values() if unit.image is not None
        ]
        socs = [soc for soc, _ in found if soc is not None]
        if not socs or len(socs) < len(found):
            return None, None
        capacities = [capacity for _, capacity in found if capacity]
        if len(capacities) < len(found):
            return sum(socs) / len(socs), None
        total = sum(capacities)
        return sum(s * c for s, c in zip(socs, capacities, strict=True)) / total, total

    def _offer(self, unit: Unit, bounds: Bounds) -> Offer:
        image, limits = unit.image, unit.limits
        soc = image.good("soc") if image is not None else None
        capacity = _capacity(unit)
        known = soc is not None and capacity is not None
        return Offer(
            unit=unit.name,
            bounds=bounds,
            least_charge=unit.power_min,
            least_discharge=unit.power_min,
            energy_charge=max(0.0, limits.soc_max - (soc or 0.0)) / 100 * (capacity or 0.0)
            if known
            else None,
            energy_discharge=max(0.0, (soc or 0.0) - limits.soc_min) / 100 * (capacity or 0.0)
            if known
            else None,
            previous=unit.standing or 0.0,
        )


def _capacity(unit: Unit) -> float | None:
    """kWh; what the site file says counts before what the device says."""
    if unit.capacity is not None:
        return unit.capacity
    return unit.image.good("energy_capacity") if unit.image is not None else None
