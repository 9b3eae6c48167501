"""An LFP battery pack: charge, voltage, heat and the limits that its BMS enforces. No I/O, no clock.

All cells are equal and in series. The open-circuit voltage follows the state of charge, the terminal voltage
adds an ohmic drop, a share of the charging current is lost (coulombic efficiency), and every loss heats one
thermal mass that cools to ambient. Not modelled: hysteresis, diffusion, ageing.

Energy closes by construction: what is stored is the integral of open-circuit voltage over charge, and every
step books terminal energy, stored energy and losses from the same current.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise

OCV_CURVE: tuple[tuple[float, float], ...] = (
    (0.00, 2.80), (0.05, 3.10), (0.10, 3.20), (0.20, 3.25), (0.30, 3.28), (0.40, 3.29), (0.50, 3.30),
    (0.60, 3.31), (0.70, 3.33), (0.80, 3.335), (0.90, 3.34), (0.95, 3.36), (1.00, 3.45),
)  # fmt: skip
"""State of charge (0 … 1) and open-circuit voltage of one cell in V.

Representative of LFP against graphite at 25 °C (the long plateau near 3.3 V, the steep ends); it is no
particular cell's datasheet.
"""

_SOC = tuple(soc for soc, _ in OCV_CURVE)
_AREA = [0.0]  # integral of the curve up to each knot, in V
for (_s0, _v0), (_s1, _v1) in pairwise(OCV_CURVE):
    _AREA.append(_AREA[-1] + (_s1 - _s0) * (_v0 + _v1) / 2)


def cell_ocv(soc: float) -> float:
    """Open-circuit voltage of one cell in V at a state of charge of 0 … 1 (held at the ends)."""
    return _interpolate(min(max(soc, 0.0), 1.0))[0]


def _interpolate(soc: float) -> tuple[float, float]:
    """Voltage at `soc`, and the integral of the curve from 0 to `soc`."""
    i = min(bisect_right(_SOC, soc), len(_SOC) - 1) - 1
    (s0, v0), (s1, v1) = OCV_CURVE[i], OCV_CURVE[i + 1]
    voltage = v0 + (v1 - v0) * (soc - s0) / (s1 - s0)
    return voltage, _AREA[i] + (soc - s0) * (v0 + voltage) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryConfig:
    """Sizes of the pack. The defaults suit a 15 kWh home battery; they are representative, no datasheet's."""

    energy_capacity: float = 15.0
    """Energy in kWh between empty and full, at open-circuit voltage, when new."""
    cells: int = 112
    """Cells in series."""
    charge_power_max: float = 10.0
    """kW at the terminals that the BMS accepts while charging."""
    discharge_power_max: float = 10.0
    """kW at the terminals that the BMS gives while discharging."""
    cell_resistance: float = 0.0015
    """Ohm of one cell."""
    coulombic_efficiency: float = 0.995
    """Share of the charging current that is stored."""
    soh: float = 100.0
    """State of health in %: the share of the capacity that is left. Constant; ageing is not modelled."""
    initial_soc: float = 50.0
    """% at the start."""
    soc_min: float = 5.0
    """% at which the BMS ends discharging."""
    soc_max: float = 100.0
    """% at which the BMS ends charging."""
    soc_taper: float = 3.0
    """% before either end over which the BMS lowers the power linearly."""
    cell_voltage_low: float = 2.5
    """V: the BMS lowers the discharge power so that no cell goes lower under load."""
    cell_voltage_high: float = 3.65
    """V: the BMS lowers the charge power so that no cell goes higher."""
    charge_temperature: tuple[float, float] = (0.0, 55.0)
    """°C between which the BMS lets the pack be charged."""
    discharge_temperature: tuple[float, float] = (-20.0, 60.0)
    """°C between which the BMS lets the pack be discharged."""
    heat_capacity: float = 150.0
    """kJ/K of the pack."""
    cooling: float = 0.015
    """kW/K to ambient."""
    initial_temperature: float = 25.0
    """°C at the start."""
    cell_voltage_spread: float = 0.008
    """V between the highest and the lowest cell at rest."""
    cell_resistance_spread: float = 0.10
    """Share by which the worst cell's resistance differs from the mean, up and down."""
    cell_temperature_spread: float = 1.0
    """K between the warmest and the coldest cell at rest."""
    cell_heat_spread: float = 10.0
    """K between them for each kW of heat, on top."""

    def __post_init__(self) -> None:
        if not 0 <= self.soc_min < self.soc_max <= 100 or not 0 <= self.initial_soc <= 100:
            raise ValueError("0 <= soc_min < soc_max <= 100 and 0 <= initial_soc <= 100 must hold, in %")
        for name in ("energy_capacity", "cells", "cell_resistance", "heat_capacity", "soc_taper"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be greater than 0")
        if not 0 < self.coulombic_efficiency <= 1 or not 0 < self.soh <= 100:
            raise ValueError("0 < coulombic_efficiency <= 1 and 0 < soh <= 100 must hold")


class Battery:
    """The pack's state. Signs: + discharges."""

    def __init__(self, config: BatteryConfig, ambient: float) -> None:
        self.config = config
        self.ambient = ambient
        """°C around the pack."""
        self.charge_capacity = config.energy_capacity * config.soh * 10 / (_AREA[-1] * config.cells)
        """Ah between empty and full."""
        self.charge = config.initial_soc / 100 * self.charge_capacity
        """Ah stored."""
        self.temperature = config.initial_temperature
        """Mean °C."""
        self.power = 0.0
        """kW at the terminals in the last step."""
        self.current = 0.0
        """A in the last step."""
        self.heat = 0.0
        """kW lost in the last step."""
        self.energy_charged = 0.0
        """kWh ever taken at the terminals."""
        self.energy_discharged = 0.0
        """kWh ever given at the terminals."""
        self.energy_lost = 0.0
        """kWh ever turned to heat."""

    @property
    def soc(self) -> float:
        """State of charge in %."""
        return 100 * self.charge / self.charge_capacity

    @property
    def stored_energy(self) -> float:
        """Energy in kWh between empty and the present state, at open-circuit voltage."""
        area = _interpolate(self.charge / self.charge_capacity)[1]
        return area * self.charge_capacity * self.config.cells / 1000

    @property
    def open_circuit_voltage(self) -> float:
        """V of the pack without current."""
        return self.config.cells * cell_ocv(self.charge / self.charge_capacity)

    @property
    def resistance(self) -> float:
        """Ohm of the pack."""
        return self.config.cells * self.config.cell_resistance

    @property
    def voltage(self) -> float:
        """V at the terminals."""
        return self.open_circuit_voltage - self.current * self.resistance

    def cell_voltages(self) -> tuple[float, float]:
        """Lowest and highest cell voltage in V."""
        mean = self.voltage / self.config.cells
        drop = abs(self.current) * self.config.cell_resistance * self.config.cell_resistance_spread
        half = self.config.cell_voltage_spread / 2 + drop
        return mean - half, mean + half

    def cell_temperatures(self) -> tuple[float, float]:
        """Lowest and highest cell temperature in °C."""
        half = (self.config.cell_temperature_spread + self.config.cell_heat_spread * self.heat) / 2
        return self.temperature - half, self.temperature + half

    def power_limits(self) -> tuple[float, float]:
        """The highest charge and discharge power in kW that the BMS allows now, both >= 0."""
        config, soc, ocv = self.config, self.soc, self.open_circuit_voltage
        charge = config.charge_power_max * _share((config.soc_max - soc) / config.soc_taper)
        discharge = config.discharge_power_max * _share((soc - config.soc_min) / config.soc_taper)
        high, low = config.cells * config.cell_voltage_high, config.cells * config.cell_voltage_low
        charge = min(charge, max(0.0, high * (high - ocv) / self.resistance / 1000))
        discharge = min(discharge, max(0.0, low * (ocv - low) / self.resistance / 1000))
        if not config.charge_temperature[0] < self.temperature < config.charge_temperature[1]:
            charge = 0.0
        if not config.discharge_temperature[0] < self.temperature < config.discharge_temperature[1]:
            discharge = 0.0
        return charge, discharge

    def step(self, power: float, dt: float) -> None:
        """Run at a terminal power in kW for `dt` seconds. The caller keeps to `power_limits`."""
        hours = dt / 3600
        # power = (ocv - current * resistance) * current, solved for the smaller current
        ocv, resistance = self.open_circuit_voltage, self.resistance
        root = math.sqrt(max(0.0, ocv * ocv - 4000 * resistance * power))
        self.current = 2000 * power / (ocv + root)
        stored_share = self.config.coulombic_efficiency if self.current < 0 else 1.0
        self.charge -= self.current * stored_share * hours
        self.charge = min(max(self.charge, 0.0), self.charge_capacity)
        self.power = (ocv - self.current * resistance) * self.current / 1000
        lost_charge = -self.current * (1 - stored_share) * ocv
        self.heat = (self.current * self.current * resistance + lost_charge) / 1000
        self.energy_lost += self.heat * hours
        if self.power < 0:
            self.energy_charged -= self.power * hours
        else:
            self.energy_discharged += self.power * hours
        cooled = self.config.cooling * (self.temperature - self.ambient)
        self.temperature += (self.heat - cooled) * dt / self.config.heat_capacity


def _share(value: float) -> float:
    return min(max(value, 0.0), 1.0)
