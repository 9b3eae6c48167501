"""Energy at the point of connection by quarter hours of UTC: what the meter's counters said, and integrated power.

Power is integrated by trapezoids between measurements; across a gap nothing is counted. Counters are kept as the first
and the last reading of each quarter, so that they tell its energy although data between are missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bessai.performance.samples import SECOND, Bools, Column, Floats, Ints, new

QUARTER_NS = 900 * SECOND
COUNTERS = ("exported", "imported")


@dataclass(slots=True, kw_only=True)
class Reading:
    """What one counter said in a quarter."""

    first_ns: int = 0
    first: float = 0.0
    last_ns: int = 0
    last: float = 0.0
    falls: int = 0
    """How often it went down: it was reset or replaced, and its difference is no energy."""

    @property
    def known(self) -> bool:
        """Whether there was a reading."""
        return self.first_ns != 0

    def note(self, times: Ints, values: Floats, falls: int) -> None:
        """Take readings, at least one."""
        low, high = int(np.argmin(times)), int(len(times) - 1 - np.argmax(times[::-1]))
        if not self.known or times[low] < self.first_ns:
            self.first_ns, self.first = int(times[low]), float(values[low])
        if times[high] >= self.last_ns:
            self.last_ns, self.last = int(times[high]), float(values[high])
        self.falls += falls


@dataclass(slots=True, kw_only=True)
class Quarter:
    """One quarter of an hour."""

    exported: float = 0.0
    """kWh by integrating the power."""
    imported: float = 0.0
    """kWh, positive."""
    seconds: float = 0.0
    """Over which the power was known."""
    counters: dict[str, Reading] = field(default_factory=lambda: {name: Reading() for name in COUNTERS})


@dataclass(slots=True, kw_only=True)
class _Last:
    """Where the next interval begins."""

    time_ns: int | None = None
    value: float = np.nan

    def forget(self) -> None:
        self.time_ns, self.value = None, np.nan


class Quarters:
    """The quarters that are in memory."""

    def __init__(self, gap: float, load: Callable[[int], Quarter | None] = lambda _: None) -> None:
        self.quarters: dict[int, Quarter] = {}
        """By number since 1970."""
        self.stale: set[int] = set()
        """Those that have changed since they were stored."""
        self._gap_ns = int(gap * SECOND)
        self.load = load
        """Gets a stored quarter that is not in memory."""
        self._power = _Last()
        self._counters = {name: _Last() for name in COUNTERS}

    def power(self, column: Column) -> None:
        """Integrate a stretch of power in kW, in which the clock never goes back."""
        good = column.good
        if not len(good):
            return
        here = np.flatnonzero(good)
        if len(here):
            here = here[new(column.times[here], self._power.time_ns)]
        bad = np.cumsum(~good)
        times, values, breaks = column.times[here], column.values[here], bad[here]
        if self._power.time_ns is not None:
            times = np.concatenate([[self._power.time_ns], times])
            values = np.concatenate([[self._power.value], values])
            breaks = np.concatenate([[0], breaks])
        joined = (np.diff(times) <= self._gap_ns) & (np.diff(breaks) == 0)
        self._integrate(times[:-1][joined], times[1:][joined], values[:-1][joined], values[1:][joined])
        if len(times) and bad[-1] == breaks[-1]:
            self._power.time_ns, self._power.value = int(times[-1]), float(values[-1])
        else:
            self._power.forget()

    def _integrate(self, first_ns: Ints, end_ns: Ints, first: Floats, end: Floats) -> None:
        """Count intervals, each shorter than a quarter; one that reaches into the next is divided there."""
        edge = np.minimum((first_ns // QUARTER_NS + 1) * QUARTER_NS, end_ns)
        middle = first + (end - first) * ((edge - first_ns) / (end_ns - first_ns))
        begins, ends = np.concatenate([first_ns, edge]), np.concatenate([edge, end_ns])
        up, down = _areas(np.concatenate([first, middle]), np.concatenate([middle, end]))
        seconds = (ends - begins) / SECOND
        numbers = begins // QUARTER_NS
        for number in np.unique(numbers[seconds > 0]).tolist():
            mine: Bools = numbers == number
            quarter = self._quarter(number)
            quarter.seconds += float(seconds[mine].sum())
            quarter.exported += float((up * seconds)[mine].sum()) / 3600
            quarter.imported += float((down * seconds)[mine].sum()) / 3600

    def counter(self, name: str, column: Column) -> None:
        """Take readings of a counter in kWh."""
        here = np.flatnonzero(column.good)
        times, values = column.times[here], column.values[here]
        last = self._counters[name]
        falls = np.diff(values, prepend=values[:1] if last.time_ns is None else last.value) < 0
        for number in np.unique(times // QUARTER_NS).tolist():
            mine: Bools = times // QUARTER_NS == number
            self._quarter(number).counters[name].note(times[mine], values[mine], int(falls[mine].sum()))
        if len(here):
            last.time_ns, last.value = int(times[-1]), float(values[-1])

    def clock_set_back(self) -> None:
        """No interval reaches from before to after it."""
        self._power.forget()

    def _quarter(self, number: int) -> Quarter:
        self.stale.add(number)
        if number not in self.quarters:
            self.quarters[number] = self.load(number) or Quarter()
        return self.quarters[number]

    def settle(self) -> None:
        """All is stored: forget all but the newest."""
        self.stale.clear()
        newest = max(self.quarters, default=0)
        self.quarters = {number: one for number, one in self.quarters.items() if number == newest}

    def state(self) -> dict[str, Any]:
        """What is needed to go on after a restart, as data for JSON."""
        held = {"power": self._power, **self._counters}
        return {name: [last.time_ns, last.value] for name, last in held.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` said."""
        for name, last in {"power": self._power, **self._counters}.items():
            last.time_ns, last.value = state[name]


def _areas(first: Floats, end: Floats) -> tuple[Floats, Floats]:
    """Mean of the positive and of the negative part of straight lines, both positive."""

    def positive(high: Floats, low: Floats) -> Floats:
        crossing = high * high / np.where(high > low, high - low, 1.0) / 2
        return np.where(low >= 0, (high + low) / 2, np.where(high <= 0, 0.0, crossing))

    high, low = np.maximum(first, end), np.minimum(first, end)
    return positive(high, low), positive(-low, -high)
