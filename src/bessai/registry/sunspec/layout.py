"""Where each point of a model lies on a device: groups unrolled, cut at the length that the device tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bessai.registry.sunspec.discovery import ModelAt
from bessai.registry.sunspec.models import GroupDef, ModelDef, PointDef
from bessai.registry.sunspec.types import TYPES, snake


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """One point at its address."""

    point: PointDef
    address: int
    path: tuple[str, ...]
    """Groups and their numbers around the point: `("string", "3")`; empty at the top."""

    @property
    def local_name(self) -> str:
        """Name within the model, snake case."""
        return "_".join((*self.path, snake(self.point.name)))


def place(model: ModelDef, at: ModelAt, memory: Mapping[int, int]) -> list[Placed]:
    """The points that the device's length holds, in the order of their addresses; padding left out.

    How often a group repeats is read from its count point in `memory` (address to word); without it, groups
    repeat as often as the length allows.
    """
    found: list[Placed] = []
    _walk(model.group, at.address, at, (), memory, {}, found)
    return [placed for placed in found if placed.point.type in TYPES]


def _walk(
    group: GroupDef,
    address: int,
    at: ModelAt,
    path: tuple[str, ...],
    memory: Mapping[int, int],
    outer: Mapping[str, int],
    found: list[Placed],
) -> int:
    """Place one repetition of a group that begins at `address`; the address behind it."""
    counts = dict(outer)
    for point in group.points:
        if address + point.size <= at.end:
            found.append(Placed(point=point, address=address, path=path))
            if address in memory and memory[address] != 0xFFFF:
                counts[point.name] = memory[address]
        address += point.size
    for inner in group.groups:
        name = snake(inner.name)
        for number in _numbers(inner, counts):
            if address >= at.end:
                break
            label = (*path, name) if inner.count == 1 else (*path, name, str(number))
            address = _walk(inner, address, at, label, memory, counts, found)
    return address


def _numbers(group: GroupDef, counts: Mapping[str, int]) -> Iterator[int]:
    told = group.count if isinstance(group.count, int) else counts.get(group.count, 0)
    yield from range(1, (told or 0x10000) + 1)
