"""Numbers that no plant has: the counter that shows a device's data alive, and the absurd value of a spike."""

from __future__ import annotations

import math
from collections.abc import Callable

from bessai.registry.schema import Point
from bessai.twin.plant import Plant
from bessai.twin.registers import pack_raw

_FLOAT_TOP = 1 << 24
"""Above this a 32-bit float skips whole numbers."""


def alive_counter(point: Point, sentinels: frozenset[int]) -> Callable[[Plant], float]:
    """A value that counts up once a simulated second, through all that the point may hold, and starts again.

    Neither a sentinel nor a value out of the point's `valid` is passed.
    """
    low, high = 0, largest_raw(point, frozenset())
    high = min([high, *(raw - 1 for raw in sentinels if raw > 0)])
    if point.valid is not None:
        ends = sorted((bound - point.offset) / point.gain for bound in point.valid)
        low, high = max(low, math.ceil(ends[0])), min(high, math.floor(ends[1]))
    count = max(1, high - low + 1)

    def value(plant: Plant) -> float:
        return (low + int(plant.time) % count) * point.gain + point.offset

    return value


def largest_raw(point: Point, sentinels: frozenset[int]) -> int:
    """The largest number that the point's type holds and that is no sentinel."""
    if point.type == "bool":
        return 1
    if point.type[0] == "f":
        return _FLOAT_TOP
    raw = (1 << (int(point.type[1:]) - (point.type[0] == "i"))) - 1
    while raw in sentinels:
        raw -= 1
    return raw


def absurd_words(point: Point, sentinels: frozenset[int]) -> list[int]:
    """Words that are a number and cannot be true: the largest that fits; nothing for a text."""
    return [] if point.type == "text" else pack_raw(point, largest_raw(point, sentinels))
