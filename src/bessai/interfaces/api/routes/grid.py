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
from bessai.interfaces.api.spoken import Tongue, spoken

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


class Both(Answer):
    """A text in both languages."""

    en: str
    es: str


class Tested(Answer):
    """One row of a self-test."""

    name: str
    clause: str
    """Article of the grid code."""
    verdict: str
    """`pass`, `fail` or `not tested`."""
    requirement: Both | None
    limit: Both | None
    """What had to be kept; null: the report does not say it in words. So is `found`."""
    found: Both | None
    """What was measured."""
    reason: Both | None
    """Why it failed or was not tested, or what else there is to say; null: nothing."""


class Test(Answer):
    """The last self-test of which a report is stored."""

    file: str
    """Within the data directory."""
    date: str | None
    where: str | None
    verdict: str | None
    counts: dict[str, int]
    rows: list[Tested]
    """As in the report; one that cannot be read is left out."""
    site: str | None
    """What was tested: the simulated plant, or the site's name."""
    version: str | None
    """Of the gateway's software."""
    sabotage: str | None
    """The deliberate fault, when there was one."""


class Grid(Answer):
    """The grid functions."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "config": {"rated_power": 10.0, "nominal_frequency": 50.0}, "parameters": {}, "functions": {},
                    "droop": {"points": [[49.0, 6.0], [50.0, 0.0], [51.0, -6.0]], "enabled": True},
                    "operating": {"frequency": 50.01, "power": 0.0}, "changes": [], "commands": [],
                    "last_test": {
                        "file": "selftest/report.json", "date": "2026-11-29T09:41:16+00:00", "where": "twin",
                        "verdict": "pass", "counts": {"pass": 1, "fail": 0, "not tested": 0}, "site": "gridcode-bench",
                        "version": "0.1.0", "sabotage": None,
                        "rows": [
                            {"name": "frequency_dead_band.edge", "clause": "AT-IBR Art. 3-6 f", "verdict": "pass",
                             "requirement": {"en": "Dead band of the frequency response, to either side.",
                                             "es": "Banda muerta de la respuesta en frecuencia, a cada lado."},
                             "limit": {"en": "≤ 30 mHz", "es": "≤ 30 mHz"},
                             "found": {"en": "20.6 mHz", "es": "20,6 mHz"}, "reason": None}
                        ],
                    },
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
async def grid(context: Annotated[Context, Depends(of)], tongue: Tongue) -> Grid:
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
        changes=[spoken(_change(one), tongue) for one in record["history"]],
        commands=[spoken(_change(one), tongue) for one in record["commands"]],
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
            rows = told.get("rows")
            return Test(
                file=str(path.relative_to(directory)),
                date=told.get("date"),
                where=told.get("where"),
                verdict=told.get("verdict"),
                counts=counts,
                rows=list(filter(None, map(_tested, rows))) if isinstance(rows, list) else [],
                site=told.get("site"),
                version=told.get("version"),
                sabotage=told.get("sabotage"),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return None


def _tested(row: object) -> Tested | None:
    if not isinstance(row, Mapping) or not all(
        isinstance(row.get(k), str) for k in ("name", "clause", "verdict")
    ):
        return None
    said = row.get("said")
    said = said if isinstance(said, Mapping) else {}
    return Tested(
        name=row["name"],
        clause=row["clause"],
        verdict=row["verdict"],
        requirement=_both(row.get("requirement")),
        limit=_both(said.get("limit")),
        found=_both(said.get("found")),
        reason=_both(row.get("note")),
    )


def _both(text: object) -> Both | None:
    if not isinstance(text, Mapping) or not all(isinstance(text.get(k), str) for k in ("en", "es")):
        return None
    return Both(en=text["en"], es=text["es"]) if text["en"] else None
