"""Reading all of a journal to tell whether everything in it is what was written.

It changes nothing, works beside a running gateway, and on a copy or a backup.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bessai.journal import frame as frames
from bessai.journal.block import unpack
from bessai.journal.cursors import DIRECTORY as CURSORS
from bessai.journal.cursors import damaged_cursors, read_progress
from bessai.journal.disk import Disk, File, RealDisk
from bessai.journal.errors import DamagedRecordError
from bessai.journal.frame import Frame
from bessai.journal.layouts import Layouts
from bessai.journal.lock import in_use
from bessai.journal.progress import Progress
from bessai.journal.ranges import Range, clipped, holes, merged
from bessai.journal.segment import COLD, KEPT, Index, firsts, name_of, read_index
from bessai.journal.snapshot import Snapshot, take
from bessai.journal.wal import BLOCK, name_of_generation

Tick = Callable[[int, int], None]
"""Called with what is done and what there is to do, in the same measure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is not as it should be."""

    file: str
    what: str
    """What was found, as a part of a sentence."""
    first: int = 0
    """First sequence of the records in the damaged part, 0 when it holds none."""
    last: int = 0
    wall_min: int | None = None
    """UTC nanoseconds of the earliest of them, None when unknown."""
    wall_max: int | None = None
    lost: tuple[Range, ...] = ()
    """Those that stand nowhere else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One file."""

    file: str
    bytes: int
    records: int
    """Sound records in it."""
    first: int
    """First sequence of them, 0 when there is none."""
    last: int
    sound: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a journal holds, and what is wrong with it."""

    files: tuple[Checked, ...]
    problems: tuple[Problem, ...]
    missing: tuple[Range, ...]
    """Sequences above the floor that no record has: lost or left out, now or long ago."""
    last_sequence: int
    epoch: int
    found: int
    """Sound records that can be read."""
    held: int
    """Records that the journal believes to hold."""
    compared: bool
    """False when the journal dropped records while it was read: `found` and `held` then need not agree."""
    dropped_space: int
    dropped_queue: int
    dropped_events: int
    skipped: int
    lost: int
    """Records that were durable and are not there any more, also those of `problems`."""
    gone: int
    """Records that `problems` cost."""
    cursors: dict[str, int] = field(default_factory=dict)

    @property
    def sound(self) -> bool:
        """True when nothing is wrong now. What was lost before and is counted is no problem."""
        return not self.problems


def verify(directory: Path, *, disk: Disk | None = None, tick: Tick | None = None) -> Report:
    """Read all of the journal of a data directory.

    Args:
        directory: the data directory.
        disk: the file system.
        tick: told how many bytes were read.

    Raises:
        JournalError: it cannot be read, or was written by a newer version.
    """
    running = disk is None and in_use(directory)
    return _Check(disk or RealDisk(), directory, tick or (lambda done, total: None)).run(running)


