"""The schema of a limits file. Used while loading only; the running gateway works on `Limits`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from bessai.registry.base import Name, Strict
from bessai.registry.schema import close

Chemistry = Literal["lfp", "nmc", "lto", "sodium_ion"]
CurvePoints = Annotated[list[tuple[float, Annotated[float, Field(ge=0, le=1)]]], Field(min_length=1)]
Seconds = Annotated[float, Field(ge=0, le=3600)]
RoleName = Literal["operator", "engineer"]

KNOWN: dict[str, tuple[str, Literal["high", "low"], str, float, float]] = {
    "battery_temperature_high": ("battery_temperature", "high", "°C", -60, 120),
    "battery_temperature_low": ("battery_temperature", "low", "°C", -60, 120),
    "cell_temperature_high": ("cell_temperature_max", "high", "°C", -60, 120),
    "cell_temperature_low": ("cell_temperature_min", "low", "°C", -60, 120),
    "cell_voltage_high": ("cell_voltage_max", "high", "V", 0.5, 6),
    "cell_voltage_low": ("cell_voltage_min", "low", "V", 0.5, 6),
    "dc_voltage_high": ("battery_voltage", "high", "V", 6, 3000),
    "dc_voltage_low": ("battery_voltage", "low", "V", 6, 3000),
    "insulation_low": ("insulation_resistance", "low", "kΩ", 0, 100_000),
    "soh_low": ("soh", "low", "%", 0, 100),
}
"""Code to point, side, unit, and the lowest and highest number that can be meant in that unit."""


class WarningEntry(Strict):
    """A level at which people are told. What is left out is the preset's."""

    at: float | None = None
    clear: float | None = None
    """The warning ends only beyond this level, on the safe side of `at`."""
    delay: Seconds | None = None
    """Seconds."""


class TripEntry(Strict):
    """A level that stops the battery until a person resets it. What is left out is the preset's."""

    at: float | None = None
    delay: Seconds | None = None
    """Seconds."""
    reset: RoleName | None = None
    """Who may reset it."""


class LimitEntry(Strict):
    """One limit; what is left out is the preset's, null takes it away."""

    charge: CurvePoints | None = None
    """[value, share] pairs, values ascending: the share of the charge power that is allowed."""
    discharge: CurvePoints | None = None
    hysteresis: Annotated[float, Field(ge=0)] | None = None
    """In the limit's unit: a stopped direction opens again only this far inside."""
    warning: WarningEntry | None = None
    trip: TripEntry | None = None

    @field_validator("charge", "discharge", mode="before")
    @classmethod
    def _pairs(cls, value: Any) -> Any:
        if isinstance(value, list):
            return [tuple(pair) if isinstance(pair, list) else pair for pair in value]
        return value


class FlagEntry(Strict):
    """A state or bit field of the device. Exactly one of `bits`, `bad` and `required` says when it stops."""

    point: Name
    bits: Annotated[list[Annotated[int, Field(ge=0, le=63)]], Field(min_length=1)] | None = None
    """Numbers of bits, 0 is the lowest: any of them set is bad."""
    bad: Annotated[list[int], Field(min_length=1)] | None = None
    """Values that are bad."""
    required: Annotated[list[int], Field(min_length=1)] | None = None
    """Any other value is bad."""
    action: Literal["hold", "trip"] = "hold"
    """`hold` ends by itself, `trip` latches."""
    stops: Literal["both", "charge", "discharge", "none"] = "both"
    """`none`: it only warns."""
    delay: Seconds = 0.0
    """Seconds that it stands before it trips, and is gone before it lets go. It stops at once in any case."""
    plant_wide: bool = False
    """A trip stops every battery of the site."""
    reset: RoleName = "engineer"
    message: str = ""

    @model_validator(mode="after")
    def _one_rule(self) -> FlagEntry:
        if sum(rule is not None for rule in (self.bits, self.bad, self.required)) != 1:
            raise ValueError("give exactly one of `bits`, `bad` and `required`")
        if self.stops == "none" and self.action == "trip":
            raise ValueError("a trip stops something; leave `stops` out, or use `action: hold`")
        return self


class Signature(Strict):
    """Who answers for what is less safe than the preset. Written by `bessai limits sign`."""

    by: Annotated[str, Field(min_length=1, max_length=128)]
    role: Literal["engineer"]
    date: Annotated[str, Field(min_length=10, max_length=40)]
    """ISO 8601."""
    reason: Annotated[str, Field(min_length=1, max_length=500)]
    digest: Annotated[str, Field(min_length=71, max_length=71)]
    """`sha256:…` of everything else in the file."""

    @field_validator("date")
    @classmethod
    def _iso(cls, value: str) -> str:
        try:
            datetime.fromisoformat(value)
        except ValueError:
            raise ValueError("give an ISO 8601 date such as 2026-11-24T09:30:00+00:00") from None
        return value


class LimitsFile(Strict):
    """The limits of a site's batteries. What is left out is the preset's."""

    chemistry: Chemistry
    cells_in_series: int | None = Field(default=None, ge=1, le=2000)
    """Of one string: gives the limits of the DC voltage and of the insulation."""
    soc_min: float | None = Field(default=None, ge=0, le=100)
    """%, no discharge at or below it."""
    soc_max: float | None = Field(default=None, ge=0, le=100)
    """%, no charge at or above it."""
    soc_hysteresis: float | None = Field(default=None, ge=0, le=50)
    """%"""
    soc_taper: float | None = Field(default=None, ge=0, le=50)
    """% before either edge over which power falls."""
    charge_power_max: float | None = Field(default=None, ge=0)
    """kW"""
    discharge_power_max: float | None = Field(default=None, ge=0)
    """kW"""
    charge_current_max: float | None = Field(default=None, ge=0)
    """A, of the data sheet."""
    discharge_current_max: float | None = Field(default=None, ge=0)
    """A, of the data sheet."""
    limits: dict[str, LimitEntry | None] = Field(default_factory=dict)
    """By code; null takes a limit of the preset away."""
    flags: dict[Name, FlagEntry | None] = Field(default_factory=dict)
    """By code; null takes a usual flag away."""
    signed: Signature | None = None


def limits_json_schema() -> dict[str, Any]:
    """The JSON Schema of a limits file, as published in `config/limits.schema.json`."""
    schema = LimitsFile.model_json_schema()
    close(schema)
    schema["properties"]["limits"]["propertyNames"] = {"enum": sorted(KNOWN)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "BESSAI limits file",
    }
