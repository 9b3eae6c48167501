"""The columns of an image in a block: values, qualities and ages of every cycle."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from bessai.journal.columns import MOST_CELLS, Doubles, Integers, Source, get, put, scaled, unscaled
from bessai.journal.errors import DamagedRecordError
from bessai.journal.row import Row

_Number = TypeVar("_Number", bound=np.generic)

_COUNTS = struct.Struct("<II")
_NEVER = -(2**63)
_LONGEST_US = 2.0**53
_AT_ONCE, _NARROWEST = 1 << 16, 1 << 8  # cells, columns; part of the format
_ALL_GOOD, _CONSTANT, _CHANGING = range(3)


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


def put_cells(out: list[bytes], cycles: Sequence[Row], *, thorough: bool) -> None:
    """Append the columns of cycles, which all have the same number of them.

    A thorough block searches the smallest scale of every column.
    """
    columns = cycles[0].cells
    for start, end in _slices(len(cycles), columns):
        values = _stacked([row.values[start:end] for row in cycles], np.float64)
        integers, scales = scaled(values, f"values from {start}", thorough=thorough)
        out.append(scales.tobytes())
        ages = _put_series(out, cycles, start, end)
        put(out, np.concatenate((integers, ages), axis=1))
        _put_quality(out, _stacked([row.quality[start:end] for row in cycles], np.uint8))


def get_cells(source: Source, rows: int, columns: int) -> Cells:
    """The columns that `put_cells` appended. Raises DamagedRecordError."""
    if rows * columns > MOST_CELLS:
        raise DamagedRecordError(f"{rows} rows of {columns} columns are too many")
    values = np.empty((rows, columns))
    quality = np.zeros((rows, columns), np.uint8)
    column_series = np.empty(columns, np.int64)
    series = [np.empty((rows, 0))]
    known = 0
    for start, end in _slices(rows, columns):
        width = end - start
        scales = source.small(width)
        series_count, column_series[start:end] = _get_series(source, width)
        integers = get(source, rows, width + series_count)
        values[:, start:end] = unscaled(integers[:, :width], scales)
        micros = integers[:, width:]
        series.append(np.where(micros == _NEVER, np.nan, micros / 1e6))
        column_series[start:end] += known
        known += series_count
        _get_quality(source, quality[:, start:end])
    return Cells(values, quality, np.concatenate(series, axis=1), column_series)


def _slices(rows: int, columns: int) -> Iterator[tuple[int, int]]:
    """First and last column of what is packed at once: little enough to stay in the processor's cache."""
    width = max(_NARROWEST, _AT_ONCE // max(rows, 1))
    for start in range(0, columns if rows else 0, width):
        yield start, min(start + width, columns)


def _stacked(parts: Sequence[NDArray[Any]], kind: type[_Number]) -> NDArray[_Number]:
    return np.concatenate(parts, dtype=kind).reshape(len(parts), -1)


def _put_quality(out: list[bytes], quality: NDArray[np.uint8]) -> None:
    if not quality.any():
        out.append(bytes([_ALL_GOOD]))
    elif (quality == quality[0]).all():
        out += (bytes([_CONSTANT]), quality[0].tobytes())
    else:
        out += (bytes([_CHANGING]), quality.T.tobytes())


def _get_quality(source: Source, quality: NDArray[np.uint8]) -> None:
    rows, columns = quality.shape
    kind = source.take(1)[0]
    if kind == _CHANGING:
        quality[:] = source.small(rows * columns).reshape(columns, rows).T
    elif kind == _CONSTANT:
        quality[:] = source.small(columns)
    elif kind != _ALL_GOOD:
        raise DamagedRecordError("its qualities are of an unknown kind")


def _put_series(out: list[bytes], cycles: Sequence[Row], start: int, end: int) -> Integers:
    """Append which columns share a series of ages; the series themselves, in microseconds."""
    times = _stacked([row.times[start:end] for row in cycles], np.float64)
    bits = times.view(np.int64)
    new = np.ones(end - start, np.bool_)
    np.logical_or.reduce(bits[:, 1:] != bits[:, :-1], axis=0, out=new[1:])
    starts = np.flatnonzero(new)
    with np.errstate(all="ignore"):
        ages = np.array([[row.monotonic] for row in cycles]) - times[:, starts]
        np.rint(ages * 1e6, out=ages)
        micros = np.maximum(np.minimum(ages, _LONGEST_US), -_LONGEST_US).astype(np.int64)
    micros[np.isnan(ages)] = _NEVER
    known: dict[bytes, int] = {}
    series: list[int] = []
    firsts: list[int] = []
    for i, column in enumerate(micros.T):
        number = known.setdefault(column.tobytes(), len(firsts))
        series.append(number)
        if number == len(firsts):
            firsts.append(i)
    ends = np.append(starts[1:], end - start)
    out.append(_COUNTS.pack(len(series), len(firsts)))
    out.append(np.array((ends - starts, series), "<u4").tobytes())
    return micros[:, firsts]


def _get_series(source: Source, columns: int) -> tuple[int, Integers]:
    run_count, series_count = _COUNTS.unpack(source.take(_COUNTS.size))
    if not 0 < series_count <= run_count <= columns:
        raise DamagedRecordError("its series of ages cannot be")
    runs, series = source.counts(2 * run_count).reshape(2, run_count)
    if (runs < 1).any() or int(runs.sum()) != columns or (series >= series_count).any():
        raise DamagedRecordError("its ages are not of its columns")
    return series_count, np.repeat(series, runs)
