"""Every value that the gateway knows now."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import ConfigDict

from bessai.interfaces.api.answers import Answer, errors, finite
from bessai.interfaces.api.context import Context, of
from bessai.interfaces.api.problems import Problem
from bessai.interfaces.api.roles import Role, needs
from bessai.interfaces.api.values import Values
from bessai.model import SHARED_POINTS

router = APIRouter(tags=["points"], dependencies=[Depends(needs(Role.VIEWER))])

_CELL = re.compile(r"^(?:(?P<device>.+)\.)?cell_(?P<kind>voltage|temperature)_(?P<number>\d+)$", re.ASCII)
_EXAMPLE: dict[str, Any] = {
    "name": "soc", "unit": "%", "device": None, "value": 50.0, "quality": "good", "age": 0.431, "meaning": None,
    "shared": True, "alarm": None,
}  # fmt: skip


class Point(Answer):
    """One value."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    name: str
    unit: str | None
    device: str | None
    """Null: the plant's own point, or of the only device of a site without a site file."""
    value: float | None
    quality: str
    age: float | None
    """Seconds since it was measured; null: never."""
    meaning: str | list[str] | None
    """The name of a state, or of the bits that are set."""
    shared: bool
    """The name means the same on every device."""
    alarm: str | None
    """Code of a condition that stands and names this point."""


class Points(Answer):
    """Some of the points, by their place in the plant."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"points": [_EXAMPLE], "total": 1}]})

    points: list[Point]
    total: int
    """How many there are that fit."""


class PointInDetail(Point):
    """One value, and where it comes from."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **_EXAMPLE, "profile": "huawei_sun2000", "address": 37760, "table": "holding", "registers": 1,
                    "function": 3, "type": "u16", "gain": 0.1, "offset": 0.0, "raw": ["0x01F4"],
                    "raw_age": 0.431, "poll": "fast", "read_every": 1.0,
                    "valid": [0.0, 100.0], "description": "State of charge of the battery", "sources": [],
                    "computed_from": [],
                }
            ]
        }
    )  # fmt: skip

    profile: str | None
    address: int | None
    """Register of the device, counted from 0; null: computed by the gateway."""
    table: str | None
    function: int | None
    """Function code of the protocol that reads it."""
    registers: int | None
    type: str | None
    gain: float | None
    offset: float | None
    raw: list[str] | None
    """Its registers as they last came, in the order of the wire, such as `0x01F4`; of a bit `0` or `1`. Null: they
    never came, or the gateway computes the point. Nothing is read for this."""
    raw_age: float | None
    """Seconds since they were asked for."""
    poll: str | None
    read_every: float | None
    """Seconds; null: once a connection, or never by itself."""
    valid: list[float] | None
    """Lowest and highest value that can be."""
    description: str | None
    sources: list[str]
    """Where the register was read: titles of documents."""
    computed_from: list[str]
    """Devices whose values a plant's own point is made of."""


class Cells(Answer):
    """The numbered cells of a device, of one kind."""

    device: str | None
    kind: str
    unit: str | None
    names: list[str]
    """In order of their numbers."""
    values: list[float | None]
    quality: list[str]
    ages: list[float | None]
    """Seconds."""
    min: float | None
    """Of the good ones; null when there is none. So are max and mean."""
    max: float | None
    mean: float | None


