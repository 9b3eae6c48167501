"""Hours of slots of ten seconds: the evidence from which indices and availability are computed when somebody asks.

A slot keeps little: the first frequency, the steepest change of frequency, means for the response to frequency, and
for every source one bit that says whether there was good data. Adding a sample never needs what came before it, so
samples that come late, because the clock stepped back, find their slot.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bessai.performance.samples import SECOND, Bools, Floats, Ints

SLOTS = 360
SLOT_NS = 10 * SECOND
HOUR_NS = SLOTS * SLOT_NS
GOOD = "good:"
"""Prefix of the series with a source's bits."""

FREQUENCY, ROCOF, EXPECTED, RESIDUAL, COUNT, OUTSIDE = (
    "frequency", "rocof", "expected", "residual", "count", "outside",
)  # fmt: skip
"""First good measurement (Hz); steepest (Hz/s); sums of kW owed and of kW measured beyond what was commanded without
the grid's share; how many records are in both sums; in how many of them the frequency was outside the dead band."""
NUMBERS = {FREQUENCY: np.nan, ROCOF: np.nan, EXPECTED: 0.0, RESIDUAL: 0.0, COUNT: 0.0, OUTSIDE: 0.0}
"""Series of numbers, and what stands where nothing came."""

Cells = NDArray[np.float64]


def blank(series: str) -> Cells:
    """A series of an hour in which nothing came."""
    return np.full(SLOTS, NUMBERS.get(series, 0.0))


@dataclass(slots=True, eq=False)
class Hours:
    """The hours that are in memory, by series."""

    cells: dict[tuple[int, str], Cells] = field(default_factory=dict)
    """By number of the hour since 1970 UTC, and series."""
    stale: set[tuple[int, str]] = field(default_factory=set)
    """What has changed since it was stored."""
    load: Callable[[int, str], Cells | None] = lambda _hour, _series: None
    """Gets what is stored of an hour that is not in memory."""

    def first(self, series: str, times: Ints, values: Floats) -> None:
        """Keep the first value of each slot; values are finite."""
        for hour, slot, value in self._by_hour(series, times, values):
            slots, at = np.unique(slot, return_index=True)
            empty = np.isnan(hour[slots])
            hour[slots[empty]] = value[at[empty]]

    def steepest(self, series: str, times: Ints, values: Floats) -> None:
        """Keep the value of largest magnitude of each slot; values are finite."""
        for hour, slot, value in self._by_hour(series, times, values):
            order = np.argsort(np.abs(value), kind="stable")
            found = np.full(SLOTS, np.nan)
            found[slot[order]] = value[order]
            larger = ~np.isnan(found) & ~(np.abs(hour) >= np.abs(found))
            hour[larger] = found[larger]

    def add(self, series: str, times: Ints, values: Floats) -> None:
        """Add to the sums; values are finite."""
        for hour, slot, value in self._by_hour(series, times, values):
            np.add.at(hour, slot, value)

    def mark(self, source: str, times: Ints) -> None:
        """Note that a source had good data at these times."""
        for hour, slot, _ in self._by_hour(GOOD + source, times, times.astype(np.float64)):
            hour[slot] = 1.0

    def _by_hour(self, series: str, times: Ints, values: Floats) -> Iterator[tuple[Cells, Ints, Floats]]:
        hours, slots = times // HOUR_NS, times % HOUR_NS // SLOT_NS
        for number in np.unique(hours).tolist():
            mine: Bools = hours == number
            yield self._cells(number, series), slots[mine], values[mine]

    def _cells(self, hour: int, series: str) -> Cells:
        key = (hour, series)
        self.stale.add(key)
        if key not in self.cells:
            found = self.load(hour, series)
            self.cells[key] = blank(series) if found is None else found
        return self.cells[key]

    def settle(self) -> None:
        """All is stored: forget all but the newest hour."""
        newest = max((hour for hour, _ in self.cells), default=0)
        self.stale.clear()
        self.cells = {key: cells for key, cells in self.cells.items() if key[0] == newest}


def pack(series: str, cells: Cells) -> bytes:
    """As stored: bits of a source, else numbers of 32 bits, sums as they are."""
    if series.startswith(GOOD):
        return np.packbits(cells > 0).tobytes()
    kind = np.float64 if series in {EXPECTED, RESIDUAL} else np.float32
    return zlib.compress(cells.astype(kind).tobytes(), 6)


def unpack(series: str, body: bytes) -> Cells:
    """The cells behind the bytes of `pack`.

    Raises:
        ValueError: they are not what was written.
    """
    if series.startswith(GOOD):
        cells = np.unpackbits(np.frombuffer(body, np.uint8))[:SLOTS].astype(np.float64)
    else:
        kind = np.float64 if series in {EXPECTED, RESIDUAL} else np.float32
        try:
            cells = np.frombuffer(zlib.decompress(body), kind).astype(np.float64)
        except zlib.error as error:
            raise ValueError(str(error)) from None
    if cells.shape != (SLOTS,):
        raise ValueError(f"{cells.size} slots instead of {SLOTS}")
    return cells
