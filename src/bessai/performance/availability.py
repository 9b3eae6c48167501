"""Availability of each source over a rolling window: minutes with good data, and the gaps.

A minute counts when each of its six slots of ten seconds had good data, which is stricter than one value a minute. What
is not known counts as not available, also while the gateway was off; it counts from the first record on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from bessai.performance.hours import HOUR_NS, SLOTS, Cells
from bessai.performance.samples import SECOND, Bools
from bessai.performance.settings import METERS

MINUTE_NS = 60 * SECOND
MONTHS = 12
"""Of the rolling window."""
METERING, TELEMETRY = 97.0, 99.5
"""% that are asked for: of metering data (CEN guide B43-DIN-GUA01, per company), and of real-time data (SITR, from a
secondary source: provisional)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Minutes without good data."""

    start_ns: int
    end_ns: int

    @property
    def minutes(self) -> int:
        """How long."""
        return (self.end_ns - self.start_ns) // MINUTE_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """One source over the window."""

    source: str
    start_ns: int
    """Of the window, or of the first record in it."""
    end_ns: int
    minutes: int
    good: int
    """Minutes in which each ten seconds had good data."""
    gaps: tuple[Gap, ...]
    """In order of time; the longest ones where not all are given."""
    gap_count: int
    """How many there are."""

    @property
    def percent(self) -> float | None:
        """None when the window has no minute."""
        return self.good / self.minutes * 100 if self.minutes else None

    @property
    def target(self) -> float:
        """% that are asked for."""
        return METERING if self.source in METERS else TELEMETRY

    @property
    def confidence(self) -> str:
        """A: the target was read in the official text. B: in a secondary source, so it is provisional."""
        return "A" if self.source in METERS else "B"


def window(end_ns: int, months: int = MONTHS) -> tuple[int, int]:
    """UTC nanoseconds of a window of calendar months that ends with the last whole minute before `end_ns`."""
    end_ns = end_ns // MINUTE_NS * MINUTE_NS
    end = datetime.fromtimestamp(end_ns // SECOND, UTC)
    total = end.year * 12 + end.month - 1 - months
    year, month = divmod(total, 12)
    for day in range(end.day, end.day - 4, -1):  # 31 May minus a month is 30 April
        try:
            start = end.replace(year=year, month=month + 1, day=day)
        except ValueError:
            continue
        return int(start.timestamp()) * SECOND, end_ns
    raise AssertionError("every month has 28 days")


def availability(
    source: str, bits: Mapping[int, Cells], start_ns: int, end_ns: int, *, most_gaps: int | None = None
) -> Availability:
    """Count the minutes.

    Args:
        source: its name.
        bits: cells of the source by hour, above 0 where there was good data.
        start_ns: of the window, a whole minute.
        end_ns: likewise, exclusive.
        most_gaps: how many gaps are given, the longest; None: all.
    """
    first, last = start_ns // HOUR_NS, max(start_ns, end_ns - 1) // HOUR_NS
    minutes: Bools = np.zeros((last - first + 1) * 60, bool)
    for hour, cells in bits.items():
        if first <= hour <= last:
            at = (hour - first) * 60
            minutes[at : at + 60] = (cells.reshape(60, SLOTS // 60) > 0).all(axis=1)
    offset = first * HOUR_NS // MINUTE_NS
    minutes = minutes[start_ns // MINUTE_NS - offset : end_ns // MINUTE_NS - offset]
    edges = np.flatnonzero(np.diff(np.concatenate([[False], ~minutes, [False]]).astype(np.int8)))
    gaps = [
        Gap(start_ns=start_ns + begin * MINUTE_NS, end_ns=start_ns + end * MINUTE_NS)
        for begin, end in edges.reshape(-1, 2).tolist()
    ]
    chosen = gaps if most_gaps is None else sorted(gaps, key=lambda gap: -gap.minutes)[:most_gaps]
    return Availability(
        source=source,
        start_ns=start_ns,
        end_ns=end_ns,
        minutes=len(minutes),
        good=int(minutes.sum()),
        gaps=tuple(sorted(chosen, key=lambda gap: gap.start_ns)),
        gap_count=len(gaps),
    )
