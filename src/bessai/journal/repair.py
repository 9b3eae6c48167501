"""Mending a journal that nobody uses: everything that opening it does, for every file at once."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from bessai.journal.disk import RealDisk
from bessai.journal.lock import lock_directory
from bessai.journal.log import Log
from bessai.journal.shelf import Finding
from bessai.journal.verify import Report, Tick, verify
from bessai.journal.wal import BLOCK, generations, name_of_generation

_NO_BOUND = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """What a repair found and left."""

    before: Report
    after: Report
    findings: tuple[Finding, ...]
    """Records that are lost."""
    epoch: int
    """The epoch from now on."""


def repair(directory: Path, *, new_epoch: bool = False, tick: Tick | None = None) -> Repaired:
    """Mend the journal of a data directory. A sound one is left as it is; no sound record is lost.

    Args:
        directory: the data directory.
        new_epoch: begin a new epoch too.
        tick: told how far each of the two readings is, before and after.

    Raises:
        JournalError: a gateway uses it, or it was written by a newer version.
        OSError: the disk is full or failing; what was done so far is sound.
    """
    lock = lock_directory(directory)
    try:
        before = verify(directory, disk=RealDisk(), tick=tick)
        log = open_log(directory)
        try:
            if not before.sound:
                log.roll()
                log.shelf.seal_all()
                for segment in log.unchecked():
                    log.scrub(segment)
            if new_epoch:
                log.renew(time.time_ns() // 10**6)
            findings, epoch = tuple(log.findings), log.epoch
        finally:
            log.close()
        after = verify(directory, disk=RealDisk(), tick=tick)
        return Repaired(before=before, after=after, findings=findings, epoch=epoch)
    finally:
        os.close(lock)


def open_log(directory: Path, *, max_bytes: int | None = None) -> Log:
    """The log of a data directory whose lock is held, with the size of its own write-ahead log when it has one.

    Without `max_bytes` nothing is ever dropped.

    Raises:
        JournalError: it was written by a newer version.
        OSError: the disk is full or failing.
    """
    path, disk = directory / "journal", RealDisk()
    wal_bytes = None
    if found := generations(disk.names(path)):
        size = (path / name_of_generation(found[-1])).stat().st_size // BLOCK * BLOCK
        wal_bytes = size if size >= 4 * BLOCK else None
    return Log.open(disk, directory, max_bytes=max_bytes or _NO_BOUND, wal_bytes=wal_bytes)
