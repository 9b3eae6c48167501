"""A segment: frames one after the other, and an index at the end once it is full.

    cold-<first sequence>.seg    every record, in blocks of many
    kept-<first sequence>.seg    records with events whose cold segment was dropped

The index is a convenience: without one, or with a damaged one, the frames are found by their marks.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bessai.journal import frame as frames
from bessai.journal.disk import Disk, File
from bessai.journal.frame import Frame, Totals

COLD, KEPT = "cold", "kept"
_NAME = re.compile(r"(cold|kept)-(\d{16})\.seg")
_FOOT = struct.Struct("<4sIQQQQQQqqII")
_MAGIC = b"BJi1"
_ROW = struct.Struct("<QIQQQIIqq16s")
_NO_TOTALS = Totals()
_Place = tuple[int, int, int, int]
"""Offset and length of an index, number of its frames, and its check."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a segment holds, in short."""

    records: int
    events: int
    """How many events the records carry."""
    first: int
    """First sequence, 0 when it is empty."""
    last: int
    wall_min: int
    wall_max: int
    """UTC nanoseconds."""
    layouts: frozenset[bytes]
    """Keys of the layouts."""
    sealed: bool
    end: int
    """Where the frames end, and the index begins when it is sealed."""
    size: int
    """Bytes of the file."""


@dataclass(frozen=True, slots=True)
class Index:
    """Where what stands in a segment."""

    frames: tuple[Frame, ...]
    sealed: bool

    @property
    def end(self) -> int:
        """Where the frames end."""
        return frames.align(self.frames[-1].end) if self.frames else 0

    def summary(self, size: int) -> Summary:
        """The same in short, of a file of `size` bytes."""
        held = [frame for frame in self.frames if frame.count]
        return Summary(
            records=sum(f.count for f in held), events=sum(f.events for f in held),
            first=held[0].first if held else 0, last=held[-1].last if held else 0,
            wall_min=min((f.wall_min for f in held), default=0), wall_max=max((f.wall_max for f in held), default=0),
            layouts=frozenset(f.layout for f in held), sealed=self.sealed, end=self.end, size=size,
        )  # fmt: skip


def name_of(kind: str, first: int) -> str:
    """The file name of a segment."""
    return f"{kind}-{first:016d}.seg"


def firsts(names: Sequence[str], kind: str) -> list[int]:
    """First sequences of the segments among the names of a directory, ascending."""
    return sorted(int(m[2]) for name in names if (m := _NAME.fullmatch(name)) and m[1] == kind)


def read_index(file: File, first: int, known: Index | None = None) -> Index:
    """The frames of the segment `first`, from its index or by looking for them (from where `known` ended).

    Raises OSError.
    """
    size = file.size()
    if (foot := _read_foot(file, size)) is not None and (
        index := _read_rows(file, foot[0], size)
    ) is not None:
        return index
    start, before = (known.end, known.frames) if known is not None and known.end <= size else (0, ())
    found = tuple(frame for frame, _ in frames.scan(file, start, size, first))
    return Index(before + tuple(f for f in found if not before or f.first > before[-1].last), False)


def read_summary(file: File, first: int) -> Summary:
    """What the segment `first` holds; quick when it is sealed. Raises OSError."""
    size = file.size()
    if (foot := _read_foot(file, size)) is None:
        return read_index(file, first).summary(size)
    return foot[1]


