"""Looks into the journal and the history, in a thread beside the loop (`Context.read`); newest first, and bounded."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from bessai.interfaces.api.problems import Problem
from bessai.journal import Entry, JournalError, JournalReader
from bessai.journal.block import Block
from bessai.model import Event

NEAR = 3600 * 10**9
"""Nanoseconds before an asked time in which its cycle may lie."""
_CHUNK, _MOST = 256, 4096
"""Records that are read at once, at first and at most."""
_PATIENCE = 1.5
"""Seconds of one look; what was not reached is asked for with `next`."""


@contextmanager
def journal(directory: Path) -> Iterator[JournalReader]:
    """A reader of the journal of a data directory, for one thread.

    Raises:
        Problem: 503 when it cannot be read.
    """
    reader = JournalReader(directory)
    try:
        yield reader
    except JournalError as error:
        raise Problem(503, "journal_unreadable", str(error)) from error
    finally:
        reader.close()


def sequence_at(reader: JournalReader, wall_ns: int) -> int:
    """Sequence of the last record that is not later than a time; 0 when there is none."""
    block = next(reader.blocks_between(wall_ns + 1, None), None)
    if block is None:
        return reader.last_sequence()
    later = int(np.argmax(block.wall_ns > wall_ns))
    return max(0, block.first_sequence + later - 1)


def backwards(reader: JournalReader, before: int) -> Iterator[tuple[Block, int]]:
    """Blocks with records below a sequence, newest first, each with the sequence from which on it is new."""
    size, first = _CHUNK, reader.first_sequence()
    while first and before > first:
        low = max(first, before - size)
        blocks = [b for b in reader.blocks(low - 1, before - low) if b.first_sequence < before]
        for block in reversed(blocks):  # the first may reach below `low`
            if block.first_sequence < before:
                yield block, before
                before = block.first_sequence
        before, size = min(before, low), min(2 * size, _MOST)


def row(block: Block, i: int) -> Entry:
    """One record of a block, without making the others."""
    return replace(block.since(block.first_sequence + i), count=1).entries()[0]


def cycle_before(reader: JournalReader, before: int, oldest_ns: int | None = None) -> Entry | None:
    """The newest cycle below a sequence; None when there is none, or it is older than `oldest_ns`."""
    for block, end in backwards(reader, before):
        rows = np.flatnonzero(block.kinds[: end - block.first_sequence] == 1)
        if len(rows):
            i = int(rows[-1])
            old = oldest_ns is not None and int(block.wall_ns[i]) < oldest_ns
            return None if old else row(block, i)
    return None


def cycle_after(reader: JournalReader, after: int) -> int | None:
    """UTC nanoseconds of the first cycle above a sequence; None when there is none."""
    for block in reader.blocks(after, _CHUNK):
        rows = np.flatnonzero(block.kinds == 1)
        found = rows[rows + block.first_sequence > after]
        if len(found):
            return int(block.wall_ns[found[0]])
    return None


def events_before(
    reader: JournalReader,
    before: int,
    start_ns: int,
    end_ns: int,
    limit: int,
    wanted: Callable[[Event], bool],
    patience: float = _PATIENCE,
) -> tuple[list[tuple[int, int, Event]], int | None]:
    """Events of records below a sequence, newest first, and the sequence to go on below; None at the end.

    All events of a record come together, so that there may be a few more than `limit`. A range that takes too long is
    answered in part.

    Returns:
        Sequence and cycle of the record, and the event; then where to go on.
    """
    found: list[tuple[int, int, Event]] = []
    deadline = time.monotonic() + patience
    for block, end in backwards(reader, before):
        events = [(i, e) for i, e in block.events() if block.first_sequence + i < end]
        reached = block.first_sequence
        for i, event in reversed(events):
            sequence = block.first_sequence + i
            if len(found) >= limit and sequence < found[-1][0]:
                return found, found[-1][0]
            if start_ns <= event.wall_ns <= end_ns and wanted(event):
                found.append((sequence, int(block.cycles[i]), event))
        if int(block.wall_ns.max()) < start_ns:
            return found, None
        if len(found) >= limit or time.monotonic() > deadline:
            more = reached > reader.first_sequence()
            return found, reached if more else None
    return found, None
