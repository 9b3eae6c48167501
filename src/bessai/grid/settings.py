"""The present values of the parameters, in the units that the functions calculate with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bessai.grid.config import GridConfig
from bessai.grid.curves import FREQUENCY_WATT, FrequencyWatt
from bessai.grid.evidence import OPEN_LOOP, RISE
from bessai.grid.parameters import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class FrequencySettings:
    """How active power answers the frequency. Shares are of Pn, or of the nominal frequency."""

    enabled: bool
    preset: FrequencyWatt | None
    """None: the droop of the annex."""
    droop: float
    dead_band: float
    step: bool
    time_constant: float
    """Seconds."""
    up: float
    """Authority to add power."""
    down: float
    """Authority to take power away."""
    soc_low: float
    """%, likewise below."""
    soc_high: float
    taper: float
    recovery: float

    @classmethod
    def of(cls, config: GridConfig, values: Mapping[str, Value]) -> FrequencySettings:
        """From checked values."""
        number = _Numbers(values)
        preset = FREQUENCY_WATT.get(str(values["frequency.curve"]))
        own = number("frequency.response_time") / RISE
        return cls(
            enabled=bool(values["frequency.enabled"]),
            preset=preset,
            droop=number("frequency.droop") / 100,
            dead_band=preset.dead_band if preset else number("frequency.dead_band") / 1000 / config.nominal_frequency,
            step=values["frequency.shape"] == "step",
            time_constant=preset.open_loop_time / OPEN_LOOP if preset else own,
            up=number("frequency.authority_up") / 100,
            down=number("frequency.authority_down") / 100,
            soc_low=number("frequency.soc_low"),
            soc_high=number("frequency.soc_high"),
            taper=number("frequency.soc_taper"),
            recovery=number("frequency.recovery") / 100,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class VoltageSettings:
    """What reactive power regulates. Shares are of the nominal voltage."""

    mode: str
    setpoint: float
    droop: float
    """0 in the mode without droop."""
    dead_band: float
    time_constant: float
    """Seconds."""
    power_factor: float
    reactive_power: float
    """kvar."""

    @classmethod
    def of(cls, values: Mapping[str, Value]) -> VoltageSettings:
        """From checked values."""
        number = _Numbers(values)
        mode = str(values["voltage.mode"])
        return cls(
            mode=mode,
            setpoint=number("voltage.setpoint") / 100,
            droop=number("voltage.droop") / 100 if mode == "voltage_droop" else 0.0,
            dead_band=number("voltage.dead_band") / 100,
            time_constant=number("voltage.response_time") / RISE,
            power_factor=number("voltage.power_factor"),
            reactive_power=number("voltage.reactive_power"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveSettings:
    """What the grid operator wants of active power."""

    setpoint: float | None
    """kW."""
    maximum: float | None
    """kW."""
    ramp: float | None
    """Share of Pn per second."""
    agc: bool
    volt_watt: bool
    curtailment_time: float
    """Seconds."""

    @classmethod
    def of(cls, values: Mapping[str, Value]) -> ActiveSettings:
        """From checked values."""
        number = _Numbers(values)
        ramp = number.optional("active.ramp")
        return cls(
            setpoint=number.optional("active.setpoint"),
            maximum=number.optional("active.maximum"),
            ramp=None if ramp is None else ramp / 100 / 60,
            agc=bool(values["active.agc"]),
            volt_watt=bool(values["active.volt_watt"]),
            curtailment_time=number("active.curtailment_time"),
        )


class _Numbers:
    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = values

    def __call__(self, name: str) -> float:
        value = self._values[name]
        assert isinstance(value, float)  # noqa: S101 - checked before
        return value

    def optional(self, name: str) -> float | None:
        return None if isinstance(self._values[name], str) else self(name)