class SegmentWriter:
    """The segment that grows. What it writes is durable after `sync` only."""

    def __init__(
        self,
        disk: Disk,
        directory: Path,
        kind: str,
        first: int,
        index: Index | None = None,
        name: str | None = None,
    ) -> None:
        """Create a segment, or go on with an unsealed one behind the frames of `index`. Raises OSError."""
        self._disk, self._directory = disk, directory
        self.first = first
        self.path = directory / (name or name_of(kind, first))
        self._file = disk.open(self.path, write=True, create=True)
        self._frames = list(index.frames) if index is not None else []
        self._end = index.end if index is not None else 0
        try:
            if self._file.size() != self._end:
                self._file.truncate(self._end)
        except BaseException:
            self._file.close()
            raise
        self._named = index is not None
        self._dirty = True

    @property
    def index(self) -> Index:
        """What stands in it."""
        return Index(tuple(self._frames), False)

    @property
    def size(self) -> int:
        """Bytes."""
        return self._end

    @property
    def last(self) -> int:
        """The last sequence, 0 when it is empty."""
        return self._frames[-1].last if self._frames else 0

    def append(self, frame: Frame, body: bytes) -> None:
        """Add a frame. Nothing is added when it raises OSError."""
        frame = replace(frame, home=self.first)
        raw = frames.build(frame, body)
        raw += bytes(frames.align(len(raw)) - len(raw))
        self._file.write(self._end, raw)
        self._dirty = True
        self._frames.append(frames.at(frame, self._end, frames.HEAD + len(body)))
        self._end += len(raw)

    def sync(self) -> None:
        """Make everything in it durable. Raises OSError: then nothing since the last `sync` can be relied on."""
        if self._dirty:
            self._file.sync()
            self._dirty = False
        if not self._named:
            self._disk.sync_directory(self._directory)
            self._named = True

    def seal(self) -> Summary:
        """Write the index behind the frames and sync. Raises OSError."""
        rows = b"".join(
            _ROW.pack(
                f.offset,
                f.length,
                f.commit,
                f.first,
                f.epoch,
                f.count,
                f.events,
                f.wall_min,
                f.wall_max,
                f.layout,
            )
            for f in self._frames
        )
        index = Index(tuple(self._frames), True)
        tail = _foot(zlib.compress(rows, 6), len(self._frames), index.summary(0))
        self._file.truncate(self._end)  # a write that failed may have left something
        self._file.write(self._end, tail)
        self._dirty = True
        self.sync()
        return replace(index.summary(self._end + len(tail)), end=self._end)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def _foot(rows: bytes, count: int, s: Summary) -> bytes:
    keys = b"".join(sorted(s.layouts))
    foot = _FOOT.pack(
        _MAGIC, len(rows), s.end, count, s.records, s.events, s.first, s.last, s.wall_min, s.wall_max,
        len(s.layouts), zlib.crc32(rows),
    )  # fmt: skip
    return rows + keys + foot + zlib.crc32(keys + foot).to_bytes(4, "little")


def _read_foot(file: File, size: int) -> tuple[_Place, Summary] | None:
    """Where the index lies, and the summary; None when the segment is not sealed or that part is damaged."""
    length = _FOOT.size + 4
    if size < length:
        return None
    raw = file.read(size - length, length)
    if len(raw) < length or raw[:4] != _MAGIC:
        return None
    foot = raw[: _FOOT.size]
    _, rows, end, count, records, events, first, last, low, high, layouts, check = _FOOT.unpack(foot)
    keys_at = size - length - 16 * layouts
    if end + rows != keys_at:
        return None
    keys = file.read(keys_at, 16 * layouts)
    if zlib.crc32(keys + foot).to_bytes(4, "little") != raw[_FOOT.size :]:
        return None
    return (end, rows, count, check), Summary(
        records=records, events=events, first=first, last=last, wall_min=low, wall_max=high,
        layouts=frozenset(keys[i : i + 16] for i in range(0, len(keys), 16)), sealed=True, end=end, size=size,
    )  # fmt: skip


def _read_rows(file: File, place: _Place, size: int) -> Index | None:
    end, length, count, check = place
    body = file.read(end, length)
    if zlib.crc32(body) != check or end > size:
        return None
    rows = zlib.decompress(body)
    if len(rows) != count * _ROW.size:
        return None
    found = []
    for offset, length_, commit, first, epoch, n, events, low, high, layout in _ROW.iter_unpack(rows):
        found.append(
            Frame(
                offset=offset, length=length_, home=0, commit=commit, first=first, count=n, events=events,
                epoch=epoch, wall_min=low, wall_max=high, layout=layout, totals=_NO_TOTALS,
            )
        )  # fmt: skip
    return Index(tuple(found), True)
