"""Levels and flags that stop a battery, typed anew from docs/limits.md: the gateway has its own."""

from __future__ import annotations

import math

CELLS = 112
"""In series, in the simulated pack."""

TRIPS: tuple[tuple[str, str, float, float, float], ...] = (
    ("battery_temperature_high", "battery_temperature", 60.0, math.inf, 5.0),
    ("cell_temperature_high", "cell_temperature_max", 60.0, math.inf, 5.0),
    ("cell_voltage_high", "cell_voltage_max", 3.65, math.inf, 5.0),
    ("cell_voltage_low", "cell_voltage_min", -math.inf, 2.40, 5.0),
    ("dc_voltage_high", "battery_voltage", CELLS * 3.65, math.inf, 5.0),
    ("dc_voltage_low", "battery_voltage", -math.inf, CELLS * 2.40, 5.0),
    ("insulation_low", "insulation_resistance", -math.inf, 0.1 * CELLS * 3.65, 5.0),
    ("fire_alarm", "fire_alarm", 0.5, math.inf, 0.0),
    ("gas_alarm", "gas_alarm", 0.5, math.inf, 0.0),
)
"""Code, point, the values that trip (from, to), seconds until they must have."""

BLOCKS: dict[str, float] = {"contactor_status": 1.0}
"""Points that allow power only at one value."""
