"""The schema of a device profile.

These models are used while loading only; the running gateway works on `CompiledProfile`. The JSON Schema that
editors use, `registry/profile.schema.json`, is generated from them.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from bessai.registry.base import Name, SourceId, Strict
from bessai.registry.commands import Control, DeadMan

SCHEMA_VERSION = 1

REGISTERS = {"u16": 1, "i16": 1, "u32": 2, "i32": 2, "u64": 4, "i64": 4, "f32": 2, "f64": 4}
"""Registers that a value of each numeric type fills."""

_INTEGER_RANGE = {
    f"{sign}{bits}": (0, 2**bits - 1) if sign == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    for sign in "ui"
    for bits in (16, 32, 64)
}

PointType = Literal["u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64", "bool", "text"]


class Source(Strict):
    """Where facts were read."""

    title: str
    """Document or project, with its version."""
    kind: Literal["maker", "project", "thread", "standard"]
    """`maker` is the manufacturer's own document, `project` public code, `thread` a public issue."""
    where: str
    """How to find it: address, or document number and section."""


class Caveat(Strict):
    """A known defect or surprise of the device."""

    text: str
    source: SourceId


class Connection(Strict):
    """How the device wants to be spoken to."""

    port: int = Field(default=502, ge=1, le=65535, description="Usual TCP port; INVERTER_PORT decides.")
    unit: int = Field(default=1, ge=0, le=255, description="Unit id.")
    stations: dict[Name, Annotated[int, Field(ge=0, le=255)]] = Field(
        default_factory=dict,
        description="Further unit ids behind the same connection, by the name that points use for them.",
    )
    timeout: float = Field(
        default=3.0, gt=0, le=60, description="Longest time in seconds to wait for a reply."
    )
    timeout_min: float = Field(
        default=0.5,
        gt=0,
        le=60,
        description="Shortest time in seconds to wait; in between, the device's own latency decides.",
    )
    retries: int = Field(
        default=2, ge=0, le=10, description="Repeats of a request answered with busy or not at all."
    )
    pause: float = Field(default=0.0, ge=0, le=5, description="Seconds between two requests.")
    settle: float = Field(
        default=0.0, ge=0, le=30, description="Seconds between connecting and the first request."
    )
    max_registers: int = Field(default=125, ge=1, le=125, description="Registers per read.")
    max_gap: int = Field(default=16, ge=0, le=124, description="Registers nobody wants that a read may span.")
    single_connection: bool = Field(
        default=False, description="The device serves one TCP connection; a second one closes the first."
    )
    write_single: bool = Field(
        default=True, description="One register is written by function 6; false: by function 16."
    )
    outstanding: int = Field(
        default=1, ge=1, le=32, description="Requests that may wait for a reply at once."
    )


