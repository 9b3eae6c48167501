"""A frame: a few records in one piece, with everything that is needed to trust it.

    header (152 bytes) | body (a block, see `block`)

The check covers header and body. `home` names the file life that the frame was written for, so that what an
earlier life left behind in a reused file is never taken for valid. Every header carries the journal's totals:
the newest valid frame says what was dropped so far.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from bessai.journal.disk import File

MAGIC = b"BJf1"
FINAL = 1
"""Flag of the last frame of a commit."""

_HEAD = struct.Struct("<4sIIIQQQQIIqq16s8Q")
_CHECKED = 12
HEAD = _HEAD.size
ALIGN = 8
"""In a segment frames begin at multiples of this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What the journal knows of itself. `last sequence = held + space + skipped + damaged`, always."""

    held: int = 0
    """Records that can be read."""
    space: int = 0
    """Records dropped to keep the size bound."""
    queue: int = 0
    """Records that never got a sequence: the queue was full, or they could not be encoded."""
    events: int = 0
    """Events lost with either."""
    skipped: int = 0
    """Sequence numbers that no record was ever given."""
    floor: int = 0
    """Telemetry below this sequence was dropped."""
    kept_floor: int = 0
    """Records with events below this sequence were dropped too."""
    serial: int = 0
    """Grows whenever they are written: of two, the higher is the newer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The header of a frame, and where the frame lies."""

    offset: int = 0
    length: int = 0
    """Bytes of header and body."""
    final: bool = True
    home: int
    """Generation of the write-ahead log, or first sequence of the segment."""
    commit: int
    """First sequence of the commit that the frame was written in."""
    first: int
    """Sequence of the first record; the others follow without a gap."""
    count: int
    events: int
    """How many events the records carry."""
    epoch: int
    wall_min: int
    wall_max: int
    """UTC nanoseconds of the earliest and the latest record."""
    layout: bytes
    """Key of the layout, see `layouts`."""
    totals: Totals

    @property
    def last(self) -> int:
        """Sequence of the last record."""
        return self.first + self.count - 1

    @property
    def end(self) -> int:
        """Where the frame ends in its file."""
        return self.offset + self.length


def build(frame: Frame, body: bytes) -> bytes:
    """The bytes of a frame; `offset` and `length` do not matter."""
    t = frame.totals
    head = _HEAD.pack(
        MAGIC, len(body), 0, FINAL * frame.final, frame.home, frame.commit, frame.first, frame.epoch,
        frame.count, frame.events, frame.wall_min, frame.wall_max, frame.layout,
        t.held, t.space, t.queue, t.events, t.skipped, t.floor, t.kept_floor, t.serial,
    )  # fmt: skip
    check = zlib.crc32(body, zlib.crc32(head[_CHECKED:]))
    return head[:8] + check.to_bytes(4, "little") + head[_CHECKED:] + body


def read(file: File, offset: int, size: int, home: int | None = None) -> tuple[Frame, bytes] | None:
    """The valid frame at an offset of a file of `size` bytes and its body, else None."""
    head = file.read(offset, HEAD)
    if len(head) < HEAD or head[:4] != MAGIC:
        return None
    _, length, check, flags, home_, *rest = _HEAD.unpack(head)
    if (home is not None and home_ != home) or offset + HEAD + length > size:
        return None
    body = file.read(offset + HEAD, length)
    if len(body) != length or zlib.crc32(body, zlib.crc32(head[_CHECKED:])) != check:
        return None
    commit, first, epoch, count, events, wall_min, wall_max, layout, *totals = rest
    names = ("held", "space", "queue", "events", "skipped", "floor", "kept_floor", "serial")
    return Frame(
        offset=offset, length=HEAD + length, final=bool(flags & FINAL), home=home_, commit=commit, first=first,
        count=count, events=events, epoch=epoch, wall_min=wall_min, wall_max=wall_max, layout=layout,
        totals=Totals(**dict(zip(names, totals, strict=True))),
    ), body  # fmt: skip


def scan(
    file: File, offset: int, size: int, home: int | None, step: int = ALIGN
) -> Iterator[tuple[Frame, bytes]]:
    """Every valid frame from an offset on, also beyond damage. Frames begin at multiples of `step`."""
    while offset + HEAD <= size:
        if (found := read(file, offset, size, home)) is not None:
            yield found
            offset = align(found[0].end, step)
        else:
            offset = _next_magic(file, offset + step, size, step)


def align(offset: int, step: int = ALIGN) -> int:
    """The next multiple of `step`."""
    return -(-offset // step) * step


def at(frame: Frame, offset: int, length: int) -> Frame:
    """The same frame, lying there."""
    return replace(frame, offset=offset, length=length)


def _next_magic(file: File, offset: int, size: int, step: int) -> int:
    """Where the next frame may begin."""
    chunk = 1 << 20
    while offset < size:
        data = file.read(offset, chunk + len(MAGIC) - 1)
        if not data:
            break
        at_ = data.find(MAGIC)
        while at_ >= 0 and (offset + at_) % step:
            at_ = data.find(MAGIC, at_ + 1)
        if at_ >= 0:
            return offset + at_
        offset += chunk
    return size
