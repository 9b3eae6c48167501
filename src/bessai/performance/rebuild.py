"""Makes the records of performance anew from what the journal holds; what is older stays as it is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bessai.history.raw import telemetry_from
from bessai.journal import JournalReader
from bessai.performance.errors import TakenOverError
from bessai.performance.hours import HOUR_NS
from bessai.performance.settings import Plant
from bessai.performance.writer import PerformanceWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What became of it."""

    floor_ns: int | None
    """UTC nanoseconds from which on all is new; None when all is."""
    records: int
    """Records folded here."""
    taken_over: bool
    """A running gateway has taken over, and goes on with the rest."""


def rebuild(
    directory: Path,
    plant: Plant,
    journal: JournalReader,
    tick: Callable[[int, int], None] = lambda _done, _of: None,
) -> Rebuilt:
    """Fold the journal again.

    Args:
        directory: the data directory.
        plant: what is recorded.
        journal: its reader.
        tick: told how many records of how many are done.

    Raises:
        PerformanceError: the records cannot be stored.
    """
    held = journal.stats()
    begin_ns = telemetry_from(journal, held)
    if math.isinf(begin_ns) and begin_ns > 0:
        return Rebuilt(floor_ns=None, records=0, taken_over=False)
    floor_ns = None if math.isinf(begin_ns) else -(-int(begin_ns) // HOUR_NS) * HOUR_NS
    before = 0 if floor_ns is None else _sequence_before(journal, floor_ns, held.last_sequence)
    writer = PerformanceWriter(directory, plant)
    records = 0
    try:
        writer.start_again(before, -(1 << 62) if floor_ns is None else floor_ns)
        while blocks := journal.blocks(writer.folded, 256):
            for block in blocks:
                after = writer.folded
                writer.fold_blocks([block])
                records += writer.folded - after
            if writer.full():
                writer.flush()
            tick(records, held.records)
        writer.flush()
    except TakenOverError:
        return Rebuilt(floor_ns=floor_ns, records=records, taken_over=True)
    finally:
        writer.close()
    return Rebuilt(floor_ns=floor_ns, records=records, taken_over=False)


def _sequence_before(journal: JournalReader, floor_ns: int, last: int) -> int:
    """Of the record before the first one that is not earlier than a time."""
    for block in journal.blocks_between(floor_ns, None):
        later = np.flatnonzero(block.wall_ns >= floor_ns)
        if len(later):
            return block.first_sequence + int(later[0]) - 1
    return last
