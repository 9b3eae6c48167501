"""What the journal's blocks say of the point of connection: a column for each role."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bessai.grid import GridPoints
from bessai.journal.block import Block
from bessai.journal.row import CYCLE
from bessai.model import Event, Layout, Quality
from bessai.performance.settings import METERS, ROLES, Plant

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

SECOND = 1_000_000_000
SAME_NS = 1_000_000
"""Nearer than this, two values are one measurement, recorded twice."""
STEP_NS = 50_000_000
"""A record that is earlier than the one before by more than this tells of a clock that was set back."""
_NO_AGE = np.float32(0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Column:
    """One quantity, a row for each cycle."""

    times: Ints
    """UTC nanoseconds of the measurement."""
    values: Floats
    """NaN where it is no evidence."""

    @property
    def good(self) -> Bools:
        """Where there is evidence."""
        return ~np.isnan(self.values)

    def __getitem__(self, key: slice) -> Column:
        """Some of the rows."""
        return Column(times=self.times[key], values=self.values[key])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Samples:
    """Cycles in the order of the journal; within one, the clock never goes back."""

    sequences: Ints
    wall_ns: Ints
    """UTC nanoseconds of the tick."""
    columns: Mapping[str, Column]
    """By role; every role is there."""
    base: Floats
    """kW that were commanded without the answer to the grid; NaN where nothing was."""
    offset: Floats
    """kW of the setpoint that answer the grid; 0 where none was offered."""
    events: tuple[tuple[int, Event], ...] = ()
    """Row before which each event counts."""

    def __len__(self) -> int:
        return len(self.wall_ns)

    def part(self, first: int, end: int) -> Samples:
        """Rows from `first` to before `end`."""
        key = slice(first, end)
        return replace(
            self,
            sequences=self.sequences[key],
            wall_ns=self.wall_ns[key],
            columns={role: column[key] for role, column in self.columns.items()},
            base=self.base[key],
            offset=self.offset[key],
            events=tuple(
                (row - first, event)
                for row, event in self.events
                if first <= row < end or row == end == len(self)
            ),
        )

    def stretches(self, last_ns: int | None) -> Iterator[tuple[bool, Samples]]:
        """Pieces in which the clock does not go back; True before one that begins with a step back.

        Args:
            last_ns: the tick before the first row, None when there was none.
        """
        before = self.wall_ns[:1] if last_ns is None else np.array([last_ns])
        back = np.flatnonzero(np.diff(self.wall_ns, prepend=before) < -STEP_NS).tolist()
        edges = sorted({0, *back, len(self)})
        for first, end in itertools.pairwise(edges):
            yield first in back, self.part(first, end)


def new(times: Ints, before: int | None) -> Bools:
    """Which rows of ascending times are a measurement of their own.

    Args:
        times: of the measurements, as recorded.
        before: time of the last measurement before the first row.
    """
    first = times[:1] - SECOND if before is None else np.array([before])
    latest = np.maximum.accumulate(np.concatenate([first, times]))
    return np.asarray(times > latest[:-1] + SAME_NS)


class Reading:
    """Finds the columns of a plant in each layout that comes."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self._known: tuple[Layout, dict[str, int | None]] | None = None

    def samples(self, block: Block) -> Samples:
        """The cycles of a block."""
        cycles = block.kinds == CYCLE
        rows = np.cumsum(cycles)
        wall_ns = block.wall_ns[cycles]
        columns = {}
        for role, i in self.columns(block.layout).items():
            if i is None:
                columns[role] = Column(times=wall_ns, values=np.full(len(wall_ns), np.nan))
                continue
            values, ages = block.values[cycles, i], block.ages[cycles, i]
            good = (block.quality[cycles, i] == Quality.GOOD) & np.isfinite(values) & np.isfinite(ages)
            late = np.where(good, ages, _NO_AGE).astype(np.float64) * SECOND
            columns[role] = Column(
                times=wall_ns - late.astype(np.int64), values=np.where(good, values, np.nan)
            )
        setpoint, offset = block.decided("setpoint")[cycles], block.decided("offset")[cycles]
        offset = np.where(np.isnan(offset), 0.0, offset)
        return Samples(
            sequences=np.arange(block.first_sequence, block.last_sequence + 1)[cycles],
            wall_ns=wall_ns,
            columns=columns,
            base=setpoint - offset,
            offset=offset,
            events=tuple((int(rows[i]) - int(cycles[i]), event) for i, event in block.events()),
        )

    def columns(self, layout: Layout) -> Mapping[str, int | None]:
        """Role to column; None where the plant has no such point."""
        if self._known is None or self._known[0] is not layout:
            self._known = (layout, {role: self._column(role, layout) for role in ROLES})
        return self._known[1]

    def _column(self, role: str, layout: Layout) -> int | None:
        name = self._plant.points.get(role)
        if name is not None:
            return layout.index.get(name)
        # A layout that comes later may have what the one at the start had not.
        usual = f"{role}_total" if role in METERS else getattr(GridPoints(), role)
        if usual in layout.index or role not in METERS:
            return layout.index.get(usual)
        found = [i for i, one in enumerate(layout.names) if one.endswith(f".{usual}")]
        return found[0] if len(found) == 1 else None
