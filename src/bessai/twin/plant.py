"""The whole plant: battery, converter, load, meter and grid stepped together. No I/O, no wall clock."""

from __future__ import annotations

from dataclasses import dataclass, field

from bessai.twin.battery import Battery, BatteryConfig
from bessai.twin.connection_point import ConnectionPoint
from bessai.twin.grid import GridConfig
from bessai.twin.meter import LoadConfig
from bessai.twin.pcs import Pcs, PcsConfig, Side


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

    def __init__(
        self, config: PlantConfig | None = None, *, seed: int = 0, connection: ConnectionPoint | None = None
    ) -> None:
        self.config = config = config or PlantConfig()
        self.seed = seed
        self.battery = Battery(config.battery, config.ambient_temperature)
        self.pcs = Pcs(config.pcs, config.ambient_temperature)
        self.connection = connection or ConnectionPoint(
            config.grid, config.load, seed=seed, start_hour=config.start_hour, step=config.step
        )
        """Grid, load, meter and time; other plants may share it."""
        self.grid = self.connection.grid
        self.load = self.connection.load
        self.meter = self.connection.meter
        self.reactive_target = 0.0
        """kvar that the converter is set to."""
        self.charge_limit = config.battery.charge_power_max
        """kW at the battery: the standing limit of the charge power."""
        self.discharge_limit = config.battery.discharge_power_max
        """kW at the battery: the standing limit of the discharge power."""
        self.charged_before_today = self.discharged_before_today = 0.0
        self.racks: list[tuple[Battery, float]] = []
        """Batteries that make up this one, each with its share of the power: the first at its limit stops all."""
        self._target: float | None = None
        self._side: Side = "battery"
        self._day = self.connection.day
        self._join()

    def _join(self) -> None:
        self.connection.machines.append(self)
        self.connection.measure(0.0)

    @property
    def steps(self) -> int:
        """Steps made so far."""
        return self.connection.steps

    @property
    def time(self) -> float:
        """Simulated seconds since the start."""
        return self.connection.time

    @property
    def hour(self) -> float:
        """Hour of the simulated day, 0 … 24."""
        return self.connection.hour

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
        return self.connection.due(seconds)

    def step(self) -> None:
        """Move on by exactly one step, with every plant at the same point of connection."""
        self.connection.step()

    def machine_step(self, dt: float) -> None:
        """Move battery and converter on by `dt` seconds; the point of connection calls this."""
        charge, discharge = self.battery.power_limits()
        for rack, share in self.racks:
            rack_charge, rack_discharge = rack.power_limits()
            charge, discharge = min(charge, rack_charge / share), min(discharge, rack_discharge / share)
        own_mode = self._target is None
        self.pcs.step(
            self._target or 0.0,
            "battery" if own_mode else self._side,
            self.reactive_target,
            (min(charge, self.charge_limit), min(discharge, self.discharge_limit)),
            self.grid.voltage / self.grid.config.nominal_voltage,
            dt,
        )
        if (day := self.connection.day) != self._day:
            self._day = day
            self.charged_before_today = self.battery.energy_charged
            self.discharged_before_today = self.battery.energy_discharged
        self.battery.step(self.pcs.dc_power, dt)

    def power(self) -> tuple[float, float]:
        """Present kW and kvar at the AC terminals."""
        return self.pcs.active_power, self.pcs.reactive_power

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