class _Check:
    def __init__(self, disk: Disk, directory: Path, tick: Tick) -> None:
        self._disk, self._directory, self._path, self._tick = disk, directory, directory / "journal", tick
        self._layouts = Layouts(disk, self._path)
        self._files: list[Checked] = []
        self._problems: list[Problem] = []
        self._sound: dict[str, list[Range]] = {COLD: [], KEPT: []}
        self._keys: set[bytes] = set()
        self._done = self._total = 0

    def run(self, running: bool) -> Report:
        before = take(self._disk, self._path, running=running)
        names = self._disk.names(self._path)
        segments = [(kind, first) for kind in (KEPT, COLD) for first in firsts(names, kind)]
        self._total = before.log.size() + sum(self._size(name_of(*segment)) for segment in segments)
        newest = {kind: max(firsts(names, kind), default=0) for kind in (COLD, KEPT)}
        for kind, first in segments:
            if (file := self._open(name_of(kind, first))) is not None:
                self._segment(kind, first, file, first == newest[kind], before)
                file.close()
        self._log(before)
        self._check_layouts()
        for name in damaged_cursors(self._directory, self._disk):
            self._problems.append(Problem(file=f"{CURSORS}/{name}", what="it is damaged"))
        cursors = read_progress(self._directory, disk=self._disk)
        return self._report(before, take(self._disk, self._path, running=running), cursors)

    def _open(self, name: str) -> File | None:
        try:
            return self._disk.open(self._path / name)
        except FileNotFoundError:  # dropped meanwhile
            return None

    def _size(self, name: str) -> int:
        if (file := self._open(name)) is None:
            return 0
        size = file.size()
        file.close()
        return size

    def _report(self, before: Snapshot, after: Snapshot, cursors: dict[str, Progress]) -> Report:
        then, now, last = before.totals, after.totals, before.last
        sound = clipped(merged(self._sound[KEPT]), now.kept_floor, now.floor - 1)
        sound += clipped(merged(self._sound[COLD]), max(now.floor, 1), last)
        sound = merged(sound)
        found = sum(high - low + 1 for low, high in sound)
        compared = (then.floor, then.kept_floor, then.space) == (now.floor, now.kept_floor, now.space)
        problems = [_with_lost(problem, sound, max(now.kept_floor, 1), last) for problem in self._problems]
        gone = sum(high - low + 1 for low, high in merged(r for p in problems for r in p.lost))
        if compared and not found <= then.held <= found + gone:
            what = f"the totals say {then.held} records, {found} can be read"
            problems.append(Problem(file="totals", what=what))
        for name, progress in cursors.items():
            if progress.newest > after.last:
                what = f"it is at {progress.newest}, the journal ends at {after.last}"
                problems.append(Problem(file=f"{CURSORS}/{name}.cur", what=what))
        return Report(
            files=tuple(self._files), problems=tuple(problems),
            missing=tuple(holes(sound, max(now.floor, 1), last)), last_sequence=last, epoch=before.epoch,
            found=found, held=then.held, compared=compared, dropped_space=then.space, dropped_queue=then.queue,
            dropped_events=then.events, skipped=then.skipped, gone=gone,
            lost=max(0, last - (found if compared else then.held) - then.space - then.skipped),
            cursors={name: progress.floor for name, progress in cursors.items()},
        )  # fmt: skip

    # --- files

    def _segment(self, kind: str, first: int, file: File, newest: bool, before: Snapshot) -> None:
        name, size, problems = name_of(kind, first), file.size(), len(self._problems)
        index = read_index(file, first)
        if not index.sealed and not newest and first < before.begin:
            self._problems.append(Problem(file=name, what="its index is missing or damaged"))
        # The copies that the write-ahead log is the truth for are made again after a restart.
        until = before.begin if kind == COLD else 1 << 63
        if not index.sealed:
            self._between(name, kind, first, index, until)
        sound: list[Range] = []
        for frame in index.frames:
            found = frames.read(file, frame.offset, size, first)
            body = found[1] if found is not None and found[0].first == frame.first else None
            if self._frame(name, frame, body, quiet=not index.sealed and frame.first >= until):
                sound.append((frame.first, frame.last))
            self._advance(frame.length)
        self._sound[kind] += sound
        self._advance(size - index.end)
        self._note(name, size, sound, problems)

    def _between(self, name: str, kind: str, first: int, index: Index, until: int) -> None:
        """Find damage between the frames of a segment without an index."""
        expected, offset = first, 0
        for frame in index.frames:
            if frame.offset != offset and frame.first < until:
                if kind == COLD:
                    self._damaged(name, expected, frame.first - 1)
                else:  # only some of these had an event
                    self._damaged(
                        name, 0, 0, f"a damaged part with events of records {expected} to {frame.first - 1}"
                    )
            expected, offset = frame.last + 1, frames.align(frame.end)

    def _log(self, before: Snapshot) -> None:
        if not before.generation:
            if before.last:
                self._problems.append(Problem(file="wal", what="the write-ahead log is missing"))
            return
        name, problems = name_of_generation(before.generation), len(self._problems)
        older = max((high for _, high in self._sound[COLD] if high < before.begin), default=0)
        for one, other in before.broken:
            self._damaged(name, (one.last if one is not None else older) + 1, other.first - 1)
        shown = before.shown
        end = frames.align(before.frames[-1].end, BLOCK) if before.frames else 0
        if shown is not None and shown.generation == before.generation and shown.offset > end:
            self._damaged(name, (before.frames[-1].last if before.frames else older) + 1, shown.last)
        sound: list[Range] = []
        for frame in before.frames:
            found = frames.read(before.log, frame.offset, before.log.size(), before.generation)
            if frame.count and self._frame(name, frame, found[1] if found is not None else None):
                sound.append((frame.first, frame.last))
        self._sound[COLD] += sound
        self._advance(before.log.size())
        self._note(name, before.log.size(), sound, problems)

    def _frame(self, name: str, frame: Frame, body: bytes | None, *, quiet: bool = False) -> bool:
        """Whether a frame's records can be read."""
        what = "a damaged part"
        if body is not None:
            self._keys.add(frame.layout)
            try:
                layout, device = self._layouts.get(frame.layout)
                unpack(body, first_sequence=frame.first, epoch=frame.epoch, layout=layout, device=device)
                return True
            except DamagedRecordError as error:
                what = str(error)
        if not quiet:
            self._damaged(name, frame.first, frame.last, what, frame)
        return False

    def _damaged(
        self, name: str, first: int, last: int, what: str = "a damaged part", frame: Frame | None = None
    ) -> None:
        times = (frame.wall_min, frame.wall_max) if frame is not None else (None, None)
        if not 0 < first <= last:
            first = last = 0
        self._problems.append(
            Problem(file=name, what=what, wall_min=times[0], wall_max=times[1], first=first, last=last)
        )

    def _note(self, name: str, size: int, sound: list[Range], problems: int) -> None:
        self._files.append(
            Checked(
                file=name, bytes=size, records=sum(high - low + 1 for low, high in sound),
                first=sound[0][0] if sound else 0, last=sound[-1][1] if sound else 0,
                sound=len(self._problems) == problems,
            )
        )  # fmt: skip

    def _advance(self, count: int) -> None:
        self._done += count
        self._tick(min(self._done, self._total), self._total)

    def _check_layouts(self) -> None:
        for key in sorted(self._keys):
            for name in self._layouts.damaged(key):
                self._problems.append(Problem(file=name, what="it is missing or damaged"))


def _with_lost(problem: Problem, sound: list[Range], floor: int, last: int) -> Problem:
    if not problem.first:
        return problem
    lost = tuple(holes(sound, max(problem.first, floor), min(problem.last, last)))
    return Problem(
        file=problem.file, what=problem.what, first=problem.first, last=problem.last, wall_min=problem.wall_min,
        wall_max=problem.wall_max, lost=lost,
    )  # fmt: skip
