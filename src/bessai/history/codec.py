"""How buckets become bytes and back.

A body is one byte of format, then a deflated block: the buckets' numbers, the ids of its points, the length of
each point's section, the sections. Integers are kept as differences in the fewest bytes that hold them, byte by
byte apart. Values that are a whole number of thousandths or coarser (what registers give) are kept as that whole
number, others as they are; both come back bit for bit (a negative zero comes back as zero). Only the mean is kept
in single precision, as its place between min and max.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bessai.history.cells import Cells, Floats, Ints, mean
from bessai.history.errors import DamagedChunkError, HistoryError
from bessai.history.levels import LEVELS

FORMAT = 1
_HEAD = struct.Struct("<BII")
_SAME = struct.Struct("<Bq")
"""Integers that are all one number."""
_WIDTHS = (1, 2, 4, 8)
_SCALES = tuple((10.0**k, by) for k in range(4) for by in ((False, True) if k else (False,)))
"""How a value comes from a whole number: divided by a power of ten, or multiplied by its inverse."""
_PLAIN = 255
_MOST = 1 << 20
"""Rows or points of one body: memory is bounded, also when a body is damaged."""


def pack(keys: Ints, level: int, points: Mapping[int, Cells]) -> bytes:
    """The body of buckets `keys` of a level: for each point's id a row of cells per key."""
    sections = [_section(keys, level, cells) for cells in points.values()]
    data = [
        _HEAD.pack(level, len(keys), len(sections)),
        _ints(keys),
        _ints(np.fromiter(points, np.int64, len(points))),
        _ints(np.array([len(section) for section in sections], np.int64)),
        *sections,
    ]
    return bytes([FORMAT]) + zlib.compress(b"".join(data), 6)


def unpack(body: bytes, wanted: frozenset[int] | None = None) -> tuple[int, Ints, dict[int, Cells]]:
    """Level, keys and the cells of the wanted points, or of all, by id.

    Raises:
        DamagedChunkError: the bytes are not what was written.
        HistoryError: a newer version wrote it.
    """
    if body[:1] != bytes([FORMAT]):
        if body and body[0] > FORMAT:
            raise HistoryError(
                f"a chunk has format {body[0]}, this version reads {FORMAT}: use the version that wrote it"
            )
        raise DamagedChunkError("no chunk")
    try:
        data = _Data(zlib.decompress(memoryview(body)[1:]))
        level, rows, columns = _HEAD.unpack(data.take(_HEAD.size))
        if rows > _MOST or columns > _MOST:
            raise DamagedChunkError("it is too large")
        keys, ids, lengths = data.ints(rows), data.ints(columns), data.ints(columns)
        found = {}
        for point, length in zip(ids.tolist(), lengths.tolist(), strict=True):
            section = data.take(length)
            if wanted is None or point in wanted:
                found[point] = _cells(_Data(section), keys, level)
    except (zlib.error, struct.error, ValueError, LookupError) as error:
        raise DamagedChunkError(f"a chunk is damaged ({error})") from error
    return level, keys, found


def _section(keys: Ints, level: int, cells: Cells) -> bytes:
    some = cells.good > 0
    low, high, last, middle = cells.low[some], cells.high[some], cells.last[some], mean(cells)[some]
    parts = [
        _ints(cells.count),
        _ints(cells.count - cells.good),
        _ints(_newest(keys[some], level) - cells.slot[some]),
        _values(low, high, last),
    ]
    apart = high > low
    low, high, middle = low[apart], high[apart], middle[apart]
    with np.errstate(invalid="ignore"):  # halves, because a difference may overflow
        share = (middle / 2 - low / 2) / (high / 2 - low / 2)
    parts.append(_bytes_apart(np.nan_to_num(share).astype("<f4")))
    return b"".join(parts)


