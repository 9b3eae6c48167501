"""The segments of a journal, as their one writer sees them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bessai.journal import frame as frames
from bessai.journal.block import pack, unpack
from bessai.journal.disk import Disk, File
from bessai.journal.errors import DamagedRecordError
from bessai.journal.frame import Frame, Totals
from bessai.journal.layouts import Layouts
from bessai.journal.ranges import Range, holes, merged
from bessai.journal.row import Row
from bessai.journal.segment import (
    COLD,
    KEPT,
    Index,
    SegmentWriter,
    Summary,
    firsts,
    name_of,
    read_index,
    read_summary,
)

_NEW = ".new"


@dataclass(frozen=True, slots=True)
class Finding:
    """Records that were durable and are lost."""

    first: int
    """First sequence."""
    last: int
    """Last sequence."""
    what: str
    """What was found, as a part of a sentence."""

    @property
    def count(self) -> int:
        """How many records."""
        return self.last - self.first + 1


class Shelf:
    """Every segment, and the two that grow: `active` for all records, and one for records with events."""

    def __init__(self, disk: Disk, directory: Path) -> None:
        """Look at the segments of a directory. Raises OSError."""
        self._disk, self._directory = disk, directory
        self._summaries: dict[tuple[str, int], Summary] = {}
        self.active: SegmentWriter | None = None
        self._kept: SegmentWriter | None = None
        names = disk.names(directory)
        for name in names:
            if name.endswith(_NEW):
                disk.unlink(directory / name)
        for kind in (COLD, KEPT):
            for first in firsts(names, kind):
                with self._file(kind, first) as file:
                    self._summaries[kind, first] = read_summary(file, first)

    # --- what there is

    @property
    def size(self) -> int:
        """Bytes of all segments."""
        growing = sum(s.size for s in (self.active, self._kept) if s is not None)
        return growing + sum(summary.size for summary in self._summaries.values())

    @property
    def records(self) -> int:
        """Records in all segments."""
        return sum(summary.records for summary in self._all())

    @property
    def layouts(self) -> set[bytes]:
        """Keys of every layout in use."""
        return {key for summary in self._all() for key in summary.layouts}

    @property
    def cold_last(self) -> int:
        """The last sequence in the cold segments, 0 when they are empty."""
        if self.active is not None and self.active.last:
            return self.active.last
        return max((s.last for (kind, _), s in self._summaries.items() if kind == COLD), default=0)

    @property
    def last(self) -> int:
        """The last sequence in any segment."""
        return max((summary.last for summary in self._all()), default=0)

    def sealed(self, kind: str) -> list[int]:
        """First sequences of the segments that do not grow, ascending."""
        return sorted(first for kind_, first in self._summaries if kind_ == kind)

    def oldest_cold(self) -> tuple[str, int] | None:
        """The oldest cold segment that does not grow."""
        return next(((COLD, first) for first in self.sealed(COLD)), None)

    def oldest_kept(self) -> tuple[str, int] | None:
        """The oldest segment of kept records; one that grows is ended first. Raises OSError."""
        if not self.sealed(KEPT) and self._kept is not None:
            self._end_kept()
        return next(((KEPT, first) for first in self.sealed(KEPT)), None)

    def summary(self, kind: str, first: int) -> Summary:
        """What a segment that does not grow holds."""
        return self._summaries[kind, first]

    def kept_between(self, first: int, last: int) -> int:
        """How many kept records have a sequence from `first` to `last`. Raises OSError."""
        return sum(
            max(0, min(frame.last, last) - max(frame.first, first) + 1)
            for segment in self.sealed(KEPT)
            for frame in self.index(KEPT, segment).frames
        )

    def newest(self) -> Frame | None:
        """The newest sound frame of the cold segments. Raises OSError."""
        active = [] if self.active is None else [self.active.first]
        for first in reversed(self.sealed(COLD) + active):
            with self._file(COLD, first) as file:
                for frame in reversed(read_index(file, first).frames):
                    if (found := frames.read(file, frame.offset, file.size(), first)) is not None:
                        return found[0]
        return None

    # --- what grows

    def begin(self, kind: str, first: int, index: Index | None = None) -> SegmentWriter:
        """A segment that grows from here on. Raises OSError."""
        writer = SegmentWriter(self._disk, self._directory, kind, first, index)
        self._summaries.pop((kind, first), None)
        if kind == COLD:
            self.active = writer
        else:
            self._kept = writer
        return writer

    def seal(self) -> None:
        """End the active segment, durably. Raises OSError."""
        if self.active is not None:
            self._summaries[COLD, self.active.first] = self.active.seal()
            self.active.close()
            self.active = None

    def seal_all(self) -> None:
        """End both segments that grow, durably. Raises OSError."""
        self.seal()
        self._end_kept()

    def sync(self) -> None:
        """Make all of the active segment durable. Raises OSError."""
        if self.active is not None:
            self.active.sync()

    def cut(self, sequence: int) -> None:
        """Take away every cold record from `sequence` on; the segment that is left goes on growing. Raises OSError."""
        if self.active is not None:
            first, index = self.active.first, self.active.index
            self.active.close()
            self.active = None
            self._summaries[COLD, first] = index.summary(index.end)
        for first in reversed(self.sealed(COLD)):
            if first >= sequence:
                self.remove(COLD, first)
                continue
            if self._summaries[COLD, first].last >= sequence or not self._summaries[COLD, first].sealed:
                kept = tuple(f for f in self.index(COLD, first).frames if f.last < sequence)
                self.begin(COLD, first, Index(kept, False))
            break

    def verify_tail(self, sequence: int) -> None:
        """Take away cold records from the first damage at or beyond `sequence` on. Raises OSError."""
        for first in self.sealed(COLD):
            if self._summaries[COLD, first].last < sequence:
                continue
            expected = None
            for frame, valid in self._checked(COLD, first):
                if frame.last >= sequence and (not valid or expected not in {None, frame.first}):
                    self.cut(frame.first)
                    return
                expected = frame.last + 1

    # --- dropping

    def index(self, kind: str, first: int) -> Index:
        """The frames of a segment. Raises OSError."""
        with self._file(kind, first) as file:
            return read_index(file, first)

    def remove(self, kind: str, first: int) -> None:
        """Delete a segment that does not grow. Raises OSError."""
        self._disk.unlink(self._directory / name_of(kind, first))
        self._summaries.pop((kind, first), None)

    def keep_events(self, first: int, layouts: Layouts, totals: Totals, segment_bytes: int) -> int:
        """Copy the records with events of a cold segment to a kept one, durably; how many. Raises OSError."""
        index, count = self.index(COLD, first), 0
        with self._file(COLD, first) as file:
            size = file.size()
            for frame in index.frames:
                found = frames.read(file, frame.offset, size, first) if frame.events else None
                if found is None:
                    continue
                try:
                    layout, device = layouts.get(frame.layout)
                    rows = unpack(
                        found[1], first_sequence=frame.first, epoch=frame.epoch, layout=layout, device=device
                    ).rows()
                except DamagedRecordError:
                    continue
                for start, run in _runs(rows):
                    count += len(run)
                    self._keep(frame, frame.first + start, run, totals, segment_bytes)
        if self._kept is not None:
            self._kept.sync()
        return count

    def cut_kept(self, floor: int) -> None:
        """Take away kept records whose cold segment is still there, and go on with the newest. Raises OSError."""
        if self._kept is not None:
            first, index = self._kept.first, self._kept.index
            self._kept.close()
            self._kept = None
            self._summaries[KEPT, first] = index.summary(index.end)
        for first in reversed(self.sealed(KEPT)):
            if first >= floor:
                self.remove(KEPT, first)
                continue
            summary = self._summaries[KEPT, first]
            if not summary.sealed or summary.last >= floor:
                held = tuple(f for f in self.index(KEPT, first).frames if f.last < floor)
                self.begin(KEPT, first, Index(held, False))
            break

    def _keep(
        self, frame: Frame, first: int, rows: Sequence[Row], totals: Totals, segment_bytes: int
    ) -> None:
        if self._kept is not None and self._kept.size >= segment_bytes:
            self._end_kept()
        last = self._kept.last if self._kept is not None else self._kept_last()
        if first + len(rows) - 1 <= last:
            return  # an attempt before this one has it
        walls = [row.wall_ns for row in rows]
        kept = self._kept or self.begin(KEPT, first)
        kept.append(
            Frame(
                home=0, commit=first, first=first, count=len(rows), events=sum(row.events for row in rows),
                epoch=frame.epoch, wall_min=min(walls), wall_max=max(walls), layout=frame.layout, totals=totals,
            ),
            pack(rows),
        )  # fmt: skip

    def _kept_last(self) -> int:
        return max((s.last for (kind, _), s in self._summaries.items() if kind == KEPT), default=0)

    def _end_kept(self) -> None:
        if self._kept is not None:
            self._summaries[KEPT, self._kept.first] = self._kept.seal()
            self._kept.close()
            self._kept = None

    # --- damage

    def repair(self, kind: str, first: int) -> list[Finding] | None:
        """Check a segment that does not grow; write it anew without what is damaged. None when it is sound.

        Raises OSError.
        """
        checked, summary = list(self._checked(kind, first)), self._summaries[kind, first]
        indexed = self.index(kind, first).sealed and summary.records == sum(
            frame.count for frame, _ in checked
        )
        if indexed and all(valid for _, valid in checked):
            return None
        sound = [frame for frame, valid in checked if valid]
        path = self._directory / name_of(kind, first)
        what = f"a damaged part of {path.name}"
        if indexed or kind == KEPT:  # numbers that are missing between kept records say nothing
            lost = [Finding(f.first, f.last, what) for f, valid in checked if not valid]
        else:
            lost = [Finding(low, high, what) for low, high in _gaps(first, sound, self._next(first))]
        if not sound:
            self.remove(kind, first)
            return lost
        new = SegmentWriter(self._disk, self._directory, kind, first, name=path.name + _NEW)
        try:
            with self._file(kind, first) as file:
                for frame in sound:
                    found = frames.read(file, frame.offset, file.size(), first)
                    if found is not None:
                        new.append(*found)
            summary = new.seal()
        finally:
            new.close()
        self._disk.rename(new.path, path)
        self._disk.sync_directory(self._directory)
        self._summaries[kind, first] = summary
        return lost

    def holes(self, low: int, high: int) -> list[Finding]:
        """What the cold segments lack between `low` and `high`, or their last record. Raises OSError."""
        there: list[Range] = []
        for first in self.sealed(COLD):
            summary = self._summaries[COLD, first]
            if summary.sealed:
                there.append((summary.first, summary.last))
            else:
                there += [(frame.first, frame.last) for frame in self.index(COLD, first).frames]
        if self.active is not None:
            there += [(frame.first, frame.last) for frame in self.active.index.frames]
        what = "a part of the segments is missing or damaged"
        return [Finding(a, b, what) for a, b in holes(merged(there), low, max(high, self.cold_last))]

    def _checked(self, kind: str, first: int) -> Iterator[tuple[Frame, bool]]:
        with self._file(kind, first) as file:
            size = file.size()
            for frame in read_index(file, first).frames:
                found = frames.read(file, frame.offset, size, first)
                yield frame, found is not None and found[0].first == frame.first

    def _next(self, first: int) -> int | None:
        """Where the cold segment after this one begins."""
        active = [] if self.active is None else [self.active.first]
        return min((other for other in self.sealed(COLD) + active if other > first), default=None)

    def close(self) -> None:
        """Let go of the files."""
        for writer in (self.active, self._kept):
            if writer is not None:
                writer.close()

    def _all(self) -> Iterator[Summary]:
        yield from self._summaries.values()
        for writer in (self.active, self._kept):
            if writer is not None:
                yield writer.index.summary(writer.size)

    @contextmanager
    def _file(self, kind: str, first: int) -> Iterator[File]:
        file = self._disk.open(self._directory / name_of(kind, first))
        try:
            yield file
        finally:
            file.close()


def _runs(rows: Sequence[Row]) -> Iterator[tuple[int, list[Row]]]:
    """Neighbouring rows with events, and the place of the first of each."""
    run: list[Row] = []
    for i, row in enumerate(rows):
        if row.events:
            run.append(row)
        elif run:
            yield i - len(run), run
            run = []
    if run:
        yield len(rows) - len(run), run


def _gaps(first: int, sound: Sequence[Frame], following: int | None) -> Iterator[tuple[int, int]]:
    """The ranges of sequences that are missing between frames, from `first` to what follows."""
    expected = first
    for frame in sound:
        if frame.first > expected:
            yield expected, frame.first - 1
        expected = frame.last + 1
    if following is not None and following > expected:
        yield expected, following - 1
