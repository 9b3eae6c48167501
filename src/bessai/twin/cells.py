"""The single cells of a pack, as a BMS that reads them one by one shows them: `cell_voltage_17`, `cell_temperature_4`.

Each cell has its place between the pack's lowest and highest one, most of them near the middle, and keeps it: a cell
with more resistance sags first and rises first. There is a sensor of temperature for every second cell.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bessai.registry import Profile
    from bessai.twin.plant import Plant

_NUMBERED = re.compile(r"cell_(voltage|temperature)_0*([1-9]\d*)", re.ASCII)
_GOLDEN = 0.6180339887498949
_UNITS = {"voltage": "V", "temperature": "°C"}


def cell_of(name: str, unit: str | None, plant: Plant) -> Callable[[Plant], float] | None:
    """How to read the point of a single cell; None when it is none, or the pack has no such cell."""
    match = _NUMBERED.fullmatch(name)
    if match is None or unit != _UNITS[match[1]]:
        return None
    number, cells = int(match[2]), plant.config.battery.cells
    count = cells if match[1] == "voltage" else (cells + 1) // 2
    if number > count:
        return None
    share = _shares(count, plant.seed)[number - 1]

    def voltage(plant: Plant) -> float:
        low, high = plant.battery.cell_voltages()
        return low + share * (high - low)

    def temperature(plant: Plant) -> float:
        low, high = plant.battery.cell_temperatures()
        return low + share * (high - low)

    return voltage if match[1] == "voltage" else temperature


def cells_of(profile: Profile) -> int | None:
    """How many cells a profile lists one by one; None when it lists none."""
    found = [match for match in map(_NUMBERED.fullmatch, profile.points) if match and match[1] == "voltage"]
    return len(found) or None


@lru_cache(64)
def _shares(count: int, seed: int) -> tuple[float, ...]:
    """From 0, the lowest, to 1, the highest; exactly one cell is at each end where there are several."""
    if count == 1:
        return (0.5,)
    order = sorted(range(count), key=lambda n: ((n + 1) * (seed % 1009 + 1) * _GOLDEN) % 1)
    shares = [0.0] * count
    for rank, n in enumerate(order):
        shares[n] = 0.5 + 0.5 * (2 * rank / (count - 1) - 1) ** 3
    return tuple(shares)
