"""Which levels a question is answered from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bessai.history.errors import HistoryError
from bessai.history.levels import LEVELS, SECOND

RAW = -1
"""The level of the journal's own records."""
RECORDS = 0
"""The step that asks for every record."""
_DAY = 86400 * SECOND
_NICE = (
    *(n * SECOND // 10 for n in (1, 2, 5, 10, 20, 50)),
    *(n * SECOND for n in (10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200)),
)


class Piece(NamedTuple):
    """A part of a range, and the level that answers it."""

    level: int
    start: int
    end: int


class Plan(NamedTuple):
    """How a question is answered."""

    step: int
    """Nanoseconds of an answered bucket, or `RECORDS`."""
    level: int
    pieces: list[Piece]
    start: int
    """What is covered, UTC nanoseconds."""
    end: int

    @property
    def rolled(self) -> list[Piece]:
        """The pieces that rollups answer."""
        return [piece for piece in self.pieces if piece.level != RAW]


def nice_step(start: int, end: int, most: int) -> int:
    """The shortest step with a human size, aligned to 1970, that gives at most so many buckets."""
    for step in _NICE:
        if buckets(start, end, step) <= most:
            return step
    days = max(1, (end - start) // (most * _DAY))
    while buckets(start, end, days * _DAY) > most:
        days += 1
    return days * _DAY


def buckets(start: int, end: int, step: int) -> int:
    """How many buckets a range touches."""
    return -(-end // step) - start // step


def make_plan(
    start: int, end: int, step: int, *, kept_from: Sequence[float], raw_from: float, many: bool
) -> Plan:
    """Choose levels for [start, end).

    Args:
        start: UTC nanoseconds.
        end: UTC nanoseconds, not included.
        step: wanted nanoseconds of a bucket, or `RECORDS`.
        kept_from: of each level, before when it was deleted.
        raw_from: the same of the journal.
        many: True when the range has more records than are read at once.

    Raises:
        HistoryError: every record was asked for, and that cannot be.
    """
    level = RAW
    if step != RECORDS:
        level = max((n for n, known in enumerate(LEVELS) if step % known.step == 0), default=RAW)
    if level == RAW and (many or raw_from > start):
        if step == RECORDS:
            raise HistoryError(
                "these are more records than are answered at once: ask for a shorter range, or give a step"
                if many
                else "the journal does not reach back that far: ask for a later start, or give a step of 10 s"
            )
        level = 0
    while 0 <= level < len(LEVELS) - 1 and kept_from[level] > start:
        level += 1
    if level != RAW:
        size = LEVELS[level].step
        step = math.ceil(step / size) * size
    pieces = list(_pieces(start, end, level, (*kept_from, raw_from)))
    covered = (pieces[0].start, pieces[-1].end) if pieces else (start, end)
    return Plan(step, level, pieces, *covered)


def _pieces(start: int, end: int, level: int, kept_from: Sequence[float]) -> Iterator[Piece]:
    """Cover [start, end) with whole buckets of a level, and its edges with finer ones while there are any."""
    if start >= end:
        return
    if level == RAW:
        yield Piece(RAW, start, end)
        return
    size = LEVELS[level].step
    finer_from = kept_from[level - 1]  # [-1] is the journal
    if start % size and finer_from > start:
        start -= start % size
        end = max(end, start + size)
    if end % size and finer_from > end // size * size:
        end += -end % size
    first, last = -(-start // size) * size, end // size * size
    if first >= last:
        yield from _pieces(start, end, level - 1, kept_from)
        return
    yield from _pieces(start, first, level - 1, kept_from)
    yield Piece(level, first, last)
    yield from _pieces(last, end, level - 1, kept_from)
