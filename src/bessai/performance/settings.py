"""What the records need to know of a plant, from GRID_FILE."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ValidationError

from bessai.grid import GridConfig, load_grid
from bessai.grid.records import RecordSettings
from bessai.performance.law import Law
from bessai.registry.problems import explain
from bessai.site.reading import SiteError, read_mapping

ROLES = (
    "frequency", "voltage", "active_power", "reactive_power", "soc", "energy_exported", "energy_imported",
)  # fmt: skip
"""What is recorded of the point of connection."""
METERS = frozenset({"energy_exported", "energy_imported"})
"""Those that are counters."""


class _File(BaseModel):
    """The only section that is read here; the gateway has checked the rest."""

    records: RecordSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """What the records need to know of a plant."""

    nominal_frequency: float = 50.0
    """Hz."""
    nominal_voltage: float
    """V."""
    rated_power: float
    """kW."""
    points: dict[str, str | None]
    """Role to the name of its column, see `ROLES`."""
    law: Law
    """The frequency response that is expected before any change is recorded."""
    settings: RecordSettings = field(default_factory=RecordSettings)

    @classmethod
    def of(cls, grid: GridConfig, settings: RecordSettings | None = None) -> Plant:
        """The plant of a grid file."""
        settings = settings or RecordSettings()
        points = grid.points
        return cls(
            nominal_frequency=grid.nominal_frequency,
            nominal_voltage=grid.nominal_voltage,
            rated_power=grid.rated_power,
            points={
                "frequency": points.frequency,
                "voltage": points.voltage,
                "active_power": points.active_power,
                "reactive_power": points.reactive_power,
                "soc": points.soc,
                "energy_exported": settings.energy_exported,
                "energy_imported": settings.energy_imported,
            },
            law=Law.of({name: grid.default(name) for name in Law.NAMES}),
            settings=settings,
        )


def read_settings(path: Path) -> RecordSettings:
    """The section `records` of a grid file; the defaults when it has none.

    Raises:
        SiteError: with all that is wrong with it.
    """
    document = read_mapping(path, "grid file", "the plant's grid functions")
    given = {"records": document.get("records") or {}}
    try:
        return _File.model_validate(given).records
    except ValidationError as error:
        raise SiteError(explain(error, str(path), given, [*RecordSettings.model_fields])) from None


def read_plant(path: Path, names: Collection[str]) -> Plant:
    """The plant of a grid file.

    Args:
        path: the grid file.
        names: the points that the site has.

    Raises:
        GridError, SiteError: with all that is wrong with the file.
    """
    return Plant.of(load_grid(path, names), read_settings(path))
