"""What a hostile look at the journal found: failures at the worst moment, and readers beside them."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bessai.journal import Cursors, JournalReader
from bessai.journal.commit import NAME as COMMIT
from bessai.journal.disk import RealDisk, RealFile
from bessai.journal.log import Log
from bessai.journal.row import row_of
from bessai.journal.shelf import Shelf
from support.records import DEVICE, LAYOUT, WIDE, make_event, make_record, wide_record

BLOCK = 4096


class Disk(RealDisk):
    """Refuses what it is told to refuse."""

    def __init__(self) -> None:
        self.refuse: Callable[[str, str], int] = lambda what, name: 0
        self.synced: list[str] = []

    def open(self, path: Path, *, write: bool = False, create: bool = False) -> RealFile:
        return File(super().open(path, write=write, create=create)._handle, self, path.name)

    def check(self, what: str, name: str) -> None:
        if number := self.refuse(what, name):
            raise OSError(number, os.strerror(number), name)


class File(RealFile):
    def __init__(self, handle: int, disk: Disk, name: str) -> None:
        super().__init__(handle)
        self._disk, self._name = disk, name

    def write(self, offset: int, data: bytes) -> None:
        if offset + len(data) > self.size():
            self._disk.check("grow", self._name)
        super().write(offset, data)

    def sync(self) -> None:
        self._disk.check("sync", self._name)
        super().sync()
        self._disk.synced.append(self._name)


def append(log: Log, first: int, count: int, *, wide: bool = False, events: bool = False) -> None:
    make = wide_record if wide else make_record
    rows = [row_of(make(n, events=(make_event(n),) if events else ())) for n in range(first, first + count)]
    log.append(rows, WIDE if wide else LAYOUT, DEVICE)


def sequences(directory: Path) -> list[int]:
    reader = JournalReader(directory)
    try:
        return [entry.sequence for entry in reader.read(0, 100_000)]
    finally:
        reader.close()


def spoil(directory: Path, *blocks: int) -> None:
    (log,) = (directory / "journal").glob("wal-*.log")
    with log.open("rb+") as file:
        for block in blocks:
            file.seek(BLOCK * block + 160)
            file.write(b"\xff" * 8)


def test_a_restart_on_a_full_disk_cuts_no_copy_that_is_all_that_is_left(tmp_path: Path) -> None:
    log = Log.open(RealDisk(), tmp_path)
    for n in range(4):
        append(log, 1 + 100 * n, 100)  # each is a block of its own in the segment already
    log.close()
    spoil(tmp_path, 1)
    before = sequences(tmp_path)
    disk = Disk()
    disk.refuse = lambda what, name: errno.ENOSPC if what == "grow" and name.startswith("cold") else 0
    for _ in range(3):
        handles = len(list(Path("/proc/self/fd").iterdir()))
        log = Log.open(disk, tmp_path)
        assert sequences(tmp_path) == before == list(range(1, 401))
        log.close()
        assert len(list(Path("/proc/self/fd").iterdir())) <= handles
    log = Log.open(RealDisk(), tmp_path)
    assert (log.findings, log.damaged) == ([], 0)
    assert sequences(tmp_path) == before


def test_a_layout_whose_sync_failed_is_synced_before_a_record_depends_on_it(tmp_path: Path) -> None:
    disk = Disk()
    log = Log.open(disk, tmp_path)
    refused: list[str] = []

    def once(what: str, name: str) -> int:
        if what == "sync" and name.startswith("layout") and name not in refused:
            refused.append(name)
            return errno.EIO
        return 0

    disk.refuse = once
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output"):
            append(log, 1, 1)
    append(log, 1, 1)
    assert len(refused) == 2
    assert {name for name in disk.synced if name.startswith("layout")} == set(refused)


def test_numbers_that_readers_know_are_not_given_again_in_the_epoch(tmp_path: Path) -> None:
    log = Log.open(RealDisk(), tmp_path)
    for n in range(1, 9):
        append(log, n, 1)
        if n == 3:
            shown = (tmp_path / "journal" / COMMIT).read_bytes()
    epoch = log.epoch
    log.close()
    cursors = Cursors(tmp_path)
    cursors.set("cloud", 8)
    cursors.close()
    (tmp_path / "journal" / COMMIT).write_bytes(shown)  # never synced: a power cut may leave an old one
    spoil(tmp_path, *range(3, 8))
    log = Log.open(RealDisk(), tmp_path)
    assert log.last_sequence == 8
    assert log.epoch > epoch
    assert [(f.first, f.last) for f in log.findings] == [(4, 8)]


def test_numbers_that_are_left_out_count_once_also_when_the_disk_fails_first(tmp_path: Path) -> None:
    disk = Disk()
    log = Log.open(disk, tmp_path)
    disk.refuse = lambda what, name: errno.EIO if what == "sync" else 0
    with pytest.raises(OSError, match="Input/output"):
        log.skip(10)
    disk.refuse = lambda what, name: 0
    log.skip(10)
    append(log, 1, 1)
    assert (log.last_sequence, log.totals.skipped, log.damaged) == (11, 10, 0)


def test_a_reader_that_looks_while_a_segment_is_dropped_misses_no_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log.open(RealDisk(), tmp_path, max_bytes=1 << 20)
    reader = JournalReader(tmp_path)
    seen: list[int] = []
    keep = Shelf.keep_events

    def watched(self: Shelf, *args: object) -> int:
        kept = keep(self, *args)  # type: ignore[arg-type]
        if not seen:
            seen.extend(entry.sequence for entry in reader.read(0, 5))
        return kept

    monkeypatch.setattr(Shelf, "keep_events", watched)
    n = 1
    while not log.totals.space:
        append(log, n, 5, wide=True, events=n % 50 == 1)
        n += 5
    assert seen
    expected = {s for s in sequences(tmp_path) if s > seen[-1]}
    # What is in the reader's hands already may be dropped by now: it comes all the same.
    assert expected <= {entry.sequence for entry in reader.read(seen[-1], 100_000)}


def test_a_sector_that_cannot_be_read_costs_what_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log.open(RealDisk(), tmp_path)
    for n in range(1, 6):
        append(log, n, 1)
    log.close()
    bad = next((tmp_path / "journal").glob("wal-*.log")).stat().st_ino
    read = os.pread

    def pread(handle: int, length: int, offset: int) -> bytes:
        if os.fstat(handle).st_ino == bad and offset < 3 * BLOCK and offset + length > 2 * BLOCK:
            raise OSError(errno.EIO, "Input/output error")
        return read(handle, length, offset)

    monkeypatch.setattr(os, "pread", pread)
    log = Log.open(RealDisk(), tmp_path)
    assert [(f.first, f.last) for f in log.findings] == [(3, 3)]
    append(log, 6, 1)
    assert sequences(tmp_path) == [1, 2, 4, 5, 6]
