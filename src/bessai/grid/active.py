"""Active power for the grid operator: set-point, maximum, ramp, and the time that a curtailment took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bessai.grid.config import GridConfig
from bessai.grid.curtailment import Curtailment
from bessai.grid.curves import VOLT_WATT
from bessai.grid.evidence import OPEN_LOOP, Evidence, share_of
from bessai.grid.settings import ActiveSettings
from bessai.model import Bounds, Condition, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveWish:
    """What is asked for in this cycle."""

    power: float | None
    """kW."""
    bounds: Bounds
    """kW."""
    ramp: float | None
    """Share of Pn per second."""


class ActivePower:
    """The active power that the grid operator orders."""

    def __init__(self, config: GridConfig, settings: ActiveSettings) -> None:
        self.curtailment = Curtailment(config)
        self.limited_by = ""
        """`maximum`, `volt_watt` or nothing."""
        self._config = config
        self._settings = settings
        self._volt_watt = 1.0
        self._last: float | None = None
        self._wish: ActiveWish | None = None
        self.curtailment.stand(settings.maximum)

    @property
    def settings(self) -> ActiveSettings:
        """Present values."""
        return self._settings

    def take(self, settings: ActiveSettings, at: float | None) -> None:
        """New values, asked for at a monotonic time; None: at the next cycle."""
        if settings.maximum != self._settings.maximum:
            self.curtailment.command(settings.maximum, at)
        self._settings, self._wish = settings, None

    def step(self, voltage: Evidence, now: float) -> ActiveWish | None:
        """What is asked for in this cycle; None for nothing."""
        dt = 0.0 if self._last is None else max(0.0, now - self._last)
        self._last, self.limited_by = now, ""
        settings = self._settings
        high = float("inf")
        if settings.maximum is not None:
            high, self.limited_by = settings.maximum, "maximum"
        if (by_voltage := self._by_voltage(voltage, dt)) < high:
            high, self.limited_by = by_voltage, "volt_watt"
        if settings.setpoint is None and settings.ramp is None and high == float("inf"):
            return None
        if self._wish is None or high != self._wish.bounds.high:
            self._wish = ActiveWish(power=settings.setpoint, bounds=Bounds(high=high), ramp=settings.ramp)
        return self._wish

    def _by_voltage(self, voltage: Evidence, dt: float) -> float:
        """The highest kW that the voltage allows; while it is not known, what it allowed last."""
        if not self._settings.volt_watt:
            self._volt_watt = 1.0
            return float("inf")
        if (volts := voltage.present) is not None:
            wanted = VOLT_WATT.curve(volts / self._config.nominal_voltage)
            lag = VOLT_WATT.open_loop_time / OPEN_LOOP
            self._volt_watt += (wanted - self._volt_watt) * share_of(dt, lag)
        return self._volt_watt * self._config.rated_power if self._volt_watt < 0.999 else float("inf")

    def conditions(self, voltage: Evidence) -> Sequence[Condition]:
        """What is wrong now."""
        found = list(self.curtailment.conditions())
        if self._settings.volt_watt and voltage.lost:
            found.append(
                Condition(
                    code="grid_voltage_lost",
                    severity=Severity.ALARM,
                    message="The grid voltage is not known; volt-watt keeps to its last limit.",
                    point=self._config.points.voltage,
                )
            )
        return found

    def status(self) -> dict[str, Any]:
        """Input, output and limits, for people and tools."""
        settings = self._settings
        return {
            "setpoint": settings.setpoint,
            "maximum": settings.maximum,
            "ramp": None if settings.ramp is None else settings.ramp * 6000,
            "agc": settings.agc,
            "limited_by": self.limited_by,
            "curtailment": self.curtailment.status(),
        }
