"""The power converter between battery and grid: how fast it follows, what it loses, what it can. No I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

_WATT = 0.001

Side = Literal["battery", "ac"]
"""Where a commanded power is measured: at the battery's terminals, or at the AC terminals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PcsConfig:
    """Sizes of the converter. The defaults suit a 10 kW hybrid inverter; representative, no datasheet's."""

    apparent_power_max: float = 10.0
    """kVA at nominal voltage; falls with the grid's voltage, because the current is what is limited."""
    response_time: float = 0.3
    """Time constant in seconds with which the power follows its target."""
    reactive_response_time: float = 0.05
    """Time constant in seconds with which the reactive power follows its target; 0 for at once."""
    loss_constant: float = 0.03
    """kW lost at any power: the converter's own supply."""
    loss_linear: float = 0.008
    """Share of the power lost in the semiconductors."""
    loss_square: float = 0.0006
    """1/kW: ohmic losses grow with the square of the power."""
    phases: int = 3
    """1 or 3."""
    power_min: float = 0.0
    """kW, the smallest power besides zero that it can run at; for less it stands still."""
    heat_time: float = 600.0
    """Time constant in seconds of the inner temperature."""
    heating: float = 100.0
    """K over ambient for each kW of losses."""

    def __post_init__(self) -> None:
        for name in ("apparent_power_max", "response_time", "heat_time"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be greater than 0")
        if self.reactive_response_time < 0:
            raise ValueError("reactive_response_time must not be less than 0")
        if self.phases not in {1, 3}:
            raise ValueError(f"phases must be 1 or 3, not {self.phases}")


class Pcs:
    """The converter's state. Signs: + discharges and exports."""

    def __init__(self, config: PcsConfig, ambient: float) -> None:
        self.config = config
        self.ambient = ambient
        self.dc_power = 0.0
        """kW at the battery's side."""
        self.active_power = -config.loss_constant
        """kW at the AC terminals."""
        self.reactive_power = 0.0
        """kvar at the AC terminals."""
        self.temperature = ambient
        """°C inside."""
        self.energy_lost = 0.0
        """kWh ever turned to heat."""

    def losses(self, active_power: float) -> float:
        """The power in kW lost while `active_power` kW pass the AC terminals."""
        config = self.config
        magnitude = abs(active_power)
        return config.loss_constant + config.loss_linear * magnitude + config.loss_square * magnitude**2

    def dc_of(self, active_power: float) -> float:
        """The power at the battery's side for a power in kW at the AC terminals."""
        return active_power + self.losses(active_power)

    def ac_of(self, dc_power: float) -> float:
        """The power at the AC terminals for a power in kW at the battery's side: the inverse of `dc_of`."""
        config = self.config
        rest = dc_power - config.loss_constant
        sign = 1.0 if rest >= 0 else -1.0
        # rest = ac * (1 + sign * linear) + square * ac**2, with the sign of ac that of rest
        linear = 1 + sign * config.loss_linear
        square = config.loss_square
        if square == 0:
            return rest / linear
        inside = max(0.0, linear * linear + 4 * square * rest)
        return 2 * rest / (linear + math.sqrt(inside))

    @property
    def efficiency(self) -> float:
        """% of the power that goes in and comes out; 0 while less than the own supply flows."""
        put_in, out = self.dc_power, self.active_power
        if put_in < 0:
            put_in, out = -out, -put_in
        return 100 * out / put_in if out > 0 and put_in > 0 else 0.0

    def step(
        self,
        target: float,
        side: Side,
        reactive: float,
        limits: tuple[float, float],
        voltage_share: float,
        dt: float,
    ) -> None:
        """Follow a target for `dt` seconds.

        Args:
            target: kW at `side`.
            side: where the target is measured.
            reactive: kvar asked for; active power comes first.
            limits: highest charge and discharge power in kW at the battery's side.
            voltage_share: the grid's voltage as a share of nominal.
            dt: seconds.
        """
        config = self.config
        apparent = config.apparent_power_max * min(voltage_share, 1.0)
        if abs(target) < config.power_min - _WATT:
            target = 0.0
        wanted = self.dc_of(target) if side == "ac" else target
        low, high = max(-limits[0], self.dc_of(-apparent)), min(limits[1], self.dc_of(apparent))
        if low > high:  # the current limit leaves less than the own losses: nothing to exchange
            low = high = 0.0
        followed = self.dc_power + (min(max(wanted, low), high) - self.dc_power) * (
            1 - math.exp(-dt / config.response_time)
        )
        self.dc_power = min(max(followed, low), high)
        self.active_power = self.ac_of(self.dc_power)
        room = math.sqrt(max(0.0, apparent**2 - self.active_power**2))
        lag = config.reactive_response_time
        kept = math.exp(-dt / lag) if lag > 0 else 0.0
        wanted = min(max(reactive, -room), room)
        self.reactive_power = min(max(wanted + (self.reactive_power - wanted) * kept, -room), room)
        lost = self.dc_power - self.active_power
        self.energy_lost += lost * dt / 3600
        share = 1 - math.exp(-dt / config.heat_time)
        self.temperature += (self.ambient + config.heating * lost - self.temperature) * share
