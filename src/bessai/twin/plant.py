"""The whole plant: battery, converter, load, meter and grid stepped together. No I/O, no wall clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from bessai.twin.battery import Battery, BatteryConfig
from bessai.twin.grid import Grid, GridConfig
from bessai.twin.meter import Load, LoadConfig, Meter
from bessai.twin.pcs import Pcs, PcsConfig, Side

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantConfig:
    """Sizes of a plant. The defaults: a 10 kW hybrid inverter, a battery of 15 kWh, a household's load."""

    battery: BatteryConfig = field(default_factory=BatteryConfig)
    pcs: PcsConfig = field(default_factory=PcsConfig)
    grid: GridConfig = field(default_factory=GridConfig)
    load: LoadConfig = field(default_factory=LoadConfig)
    ambient_temperature: float = 25.0
    """°C around battery and converter."""
    start_hour: float = 8.0
    """Hour of the simulated day at the start."""
    step: float = 0.1
    """Simulated seconds of one step."""

    def __post_init__(self) -> None:
        if not 0.001 <= self.step <= 60:
            raise ValueError(f"step must be 0.001 … 60 s, not {self.step:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantState:
    """What can be measured at one moment, in the gateway's units and signs. Equal means bit-identical."""

    time: float
    """Simulated seconds since the start."""
    soc: float
    """%."""
    stored_energy: float
    """kWh."""
    battery_power: float
    battery_voltage: float
    battery_current: float
    battery_temperature: float
    active_power: float
    reactive_power: float
    internal_temperature: float
    frequency: float
    phase_voltage: float
    load_power: float
    grid_power: float
    energy_charged: float
    energy_discharged: float
    energy_exported: float
    energy_imported: float
    energy_lost: float
    """kWh turned to heat in battery and converter."""


class Plant:
    """A simulated battery plant, stepped from outside.

        plant = Plant(PlantConfig(), seed=7)
        plant.command(-5.0)          # charge the battery with 5 kW
        plant.advance(60)            # a simulated minute
        plant.state().soc

    The same configuration, seed and sequence of calls give the same states, bit by bit.
    """

    def __init__(self, config: PlantConfig | None = None, *, seed: int = 0) -> None:
        self.config = config = config or PlantConfig()
        self.seed = seed
        self.battery = Battery(config.battery, config.ambient_temperature)
        self.pcs = Pcs(config.pcs, config.ambient_temperature)
        # one source of chance a part, so that a change in one leaves the others' numbers alone
        self.grid = Grid(config.grid, Random(f"{seed}/grid"))  # noqa: S311
        self.load = Load(config.load, Random(f"{seed}/load"))  # noqa: S311
        self.meter = Meter()
        self.steps = 0
        """Steps made so far."""
        self.reactive_target = 0.0
        """kvar that the converter is set to."""
        self.charge_limit = config.battery.charge_power_max
        """kW at the battery: the standing limit of the charge power."""
        self.discharge_limit = config.battery.discharge_power_max
        """kW at the battery: the standing limit of the discharge power."""
        self.charged_before_today = self.discharged_before_today = 0.0
        self._target: float | None = None
        self._side: Side = "battery"
        self._step_ns = round(config.step * _NS)
        self._pending_ns = 0
        self._day = self._day_now()
        self.load.step(self.hour, config.step)
        self._measure(0.0)

    @property
    def time(self) -> float:
        """Simulated seconds since the start."""
        return self.steps * self._step_ns / _NS

    @property
    def hour(self) -> float:
        """Hour of the simulated day, 0 … 24."""
        return (self.config.start_hour + self.time / 3600) % 24

    @property
    def commanded(self) -> float | None:
        """The power in kW that the plant is commanded to; None when it follows its own mode."""
        return self._target

    def command(self, power: float | None, side: Side = "battery") -> None:
        """Set the target power in kW, + = discharge. None is the plant's own mode, which holds 0 kW.

        Args:
            power: the target; limits of battery and converter apply on top.
            side: whether the target is measured at the battery's terminals or at the AC terminals.
        """
        self._target = power
        self._side = side

    def advance(self, seconds: float) -> int:
        """Move simulated time on. Parts of a step are kept for the next call.

        Returns:
            The number of steps made.
        """
        count = self.due(seconds)
        for _ in range(count):
            self.step()
        return count

    def due(self, seconds: float) -> int:
        """Add simulated time and tell how many `step` calls it amounts to; the rest is kept."""
        if seconds < 0:
            raise ValueError(f"time cannot go back by {-seconds:g} s")
        self._pending_ns += round(seconds * _NS)
        count, self._pending_ns = divmod(self._pending_ns, self._step_ns)
        return count

    def step(self) -> None:
        """Move on by exactly one step of `config.step` seconds."""
        dt = self.config.step
        self.steps += 1
        self.grid.step(self.time, dt)
        self.load.step(self.hour, dt)
        charge, discharge = self.battery.power_limits()
        own_mode = self._target is None
        self.pcs.step(
            self._target or 0.0,
            "battery" if own_mode else self._side,
            self.reactive_target,
            (min(charge, self.charge_limit), min(discharge, self.discharge_limit)),
            self.grid.voltage / self.config.grid.nominal_voltage,
            dt,
        )
        if (day := self._day_now()) != self._day:
            self._day = day
            self.charged_before_today = self.battery.energy_charged
            self.discharged_before_today = self.battery.energy_discharged
        self.battery.step(self.pcs.dc_power, dt)
        self._measure(dt)

    def state(self) -> PlantState:
        """What can be measured now."""
        battery, pcs, meter = self.battery, self.pcs, self.meter
        return PlantState(
            time=self.time,
            soc=battery.soc,
            stored_energy=battery.stored_energy,
            battery_power=battery.power,
            battery_voltage=battery.voltage,
            battery_current=battery.current,
            battery_temperature=battery.temperature,
            active_power=pcs.active_power,
            reactive_power=pcs.reactive_power,
            internal_temperature=pcs.temperature,
            frequency=self.grid.frequency,
            phase_voltage=self.grid.voltage,
            load_power=self.load.active_power,
            grid_power=meter.active_power,
            energy_charged=battery.energy_charged,
            energy_discharged=battery.energy_discharged,
            energy_exported=meter.energy_exported,
            energy_imported=meter.energy_imported,
            energy_lost=battery.energy_lost + pcs.energy_lost,
        )

    def _measure(self, dt: float) -> None:
        self.meter.step(
            self.pcs.active_power - self.load.active_power,
            self.pcs.reactive_power - self.load.reactive_power,
            dt,
        )

    def _day_now(self) -> int:
        return int((self.config.start_hour + self.time / 3600) // 24)
