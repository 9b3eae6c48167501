"""Rollups the slow and obvious way: sample by sample, from the records themselves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from bessai.history import Series
from bessai.journal.block import Block
from bessai.model import CycleRecord, Quality

SECOND = 1_000_000_000


@dataclass
class Bucket:
    """What one bucket must say."""

    count: int = 0
    good: list[tuple[int, float]] = field(default_factory=list)
    """(ten seconds since 1970, value), in order of recording."""

    @property
    def last(self) -> float:
        newest = max(slot for slot, _ in self.good)
        return [value for slot, value in self.good if slot == newest][-1]


def buckets(
    records: Iterable[CycleRecord], point: str, unit: str | None, start: int, end: int, step: int
) -> dict[int, Bucket]:
    """By beginning in nanoseconds; only those with a sample."""
    found: dict[int, Bucket] = {}
    for record in records:
        image = record.image
        column = image.layout.index.get(point)
        if column is None or image.layout.units[column] != unit or not start <= image.wall_ns < end:
            continue
        bucket = found.setdefault(math.floor(image.wall_ns // step) * step, Bucket())
        bucket.count += 1
        value = float(image.values[column])
        if image.quality[column] == Quality.GOOD and math.isfinite(value):
            bucket.good.append((image.wall_ns // (10 * SECOND), value))
    return found


def unit_of(records: Iterable[CycleRecord], point: str) -> str | None:
    """The unit that the newest record with the point has."""
    unit = None
    for record in records:
        if point in record.image.layout.index:
            unit = record.image.layout.units[record.image.layout.index[point]]
    return unit


def check(series: Series, expected: dict[int, Bucket]) -> None:
    """Every bucket is there, and says what it must."""
    seen = set()
    for row, time in enumerate(series.times.tolist()):
        bucket = expected.get(time, Bucket())
        seen.add(time)
        assert series.count[row] == bucket.count, (series.point, time)
        got = [float(column[row]) for column in (series.minimum, series.maximum, series.mean, series.last)]
        if not bucket.good:
            assert all(map(math.isnan, got)), (series.point, time, got)
        else:
            values = [value for _, value in bucket.good]
            low, high = min(values), max(values)
            assert got[0] == low
            assert got[1] == high
            assert abs(got[2] - math.fsum(values) / len(values)) <= 2e-6 * (high - low) + 1e-12 * abs(high)
            assert low <= got[2] <= high
            assert got[3] == bucket.last, (series.point, time)
        if bucket.count:
            assert series.good[row] == len(bucket.good) / bucket.count
        else:
            assert math.isnan(series.good[row])
    assert seen.issuperset(expected), sorted(set(expected) - seen)[:5]
    assert len(seen) == len(series.times)


def few(blocks: Sequence[Block], after: int, limit: int) -> list[Block]:
    """No more than `limit` records above `after`: the last block is cut."""
    made = []
    for block in blocks:
        rows = min(block.count, after + limit - block.first_sequence + 1)
        if rows > 0:
            by_row = ("kinds", "wall_ns", "cycles", "values", "quality", "ages")
            inner = ("_flags", "_series", "_sets", "_numbers")
            cut = {name: getattr(block, name)[:rows] for name in by_row + inner}
            made.append(replace(block, count=rows, **cut))
    return made
