"""The numbers in the blanks of forms, as tables: one for each set of forms that enough records share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, islice

import numpy as np

from bessai.journal.columns import Doubles, Source, get_doubles, put_doubles

_FEW = 4  # records of a set; those of smaller sets share one list. Part of the format


def put_numbers(
    out: list[bytes], numbers: Sequence[Sequence[float]], sets: Sequence[int], *, thorough: bool
) -> None:
    """Append the numbers of every record, given which set of forms each has. Raises ValueError for too many."""
    few: list[Sequence[float]] = []
    for places in _members(sets, max(sets) + 1):
        lines = [numbers[place] for place in places]
        if len(places) < _FEW:
            few += lines
        else:
            put_doubles(out, _table(lines).reshape(len(places), -1), "many", thorough=thorough)
    put_doubles(out, _table(few).reshape(1, -1), "few", thorough=thorough)


def get_numbers(source: Source, sets: Sequence[int], widths: Sequence[int]) -> list[list[float]]:
    """The numbers of every record, given how many each set has. Raises DamagedRecordError."""
    numbers: list[list[float]] = [[]] * len(sets)
    few: list[int] = []
    for places, width in zip(_members(sets, len(widths)), widths, strict=True):
        if len(places) < _FEW:
            few += places
            continue
        for place, line in zip(places, get_doubles(source, len(places), width).tolist(), strict=True):
            numbers[place] = line
    left = iter(get_doubles(source, 1, sum(widths[sets[place]] for place in few))[0].tolist())
    for place in few:
        numbers[place] = list(islice(left, widths[sets[place]]))
    return numbers


def _members(sets: Sequence[int], count: int) -> list[list[int]]:
    members: list[list[int]] = [[] for _ in range(count)]
    for place, number in enumerate(sets):
        members[number].append(place)
    return members


def _table(lines: Sequence[Sequence[float]]) -> Doubles:
    return np.fromiter(chain.from_iterable(lines), np.float64, sum(map(len, lines)))
