"""The grid functions: what is in force, the curve they follow, where the plant is on it, and who changed what."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import ConfigDict

from bessai.grid import GridConfig
from bessai.grid.frequency import asked_share
from bessai.grid.settings import FrequencySettings
from bessai.interfaces.api.answers import Answer, finite, time_text
from bessai.interfaces.api.context import Context, of
from bessai.interfaces.api.roles import Role, needs

router = APIRouter(tags=["grid"], dependencies=[Depends(needs(Role.VIEWER))])

_SPAN, _STEP = 3.0, 0.01
"""Hz to either side of nominal that are drawn, and between two points."""
_LARGEST = 32 << 20
"""Bytes of a report that are read."""


class Droop(Answer):
    """Active power that the frequency asks for, within the authority, whatever the battery has left."""

    points: list[list[float]]
    """Hz and kW."""
    enabled: bool


class Operating(Answer):
    """Where the plant is on it."""

    frequency: float | None
    """Hz."""
    power: float | None
    """kW that answer the frequency; null: the response is off."""


class Test(Answer):
    """The last self-test of which a report is stored."""

    file: str
    """Within the data directory."""
    date: str | None
    where: str | None
    verdict: str | None
    counts: dict[str, int]


class Grid(Answer):
    """The grid functions."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "config": {"rated_power": 10.0, "nominal_frequency": 50.0}, "parameters": {}, "functions": {},
                    "droop": {"points": [[49.0, 6.0], [50.0, 0.0], [51.0, -6.0]], "enabled": True},
                    "operating": {"frequency": 50.01, "power": 0.0}, "last_test": None, "changes": [], "commands": [],
                }
            ]
        }
    )  # fmt: skip

    config: dict[str, Any] | None
    """Sizes and points of the plant; null: there are no grid functions."""
    parameters: dict[str, Any] | None
    """Each with value, limits, clause and who set it."""
    functions: dict[str, Any] | None
    """Their inputs, outputs and what limits them."""
    droop: Droop | None
    operating: Operating | None
    last_test: Test | None
    changes: list[dict[str, Any]]
    """Of parameters, oldest first."""
    commands: list[dict[str, Any]]
    """Of the grid operator and others, oldest first."""


@router.get("/grid")
async def grid(context: Annotated[Context, Depends(of)]) -> Grid:
    """Parameters in force, the frequency's curve, the operating point, and the record of changes."""
    test = await context.read(lambda: _last_test(context.settings.data_dir))
    plant = (await context.gateway.configuration())["grid"]
    if plant is None:
        return Grid(
            config=None, parameters=None, functions=None, droop=None, operating=None, last_test=test, changes=[],
            commands=[],
        )  # fmt: skip
    told = (await context.gateway.ask({"op": "grid"}))["grid"]
    record = await context.gateway.ask({"op": "grid_history"})
    functions = told["functions"]
    values = {name: one["value"] for name, one in told["parameters"].items()}
    return Grid(
        config=plant,
        parameters=told["parameters"],
        functions=functions,
        droop=droop(plant, values),
        operating=Operating(
            frequency=finite(functions["inputs"]["frequency"]),
            power=finite(functions["frequency"]["offset"]),
        ),
        last_test=test,
        changes=[_change(one) for one in record["history"]],
        commands=[_change(one) for one in record["commands"]],
    )


def droop(plant: Mapping[str, Any], values: Mapping[str, Any]) -> Droop:
    """The curve of the parameters in force, by the functions that the control cycle uses."""
    config = GridConfig(
        rated_power=plant["rated_power"],
        rated_apparent_power=plant["rated_apparent_power"],
        nominal_voltage=plant["nominal_voltage"],
        nominal_frequency=plant["nominal_frequency"],
    )
    settings = FrequencySettings.of(config, values)
    nominal = config.nominal_frequency
    points = []
    for i in range(round(-_SPAN / _STEP), round(_SPAN / _STEP) + 1):
        share = asked_share(settings, nominal, i * _STEP)
        share = min(max(share, -settings.down), settings.up)
        points.append([round(nominal + i * _STEP, 4), round(share * config.rated_power, 6) + 0.0])
    straight = [
        point
        for i, point in enumerate(points)
        if not 0 < i < len(points) - 1 or _bends(points[i - 1 : i + 2])
    ]
    return Droop(points=straight, enabled=settings.enabled)


def _bends(three: list[list[float]]) -> bool:
    (_, a), (_, b), (_, c) = three
    return abs((b - a) - (c - b)) > 1e-5


def _change(one: Mapping[str, Any]) -> dict[str, Any]:
    wall_ns = one.get("wall_ns")
    rest = {name: value for name, value in one.items() if name != "wall_ns"}
    return {"time": time_text(wall_ns) if isinstance(wall_ns, int) else None, **rest}


def _last_test(directory: Path) -> Test | None:
    """The newest `report.json` of a self-test in the data directory or a folder of it."""
    found = [*directory.glob("report.json"), *directory.glob("*/report.json")]
    for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            if path.stat().st_size > _LARGEST:
                continue
            told = json.loads(path.read_text(encoding="utf-8"))
            counts = {str(name): int(count) for name, count in told["counts"].items()}
            return Test(
                file=str(path.relative_to(directory)),
                date=told.get("date"),
                where=told.get("where"),
                verdict=told.get("verdict"),
                counts=counts,
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return None
