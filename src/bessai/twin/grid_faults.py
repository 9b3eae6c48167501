"""Disturbances of the grid as text, beside the faults of devices: `frequency=-0.3`, `voltage=95%`.

They are the whole site's, and last until they are cleared.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bessai.twin.grid import Grid


@dataclass(frozen=True, slots=True, kw_only=True)
class GridKind:
    """One disturbance of the table."""

    usage: str
    """How it is written."""
    meaning: str
    field: str
    """Of `Grid`."""
    calm: float
    """Its value without the disturbance."""
    parse: Callable[[str], float]
    show: Callable[[float], str]


def _hertz(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < abs(value) <= 5:
        raise ValueError("give Hz above or below, at most 5 either way")
    return value


def _percent(text: str) -> float:
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = math.nan
    if not text.endswith("%") or not 0 <= value <= 150:
        raise ValueError("give 0% ... 150% of the usual voltage")
    return value / 100


GRID_KINDS: dict[str, GridKind] = {
    "frequency": GridKind(
        usage="frequency=HZ",
        meaning="the grid's frequency is so many Hz above what it would be, or below (-0.3)",
        field="frequency_shift",
        calm=0.0,
        parse=_hertz,
        show=lambda value: f"{value:g}",
    ),
    "voltage": GridKind(
        usage="voltage=PERCENT%",
        meaning="the grid's voltage is so much of what it would be (95%)",
        field="voltage_share",
        calm=1.0,
        parse=_percent,
        show=lambda value: f"{100 * value:g}%",
    ),
}
"""Every disturbance by name."""


def parse_grid_fault(text: str) -> tuple[GridKind, float] | None:
    """The disturbance that a text asks for, and its value; None when it names none.

    Raises:
        ValueError: names the text, what is wrong and what to write instead.
    """
    rest, at, _ = text.strip().partition("@")
    name, _, value = rest.partition("=")
    kind = GRID_KINDS.get(name)
    if kind is None:
        return None
    if at:
        raise ValueError(f"fault {text!r}: the grid is the whole site's; leave out @ and what follows")
    try:
        return kind, kind.parse(value)
    except ValueError as error:
        raise ValueError(f"fault {text!r}: {error}; write {kind.usage}") from None


def active_on(grids: Iterable[Grid]) -> list[str]:
    """The disturbances that are on, as texts that `parse_grid_fault` takes."""
    found: dict[str, None] = {}
    for grid in grids:
        for name, kind in GRID_KINDS.items():
            if (value := getattr(grid, kind.field)) != kind.calm:
                found[f"{name}={kind.show(value)}"] = None
    return list(found)
