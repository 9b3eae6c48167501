"""What each shared point name means on the simulated plant.

A point with one of these names is served live. States (`device_status` …) are no quantities: their numbers
are each device's own and come from the profile. Single cells are in `cells`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

from bessai.twin.cells import cell_of
from bessai.twin.plant import Plant

_SQRT3 = math.sqrt(3)


def _apparent(plant: Plant) -> float:
    return math.hypot(plant.pcs.active_power, plant.pcs.reactive_power)


def _power_factor(plant: Plant) -> float:
    apparent = _apparent(plant)
    return plant.pcs.active_power / apparent if apparent else 1.0


def _line_voltage(plant: Plant) -> float:
    # a single-phase device has one voltage, and its registers for line voltages hold it
    return plant.grid.voltage * (_SQRT3 if plant.config.pcs.phases == 3 else 1.0)


def _phase_current(plant: Plant) -> float:
    volts = plant.config.pcs.phases * plant.grid.voltage
    return 1000 * _apparent(plant) / volts if volts > 0 else 0.0


def _current_at(plant: Plant, power: float) -> float:
    """A that a power in kW takes at the battery's voltage now."""
    return 1000 * power / plant.battery.voltage if plant.battery.voltage > 0 else 0.0


QUANTITIES: Mapping[str, Callable[[Plant], float]] = MappingProxyType(
    {
        "active_power": lambda p: p.pcs.active_power,
        "reactive_power": lambda p: p.pcs.reactive_power,
        "apparent_power": _apparent,
        "power_factor": _power_factor,
        "frequency": lambda p: p.grid.frequency,
        "efficiency": lambda p: p.pcs.efficiency,
        "dc_power": lambda p: p.pcs.dc_power,
        "internal_temperature": lambda p: p.pcs.temperature,
        "line_voltage_ab": _line_voltage,
        "line_voltage_bc": _line_voltage,
        "line_voltage_ca": _line_voltage,
        "phase_voltage_a": lambda p: p.grid.voltage,
        "phase_voltage_b": lambda p: p.grid.voltage,
        "phase_voltage_c": lambda p: p.grid.voltage,
        "phase_current_a": _phase_current,
        "phase_current_b": _phase_current,
        "phase_current_c": _phase_current,
        "soc": lambda p: p.battery.soc,
        "soc_highest": lambda p: p.battery.soc,
        "soc_lowest": lambda p: p.battery.soc,
        "soh": lambda p: p.config.battery.soh,
        "battery_power": lambda p: p.battery.power,
        "battery_voltage": lambda p: p.battery.voltage,
        "battery_current": lambda p: p.battery.current,
        "battery_temperature": lambda p: p.battery.temperature,
        "cell_voltage_max": lambda p: p.battery.cell_voltages()[1],
        "cell_voltage_min": lambda p: p.battery.cell_voltages()[0],
        "cell_temperature_max": lambda p: p.battery.cell_temperatures()[1],
        "cell_temperature_min": lambda p: p.battery.cell_temperatures()[0],
        "energy_capacity": lambda p: p.config.battery.energy_capacity,
        "charge_power_max": lambda p: p.config.battery.charge_power_max,
        "discharge_power_max": lambda p: p.config.battery.discharge_power_max,
        "reactive_power_max": lambda p: p.config.pcs.apparent_power_max,
        "absorbed_reactive_power_max": lambda p: p.config.pcs.apparent_power_max,
        "apparent_power_max": lambda p: p.config.pcs.apparent_power_max,
        "charge_current_max": lambda p: _current_at(p, p.config.battery.charge_power_max),
        "discharge_current_max": lambda p: _current_at(p, p.config.battery.discharge_power_max),
        "insulation_resistance": lambda _: 2000.0,
        "contactor_status": lambda _: 1.0,
        "breaker_status": lambda _: 1.0,
        "fire_alarm": lambda _: 0.0,
        "gas_alarm": lambda _: 0.0,
        "battery_alarm": lambda _: 0.0,
        "energy_charged_total": lambda p: p.battery.energy_charged,
        "energy_discharged_total": lambda p: p.battery.energy_discharged,
        "energy_charged_today": lambda p: p.battery.energy_charged - p.charged_before_today,
        "energy_discharged_today": lambda p: p.battery.energy_discharged - p.discharged_before_today,
        "energy_exported_total": lambda p: p.meter.energy_exported,
        "energy_imported_total": lambda p: p.meter.energy_imported,
        "grid_power": lambda p: p.meter.active_power,
        "grid_reactive_power": lambda p: p.meter.reactive_power,
        "grid_frequency": lambda p: p.grid.frequency,
        "grid_voltage": _line_voltage,
    }
)
"""Shared point name to its value on a plant, in the vocabulary's unit and sign."""

COMMON_QUANTITIES: Mapping[str, tuple[str, Callable[[Plant], float]]] = MappingProxyType(
    {
        "rated_power": ("kW", lambda p: p.config.pcs.apparent_power_max),
        "active_power_max": ("kW", lambda p: p.config.pcs.apparent_power_max),
        "charge_cutoff_soc": ("%", lambda p: p.config.battery.soc_max),
        "discharge_cutoff_soc": ("%", lambda p: p.config.battery.soc_min),
        "m701_var": ("kvar", lambda p: p.pcs.reactive_power),
        "load_power": ("kW", lambda p: p.load.active_power),
        "ac_heat_sink_temperature": ("°C", lambda p: p.pcs.temperature),
    }
)
"""Names that are not shared but mean the same wherever a profile adds them in this unit."""

THREE_PHASE_ONLY = frozenset(
    {"phase_voltage_b", "phase_voltage_c", "phase_current_b", "phase_current_c"}
    | {"line_voltage_bc", "line_voltage_ca"}
)
"""Names that a single-phase plant does not have."""


def quantity_of(name: str, unit: str | None, plant: Plant) -> Callable[[Plant], float] | None:
    """How to read a point of this name and unit from the plant; None when the plant does not model it."""
    if plant.config.pcs.phases == 1 and name in THREE_PHASE_ONLY:
        return None
    if name in COMMON_QUANTITIES:
        common_unit, quantity = COMMON_QUANTITIES[name]
        return quantity if unit == common_unit else None
    return QUANTITIES.get(name) or cell_of(name, unit, plant)
