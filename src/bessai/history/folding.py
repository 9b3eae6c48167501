"""What was folded and is not stored yet."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bessai.history.cells import Cells, Floats, Ints, merged, samples, squash
from bessai.history.levels import SLOT
from bessai.model import Layout

_MOST_CELLS = 200_000
"""Samples that are folded at once, which bounds memory."""
_MOST_TABLES = 16
MOST_HELD = 400_000
"""Buckets times points that memory should hold at most: some 25 MB."""


@dataclass(slots=True)
class Run:
    """Records of one layout, one after the other, folded."""

    layout: Layout
    last: int = 0
    """Sequence of the last one."""
    tables: list[tuple[Ints, Cells]] = field(default_factory=list)
    """In order of recording: numbers of buckets, and a column of cells per point."""

    def fits(self, layout: Layout) -> bool:
        """Whether records of this layout can go on here."""
        mine = self.layout
        return layout is mine or (layout.names == mine.names and layout.units == mine.units)


class Folding:
    """Buckets of ten seconds in memory."""

    def __init__(self) -> None:
        self.runs: list[Run] = []

    def full(self) -> bool:
        """Whether what is here should be stored, whatever its age."""
        return sum(cells.count.size for run in self.runs for _, cells in run.tables) >= MOST_HELD

    def add(
        self, layout: Layout, sequence: int, wall_ns: Ints, values: Floats, quality: NDArray[np.uint8]
    ) -> None:
        """Fold records of one layout, a row each, the last one with this sequence."""
        if not self.runs or not self.runs[-1].fits(layout):
            self.runs.append(Run(layout))
        run = self.runs[-1]
        run.last, tables = sequence, run.tables
        rows = max(1, _MOST_CELLS // max(1, len(layout)))
        for at in range(0, len(wall_ns) if len(layout) else 0, rows):
            part = slice(at, at + rows)
            tables.append(squash(wall_ns[part] // SLOT, samples(values[part], quality[part], wall_ns[part])))
        if len(tables) > _MOST_TABLES:
            tables[:] = [merged(tables)]
