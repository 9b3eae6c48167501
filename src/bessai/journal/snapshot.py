"""One state of a journal as it stood at one instant, taken while its writer goes on."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from bessai.journal import frame as frames
from bessai.journal.commit import Commit, read_commit
from bessai.journal.disk import Disk, File
from bessai.journal.errors import JournalError
from bessai.journal.frame import Frame, Totals
from bessai.journal.segment import COLD, firsts, read_index
from bessai.journal.wal import BLOCK, generations, name_of_generation, read_frames, read_notes

_PATIENCE = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The write-ahead log of one instant and what it says of everything else."""

    generation: int
    log: Memory
    """The bytes of the write-ahead log, zeros behind its end; the notes are in place."""
    end: int
    """Where the log ends."""
    frames: list[Frame]
    """The valid frames of the log."""
    broken: list[tuple[Frame | None, Frame]]
    """Damage between two of them."""
    shown: Commit | None
    """What the writer said was durable, None when nobody knows."""
    last: int
    """The last sequence."""
    epoch: int
    totals: Totals

    @property
    def begin(self) -> int:
        """The first sequence that the log is the truth for; segments are for all before it."""
        return self.frames[0].first if self.frames else self.last + 1


class Memory:
    """A file in memory, to be read only. See `disk.File`."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self, offset: int, length: int) -> bytes:  # noqa: D102
        return self.data[offset : offset + length]

    def write(self, offset: int, data: bytes) -> None:  # noqa: D102
        raise OSError("a copy in memory cannot be written")

    def size(self) -> int:  # noqa: D102
        return len(self.data)

    def truncate(self, length: int) -> None:  # noqa: D102
        raise OSError("a copy in memory cannot be written")

    def sync(self) -> None:  # noqa: D102
        pass

    def close(self) -> None:  # noqa: D102
        pass


def take(disk: Disk, path: Path, *, running: bool) -> Snapshot:
    """A snapshot of the journal in `path`.

    Args:
        disk: the file system.
        path: the journal's own directory.
        running: a gateway may be writing: only what it has shown as durable counts. Otherwise every whole
            record counts, as it does when the journal is opened.

    Raises:
        JournalError: it cannot be read, or changes faster than it can be read.
    """
    deadline = time.monotonic() + _PATIENCE
    before: Commit | None = None
    while True:
        try:
            found = _take(disk, path, running)
            shown = found.shown if found is not None and running else None
            if found is not None and shown not in {None, before} and found.totals.floor != shown.floor:
                before, found = (
                    shown,
                    None,
                )  # a note came between; one that is damaged is missing the next time too
                time.sleep(0.02)
        except FileNotFoundError:
            found = None  # rolled meanwhile
        except OSError as error:
            raise JournalError(
                f"{path} cannot be read ({error.strerror or error}): check its permissions"
            ) from error
        if found is not None:
            return found
        if time.monotonic() > deadline:
            raise JournalError(f"{path} changes faster than it can be read: stop the gateway and try again")


def _take(disk: Disk, path: Path, running: bool) -> Snapshot | None:
    names = disk.names(path)
    found = generations(names)
    generation = found[-1] if found else 0
    shown = read_commit(disk, path)
    if shown is not None and shown.generation != generation and running:
        return None
    if not generation:
        return _without_log(disk, path, names, shown)
    file = disk.open(path / name_of_generation(generation))
    try:
        # The notes come first: a newer one would speak of records beyond the end of the copy.
        size = file.size() // BLOCK * BLOCK
        limit = max(0, size - 2 * BLOCK)
        notes = file.read(limit, 2 * BLOCK)
        if running:
            shown = read_commit(disk, path)
            if shown is None or shown.generation != generation:
                return None
            limit = min(limit, shown.offset)
        data = file.read(0, limit)
        after = read_commit(disk, path) if running else None
        if running and (after is None or after.generation != generation):
            return None  # it has perhaps been overwritten
    finally:
        file.close()
    held, broken = read_frames(Memory(data), limit, generation)
    end = limit if running else (frames.align(held[-1].end, BLOCK) if held else 0)
    log = Memory(data[:end].ljust(size - len(notes), b"\0") + notes)
    told = [*held[-1:], *read_notes(log, size)]
    newest = max(told, key=lambda frame: frame.totals.serial, default=None)
    totals = newest.totals if newest is not None else _segment_totals(disk, path, names)
    last = max([frame.last for frame in told] + ([shown.last] if shown is not None else []), default=0)
    if not told:
        last = max(last, _last_of_segments(disk, path, names))
    epoch = max([frame.epoch for frame in told] + ([shown.epoch] if shown is not None else []), default=0)
    return Snapshot(
        generation=generation, log=log, end=end, frames=held, broken=broken, shown=shown, last=last, epoch=epoch,
        totals=totals,
    )  # fmt: skip


def _without_log(disk: Disk, path: Path, names: list[str], shown: Commit | None) -> Snapshot:
    last = max(shown.last if shown is not None else 0, _last_of_segments(disk, path, names))
    return Snapshot(
        generation=0, log=Memory(b""), end=0, frames=[], broken=[], shown=shown, last=last,
        epoch=shown.epoch if shown is not None else 0, totals=_segment_totals(disk, path, names),
    )  # fmt: skip


def _newest_segment(disk: Disk, path: Path, names: list[str]) -> list[Frame]:
    for first in reversed(firsts(names, COLD)):
        file: File = disk.open(path / f"{COLD}-{first:016d}.seg")
        try:
            if found := read_index(file, first).frames:
                whole = frames.read(file, found[-1].offset, file.size(), first)
                return [whole[0]] if whole is not None else [found[-1]]
        finally:
            file.close()
    return []


def _last_of_segments(disk: Disk, path: Path, names: list[str]) -> int:
    return max((frame.last for frame in _newest_segment(disk, path, names)), default=0)


def _segment_totals(disk: Disk, path: Path, names: list[str]) -> Totals:
    return next((frame.totals for frame in _newest_segment(disk, path, names)), Totals())
