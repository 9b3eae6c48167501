"""How tables of numbers become few bytes, and back.

A table has a row a record and a column a series. Doubles become integers by the smallest scale that gives every one of
them back bit by bit; a column without one keeps its bits. Of integers the first row is kept, a step a row, and what is
left of each row beside them; of each column only the bytes that are not zero, the lowest of all columns first. What
comes out is made for deflate.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bessai.journal.errors import DamagedRecordError

MOST_CELLS = 1 << 24
"""Cells of a table: what a damaged count can make a reader allocate."""

Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]
Scales = NDArray[np.uint8]

# v = n * factor / divisor, with n a whole number: a device's gain multiplies, a rounded number is a division.
_WHOLE = (
    (1.0, 1.0), (0.1, 1.0), (0.01, 1.0), (0.001, 1.0), (1.0, 10.0), (1.0, 100.0), (1.0, 1000.0),
    (0.05, 1.0), (0.005, 1.0), (0.0001, 1.0), (1.0, 1e4), (1e-05, 1.0), (1.0, 1e5), (1e-06, 1.0), (1.0, 1e6),
)  # fmt: skip
# The same with n a number of 32 bits with a fraction.
_SINGLE = ((1.0, 1.0), (0.001, 1.0))
# The same with n a whole number, and the last bits beside it: sums and products of registers.
_NEAR = ((1.0, 10.0), (1.0, 100.0), (1.0, 1000.0), (1.0, 1e4), (1.0, 1e5), (1.0, 1e6))
# What stands for a column says which; 0 keeps the bits. Part of the format, as all of the above.
_BITS = 0
_FIRST_SINGLE = 1 + len(_WHOLE)
_FIRST_NEAR = _FIRST_SINGLE + len(_SINGLE)
_SCALES = ((1.0, 1.0), *_WHOLE, *_SINGLE, *_NEAR)
_FACTORS, _DIVISORS = (np.array(column) for column in zip(*_SCALES, strict=True))
_LAST_BITS = 4
_NAN = int(np.array(np.nan).view(np.int64))
_MISSING = -(2**53)  # the whole number of a NaN
_EXACT, _NEAREST = 2.0**53, 2.0**40
_STARTS = [np.uint64(1 << 8 * n) for n in range(8)]
_ONE, _OCTET = np.uint64(1), np.uint64(8)
_MOST_USES = 100
_MOST_GUESSES = 1024

_guesses: dict[tuple[str, int], tuple[Scales, int]] = {}


class Source:
    """Bytes that are read from the front. Every read raises DamagedRecordError beyond the end."""

    def __init__(self, data: bytes) -> None:
        self._data, self._place = data, 0

    def take(self, count: int) -> bytes:
        """The next bytes."""
        end = self._place + count
        if end > len(self._data):
            raise DamagedRecordError(f"{count} bytes wanted at {self._place}, {len(self._data)} are there")
        part, self._place = self._data[self._place : end], end
        return part

    def small(self, count: int) -> NDArray[np.uint8]:
        """The next bytes as numbers."""
        return np.frombuffer(self.take(count), np.uint8)

    def counts(self, count: int) -> Integers:
        """The next numbers of four bytes each."""
        return np.frombuffer(self.take(4 * count), "<u4").astype(np.int64)

    def end(self) -> None:
        """Raises DamagedRecordError when something is left."""
        if self._place != len(self._data):
            raise DamagedRecordError(f"{len(self._data) - self._place} bytes too many")


def scaled(table: Doubles, kind: str, *, thorough: bool) -> tuple[Integers, Scales]:
    """A table of doubles as integers, and the scale of each column.

    The scales of the last table of its kind and width are tried first. A thorough call, and one in a hundred, searches
    the smallest ones.
    """
    scales, uses = _guesses.get((kind, table.shape[1]), (None, 0))
    with np.errstate(all="ignore"):
        if scales is None or thorough or uses == _MOST_USES:
            scales, uses = _searched(table), 0
        integers, fits = _divided(table, scales)
        if not fits.all():
            wrong = np.flatnonzero(~fits)
            scales = scales.copy()
            scales[wrong] = _searched(table[:, wrong])
            integers[:, wrong], _ = _divided(table[:, wrong], scales[wrong])
    if len(_guesses) >= _MOST_GUESSES:
        _guesses.clear()
    _guesses[kind, table.shape[1]] = scales, uses + 1
    return integers, scales


def unscaled(integers: Integers, scales: Scales) -> Doubles:
    """The doubles behind `scaled`. Raises DamagedRecordError for an unknown scale."""
    if len(scales) and int(scales.max()) >= len(_SCALES):
        raise DamagedRecordError("a column has an unknown scale")
    factors, divisors = _FACTORS[scales], _DIVISORS[scales]
    table: Doubles = integers * factors
    if (divisors != 1.0).any():
        table /= divisors
    missing = integers == _MISSING
    if missing.any():
        table[missing] = np.nan
    for scale in _special(scales):
        columns = np.flatnonzero(scales == scale)
        some = integers[:, columns]
        if scale == _BITS:
            table[:, columns] = some.view(np.float64)
        elif scale < _FIRST_NEAR:
            with np.errstate(invalid="ignore"):  # NaN is one of them
                table[:, columns] = some.astype(np.int32).view(np.float32) * _FACTORS[scale]
        else:
            near = (some >> _LAST_BITS) / _DIVISORS[scale]
            last = (some & (1 << _LAST_BITS) - 1) - (1 << _LAST_BITS - 1)
            table[:, columns] = (near.view(np.int64) + last).view(np.float64)
    return table


def put(out: list[bytes], table: Integers) -> None:
    """Append a table of integers. Raises ValueError when it has more than `MOST_CELLS`."""
    rows, columns = table.shape
    if rows * columns > MOST_CELLS:
        raise ValueError(f"a table of {rows} rows has {columns} columns, too many")
    if not rows or not columns:
        return
    if rows == 1:
        _put_planes(out, table.copy())
        return
    # any step is right; this one leaves little. Sums and differences wrap, here and in `get`.
    step = (table[-1:] - table[:1]) // (rows - 1)
    _put_planes(out, np.concatenate((table[:1], step)))
    if rows > 2:
        rest = table[1:] - table[:-1]
        rest -= step
        _put_planes(out, rest)


def get(data: Source, rows: int, columns: int) -> Integers:
    """The table that `put` appended. Raises DamagedRecordError."""
    if rows * columns > MOST_CELLS:
        raise DamagedRecordError(f"a table has {rows} rows of {columns} columns, too many")
    if not rows or not columns:
        return np.zeros((rows, columns), np.int64)
    heads = _get_planes(data, min(rows, 2), columns)
    if rows == 1:
        return heads
    table = np.empty((rows, columns), np.int64)
    table[0], table[1:] = heads
    if rows > 2:
        table[1:] += _get_planes(data, rows - 1, columns)
    return np.cumsum(table, axis=0, out=table)


def put_doubles(out: list[bytes], table: Doubles, kind: str, *, thorough: bool) -> None:
    """Append a table of doubles and its scales, see `scaled`."""
    integers, scales = scaled(table, kind, thorough=thorough)
    out.append(scales.tobytes())
    put(out, integers)


def get_doubles(data: Source, rows: int, columns: int) -> Doubles:
    """The table that `put_doubles` appended. Raises DamagedRecordError."""
    scales = data.small(columns)
    return unscaled(get(data, rows, columns), scales)


def _searched(table: Doubles) -> Scales:
    rows, columns = table.shape
    scales = np.zeros(columns, np.uint8)
    left = np.arange(columns)
    some = table[:: max(1, rows // 4)]  # most scales that do not fit fail here already
    for scale in range(_BITS + 1, len(_SCALES)):
        one = np.array([scale], np.uint8)
        maybe = left[_divided(some[:, left], one)[1]]
        right = maybe[_divided(table[:, maybe], one)[1]] if len(some) < rows else maybe
        if len(right):
            scales[right] = scale
            left = left[scales[left] == _BITS]
            if not len(left):
                break
    return scales


def _special(scales: Scales) -> list[int]:
    """The scales among them that are not one of a whole number."""
    if not len(scales) or (int(scales.min()) > _BITS and int(scales.max()) < _FIRST_SINGLE):
        return []
    return [scale for scale in np.unique(scales).tolist() if scale == _BITS or scale >= _FIRST_SINGLE]


def _divided(table: Doubles, scales: Scales) -> tuple[Integers, NDArray[np.bool_]]:
    """The integers of a table, and for each column whether they give back all of it, bit by bit.

    One scale stands for all columns.
    """
    factors, divisors = _FACTORS[scales], _DIVISORS[scales]
    numbers = table * (divisors / factors)
    np.rint(numbers, out=numbers)
    numbers += 0.0  # an integer has no negative zero, so a double that is one needs its bits
    again = numbers * factors
    again /= divisors
    same = again.view(np.int64) == table.view(np.int64)
    small = np.abs(numbers, out=again) < _EXACT
    if not small.all():
        missing = table.view(np.int64) == _NAN
        numbers[missing] = _MISSING
        small |= missing
    same &= small
    fits: NDArray[np.bool_] = np.all(same, axis=0)
    integers = numbers.astype(np.int64)
    for scale in _special(scales):
        columns = np.flatnonzero(scales == scale) if len(scales) == table.shape[1] else slice(None)
        integers[:, columns], fits[columns] = _divided_specially(table[:, columns], scale)
    return integers, fits


def _divided_specially(table: Doubles, scale: int) -> tuple[Integers, NDArray[np.bool_]]:
    bits: Integers = np.ascontiguousarray(table).view(np.int64)
    if scale == _BITS:
        return bits, np.ones(table.shape[1], np.bool_)
    if scale < _FIRST_NEAR:
        single = (table / _FACTORS[scale]).astype(np.float32)
        same = (single * _FACTORS[scale]).view(np.int64) == bits
        return single.view(np.int32).astype(np.int64), np.all(same, axis=0)
    numbers = np.rint(table * _DIVISORS[scale]) + 0.0
    last = bits - (numbers / _DIVISORS[scale]).view(np.int64)
    half = 1 << _LAST_BITS - 1
    fits = (last >= -half) & (last < half) & (np.abs(numbers) < _NEAREST)
    return (numbers.astype(np.int64) << _LAST_BITS) + last + half, np.all(fits, axis=0)


def _put_planes(out: list[bytes], table: Integers) -> None:
    """Append the bytes of a table, which is lost by it."""
    signs = table >> 63
    table <<= 1
    table ^= signs  # small numbers of either sign have small bytes
    left = table.view(np.uint64)
    used = np.bitwise_or.reduce(left, axis=0)
    widths = np.zeros(table.shape[1], np.uint8)
    for start in _STARTS:
        wide = used >= start
        if not wide.any():
            break
        widths += wide
    out.append(widths.tobytes())
    for n in range(int(widths.max())):
        wide = widths > n
        if not wide.all():
            left, widths = left.compress(wide, axis=1), widths.compress(wide)
        plane = left.astype(np.uint8)
        out.append((plane.T if _by_column(table.shape) else plane).tobytes())
        left >>= _OCTET


def _by_column(shape: tuple[int, ...]) -> bool:
    # long series are like themselves, many short ones are like their neighbours
    return shape[0] > shape[1]


def _get_planes(data: Source, rows: int, columns: int) -> Integers:
    widths = data.small(columns)
    most = int(widths.max())
    if most > len(_STARTS):
        raise DamagedRecordError("a column has too many bytes")
    table = np.zeros((rows, columns), "<u8")
    octets = table.view(np.uint8).reshape(rows, columns, 8)
    for n in range(most):
        wide = widths > n
        count = int(np.count_nonzero(wide))
        plane = data.small(count * rows)
        if _by_column(table.shape):
            octets[:, wide, n] = plane.reshape(count, rows).T
        else:
            octets[:, np.flatnonzero(wide), n] = plane.reshape(rows, count)
    signs = -(table & _ONE).view(np.int64)
    table >>= _ONE
    signs ^= table.view(np.int64)
    return signs
