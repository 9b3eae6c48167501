"""SunSpec chains and register maps for tests."""

from __future__ import annotations

from collections.abc import Mapping

from bessai.registry import Profile
from bessai.registry.sunspec import Chain, GroupDef, ModelAt, load_model, sunspec_profile
from bessai.registry.sunspec.discovery import END, MARKER

DER = {1: 66, 701: None, 702: None, 703: None, 704: None, 713: None, 714: 18 + 2 * 25, 715: None, 802: None}
"""A storage inverter with DER models; lengths where the defined one does not do."""
LEGACY = {1: 65, 103: None, 120: None, 121: None, 122: None, 123: None, 124: None, 160: 8 + 2 * 20}
"""A hybrid inverter with the older models."""


def length_of(number: int) -> int:
    """The defined length of a model, with each repeating group once."""

    def size(group: GroupDef) -> int:
        return sum(point.size for point in group.points) + sum(size(inner) for inner in group.groups)

    model = load_model(number)
    assert model is not None
    return size(model.group) - 2


def chain(models: Mapping[int, int | None], base: int = 40000) -> Chain:
    """A chain of these models and lengths (None: as defined)."""
    address, found = base + 2, []
    for number, length in models.items():
        found.append(ModelAt(id=number, address=address, length=length or length_of(number)))
        address = found[-1].end
    return Chain(base=base, models=tuple(found))


def demo_profile(models: Mapping[int, int | None] = DER) -> Profile:
    """The profile of a made-up device."""
    return sunspec_profile(chain(models))


def registers(models: list[tuple[int, int]], base: int = 40000) -> dict[int, int]:
    """The words of a chain of (id, length), all else 0."""
    words = dict(enumerate(MARKER, base))
    address = base + 2
    for number, length in models:
        words |= dict.fromkeys(range(address, address + 2 + length), 0)
        words |= {address: number, address + 1: length}
        address += 2 + length
    return words | {address: END}
