"""How tables of numbers become few bytes, and back.

A table has a row a record and a column a series. Doubles become integers by the smallest decimal scale that gives
every one of them back bit by bit; a column without one keeps its bits. Integers become a first row, a step a row,
and what is left of each row beside them; of each column only the bytes that are not zero are kept, the lowest of
all columns first. What comes out is made for deflate.
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

_BITS, _SINGLE = 0, 1
# v = n * factor / divisor: a device's gain multiplies, a rounded number is a division. Part of the format.
_SCALES = (
    (1.0, 1.0), (1.0, 1.0), (1.0, 1.0),
    (0.1, 1.0), (0.01, 1.0), (0.001, 1.0), (1.0, 10.0), (1.0, 100.0), (1.0, 1000.0),
    (0.05, 1.0), (0.005, 1.0), (0.0001, 1.0), (1.0, 1e4), (1e-05, 1.0), (1.0, 1e5), (1e-06, 1.0), (1.0, 1e6),
)  # fmt: skip
_FACTORS, _DIVISORS = (np.array(column) for column in zip(*_SCALES, strict=True))
_EXACT = 2.0**53
_STARTS = [np.uint64(1 << 8 * n) for n in range(8)]
_ONE = np.uint64(1)


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

    def end(self) -> None:
        """Raises DamagedRecordError when something is left."""
        if self._place != len(self._data):
            raise DamagedRecordError(f"{len(self._data) - self._place} bytes too many")


def scaled(table: Doubles, guess: Scales | None = None) -> tuple[Integers, Scales]:
    """A table of doubles as integers, and the scale of each column.

    A guess, such as the scales of the block before, only saves time.
    """
    with np.errstate(all="ignore"):
        scales = _searched(table) if guess is None else guess.copy()
        numbers, fits = _divided(table, _FACTORS[scales], _DIVISORS[scales])
        fits &= scales > _SINGLE
        others = np.flatnonzero(~fits)
        if guess is not None and len(others):
            found = _searched(table[:, others])
            scales[others] = found
            numbers[:, others], _ = _divided(table[:, others], _FACTORS[found], _DIVISORS[found])
        integers = numbers.astype(np.int64)
        if len(others):
            bits = others[scales[others] == _BITS]
            integers[:, bits] = table[:, bits].view(np.int64)
            singles = others[scales[others] == _SINGLE]
            integers[:, singles] = table[:, singles].astype(np.float32).view(np.int32)
    return integers, scales


def unscaled(integers: Integers, scales: Scales) -> Doubles:
    """The doubles behind `scaled`. Raises DamagedRecordError for an unknown scale."""
    if len(scales) and int(scales.max()) >= len(_SCALES):
        raise DamagedRecordError("a column has an unknown scale")
    factors, divisors = _FACTORS[scales], _DIVISORS[scales]
    table: Doubles = integers * factors
    if (divisors != 1.0).any():
        table /= divisors
    bits = np.flatnonzero(scales <= _SINGLE)
    if len(bits):
        singles = bits[scales[bits] == _SINGLE]
        table[:, bits] = integers[:, bits].view(np.float64)
        with np.errstate(invalid="ignore"):  # NaN is one of them
            table[:, singles] = integers[:, singles].astype(np.int32).view(np.float32)
    return table


def put(out: list[bytes], table: Integers) -> None:
    """Append a table of integers."""
    rows, columns = table.shape
    if not rows or not columns:
        return
    heads, rest = table[:1], None
    if rows > 1:
        # any step is right; this one leaves little. Sums and differences wrap, here and in `get`.
        step = (table[-1:] - table[:1]) // (rows - 1)
        heads = np.concatenate((heads, step))
        rest = table[1:] - table[:-1]
        rest -= step
    _put_planes(out, heads)
    if rest is not None and rows > 2:
        _put_planes(out, rest)


def get(data: Source, rows: int, columns: int) -> Integers:
    """The table that `put` appended. Raises DamagedRecordError."""
    if rows * columns > MOST_CELLS:
        raise DamagedRecordError(f"a table has {rows} rows of {columns} columns, too many")
    if not rows or not columns:
        return np.zeros((rows, columns), np.int64)
    heads = _get_planes(data, min(rows, 2), columns)
    table = np.empty((columns, rows), np.int64)
    table[:, 0] = heads[:, 0]
    if rows > 1:
        table[:, 1:] = heads[:, 1:]
        if rows > 2:
            table[:, 1:] += _get_planes(data, rows - 1, columns)
        np.cumsum(table, axis=1, out=table)
    return table.T


def put_doubles(out: list[bytes], table: Doubles) -> None:
    """Append a table of doubles and its scales."""
    integers, scales = scaled(table)
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
    for scale, (factor, divisor) in enumerate(_SCALES[2:], 2):
        maybe = left[_divided(some[:, left], factor, divisor)[1]]
        right = maybe[_divided(table[:, maybe], factor, divisor)[1]] if len(some) < rows else maybe
        scales[right] = scale
        left = left[scales[left] == 0]
        if not len(left):
            return scales
    rest = table[:, left]
    single = rest.astype(np.float32).astype(np.float64).view(np.int64) == rest.view(np.int64)
    scales[left[single.all(axis=0)]] = _SINGLE
    return scales


def _divided(
    table: Doubles, factor: Doubles | float, divisor: Doubles | float
) -> tuple[Doubles, NDArray[np.bool_]]:
    """The whole numbers behind a table, and for each column whether they give back all of it, bit by bit."""
    numbers = np.rint(table * (divisor / factor))
    numbers += 0.0  # an integer has no negative zero, so a double that is one needs its bits
    again = numbers * factor
    again /= divisor
    same = again.view(np.int64) == table.view(np.int64)
    np.logical_and(same, np.abs(numbers, out=again) < _EXACT, out=same)
    return numbers, same.all(axis=0)


def _put_planes(out: list[bytes], table: Integers) -> None:
    unsigned = ((table << 1) ^ (table >> 63)).view(np.uint64)  # small numbers of either sign have small bytes
    octets = np.ascontiguousarray(unsigned, "<u8").view(np.uint8).reshape(*table.shape, 8)
    used = np.bitwise_or.reduce(unsigned, axis=0)
    widths = np.zeros(table.shape[1], np.uint8)
    planes = []
    for n, start in enumerate(_STARTS):
        wide = used >= start
        count = np.count_nonzero(wide)
        if not count:
            break
        widths += wide
        plane = octets[:, :, n].T
        planes.append((plane if count == len(widths) else plane[wide]).tobytes())
    out.append(widths.tobytes())
    out += planes


def _get_planes(data: Source, rows: int, columns: int) -> Integers:
    """Transposed: columns first."""
    widths = data.small(columns)
    most = int(widths.max())
    if most > len(_STARTS):
        raise DamagedRecordError("a column has too many bytes")
    unsigned = np.zeros((columns, rows), "<u8")
    octets = unsigned.view(np.uint8).reshape(columns, rows, 8)
    for n in range(most):
        wide = widths > n
        count = int(np.count_nonzero(wide))
        octets[wide if count < columns else slice(None), :, n] = data.small(count * rows).reshape(count, rows)
    halves = (unsigned >> _ONE).view(np.int64)
    halves ^= -(unsigned & _ONE).view(np.int64)
    return halves
