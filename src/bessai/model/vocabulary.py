"""Shared point names: each means the same, in the same unit, on every device.

A profile may add names of its own. Where it uses one of these, the loader checks the unit.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SharedPoint:
    """What a shared name promises."""

    unit: str | None
    """The one unit of this point, None for states and pure numbers."""
    description: str
    """One line for people."""


SHARED_POINTS: dict[str, SharedPoint] = {
    "active_power": SharedPoint("kW", "Active power at the device's AC terminals, + = export"),
    "reactive_power": SharedPoint("kvar", "Reactive power at the device's AC terminals, + = export"),
    "apparent_power": SharedPoint("kVA", "Apparent power at the device's AC terminals"),
    "power_factor": SharedPoint(None, "Power factor at the device's AC terminals"),
    "frequency": SharedPoint("Hz", "Grid frequency"),
    "efficiency": SharedPoint("%", "Conversion efficiency"),
    "dc_power": SharedPoint("kW", "Power at the DC side of the inverter"),
    "internal_temperature": SharedPoint("°C", "Temperature inside the inverter"),
    "line_voltage_ab": SharedPoint("V", "Voltage between phases A and B"),
    "line_voltage_bc": SharedPoint("V", "Voltage between phases B and C"),
    "line_voltage_ca": SharedPoint("V", "Voltage between phases C and A"),
    "phase_voltage_a": SharedPoint("V", "Voltage of phase A to neutral"),
    "phase_voltage_b": SharedPoint("V", "Voltage of phase B to neutral"),
    "phase_voltage_c": SharedPoint("V", "Voltage of phase C to neutral"),
    "phase_current_a": SharedPoint("A", "Current of phase A"),
    "phase_current_b": SharedPoint("A", "Current of phase B"),
    "phase_current_c": SharedPoint("A", "Current of phase C"),
    "device_status": SharedPoint(None, "Operating state of the inverter"),
    "soc": SharedPoint("%", "State of charge of the battery"),
    "soc_highest": SharedPoint("%", "State of charge of the fullest battery of a plant"),
    "soc_lowest": SharedPoint("%", "State of charge of the emptiest battery of a plant"),
    "soh": SharedPoint("%", "State of health of the battery"),
    "battery_power": SharedPoint("kW", "Power of the battery, + = discharge"),
    "battery_voltage": SharedPoint("V", "Voltage at the battery's terminals"),
    "battery_current": SharedPoint("A", "Current of the battery, + = discharge"),
    "battery_temperature": SharedPoint("°C", "Temperature of the battery as its maker reports it"),
    "battery_status": SharedPoint(None, "Operating state of the battery"),
    "cell_voltage_max": SharedPoint("V", "Highest cell voltage"),
    "cell_voltage_min": SharedPoint("V", "Lowest cell voltage"),
    "cell_temperature_max": SharedPoint("°C", "Highest cell temperature"),
    "cell_temperature_min": SharedPoint("°C", "Lowest cell temperature"),
    "energy_capacity": SharedPoint("kWh", "Rated energy of the battery"),
    "charge_power_max": SharedPoint("kW", "Highest charge power that the device accepts"),
    "discharge_power_max": SharedPoint("kW", "Highest discharge power that the device accepts"),
    "reactive_power_max": SharedPoint("kvar", "Highest reactive power that the device exports"),
    "absorbed_reactive_power_max": SharedPoint("kvar", "Highest reactive power that the device absorbs"),
    "apparent_power_max": SharedPoint("kVA", "Highest apparent power of the device"),
    "charge_current_max": SharedPoint("A", "Highest charge current that the battery allows now"),
    "discharge_current_max": SharedPoint("A", "Highest discharge current that the battery allows now"),
    "insulation_resistance": SharedPoint("kΩ", "Insulation resistance of the DC side to earth"),
    "contactor_status": SharedPoint(None, "Main contactor of the battery, 1 = closed"),
    "breaker_status": SharedPoint(None, "Breaker between the plant and the grid, 1 = closed"),
    "fire_alarm": SharedPoint(None, "Fire or smoke at the battery, 0 = none"),
    "gas_alarm": SharedPoint(None, "Gas at the battery, 0 = none"),
    "battery_alarm": SharedPoint(None, "Alarms of the battery's management, 0 = none"),
    "energy_charged_total": SharedPoint("kWh", "Energy ever charged"),
    "energy_discharged_total": SharedPoint("kWh", "Energy ever discharged"),
    "energy_charged_today": SharedPoint("kWh", "Energy charged since local midnight"),
    "energy_discharged_today": SharedPoint("kWh", "Energy discharged since local midnight"),
    "energy_exported_total": SharedPoint("kWh", "Energy ever exported at the meter"),
    "energy_imported_total": SharedPoint("kWh", "Energy ever imported at the meter"),
    "grid_power": SharedPoint("kW", "Active power at the point of connection, + = export"),
    "grid_reactive_power": SharedPoint("kvar", "Reactive power at the point of connection"),
    "grid_frequency": SharedPoint("Hz", "Frequency measured by the meter"),
    "grid_voltage": SharedPoint("V", "Voltage between phases at the point of connection, mean of the three"),
    "meter_status": SharedPoint(None, "Operating state of the meter"),
}