class AllCells(Answer):
    """All cells."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "groups": [
                        {"device": "rack_2", "kind": "voltage", "unit": "V", "names": ["rack_2.cell_voltage_1"],
                         "values": [3.31], "quality": ["good"], "ages": [1.2], "min": 3.31, "max": 3.31, "mean": 3.31}
                    ]
                }
            ]
        }
    )  # fmt: skip

    groups: list[Cells]


@router.get("/points")
async def points(
    context: Annotated[Context, Depends(of)],
    names: Annotated[
        str | None, Query(max_length=20_000, pattern="^[ -~]*$", description="Names, comma between them.")
    ] = None,
    search: Annotated[
        str | None, Query(max_length=100, description="A part of the name or the description.")
    ] = None,
    device: Annotated[str | None, Query(max_length=100, description="Name of a device.")] = None,
    limit: Annotated[int, Query(ge=1, le=20_000, description="Most points.")] = 1000,
) -> Points:
    """The points now. A name that there is not is left out."""
    status = await context.gateway.status()
    wanted = None if names is None else {name.strip() for name in names.split(",")}
    alarms = _alarms(status)
    found = []
    values = Values(status, context.live)
    for name in values:
        if (wanted is None or name in wanted) and (device is None or (_device(name) or "") == device):
            if search is not None and search.lower() not in f"{name} {_description(name)}".lower():
                continue
            found.append(name)
    return Points(
        points=[Point(**_point(name, values[name], alarms)) for name in found[:limit]], total=len(found)
    )


@router.get("/points/{name}", responses=errors(404))
async def point(name: str, context: Annotated[Context, Depends(of)]) -> PointInDetail:
    """One point, and where its value comes from."""
    status = await context.gateway.status()
    told = Values(status, context.live).get(name)
    if told is None:
        raise Problem(404, "no_such_point", f"there is no point {name[:80]!r}")
    found = (await context.gateway.ask({"op": "point", "name": name}))["point"]
    fields = (
        "profile", "address", "table", "function", "registers", "type", "gain", "offset", "raw", "raw_age", "poll",
        "read_every", "valid",
    )  # fmt: skip
    return PointInDetail(
        **_point(name, told, _alarms(status)),
        **{field: found.get(field) for field in fields},
        description=found.get("description") or _description(name) or None,
        sources=found.get("sources") or [],
        computed_from=found.get("computed_from") or [],
    )


@router.get("/cells")
async def cells(context: Annotated[Context, Depends(of)]) -> AllCells:
    """Every numbered cell, such as `cell_voltage_17` or `rack_2.cell_temperature_4`, by device and kind."""
    status = await context.gateway.status()
    groups: dict[tuple[str, str], list[tuple[int, str, Mapping[str, Any]]]] = {}
    values = Values(status, context.live)
    for name in values:
        if (match := _CELL.match(name)) is not None:
            key = (match["device"] or "", match["kind"])
            groups.setdefault(key, []).append((int(match["number"]), name, values[name]))
    return AllCells(groups=[_group(device, kind, found) for (device, kind), found in groups.items()])


def _group(device: str, kind: str, found: list[tuple[int, str, Mapping[str, Any]]]) -> Cells:
    found.sort(key=lambda cell: cell[0])
    known = [
        value
        for _, _, told in found
        if told["quality"] == "good" and (value := finite(told["value"])) is not None
    ]
    return Cells(
        device=device or None,
        kind=kind,
        unit=found[0][2]["unit"],
        names=[name for _, name, _ in found],
        values=[finite(told["value"]) for _, _, told in found],
        quality=[told["quality"] for _, _, told in found],
        ages=[finite(told["age"]) for _, _, told in found],
        min=min(known, default=None),
        max=max(known, default=None),
        mean=sum(known) / len(known) if known else None,
    )


def _point(name: str, told: Mapping[str, Any], alarms: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": name,
        "unit": told["unit"],
        "device": _device(name),
        "value": finite(told["value"]),
        "quality": told["quality"],
        "age": finite(told["age"]),
        "meaning": told.get("meaning"),
        "shared": name.rpartition(".")[2] in SHARED_POINTS,
        "alarm": alarms.get(name),
    }


def _alarms(status: Mapping[str, Any]) -> dict[str, str]:
    """Code by point; the status lists the most severe first."""
    found: dict[str, str] = {}
    for condition in status["conditions"]:
        if condition["point"] is not None:
            found.setdefault(condition["point"], condition["code"])
    return found


def _device(name: str) -> str | None:
    return name.rpartition(".")[0] or None


def _description(name: str) -> str:
    shared = SHARED_POINTS.get(name.rpartition(".")[2])
    return shared.description if shared is not None else ""
