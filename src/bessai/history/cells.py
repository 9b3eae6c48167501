"""The arithmetic: what is known of a bucket, and how any number of them become one.

A sample is a bucket of one. Folding samples into buckets, buckets into coarser ones, and late samples into
buckets that are stored already is therefore one operation, `squash`. Its order does not matter, except for
`last`: the newest good value by time, to ten seconds, and within ten seconds the one recorded last.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bessai.history.levels import SLOT
from bessai.model import Quality

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Cells:
    """Arrays of one shape: a row per bucket, and a column per point or only one point."""

    count: Ints
    """Samples, of any quality."""
    good: Ints
    """Samples of good quality; only these are in what follows."""
    total: Floats
    """Their sum."""
    low: Floats
    """NaN where there is none, as in `high` and `last`."""
    high: Floats
    last: Floats
    slot: Ints
    """Ten seconds since 1970 in which `last` was measured, 0 where there is none."""

    def __len__(self) -> int:
        return len(self.count)

    def __getitem__(self, key: Any) -> Cells:
        """The same selection of every array."""
        return Cells(**{name: getattr(self, name)[key] for name in NAMES})


NAMES = tuple(field.name for field in fields(Cells))


def samples(values: Floats, quality: NDArray[np.uint8], wall_ns: Ints) -> Cells:
    """Samples as cells: `values` and `quality` have a row per record, and a column per point or only one."""
    good = (quality == int(Quality.GOOD)) & np.isfinite(values)
    value = np.where(good, values, np.nan)
    slot = wall_ns // SLOT
    return Cells(
        count=np.ones(values.shape, np.int64),
        good=good.astype(np.int64),
        total=np.where(good, values, 0.0),
        low=value,
        high=value,
        last=value,
        slot=np.where(good, slot[:, None] if values.ndim == 2 else slot, 0),
    )


def join(parts: list[Cells]) -> Cells:
    """One after the other, in the order of recording."""
    return (
        parts[0]
        if len(parts) == 1
        else Cells(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in NAMES})
    )


def empty(shape: tuple[int, ...] = (0,)) -> Cells:
    """Cells of nothing."""
    none, zeros = np.full(shape, np.nan), np.zeros(shape, np.int64)
    return Cells(count=zeros, good=zeros, total=np.zeros(shape), low=none, high=none, last=none, slot=zeros)


def squash(keys: Ints, cells: Cells) -> tuple[Ints, Cells]:
    """One row per distinct key, in order of the keys. Rows of a key are in the order of recording."""
    rows = len(keys)
    if rows == 0:
        return keys, cells
    if np.any(keys[1:] < keys[:-1]):
        order = np.argsort(keys, kind="stable")
        keys, cells = keys[order], cells[order]
    starts = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    if len(starts) == rows:
        return keys, cells
    position = np.arange(rows) if cells.good.ndim == 1 else np.arange(rows)[:, None]
    some = cells.good > 0
    base = cells.slot.min(initial=np.iinfo(np.int64).max, where=some) if some.any() else 0
    rank = np.maximum.reduceat(np.where(some, (cells.slot - base) * rows + position, -1), starts)
    found, newest = rank >= 0, rank % rows
    last = np.take_along_axis(cells.last, newest, 0)
    return keys[starts], Cells(
        count=np.add.reduceat(cells.count, starts),
        good=np.add.reduceat(cells.good, starts),
        total=np.add.reduceat(cells.total, starts),
        low=np.fmin.reduceat(cells.low, starts),
        high=np.fmax.reduceat(cells.high, starts),
        last=np.where(found, last, np.nan),
        slot=np.where(found, rank // rows + base, 0),
    )


def mean(cells: Cells) -> Floats:
    """Mean of the good samples, NaN where there is none. Never outside of what it is the mean of."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.clip(cells.total / cells.good, cells.low, cells.high)


def merged(tables: list[tuple[Ints, Cells]]) -> tuple[Ints, Cells]:
    """Tables in order of recording as one, with one row per bucket."""
    if len(tables) == 1:
        return tables[0]
    return squash(np.concatenate([keys for keys, _ in tables]), join([cells for _, cells in tables]))
