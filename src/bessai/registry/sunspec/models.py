"""The official SunSpec model definitions as small dataclasses, read from the files of `pysunspec2`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class PointDef:
    """One point of a model."""

    name: str
    type: str
    """SunSpec type: `int16`, `sunssf`, `enum16`, `string` …"""
    size: int
    """Registers."""
    scale: str | int | None
    """Name of the scale factor point, a fixed exponent of ten, or None."""
    unit: str | None
    writable: bool
    mandatory: bool
    symbols: Mapping[int, str]
    """Meanings of an enumeration's numbers or of a bit field's bits."""
    description: str


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupDef:
    """Points, and the groups that follow them."""

    name: str
    points: tuple[PointDef, ...]
    groups: tuple[GroupDef, ...]
    count: str | int
    """Repetitions: a number (0: as many as the model's length holds), or the point that tells it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelDef:
    """One model. The first two points of its group are the header `ID` and `L`."""

    id: int
    label: str
    group: GroupDef


@cache
def known_models() -> frozenset[int]:
    """Ids of all models that have an official definition; empty when `pysunspec2` is not installed."""
    try:
        directory = resources.files("sunspec2") / "models" / "json"
        names = [item.name for item in directory.iterdir()]
    except (ModuleNotFoundError, FileNotFoundError):
        return frozenset()
    stems = (name[6:-5] for name in names if name.startswith("model_") and name.endswith(".json"))
    return frozenset(int(stem) for stem in stems if stem.isdecimal())


@cache
def load_model(number: int) -> ModelDef | None:
    """The definition of a model, None when there is no official one."""
    if number not in known_models():
        return None
    file = resources.files("sunspec2") / "models" / "json" / f"model_{number}.json"
    group = json.loads(file.read_text(encoding="utf-8"))["group"]
    return ModelDef(id=number, label=group.get("label", group["name"]), group=_group(group))


def _group(data: Mapping[str, Any]) -> GroupDef:
    return GroupDef(
        name=data["name"],
        points=tuple(_point(point) for point in data.get("points", ())),
        groups=tuple(_group(group) for group in data.get("groups", ())),
        count=data.get("count", 1),
    )


def _point(data: Mapping[str, Any]) -> PointDef:
    return PointDef(
        name=data["name"],
        type=data["type"],
        size=data["size"],
        scale=data.get("sf"),
        unit=(data.get("units") or "").strip() or None,
        writable=data.get("access") == "RW",
        mandatory=data.get("mandatory") == "M",
        symbols={symbol["value"]: symbol["name"] for symbol in data.get("symbols", ())},
        description=data.get("label") or data["name"],
    )
