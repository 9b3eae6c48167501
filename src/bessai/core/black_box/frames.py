"""The format of a black-box file: a mark, then frames that each prove themselves.

    mark    8 bytes  "BESSBOX" and the format's number
    frame   1 byte   kind, see `Kind`
            4 bytes  length of the payload, little-endian
            4 bytes  CRC-32 of kind, length and payload
            payload  deflated (zlib)

A file that was cut, or is still written, yields every whole frame before the cut.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from enum import IntEnum
from typing import Any, BinaryIO

FORMAT = 1
"""Number of this format; the reader refuses a higher one."""

MARK = b"BESSBOX" + bytes([FORMAT])

_HEAD = struct.Struct("<BII")
_LONGEST = 256 << 20
"""Bytes of a payload beyond which a length is not believed."""


class Kind(IntEnum):
    """What a frame holds. The numbers are part of the format."""

    HEADER = 1
    """JSON: what is needed to build the guard again, and which code recorded."""
    LAYOUT = 2
    """JSON: columns of images; comes before the first calls that use it."""
    SNAPSHOT = 3
    """JSON: the guard's memory before the next call, and whether calls are missing before it."""
    CALLS = 4
    """Calls of the guard in order, see `calls`."""
    TRIGGER = 5
    """JSON: why it was kept."""
    END = 6
    """JSON: why it ends here."""


class UnreadableBoxError(ValueError):
    """A file that is no black-box record, or whose beginning is lost."""


def frame(kind: Kind, payload: bytes) -> bytes:
    """One frame, ready to be written."""
    packed = zlib.compress(payload, 1)
    return _HEAD.pack(kind, len(packed), _check(kind, packed)) + packed


def json_frame(kind: Kind, data: Any) -> bytes:
    """A frame of plain data; floats exact, infinities and NaN as Python's `json` writes them."""
    return frame(kind, json.dumps(data, separators=(",", ":")).encode())


def read_frames(file: BinaryIO, only: frozenset[Kind] | None = None) -> Iterator[tuple[Kind, bytes]]:
    """Every whole frame up to the first that is cut or damaged; `only` skips the others unread.

    Raises:
        UnreadableBoxError: it does not begin as a black-box record does.
    """
    mark = file.read(len(MARK))
    if mark[:-1] != MARK[:-1] or len(mark) < len(MARK):
        raise UnreadableBoxError("is no black-box record")
    if mark[-1] > FORMAT:
        raise UnreadableBoxError(
            f"has format {mark[-1]}, this version reads {FORMAT}: use the version that wrote it"
        )
    while len(head := file.read(_HEAD.size)) == _HEAD.size:
        kind, length, check = _HEAD.unpack(head)
        if length > _LONGEST or kind not in Kind.__members__.values():
            return
        if only is not None and kind not in only:
            file.seek(length, 1)
            continue
        packed = file.read(length)
        if len(packed) < length or _check(kind, packed) != check:
            return
        try:
            yield Kind(kind), zlib.decompress(packed)
        except zlib.error:
            return


def _check(kind: int, packed: bytes) -> int:
    return zlib.crc32(packed, zlib.crc32(struct.pack("<BI", kind, len(packed))))
