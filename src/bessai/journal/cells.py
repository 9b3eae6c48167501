"""The columns of an image in a block: values, qualities and ages of every cycle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bessai.journal.columns import Doubles, Integers, Scales, Source, get, put, scaled, unscaled
from bessai.journal.errors import DamagedRecordError
from bessai.journal.row import Row

_NEVER = -(2**63)
_LONGEST_US = 2.0**53
_MOST_GUESSES = 64
_ALL_GOOD, _CONSTANT, _CHANGING = range(3)

_guesses: dict[int, Scales] = {}  # the scales of the last block with as many columns


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """R cycles of C columns. Columns that are read together share a series of ages."""

    values: Doubles
    """[R, C]"""
    quality: NDArray[np.uint8]
    """[R, C]"""
    series: Doubles
    """[R, S] seconds, NaN where never measured."""
    column_series: Integers
    """[C] which series each column has."""


def put_cells(out: list[bytes], cycles: Sequence[Row], thorough: bool) -> None:
    """Append the columns of cycles, which all have the same number of them.

    A thorough block searches the best scale of every column, instead of trying those of the block before.
    """
    columns = cycles[0].cells
    if not columns:
        return
    values = np.concatenate([row.values for row in cycles], dtype=np.float64).reshape(-1, columns)
    integers, scales = scaled(values, None if thorough else _guesses.get(columns))
    if len(_guesses) >= _MOST_GUESSES:
        _guesses.clear()
    _guesses[columns] = scales
    out.append(scales.tobytes())
    put(out, integers)
    _put_quality(out, np.concatenate([row.quality for row in cycles], dtype=np.uint8).reshape(-1, columns))
    _put_ages(out, cycles, columns)


def get_cells(source: Source, rows: int, columns: int) -> Cells:
    """The columns that `put_cells` appended. Raises DamagedRecordError."""
    if not rows or not columns:
        none = np.empty((rows, columns))
        return Cells(none, none.astype(np.uint8), np.empty((rows, 0)), np.empty(0, np.int64))
    scales = source.small(columns)
    values = unscaled(get(source, rows, columns), scales)
    return Cells(values, _get_quality(source, rows, columns), *_get_ages(source, rows, columns))


def _put_quality(out: list[bytes], quality: NDArray[np.uint8]) -> None:
    if not quality.any():
        out.append(bytes([_ALL_GOOD]))
    elif (quality == quality[0]).all():
        out += (bytes([_CONSTANT]), quality[0].tobytes())
    else:
        out += (bytes([_CHANGING]), quality.T.tobytes())


def _get_quality(source: Source, rows: int, columns: int) -> NDArray[np.uint8]:
    kind = source.take(1)[0]
    if kind == _CHANGING:
        return source.small(rows * columns).reshape(columns, rows).T
    quality = np.zeros((rows, columns), np.uint8)
    if kind == _CONSTANT:
        quality[:] = source.small(columns)
    elif kind != _ALL_GOOD:
        raise DamagedRecordError("its qualities are of an unknown kind")
    return quality


def _put_ages(out: list[bytes], cycles: Sequence[Row], columns: int) -> None:
    times = np.concatenate([row.times for row in cycles], dtype=np.float64).reshape(-1, columns)
    bits = times.view(np.int64)
    new = np.ones(columns, np.bool_)
    np.any(bits[:, 1:] != bits[:, :-1], axis=0, out=new[1:])
    starts = np.flatnonzero(new)
    with np.errstate(all="ignore"):
        ages = np.array([[row.monotonic] for row in cycles]) - times[:, starts]
        ages = np.clip(np.rint(ages * 1e6), -_LONGEST_US, _LONGEST_US)
        micros = np.where(np.isnan(ages), _NEVER, ages.astype(np.int64))
    known: dict[bytes, int] = {}
    series = [known.setdefault(column.tobytes(), len(known)) for column in micros.T]
    first = [0] * len(known)
    for i in range(len(series) - 1, -1, -1):
        first[series[i]] = i
    put(out, np.array([[len(series), len(known)]], np.int64))
    put(out, np.array([np.diff(starts, append=columns), series], np.int64).reshape(1, -1))
    put(out, micros[:, first])


def _get_ages(source: Source, rows: int, columns: int) -> tuple[Doubles, Integers]:
    run_count, series_count = get(source, 1, 2)[0].tolist()
    if not 0 < series_count <= run_count <= columns:
        raise DamagedRecordError("its series of ages cannot be")
    runs, series = get(source, 1, 2 * run_count).reshape(2, run_count)
    if (runs < 1).any() or (runs > columns).any() or int(runs.sum()) != columns:
        raise DamagedRecordError("its ages are not of its columns")
    if (series < 0).any() or (series >= series_count).any():
        raise DamagedRecordError("a column has no ages")
    micros = get(source, rows, series_count)
    ages = np.where(micros == _NEVER, np.nan, micros / 1e6)
    return ages, np.repeat(series, runs)
