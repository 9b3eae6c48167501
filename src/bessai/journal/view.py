"""The files of a journal as a reader sees them: which frame holds a sequence, and its bytes.

Everything here may raise OSError, and may be outrun by the writer: see `JournalReader`.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from pathlib import Path

from bessai.journal import frame as frames
from bessai.journal.commit import NAME as COMMIT
from bessai.journal.commit import Commit, CommitFile
from bessai.journal.disk import Disk, File
from bessai.journal.frame import Frame, Totals
from bessai.journal.segment import COLD, KEPT, Index, Summary, firsts, name_of, read_index, read_summary
from bessai.journal.wal import BLOCK, generations, name_of_generation, read_notes

Span = tuple[int, int]
"""UTC nanoseconds, both ends inclusive."""
WAL = "wal"
_Names = tuple[tuple[int, int, int], list[int], list[int]]
_INDEXES = 4


@dataclass(frozen=True, slots=True)
class Place:
    """Where a frame is."""

    kind: str
    home: int
    frame: Frame


class View:
    """See the module."""

    def __init__(self, disk: Disk, directory: Path) -> None:
        self._disk, self._directory = disk, directory
        self._commit_file: CommitFile | None = None
        self._wal: File | None = None
        self._wal_frames: list[Frame] = []
        self._wal_seen = 0
        self._state: Commit | None = None
        self._guessed = False
        """The state is no writer's word: what was looked at may be filled only now."""
        self.identity = 0
        """Of the directory, as of the last look: a journal that replaces it has another."""
        self._sized = (-math.inf, 0)
        self._names: _Names | None = None
        self._files: dict[tuple[str, int], File] = {}
        self._indexes: dict[tuple[str, int], tuple[int, Index]] = {}
        self._summaries: dict[tuple[str, int], Summary] = {}

    def refresh(self) -> tuple[int, int, int]:
        """Look at what is durable now. Equal results: no file was renamed or dropped in between."""
        try:
            identity = self._disk.identity(self._directory)
        except (FileNotFoundError, NotADirectoryError):
            self.forget()
            self._state = None
            return (0, 0, 0)
        if identity != self.identity:
            self.forget()
            self.identity = identity
        state = self._read_commit()
        if state is None:
            state = self._guess()
        elif self._guessed or (self._state is not None and state.generation != self._state.generation):
            self._close_wal()
            self._guessed = False
        self._state = state
        try:
            self._read_wal(state)
        except FileNotFoundError:
            # After a power cut what the writer showed last may be older than the log.
            found = generations(self._disk.names(self._directory))
            if not found or found[-1] <= state.generation:
                raise
            self._state = state = self._guess()
        return (state.generation, state.floor, identity)

    def last(self) -> int:
        """The last durable sequence."""
        return self._state.last if self._state is not None else 0

    @property
    def floor(self) -> int:
        """Telemetry below this sequence was dropped."""
        return self._state.floor if self._state is not None else 0

    def totals(self) -> tuple[Totals, int, int]:
        """The newest totals, the epoch and the last sequence."""
        state = self._state
        if state is None:
            return Totals(), 0, 0
        newest = self._wal_frames[-1:]
        if self._wal is not None:
            newest = newest + read_notes(self._wal, self._wal.size() // BLOCK * BLOCK)
        if newest:
            return max((f.totals for f in newest), key=lambda totals: totals.serial), state.epoch, state.last
        for first in reversed(self._list()[1]):
            for frame in reversed(self._index(COLD, first).frames):
                if (found := self._frame(COLD, first, frame)) is not None:
                    return found[0].totals, state.epoch, state.last
        return Totals(), state.epoch, state.last

    def newest(self) -> Frame | None:
        """The newest frame with records."""
        if (found := next((f for f in reversed(self._wal_frames) if f.count), None)) is not None:
            return found
        for first in reversed(self._list()[1]):
            held = [f for f in self._index(COLD, first).frames if f.count]
            if held:
                return held[-1]
        return None

    def find(self, start: int, span: Span) -> Place | None:
        """The first frame with a record from sequence `start` on that may touch a span of time."""
        state = self._state
        if state is None:
            return None
        if start < state.floor:
            if (place := self._find_in(KEPT, start, state.floor, span)) is not None:
                return place
            start = state.floor
        if start > state.last:
            return None
        at = bisect_left(self._wal_frames, start, key=lambda frame: frame.last)
        logged = [frame for frame in self._wal_frames[at:] if frame.count]
        # What the log lacks stands in a segment: all that is older, and what is damaged in the log.
        end = logged[0].first if logged else state.last + 1
        if start < end and (place := self._find_in(COLD, start, end, span)) is not None:
            return place
        frame = next((frame for frame in logged if _touches(frame, span)), None)
        return None if frame is None else Place(WAL, state.generation, frame)

    def body(self, place: Place) -> bytes | None:
        """The body of a frame, None when it is damaged; one of the log may have a copy in a segment."""
        if place.kind != WAL:
            found = self._frame(place.kind, place.home, place.frame)
            return None if found is None else found[1]
        if self._wal is None:
            return None
        raw = frames.read(self._wal, place.frame.offset, self._wal.size(), place.home)
        return None if raw is None or raw[0].first != place.frame.first else raw[1]

    def size_bytes(self) -> int:
        """Bytes of all files, as of a second ago at most."""
        if time.monotonic() - self._sized[0] < 1.0:
            return self._sized[1]
        total = 0
        for name in self._disk.names(self._directory):
            file = self._disk.open(self._directory / name)
            total += file.size()
            file.close()
        self._sized = (time.monotonic(), total)
        return total

    def forget(self) -> None:
        """Open everything anew at the next look."""
        self._close_wal()
        if self._commit_file is not None:
            self._commit_file.close()
            self._commit_file = None
        for file in self._files.values():
            file.close()
        self._files.clear()
        self._indexes.clear()
        self._summaries.clear()
        self._names = None

    close = forget

    # --- what is durable

    def _read_commit(self) -> Commit | None:
        if self._commit_file is None:
            try:
                self._commit_file = CommitFile(self._disk.open(self._directory / COMMIT))
            except FileNotFoundError:
                return None
        return self._commit_file.read()

    def _guess(self) -> Commit:
        """Without a writer's word: all that is there. A journal that runs always has that word."""
        self._guessed = True
        found = generations(self._disk.names(self._directory))
        state = Commit(
            generation=found[-1] if found else 0, offset=1 << 62, last=0, floor=0, epoch=0, identity=0
        )
        self._close_wal()
        self._read_wal(state)
        last, epoch = 0, 0
        if self._wal_frames:
            last, epoch = self._wal_frames[-1].last, self._wal_frames[-1].epoch
        elif (cold := self._list(anew=True)[1]) and (index := self._index(COLD, cold[-1])).frames:
            last, epoch = index.frames[-1].last, index.frames[-1].epoch
        self._state = replace(state, last=last, epoch=epoch)
        return replace(self._state, floor=self.totals()[0].floor)

    def _read_wal(self, state: Commit) -> None:
        if not state.generation:
            return
        if self._wal is None:
            self._wal = self._disk.open(self._directory / name_of_generation(state.generation))
        end = min(state.offset, self._wal.size() // BLOCK * BLOCK - 2 * BLOCK)
        if end > self._wal_seen:
            for frame, _ in frames.scan(self._wal, self._wal_seen, end, state.generation, BLOCK):
                if (
                    not self._wal_frames
                    or frame.commit > self._wal_frames[-1].last
                    or (
                        frame.commit == self._wal_frames[-1].commit
                        and frame.first > self._wal_frames[-1].last
                    )
                ):
                    self._wal_frames.append(frame)
            self._wal_seen = end

    def _close_wal(self) -> None:
        if self._wal is not None:
            self._wal.close()
        self._wal, self._wal_frames, self._wal_seen = None, [], 0

    # --- segments

    def _list(self, *, anew: bool = False) -> _Names:
        """When it was made (last sequence, floor, generation), and the firsts of cold and of kept segments."""
        state = self._state
        made = (state.last, state.floor, state.generation) if state is not None else (0, 0, 0)
        if anew or self._names is None or self._names[0] != made:
            names = self._disk.names(self._directory)
            self._names = (made, firsts(names, COLD), firsts(names, KEPT))
            there = {(COLD, f) for f in self._names[1]} | {(KEPT, f) for f in self._names[2]}
            for gone in self._files.keys() - there:
                self._files.pop(gone).close()
            self._indexes = {key: value for key, value in self._indexes.items() if key in there}
            self._summaries = {key: value for key, value in self._summaries.items() if key in there}
        return self._names

    def _find_in(self, kind: str, start: int, end: int, span: Span) -> Place | None:
        """The first frame with a record in `start` … `end` - 1 that may touch a span of time."""
        _, cold, kept = self._list()
        segments = cold if kind == COLD else kept
        for first in segments[max(0, bisect_right(segments, start) - 1) :]:
            if first >= end:
                break
            if not self._may_hold(kind, first, start, span):
                continue
            found = self._index(kind, first).frames
            for frame in found[bisect_left(found, start, key=lambda frame: frame.last) :]:
                if frame.first >= end:
                    break
                if frame.count and _touches(frame, span):
                    return Place(kind, first, frame)
        return None

    def _may_hold(self, kind: str, first: int, start: int, span: Span) -> bool:
        summary, file = self._summaries.get((kind, first)), self._open(kind, first)
        if summary is None or summary.size != file.size():  # after a restart it may have grown again
            summary = read_summary(file, first)
            if not summary.sealed:
                return True
            self._summaries[kind, first] = summary
        return summary.last >= start and summary.wall_min <= span[1] and summary.wall_max >= span[0]

    def _index(self, kind: str, first: int) -> Index:
        file = self._open(kind, first)
        size = file.size()
        known = self._indexes.pop((kind, first), None)
        if known is None or known[0] != size:
            grown = known[1] if known is not None and _still(file, first, known[1]) else None
            known = (size, read_index(file, first, grown))
        self._indexes[kind, first] = known  # the last used is the last to go
        while len(self._indexes) > _INDEXES:
            self._indexes.pop(next(iter(self._indexes)))
        return known[1]

    def _frame(self, kind: str, first: int, frame: Frame) -> tuple[Frame, bytes] | None:
        file = self._open(kind, first)
        found = frames.read(file, frame.offset, file.size(), first)
        if found is None or found[0].first != frame.first:
            self._indexes.pop((kind, first), None)  # it may have been written anew
            return None
        return found

    def _open(self, kind: str, first: int) -> File:
        if (kind, first) not in self._files:
            if len(self._files) >= 2 * _INDEXES:
                self._files.pop(next(iter(self._files))).close()
            self._files[kind, first] = self._disk.open(self._directory / name_of(kind, first))
        return self._files[kind, first]


def _still(file: File, first: int, index: Index) -> bool:
    """True when a segment that grows still holds what was seen of it: a restart may have written it anew."""
    if index.sealed or not index.frames:
        return False
    last = index.frames[-1]
    found = frames.read(file, last.offset, file.size(), first)
    return found is not None and (found[0].first, found[0].count) == (last.first, last.count)


def _touches(frame: Frame, span: Span) -> bool:
    return frame.wall_min <= span[1] and frame.wall_max >= span[0]
