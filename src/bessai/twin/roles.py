"""What stands behind each device of a site, decided by its profile.

* one that can be commanded, or has a converter, has a plant of its own (battery and converter);
* a battery or BMS that cannot be commanded is one of equal racks behind the devices that can, in turn; with none
  of those, it has a plant of its own;
* anything else (meters, weather) sees the point of connection: the sum of the plants minus the load.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bessai.registry import Profile
from bessai.twin.connection_point import ConnectionPoint
from bessai.twin.plant import Plant, PlantConfig


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
    """One of `racks` equal racks behind another plant's converter: its battery takes an equal share of the power."""

    def __init__(self, leader: Plant, racks: int, *, seed: int = 0) -> None:
        self._leader = leader
        self._racks = racks
        whole = leader.config.battery
        battery = replace(
            whole,
            energy_capacity=whole.energy_capacity / racks,
            charge_power_max=whole.charge_power_max / racks,
            discharge_power_max=whole.discharge_power_max / racks,
            cell_resistance=whole.cell_resistance * racks,
            heat_capacity=whole.heat_capacity / racks,
            cooling=whole.cooling / racks,
            cell_heat_spread=whole.cell_heat_spread * racks,
        )
        super().__init__(replace(leader.config, battery=battery), seed=seed, connection=leader.connection)

    def _join(self) -> None:
        self.connection.observers.append(self)
        self.machine_step(0.0)

    def machine_step(self, dt: float) -> None:
        """Take the share; the leader has moved already."""
        leader, racks = self._leader, self._racks
        self.battery.step(leader.battery.power / racks, dt)
        self.pcs.dc_power = leader.pcs.dc_power / racks
        self.pcs.active_power = leader.pcs.active_power / racks
        self.pcs.reactive_power = leader.pcs.reactive_power / racks
        self.charged_before_today = leader.charged_before_today / racks
        self.discharged_before_today = leader.discharged_before_today / racks


def plants_behind(
    profiles: Mapping[str, Profile], config: PlantConfig, connection: ConnectionPoint, seed: int
) -> dict[str, Plant]:
    """The plant of each device.

    Args:
        profiles: by the devices' names.
        config: of each plant with a converter.
        connection: where all of them are.
        seed: of the first device; the others count up.
    """
    leaders: list[Plant] = []
    racks: list[str] = []
    plants: dict[str, Plant] = {}
    seeds = {name: seed + i for i, name in enumerate(profiles)}
    for name, profile in profiles.items():
        kinds, commanded = set(profile.kinds), profile.control is not None
        if commanded or kinds & {"inverter", "pcs"}:
            plants[name] = Plant(config, seed=seeds[name], connection=connection)
            if commanded:
                leaders.append(plants[name])
        elif kinds & {"battery", "bms"}:
            racks.append(name)
        else:
            plants[name] = MeterPlant(config, seed=seeds[name], connection=connection)
    for i, name in enumerate(racks):
        if leaders:
            at = i % len(leaders)
            plants[name] = RackPlant(leaders[at], len(racks[at :: len(leaders)]), seed=seeds[name])
        else:
            plants[name] = Plant(config, seed=seeds[name], connection=connection)
    return plants