class Point(Strict):
    """One value of the device.

    value = raw * gain + offset, in `unit`; with `scale`, value = raw * 10^scale * gain + offset. The name is the
    key of `points`; a name from the shared vocabulary must carry that vocabulary's unit and means the same on
    every device.
    """

    address: int = Field(ge=0, le=65535, description="Protocol address, counted from 0.")
    table: Literal["holding", "input", "coil", "discrete"] = "holding"
    type: PointType
    count: int | None = Field(default=None, ge=1, le=125, description="Registers of a text.")
    gain: float = Field(default=1.0, description="Negative where the device's sign is not the generator's.")
    offset: float = 0.0
    scale: Name | None = Field(
        default=None,
        description="Point that holds the exponent of ten (SunSpec scale factor); it may change.",
    )
    unit: str | None = None
    station: Name | None = Field(
        default=None, description="Key of `connection.stations`, when it is not the device's own unit."
    )
    byte_order: Literal["big", "little"] = Field(default="big", description="Bytes within a register.")
    word_order: Literal["big", "little"] = Field(default="big", description="Registers within a value.")
    sentinel: list[int] | int | None = Field(
        default=None,
        description="Raw values (as decoded by `type`) that mean not available. Unset: `sentinels` of the "
        "profile decides by type; an empty list: none.",
    )
    valid: tuple[float, float] | None = Field(
        default=None, description="Lowest and highest possible value, in `unit`."
    )
    rate_max: float | None = Field(
        default=None,
        gt=0,
        description="Largest physically possible change in `unit` per second; a faster one is a spike.",
    )
    access: Literal["r", "rw", "w"] = "r"
    persistent: bool = Field(
        default=False,
        description="Kept in memory that wears: written only when the value changes, dead-man feeds apart.",
    )
    writes_per_day: int | None = Field(
        default=None, ge=1, description="Writes a day beyond which a warning is raised, to spare the memory."
    )
    poll: Literal["fast", "normal", "slow", "once", "never"] = "normal"
    enum: dict[str, str] | None = Field(default=None, description="Raw number (decimal or 0x) to meaning.")
    bits: dict[str, str] | None = Field(default=None, description="Bit number (0 = lowest) to meaning.")
    description: str = ""
    sources: list[SourceId] = Field(default_factory=list, description="Where the address was read.")

    @field_validator("valid", mode="before")
    @classmethod
    def _pair(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("enum", "bits")
    @classmethod
    def _numbers(cls, value: dict[str, str] | None) -> dict[str, str] | None:
        seen: set[int] = set()
        for key in value or {}:
            try:
                number = int(key, 0)
            except ValueError:
                raise ValueError(f"key {key!r} is not a number; write it decimal or as 0x…") from None
            if number in seen:
                raise ValueError(f"key {key!r} repeats the number {number}; keep one")
            seen.add(number)
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Point:
        if (self.type == "text") != (self.count is not None):
            raise ValueError("`count` goes with type `text`, and only with it")
        if self.type == "text" and self.word_order == "little":
            raise ValueError("`word_order` is for numbers; a text may have `byte_order`")
        if (self.type == "bool") != (self.table in {"coil", "discrete"}):
            raise ValueError("tables `coil` and `discrete` hold type `bool`, and only they do")
        if self.access != "r" and self.table in {"input", "discrete"}:
            raise ValueError(f"table `{self.table}` cannot be written; use access `r`")
        if self.gain == 0:
            raise ValueError("`gain` 0 would make every value 0")
        if self.valid is not None and self.valid[0] >= self.valid[1]:
            raise ValueError("`valid` is [lowest, highest]")
        if self.address + self.registers > 65536:
            raise ValueError("the point ends beyond address 65535")
        _check_sentinels(self.type, self.sentinel_list() or [])
        if any(not 0 <= int(bit, 0) < 16 * self.registers for bit in self.bits or {}):
            raise ValueError(f"bits of type `{self.type}` are numbered 0 … {16 * self.registers - 1}")
        if self.access == "r" and (self.persistent or self.writes_per_day is not None):
            raise ValueError("`persistent` and `writes_per_day` are for points that are written")
        if self.scale is not None and self.type in {"text", "bool", "f32", "f64"}:
            raise ValueError("`scale` is for integers")
        if self.access == "w" and self.poll != "never":
            raise ValueError("a write-only point cannot be polled; set poll `never`")
        return self

    @property
    def registers(self) -> int:
        """Registers (or bits, for type `bool`) that the point fills."""
        return self.count or REGISTERS.get(self.type, 1)

    def sentinel_list(self) -> list[int] | None:
        """The point's own sentinels, None when the profile's defaults decide."""
        return [self.sentinel] if isinstance(self.sentinel, int) else self.sentinel


def _check_sentinels(kind: PointType, sentinels: list[int]) -> None:
    limits = _INTEGER_RANGE.get(kind)
    for raw in sentinels:
        if limits is None or not limits[0] <= raw <= limits[1]:
            raise ValueError(f"sentinel {raw} is not a value of type `{kind}`")


class Alive(Strict):
    """A counter that moves while the device's data is alive."""

    point: Name
    """Must change while everything works; poll `fast`."""
    within: float = Field(gt=0, le=600)
    """Seconds after which an unchanged counter means that every value of the device is frozen."""


class Fingerprint(Strict):
    """One thing by which this device can be told from others, for `bessai probe`.

    With `matches` a text must fit, with `equals` a number must be one of those; with neither the point must be
    readable and plausible.
    """

    point: Name | None = None
    object: Literal["vendor", "product", "revision", "model"] | None = None
    """Object of the device identification (function 43/14) instead of a point."""
    matches: str | None = None
    """Regular expression, searched for in the text."""
    equals: list[float] | None = None
    """Values in the point's unit."""
    identity: bool = False
    """True: a device that answers otherwise is another one, and is neither trusted nor written to."""

    @model_validator(mode="after")
    def _one(self) -> Fingerprint:
        if (self.point is None) == (self.object is None):
            raise ValueError("name either a `point` or an `object`")
        if self.object is not None and self.matches is None:
            raise ValueError("an `object` needs `matches`")
        if self.matches is not None and self.equals is not None:
            raise ValueError("give `matches` or `equals`, not both")
        if self.identity and (self.point is None or (self.matches is None and self.equals is None)):
            raise ValueError("`identity` needs a `point` with `matches` or `equals`")
        try:
            re.compile(self.matches or "")
        except re.error as error:
            raise ValueError(f"`matches` is no regular expression: {error}") from None
        return self


class FieldTest(Strict):
    """Evidence that the profile worked on a real device."""

    date: str = Field(pattern=r"^\d{4}-\d\d-\d\d$")
    device: str
    """Exact model and firmware."""
    what: str
    """What was tried and seen."""
    where: str
    """Where the record of it can be read."""


class Profile(Strict):
    """One device model."""

    json_schema: str | None = Field(default=None, alias="$schema")
    schema_version: Literal[1]
    id: Name
    """Equal to the file's name without `.json`."""
    manufacturer: str
    model: str
    """The models and firmware that this profile is for."""
    kinds: Annotated[
        list[Literal["battery", "inverter", "pcs", "meter", "bms", "weather"]], Field(min_length=1)
    ]
    status: Literal["documented", "cross-checked", "field-tested"]
    """`documented`: from one source; `cross-checked`: every address in a second source as well;
    `field-tested`: tried on a real device, with the evidence in `field_tests`."""
    field_tests: list[FieldTest] = Field(default_factory=list)
    connection: Connection = Connection()
    sentinels: dict[PointType, list[int]] = Field(default_factory=dict)
    """Raw values that mean not available, by type, for points that do not say otherwise."""
    points: Annotated[dict[Name, Point], Field(min_length=1)]
    control: Control | None = None
    dead_man: DeadMan | None = None
    alive: Alive | None = None
    fingerprint: list[Fingerprint] = Field(default_factory=list)
    caveats: list[Caveat] = Field(default_factory=list)
    sources: Annotated[dict[SourceId, Source], Field(min_length=1)]

    @field_validator("sentinels")
    @classmethod
    def _of_type(cls, value: dict[PointType, list[int]]) -> dict[PointType, list[int]]:
        for kind, sentinels in value.items():
            _check_sentinels(kind, sentinels)
        return value


def profile_json_schema() -> dict[str, Any]:
    """The JSON Schema of a profile, as published in `registry/profile.schema.json`."""
    schema = Profile.model_json_schema(by_alias=True)
    close(schema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "BESSAI device profile",
    }


def close(schema: Any) -> None:
    """Forbid keys that match no pattern: pydantic does, its JSON Schema does not say so."""
    if isinstance(schema, list):
        for item in schema:
            close(item)
    elif isinstance(schema, dict):
        if "patternProperties" in schema:
            schema["additionalProperties"] = False
        for item in schema.values():
            close(item)
