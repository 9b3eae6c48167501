"""The schema of a site file. Used while loading only; the running gateway works on `Site`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from bessai.registry.base import Name, Strict
from bessai.registry.schema import close
from bessai.site.scada.schema import ScadaEntry

Role = Literal["battery", "inverter", "pcs", "meter", "weather"]
ROLES: tuple[Role, ...] = ("battery", "inverter", "pcs", "meter", "weather")

Pattern = Annotated[
    str, Field(pattern=r"^[a-z][a-z0-9_]*(\{n([+-]\d+)?(:0\d)?\}[a-z0-9_]*)*$", max_length=64)
]
"""A name, or one with `{n}` for a device that is there `count` times."""


class Manners(Strict):
    """Where this site's device wants other manners than its profile says."""

    timeout: float | None = Field(default=None, gt=0, le=60)
    timeout_min: float | None = Field(default=None, gt=0, le=60)
    retries: int | None = Field(default=None, ge=0, le=10)
    pause: float | None = Field(default=None, ge=0, le=5)
    settle: float | None = Field(default=None, ge=0, le=30)
    max_registers: int | None = Field(default=None, ge=1, le=125)
    max_gap: int | None = Field(default=None, ge=0, le=124)
    outstanding: int | None = Field(default=None, ge=1, le=32)


class DeviceEntry(Strict):
    """One device, or `count` alike: then `{n}`, `{n+100}` and `{n:03}` stand for its number, from 1."""

    profile: str
    """A name of the registry, or a file (relative to the site file)."""
    role: Role
    endpoint: str | None = None
    """`HOST:PORT`, `tls://…`, `rtu+tcp://…` or `rtu:///dev/ttyUSB0?baudrate=9600`; equal ones are one connection."""
    bus: Pattern | None = None
    """Name of an entry of `buses`, instead of `endpoint`."""
    unit: int | str | None = None
    """Modbus unit id, when it is not the profile's."""
    stations: dict[Name, int] = Field(default_factory=dict)
    """Unit ids of the profile's stations, when they are not the profile's."""
    period: float | None = Field(default=None, ge=0.05, le=3600)
    """Seconds between readings of the class `fast`; unset: 1 s, or the cycle where that is longer."""
    capacity: float | None = Field(default=None, gt=0)
    """Rated energy in kWh, where the device does not tell it; weighs the plant's SOC."""
    control: bool = False
    """A device that the gateway commands."""
    batteries: list[Annotated[str, Field(max_length=64)]] = Field(default_factory=list)
    """Names of the devices that tell the state of the batteries behind this commanded one (`{n}` is its number, `*`
    stands for anything). Needed where several devices are commanded and it does not tell its own."""
    power_min: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Smallest power in kW, besides zero, that this commanded device can run at."""
    count: int | None = Field(default=None, ge=1, le=10_000)
    connection: Manners = Manners()

    @model_validator(mode="after")
    def _one(self) -> DeviceEntry:
        if (self.endpoint is None) == (self.bus is None):
            raise ValueError("give either `endpoint` or `bus`")
        if not self.control and (self.batteries or self.power_min):
            raise ValueError("`batteries` and `power_min` go with `control: true`")
        return self


class PointEntry(Strict):
    """A point of the plant: one aggregation over devices, or a formula."""

    sum: Name | None = None
    mean: Name | None = None
    """Weighted by `weight`."""
    min: Name | None = None
    max: Name | None = None
    formula: Annotated[str, Field(max_length=500)] | None = None
    """Numbers, points (`device.point`, or a plant point), + - * / ( ), comparisons, min, max, abs, `a if b else c`."""
    of: Role | list[str] | None = None
    """A role, or names of devices (`*` stands for anything); unset: every device that has the point."""
    weight: Name | None = None
    """Point of the same devices that weighs the mean."""
    missing: Literal["bad", "skip"] = "bad"
    """`bad`: one input that is not good spoils the result. `skip`: the others are enough."""
    unit: str | None = None
    """Unit of a formula's result; aggregations have their inputs'."""
    description: str = ""

    @model_validator(mode="before")
    @classmethod
    def _whole(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError("write {formula: …} or an aggregation such as {sum: active_power, of: pcs}")
        return value

    @model_validator(mode="after")
    def _one(self) -> PointEntry:
        kinds = [name for name in ("sum", "mean", "min", "max", "formula") if getattr(self, name) is not None]
        if len(kinds) != 1:
            raise ValueError("give exactly one of sum, mean, min, max and formula")
        if self.formula is not None and (self.of, self.weight, self.missing) != (None, None, "bad"):
            raise ValueError("`of`, `weight` and `missing` go with an aggregation, not with a formula")
        if self.weight is not None and self.mean is None:
            raise ValueError("`weight` goes with `mean`")
        if self.formula is None and self.unit is not None:
            raise ValueError("an aggregation has the unit of its inputs; leave out `unit`")
        return self


class SiteFile(Strict):
    """A plant of many devices."""

    site: str | None = None
    """Unique id of the site; SITE_ID, when set, must be the same."""
    buses: dict[Name, str] = Field(default_factory=dict)
    """Names for endpoints that several devices share."""
    devices: Annotated[dict[Pattern, DeviceEntry], Field(min_length=1)]
    points: dict[Name, PointEntry | None] = Field(default_factory=dict)
    """Points of the plant, on top of the usual ones; null leaves a usual one out."""
    publish: Literal["all", "plant"] = "all"
    """`plant`: only the plant's own points and the commanded device's leave the site."""
    scada: ScadaEntry | None = None
    """Links to the grid operator and their point list, see docs/scada.md."""


def site_json_schema() -> dict[str, Any]:
    """The JSON Schema of a site file, as published in `config/site.schema.json`."""
    schema = SiteFile.model_json_schema()
    close(schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "BESSAI site file"}
