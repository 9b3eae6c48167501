"""Opening a journal, whatever a power cut, a full disk or a failing one has left of it.

It always opens. What is torn was never acknowledged and goes; what was acknowledged and is damaged is told as a
`Finding`; and no sequence that a reader may have seen is given to another record.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bessai.journal.commit import CommitFile, read_commit
from bessai.journal.cursors import highest_cursor
from bessai.journal.disk import Disk
from bessai.journal.errors import JournalError
from bessai.journal.frame import Totals
from bessai.journal.layouts import Layouts
from bessai.journal.segment import COLD, KEPT, firsts
from bessai.journal.shelf import Finding, Shelf
from bessai.journal.wal import Wal, generations

_CREDIBLE = 1 << 20
"""Records that a cursor may be ahead of a journal that has lost its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """An open journal, as it was found."""

    wal: Wal
    shelf: Shelf
    layouts: Layouts
    commit: CommitFile
    totals: Totals
    epoch: int
    last: int
    """The last sequence ever given, as far as anybody can know."""
    identity: int
    findings: list[Finding]
    counted: int
    """How many records the newest totals on the disk say are held."""
    harmed: bool
    """The write-ahead log is damaged: it should be rolled, because segments hold what it lacks."""


def recover(disk: Disk, directory: Path, *, wal_bytes: int, now_ms: int) -> Recovered:
    """Open the journal in `directory/journal`; see `Log.open`. Raises OSError."""
    path = directory / "journal"
    try:
        disk.make_directory(path)
    except (FileExistsError, NotADirectoryError) as error:
        raise JournalError(
            f"{path} is not a directory: move it away, or set DATA_DIR to another directory"
        ) from error
    disk.sync_directory(directory)
    names = disk.names(path)
    new = not generations(names) and not firsts(names, COLD) and not firsts(names, KEPT)
    seen = read_commit(disk, path)
    identity = disk.identity(path)
    wal = Wal(disk, path, wal_bytes)
    shelf: Shelf | None = None
    try:
        wal.settle()
        shelf = Shelf(disk, path)
        if seen is not None:
            wal.leave_out(seen.generation, seen.offset)
        totals, epoch = _newest(wal, shelf)
        if seen is not None and seen.identity == identity and seen.floor > totals.floor:
            totals = _dropped_since(shelf, totals, seen.floor)
        _drop_what_was_dropped(shelf, totals)
        harmed = (
            bool(wal.broken) or wal.shortened or bool(wal.frames and seen and seen.last > wal.frames[-1].last)
        )
        findings = _settle_segments(wal, shelf, harmed=harmed)
        held = shelf.records + _beyond(wal, max(shelf.cold_last + 1, totals.floor))
        counted = totals.held
        if counted - held > sum(finding.count for finding in findings):
            # What is missing before a damaged start of the log is told as its damage.
            start = wal.frames[0].first - 1 if wal.frames and not wal.broken else 0
            findings += shelf.holes(max(totals.floor, totals.skipped + 1), start)
        found = max(wal.frames[-1].last if wal.frames else 0, shelf.last)
        last = max([found, seen.last if seen else 0, *(note.last for note in wal.notes())])
        # Readers may know more than what is left here; one that is far ahead was set by hand.
        cursor = highest_cursor(directory, disk)
        if seen is None or seen.identity != identity or cursor - last <= _CREDIBLE:
            last = max(last, cursor)
        if new:
            totals = replace(totals, skipped=last)
        elif last > found and last - held - totals.space - totals.skipped >= last - found:
            findings.append(Finding(found + 1, last, "the end of the write-ahead log is missing or damaged"))
        if seen is None or seen.identity != identity or last > max(found, seen.last):
            epoch = max(epoch + 1, seen.epoch + 1 if seen else 0, now_ms, 1)
        else:
            epoch = max(epoch, seen.epoch)
        disk.sync_directory(path)  # names that a killed process left
        return Recovered(
            wal=wal, shelf=shelf, layouts=_layouts(disk, path, wal, shelf), commit=CommitFile.create(disk, path),
            totals=replace(totals, held=held), epoch=epoch, last=last, identity=identity, findings=findings,
            harmed=harmed, counted=counted,
        )  # fmt: skip
    except BaseException:
        wal.close()
        if shelf is not None:
            shelf.close()
        raise


def _settle_segments(wal: Wal, shelf: Shelf, *, harmed: bool) -> list[Finding]:
    """Decide where the segments end and the write-ahead log begins."""
    findings: list[Finding] = []
    sealed = shelf.sealed(COLD)
    for first in sealed[:-1]:
        if not shelf.summary(COLD, first).sealed:
            findings += shelf.repair(COLD, first) or ()
    if wal.frames and not harmed:
        shelf.cut(wal.frames[0].first)
        return findings
    # The copies beyond the start of a damaged log may be all that is left of its records.
    shelf.verify_tail(wal.frames[0].first if wal.frames else shelf.cold_last + 1)
    if shelf.active is None and sealed:
        shelf.cut(shelf.cold_last + 1)
    return findings + list(_lost(wal, shelf))


def _lost(wal: Wal, shelf: Shelf) -> Iterator[Finding]:
    for before, after in wal.broken:
        first = max(before.last if before is not None else 0, shelf.cold_last) + 1
        if first < after.first:
            yield Finding(first, after.first - 1, "a damaged part of the write-ahead log")


def _newest(wal: Wal, shelf: Shelf) -> tuple[Totals, int]:
    """The newest totals anywhere, and the newest epoch."""
    newest = [*wal.frames[-1:], *wal.notes()] or [frame for frame in (shelf.newest(),) if frame is not None]
    if not newest:
        return Totals(), 0
    return max((f.totals for f in newest), key=lambda totals: totals.serial), max(f.epoch for f in newest)


def _dropped_since(shelf: Shelf, totals: Totals, floor: int) -> Totals:
    """The totals when the newest are damaged: telemetry up to `floor` was dropped, and shown to readers as such."""
    first = max(1, totals.floor)
    space = totals.space + floor - first - shelf.kept_between(first, floor - 1)
    return replace(totals, floor=floor, space=space)


def _drop_what_was_dropped(shelf: Shelf, totals: Totals) -> None:
    for first in shelf.sealed(COLD):
        if shelf.summary(COLD, first).last < totals.floor:
            shelf.remove(COLD, first)
    for first in shelf.sealed(KEPT):
        if shelf.summary(KEPT, first).last < totals.kept_floor:
            shelf.remove(KEPT, first)
    shelf.cut_kept(totals.floor)


def _beyond(wal: Wal, start: int) -> int:
    """Records of the write-ahead log from `start` on."""
    return sum(
        frame.last + 1 - max(frame.first, start)
        for frame in wal.frames
        if frame.last >= start and frame.count
    )


def _layouts(disk: Disk, path: Path, wal: Wal, shelf: Shelf) -> Layouts:
    layouts = Layouts(disk, path)
    with contextlib.suppress(OSError):  # a copy that cannot be made whole now is made so when the log rolls
        layouts.keep(shelf.layouts | {frame.layout for frame in wal.frames if frame.count})
    return layouts
