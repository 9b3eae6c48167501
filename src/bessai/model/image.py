"""The process image: one frozen, columnar reading of the plant per cycle."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bessai.model.quality import Quality

_GOOD = int(
    Quality.GOOD
)  # a plain number: comparing with the enumeration costs more than all the rest of `good`


@dataclass(frozen=True, eq=False)
class Layout:
    """The columns of a plant's image, in order. Built once; every image and record refers to it."""

    names: tuple[str, ...]
    """Point names, unique."""
    units: tuple[str | None, ...]
    """One unit per name, None where there is none."""
    states: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    """Raw number to meaning, for enumerated points."""
    bits: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    """Bit number to meaning, for bit fields."""
    index: Mapping[str, int] = field(init=False)
    """Column of each name."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", {name: i for i, name in enumerate(self.names)})
        if len(self.index) != len(self.names) or len(self.units) != len(self.names):
            raise ValueError("a layout needs unique names and one unit for each")

    def __len__(self) -> int:
        return len(self.names)

    def meaning(self, name: str, value: float) -> str | list[str] | None:
        """The decoded state (a name) or bit field (the names of the set bits) behind a value.

        None when the point is neither, or the value is unknown (NaN). An unlisted state is None; an
        unlisted bit is `bit_N`.
        """
        if math.isnan(value) or not (name in self.states or name in self.bits):
            return None
        raw = int(value)
        if name in self.states:
            return self.states[name].get(raw)
        known = self.bits[name]
        return [known.get(i, f"bit_{i}") for i in range(raw.bit_length()) if raw >> i & 1]


@dataclass(frozen=True, slots=True, eq=False)
class ProcessImage:
    """What the gateway knows at one tick. Nothing in it changes while a cycle uses it."""

    layout: Layout
    cycle: int
    """Number of the cycle since the start."""
    monotonic: float
    """Monotonic seconds at which the image was frozen."""
    wall_ns: int
    """UTC nanoseconds at the same instant."""
    values: NDArray[np.float64]
    """One value per column, NaN where none was ever decoded."""
    quality: NDArray[np.uint8]
    """One `Quality` per column."""
    times: NDArray[np.float64]
    """Monotonic seconds at which each value was measured, NaN where never."""

    def __post_init__(self) -> None:
        for column in (self.values, self.quality, self.times):
            column.flags.writeable = False

    def good(self, name: str) -> float | None:
        """The value of a point when it is evidence, else None."""
        i = self.layout.index.get(name)
        if i is None or self.quality[i] != _GOOD:
            return None
        return float(self.values[i])

    def quality_of(self, name: str) -> Quality:
        """The quality of a point; a name that is not in the layout is missing."""
        i = self.layout.index.get(name)
        return Quality.MISSING if i is None else Quality(int(self.quality[i]))

    def ages(self) -> NDArray[np.float32]:
        """Seconds since each value was measured, NaN where never."""
        return (self.monotonic - self.times).astype(np.float32)
