"""What stands behind each device of a site, decided by its profile and by the `batteries` of the site file.

* one that can be commanded, or has a converter, has a plant of its own (battery and converter);
* a battery or BMS that cannot be commanded is one of the racks behind the device that names it in `batteries`; the
  others stand behind the commanded devices that name none, in turn; with none of those, each has a plant of its own;
* anything else (meters, weather) sees the point of connection: the sum of the plants minus the load.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bessai.registry import Profile
from bessai.twin.battery import BatteryConfig
from bessai.twin.cells import cells_of
from bessai.twin.connection_point import ConnectionPoint
from bessai.twin.plant import Plant, PlantConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What the site file and the command line say of a device, besides its profile."""

    batteries: Sequence[str] = ()
    """Names of the racks behind it."""
    capacity: float | None = None
    """kWh of its battery; None: an equal share of the plant's."""
    soc: float | None = None
    """% at the start; None: the plant's."""
    power_min: float = 0.0
    """kW, the smallest power besides zero that its converter runs at."""


class MeterPlant(Plant):
    """What a meter alone sees: its AC power is that of the point of connection, and it adds nothing to it."""

    def _join(self) -> None:
        self.connection.observers.append(self)
        self.machine_step(0.0)

    def machine_step(self, dt: float) -> None:
        """Show the meter's powers."""
        self.pcs.active_power = self.meter.active_power
        self.pcs.reactive_power = self.meter.reactive_power


class RackPlant(Plant):
    """One of the racks behind another plant's converter: its battery takes a fixed share of the power.

    Racks of one converter take power by their capacity; in a real plant cables and states of charge shift that. A rack
    has as many cells in series as its profile lists.
    """

    def __init__(
        self,
        leader: Plant,
        share: float,
        *,
        seed: int = 0,
        soc: float | None = None,
        cells: int | None = None,
    ) -> None:
        self._leader = leader
        self.share = share
        battery = _part(leader.config.battery, share)
        if soc is not None:
            battery = replace(battery, initial_soc=soc)
        if cells is not None:
            battery = replace(battery, cells=cells)
        super().__init__(replace(leader.config, battery=battery), seed=seed, connection=leader.connection)
        leader.racks.append((self.battery, share))

    def _join(self) -> None:
        self.connection.observers.append(self)
        self.machine_step(0.0)

    def machine_step(self, dt: float) -> None:
        """Take the share; the leader has moved already."""
        leader, share = self._leader, self.share
        self.battery.step(leader.battery.power * share, dt)
        self.pcs.dc_power = leader.pcs.dc_power * share
        self.pcs.active_power = leader.pcs.active_power * share
        self.pcs.reactive_power = leader.pcs.reactive_power * share
        self.charged_before_today = leader.charged_before_today * share
        self.discharged_before_today = leader.discharged_before_today * share


def plants_behind(
    profiles: Mapping[str, Profile],
    config: PlantConfig,
    connection: ConnectionPoint,
    seed: int,
    traits: Mapping[str, Traits] | None = None,
) -> dict[str, Plant]:
    """The plant of each device.

    Args:
        profiles: by the devices' names.
        config: of each plant with a converter.
        connection: where all of them are.
        seed: of the first device; the others count up.
        traits: what is known of devices besides; of the rest nothing.
    """
    known = traits or {}
    of = {name: known.get(name, Traits()) for name in profiles}
    racks_of = _racks_of(profiles, of)
    plants: dict[str, Plant] = {}
    for i, (name, profile) in enumerate(profiles.items()):
        own = of[name]
        if _has_plant(profile) or (_is_battery(profile) and not any(name in r for r in racks_of.values())):
            racks = racks_of.get(name, ())
            sized = _sized(config, own, [of[rack] for rack in racks])
            if cells := max((cells_of(profiles[rack]) or 0 for rack in racks), default=0):
                sized = replace(sized, battery=replace(sized.battery, cells=cells))  # or its voltage differs
            plants[name] = Plant(sized, seed=seed + i, connection=connection)
        elif not _is_battery(profile):
            plants[name] = MeterPlant(config, seed=seed + i, connection=connection)
    seeds = {name: seed + i for i, name in enumerate(profiles)}
    for leader, racks in racks_of.items():
        shares = _shares([of[rack].capacity for rack in racks])
        for rack, share in zip(racks, shares, strict=True):
            plants[rack] = RackPlant(
                plants[leader], share, seed=seeds[rack], soc=of[rack].soc, cells=cells_of(profiles[rack])
            )
    return plants


def _racks_of(profiles: Mapping[str, Profile], traits: Mapping[str, Traits]) -> dict[str, list[str]]:
    """The racks behind each device that has some."""
    batteries = [name for name, p in profiles.items() if not _has_plant(p) and _is_battery(p)]
    found: dict[str, list[str]] = {}
    for name, profile in profiles.items():
        if _has_plant(profile) and (own := [r for r in traits[name].batteries if r in batteries]):
            found[name] = own
    named = {rack for racks in found.values() for rack in racks}
    leaders = [name for name, p in profiles.items() if p.control is not None and name not in found]
    if not leaders and not found:
        return {}
    for i, rack in enumerate(r for r in batteries if r not in named):
        if leaders:
            found.setdefault(leaders[i % len(leaders)], []).append(rack)
    return found


def _has_plant(profile: Profile) -> bool:
    return profile.control is not None or bool(set(profile.kinds) & {"inverter", "pcs"})


def _is_battery(profile: Profile) -> bool:
    return bool(set(profile.kinds) & {"battery", "bms"})


def _shares(capacities: Sequence[float | None]) -> list[float]:
    """By capacity where all tell theirs, otherwise alike."""
    given = [capacity for capacity in capacities if capacity is not None]
    if len(given) < len(capacities):
        return [1 / len(capacities)] * len(capacities)
    return [capacity / math.fsum(given) for capacity in given]


def _sized(config: PlantConfig, own: Traits, racks: Sequence[Traits]) -> PlantConfig:
    """The plant of one converter: as much battery, at such a state of charge, as its racks are together."""
    battery = config.battery
    capacities = [rack.capacity for rack in racks]
    told = [capacity for capacity in capacities if capacity is not None]
    capacity = math.fsum(told) if told and len(told) == len(racks) else own.capacity
    socs = [battery.initial_soc if rack.soc is None else rack.soc for rack in racks]
    soc = (
        math.fsum(s * share for s, share in zip(socs, _shares(capacities), strict=True)) if racks else own.soc
    )
    if capacity is not None:
        battery = _larger(battery, capacity / battery.energy_capacity)
    if soc is not None and soc != battery.initial_soc:
        battery = replace(battery, initial_soc=soc)
    if battery is config.battery and not own.power_min:
        return config
    return replace(config, battery=battery, pcs=replace(config.pcs, power_min=own.power_min))


def _larger(whole: BatteryConfig, factor: float) -> BatteryConfig:
    """So many times the strings in parallel, with the power that the converter is made for."""
    return replace(
        whole,
        energy_capacity=whole.energy_capacity * factor,
        cell_resistance=whole.cell_resistance / factor,
        heat_capacity=whole.heat_capacity * factor,
        cooling=whole.cooling * factor,
        cell_heat_spread=whole.cell_heat_spread / factor,
    )


def _part(whole: BatteryConfig, share: float) -> BatteryConfig:
    """A share of a battery: power and all."""
    return replace(
        _larger(whole, share),
        charge_power_max=whole.charge_power_max * share,
        discharge_power_max=whole.discharge_power_max * share,
    )