def _cells(data: _Data, keys: Ints, level: int) -> Cells:
    rows = len(keys)
    count = data.ints(rows)
    good = count - data.ints(rows)
    some = good > 0
    known = int(some.sum())
    slot, low, high, last, total = (np.zeros(rows, dtype) for dtype in (np.int64, *[np.float64] * 4))
    slot[some] = _newest(keys[some], level) - data.ints(known)
    for column in (low, high, last):
        column[~some] = np.nan
    low[some], high[some], last[some] = _three(data, known)
    middle = low.copy()
    apart = high > low
    share = data.apart("<f4", int(apart.sum())).astype(np.float64)
    middle[apart] = np.clip(low[apart] * (1 - share) + high[apart] * share, low[apart], high[apart])
    with np.errstate(over="ignore"):
        total[some] = middle[some] * good[some]
    return Cells(count=count, good=good, total=total, low=low, high=high, last=last, slot=slot)


def _newest(keys: Ints, level: int) -> Ints:
    slots = LEVELS[level].slots
    return keys * slots + (slots - 1)


def _values(low: Floats, high: Floats, last: Floats) -> bytes:
    values = np.concatenate((low, high, last))
    for number, (scale, by) in enumerate(_SCALES):
        if _whole(values[:48], scale, by=by) is None:
            continue
        whole = _whole(values, scale, by=by)
        if whole is not None:
            count = len(low)
            least, most, newest = whole[:count], whole[count : 2 * count], whole[2 * count :]
            return bytes([number]) + _ints(least) + _ints(most - least) + _ints(newest - least)
    return bytes([_PLAIN]) + _bytes_apart(values.astype("<f8"))


def _three(data: _Data, count: int) -> tuple[Floats, Floats, Floats]:
    kind = data.take(1)[0]
    if kind == _PLAIN:
        low, high, last = data.apart("<f8", 3 * count).astype(np.float64).reshape(3, count)
        return low, high, last
    scale, by = _SCALES[kind]
    least = data.ints(count)
    wholes = (least, least + data.ints(count), least + data.ints(count))
    low, high, last = (_scaled(whole, scale, by=by) for whole in wholes)
    return low, high, last


def _whole(values: Floats, scale: float, *, by: bool) -> Ints | None:
    """The whole numbers that give exactly these values, None when there are none."""
    with np.errstate(over="ignore"):
        whole = np.rint(values * scale)
    if np.any(np.abs(whole) >= 2.0**53):
        return None
    made = whole.astype(np.int64)
    return made if np.array_equal(_scaled(made, scale, by=by), values) else None


def _scaled(whole: Ints, scale: float, *, by: bool) -> Floats:
    values = whole.astype(np.float64)
    return values * (1 / scale) if by else values / scale


def _ints(values: Ints) -> bytes:
    if len(values) == 0 or (values == values[0]).all():
        return _SAME.pack(0, int(values[0]) if len(values) else 0)
    steps = values.copy()
    steps[1:] -= values[:-1]
    least, most = int(steps.min()), int(steps.max())
    width = next(w for w in _WIDTHS if -(1 << 8 * w - 1) <= least and most < 1 << 8 * w - 1)
    return bytes([width]) + _bytes_apart(steps.astype(f"<i{width}"))


def _bytes_apart(values: NDArray[np.generic]) -> bytes:
    return (
        np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1).T.tobytes()
        if len(values)
        else b""
    )


class _Data:
    """Bytes that are read from the front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, length: int) -> bytes:
        part = self._data[self._at : self._at + length]
        if length < 0 or len(part) != length:
            raise DamagedChunkError("it ends too early")
        self._at += length
        return part

    def apart(self, dtype: str, count: int) -> NDArray[np.generic]:
        size = np.dtype(dtype).itemsize
        planes = np.frombuffer(self.take(count * size), np.uint8).reshape(size, count)
        return np.ascontiguousarray(planes.T).view(dtype).reshape(count)

    def ints(self, count: int) -> Ints:
        width = self.take(1)[0]
        if width == 0:
            return np.full(count, int.from_bytes(self.take(8), "little", signed=True))
        if width not in _WIDTHS:
            raise DamagedChunkError("no integers")
        return np.cumsum(self.apart(f"<i{width}", count), dtype=np.int64)
