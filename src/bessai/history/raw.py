"""Samples from the journal: what no rollup has yet, and what is finer than any."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bessai.history.cells import Cells, Floats, Ints, samples
from bessai.history.plan import Piece
from bessai.journal.block import Block
from bessai.journal.entry import Entry
from bessai.journal.row import CYCLE
from bessai.journal.stats import ReaderStats
from bessai.model import Layout

BATCH = 512


class JournalSource(Protocol):
    """What is needed of `bessai.journal.JournalReader`."""

    def read(self, after: int, limit: int) -> list[Entry]:
        """Up to `limit` entries with a sequence above `after`, in order; fewer only at the end."""
        ...

    def blocks(self, after: int, limit: int) -> list[Block]:
        """Blocks with records above `after`, in order, until they hold `limit` records or the end is reached."""
        ...

    def read_between(self, first_ns: int | None, last_ns: int | None) -> Iterator[Entry]:
        """Entries whose `wall_ns` lies within both ends, in order of sequence."""
        ...

    def stats(self) -> ReaderStats:
        """What the journal holds."""
        ...


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Run:
    """Records of one layout, one after the other: a row each."""

    last: int
    """Sequence of the last one."""
    layout: Layout
    wall_ns: Ints
    columns: dict[str, tuple[str | None, Floats, NDArray[np.uint8]]]
    """Of each wanted point in the layout: unit, values, quality."""

    def within(self, pieces: Sequence[Piece]) -> Run:
        """The records whose time lies in one of the pieces."""
        keep = within(self.wall_ns, pieces)
        return Run(
            last=self.last,
            layout=self.layout,
            wall_ns=self.wall_ns[keep],
            columns={name: (unit, v[keep], q[keep]) for name, (unit, v, q) in self.columns.items()},
        )

    def samples(self, point: str, unit: str | None) -> tuple[Ints, Cells] | None:
        """Times and samples of a point, None when it is not here, or in another unit."""
        if point not in self.columns or self.columns[point][0] != unit:
            return None
        _, values, quality = self.columns[point]
        return self.wall_ns, samples(values, quality, self.wall_ns)


def within(times: Ints, pieces: Sequence[Piece]) -> NDArray[np.bool_]:
    """Which times lie in one of the pieces."""
    inside = np.zeros(len(times), bool)
    for piece in pieces:
        inside |= (times >= piece.start) & (times < piece.end)
    return inside


def runs(entries: Iterable[Entry], points: Sequence[str]) -> Iterator[Run]:
    """The wanted points of every cycle, in order. Holds a batch of entries at a time."""
    source = iter(entries)
    while batch := list(islice(source, BATCH)):
        cycles = [entry for entry in batch if entry.kind == "cycle"]
        for _, group in groupby(cycles, key=lambda entry: id(entry.layout)):
            run = list(group)
            layout = run[0].layout
            here = [name for name in points if name in layout.index]
            index = [layout.index[name] for name in here]
            values = np.array([entry.values[index] for entry in run])
            quality = np.array([entry.quality[index] for entry in run])
            yield Run(
                last=run[-1].sequence,
                layout=layout,
                wall_ns=np.array([entry.wall_ns for entry in run], np.int64),
                columns={
                    name: (layout.units[column], values[:, i], quality[:, i])
                    for i, (name, column) in enumerate(zip(here, index, strict=True))
                },
            )


def tail(journal: JournalSource, after: int, limit: int, points: Sequence[str]) -> Iterator[Run]:
    """The wanted points of about `limit` cycles with a higher sequence, in order."""
    while limit > 0 and (blocks := journal.blocks(after, BATCH)):
        for block in blocks:
            new = block.since(after + 1)
            cycles = new.kinds == CYCLE
            after, limit = new.last_sequence, limit - new.count
            if cycles.any():
                layout = new.layout
                yield Run(
                    last=new.last_sequence,
                    layout=layout,
                    wall_ns=new.wall_ns[cycles],
                    columns={
                        name: (layout.units[i], new.values[cycles, i], new.quality[cycles, i])
                        for name in points
                        if (i := layout.index.get(name)) is not None
                    },
                )


def telemetry_from(journal: JournalSource, held: ReaderStats) -> float:
    """UTC nanoseconds from which on the journal has every record; infinite when it has none.

    Of what it dropped for want of space, the journal keeps records with events. The first one without is where
    the rest begins.
    """
    if not held.records:
        return math.inf
    if not held.dropped_space:
        return -math.inf
    begin, low, high = math.inf, held.first_sequence, held.last_sequence
    while low <= high:
        middle = (low + high) // 2
        entries = journal.read(middle - 1, 64)
        plain = next((entry for entry in entries if not entry.events), None)
        if plain is not None:
            begin, high = plain.wall_ns, middle - 1
        elif entries:
            low = entries[-1].sequence + 1
        else:
            high = middle - 1
    return begin
