"""Reads GRID_FILE."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bessai.grid.config import GridConfig, GridPoints
from bessai.grid.parameters import PARAMETERS, Value
from bessai.grid.records import RecordSettings
from bessai.grid.schema import FallbackEntry, GridFile, PlantEntry, PointsEntry
from bessai.registry import Problem
from bessai.registry.problems import at, explain, shorten
from bessai.site.reading import SiteError, read_mapping

_FIELDS = sorted(
    {
        name
        for model in (GridFile, PlantEntry, PointsEntry, FallbackEntry, RecordSettings)
        for name in model.model_fields
    }
)


class GridError(ValueError):
    """A grid file that cannot be used. `problems` lists all that is wrong with it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def load_grid(path: Path | str, layout_names: Collection[str]) -> GridConfig:
    """Read and check a grid file.

    Args:
        path: the file.
        layout_names: the points of the site.

    Raises:
        GridError: with all problems.
    """
    path = Path(path)
    try:
        document = read_mapping(path, "grid file", "`plant`; see config/grid.example.yaml")
    except SiteError as error:
        raise GridError(error.problems) from None
    try:
        entries = GridFile.model_validate(document)
    except ValidationError as error:
        raise GridError(explain(error, str(path), document, _FIELDS)) from None
    loader = _Loader(str(path), document, frozenset(layout_names))
    config = loader.config(entries)
    if loader.problems:
        raise GridError(loader.problems)
    return config


class _Loader:
    def __init__(self, file: str, document: Any, names: frozenset[str]) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._document = document
        self._names = names

    def config(self, entries: GridFile) -> GridConfig:
        plant = entries.plant
        config = GridConfig(
            rated_power=plant.rated_power,
            rated_apparent_power=plant.rated_apparent_power,
            nominal_voltage=plant.nominal_voltage,
            nominal_frequency=float(plant.nominal_frequency),
            converters=plant.converters,
            short_circuit_power=plant.short_circuit_power,
            points=self._points(entries.points),
            capability=tuple(entries.capability),
            drift=entries.drift,
            fallback_after=entries.fallback.after if entries.fallback else None,
        )
        if plant.rated_apparent_power < plant.rated_power:
            self._problem(["plant", "rated_apparent_power"], "is less than rated_power; check both")
        self._capability(entries.capability)
        config = replace(config, bounds=self._bounds(config, entries.bounds))
        config = replace(config, values=self._values(config, ["values"], entries.values))
        for name, mend in config.contradictions({name: config.default(name) for name in PARAMETERS}):
            self._problem(["values", name], mend)
        self._drift(entries.drift)
        if entries.fallback is None:
            return config
        where = ["fallback", "values"]
        values = self._values(config, where, entries.fallback.values)
        for name in values:
            if PARAMETERS[name].kind != "command":
                self._problem([*where, name], "needs an authorisation to change; leave it out")
        return replace(config, fallback=values)

    def _problem(self, path: list[str], mend: str) -> None:
        value = at(self._document, path)
        self.problems.append(Problem(self._file, ".".join(path), shorten(value), mend))

    def _points(self, entry: PointsEntry) -> GridPoints:
        usual = GridPoints()
        found: dict[str, str | None] = {}
        for field in PointsEntry.model_fields:
            name = getattr(entry, field)
            if name is not None and self._is_point(["points", field], name):
                found[field] = name
            elif name is None and getattr(usual, field) in self._names:
                found[field] = getattr(usual, field)
            else:
                found[field] = None
        return GridPoints(**found)

    def _is_point(self, path: list[str], name: str) -> bool:
        if name in self._names:
            return True
        near = difflib.get_close_matches(name, self._names, 1)
        hint = f"; did you mean {near[0]}?" if near else "; see `points` of the site file"
        self._problem(path, f"the site has no such point{hint}")
        return False

    def _is_parameter(self, path: list[str], name: str) -> bool:
        if name in PARAMETERS:
            return True
        inside = next((one for one in PARAMETERS if one.startswith(f"{name}.")), "")
        near = difflib.get_close_matches(name, PARAMETERS, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        hint = f"; write whole names, for example {inside}" if inside else hint
        self._problem(path, f"there is no such parameter{hint}")
        return False

    def _bounds(
        self, config: GridConfig, entries: Mapping[str, tuple[float, float]]
    ) -> dict[str, tuple[float, float]]:
        bounds: dict[str, tuple[float, float]] = {}
        for name, (low, high) in entries.items():
            if not self._is_parameter(["bounds", name], name):
                continue
            limits = config.limits(name)
            if limits is None:
                self._problem(["bounds", name], "is no number and has no bounds; leave it out")
            elif not limits[0] <= low <= high <= limits[1]:
                self._problem(["bounds", name], f"give [lowest, highest] inside {config.range_text(name)}")
            else:
                bounds[name] = (low, high)
        return bounds

    def _values(self, config: GridConfig, where: list[str], entries: Mapping[str, Any]) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for name, given in entries.items():
            if not self._is_parameter([*where, name], name):
                continue
            value = given
            if value is False and "off" in PARAMETERS[name].choices:  # YAML reads a plain `off` as false
                value = "off"
            try:
                values[name] = config.checked(name, value)
            except ValueError as error:
                self._problem([*where, name], str(error))
        return values

    def _capability(self, points: list[tuple[float, float, float]]) -> None:
        where = ["capability"]
        if len(points) == 1:
            self._problem(where, "needs two points at least, or none")
        for i, (power, low, high) in enumerate(points):
            if not low <= 0 <= high:
                self._problem([*where, str(i)], "the lowest kvar must be 0 or less, the highest 0 or more")
            if i and power <= points[i - 1][0]:
                self._problem([*where, str(i)], "kW must ascend from point to point")

    def _drift(self, entries: Mapping[str, str]) -> None:
        for name, point in entries.items():
            if self._is_parameter(["drift", name], name):
                self._is_point(["drift", name], point)
