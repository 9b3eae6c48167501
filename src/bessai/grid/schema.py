"""The schema of GRID_FILE. Used while loading only; the running gateway works on `GridConfig`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from bessai.grid.parameters import PARAMETERS, Parameter
from bessai.grid.records import RecordSettings
from bessai.registry.base import Strict

Positive = Annotated[float, Field(gt=0)]
PointName = Annotated[str, Field(min_length=1, max_length=128)]
Pair = tuple[float, float]
CapabilityPoint = tuple[float, float, float]


class PlantEntry(Strict):
    """Sizes at the point of connection."""

    rated_power: Positive
    """kW, Pn."""
    rated_apparent_power: Positive
    """kVA, Sn."""
    nominal_voltage: Positive
    """V, as the voltage point measures it."""
    nominal_frequency: Literal[50, 60] = 50
    """Hz."""
    converters: Literal["gfm", "gfl"] = "gfm"
    """Grid-forming or grid-following."""
    short_circuit_power: Positive | None = None
    """kVA at the point of connection; unset: a weak grid is assumed."""


class PointsEntry(Strict):
    """Names of points of the site; unset: the usual ones, where the site has them."""

    frequency: PointName | None = None
    """Hz."""
    voltage: PointName | None = None
    """V."""
    active_power: PointName | None = None
    """kW at the point of connection, + = export."""
    reactive_power: PointName | None = None
    """kvar at the point of connection, + = export."""
    soc: PointName | None = None
    """%."""
    converters: PointName | None = None
    """The device's own word on grid-forming or grid-following."""


class FallbackEntry(Strict):
    """What counts when AGC is on and falls silent."""

    after: Annotated[float, Field(ge=1, le=3600)]
    """Seconds without a command."""
    values: dict[str, Any]
    """Commands, by parameter."""


class GridFile(Strict):
    """The grid functions of one plant."""

    plant: PlantEntry
    points: PointsEntry = PointsEntry()
    values: dict[str, Any] = Field(default_factory=dict)
    """Values at the first start, by parameter."""
    bounds: dict[str, Pair] = Field(default_factory=dict)
    """[lowest, highest] that this site allows, inside the limits of the code."""
    capability: list[CapabilityPoint] = Field(default_factory=list)
    """[kW, lowest kvar, highest kvar], kW ascending; unset: the circle of the rated apparent power."""
    drift: dict[str, PointName] = Field(default_factory=dict)
    """Parameter to the point that reads the device's own setting back."""
    fallback: FallbackEntry | None = None
    records: RecordSettings = RecordSettings()

    @field_validator("bounds", "capability", mode="before")
    @classmethod
    def _tuples(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: tuple(item) if isinstance(item, list) else item for key, item in value.items()}
        if isinstance(value, list):
            return [tuple(item) if isinstance(item, list) else item for item in value]
        return value


def grid_json_schema() -> dict[str, Any]:
    """The JSON Schema of a grid file, as published in `config/grid.schema.json`."""
    schema = GridFile.model_json_schema()
    values = {name: _value(one) for name, one in PARAMETERS.items()}
    commands = {name: values[name] for name, one in PARAMETERS.items() if one.kind == "command"}
    numbers = [name for name, one in PARAMETERS.items() if one.type == "number"]
    properties = schema["properties"]
    for entry, allowed in (
        (properties["values"], values),
        (schema["$defs"]["FallbackEntry"]["properties"]["values"], commands),
    ):
        entry["properties"], entry["additionalProperties"] = allowed, False
    properties["bounds"]["propertyNames"] = {"enum": numbers}
    properties["drift"]["propertyNames"] = {"enum": list(PARAMETERS)}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "BESSAI grid file"}


def _value(one: Parameter) -> dict[str, Any]:
    text = f"{one.description_en} {one.clause}".strip()
    if one.type == "switch":
        return {"type": "boolean", "description": text}
    if one.type == "choice":
        return {"enum": list(one.choices), "description": text}
    number: dict[str, Any] = {"type": "number"}
    number |= {} if one.low is None else {"minimum": one.low}
    number |= {} if one.high is None else {"maximum": one.high}
    text = f"{one.unit}. {text}" if one.unit else text
    if one.choices:
        return {"anyOf": [number, {"enum": list(one.choices)}], "description": text}
    return {**number, "description": text}
