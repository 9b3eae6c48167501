from __future__ import annotations

import errno
import os
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bessai.journal import Cursors, Journal, JournalError, JournalReader
from bessai.journal.disk import RealDisk, RealFile
from bessai.journal.log import Log
from bessai.journal.row import row_of
from support.records import LAYOUT, make_event, make_record, wait_until, wide_record

Open = Callable[..., Journal]


def test_cycles_and_events_come_back_in_order(open_journal: Open, tmp_path: Path) -> None:
    journal = open_journal()
    for n in range(1, 51):
        journal.append(make_record(n, events=(make_event(n),) if n % 10 == 0 else ()))
        if n == 25:
            journal.append_event(make_event(1000))
    assert journal.close(30)
    entries = JournalReader(tmp_path).read(0, 1000)
    assert [entry.sequence for entry in entries] == list(range(1, 52))
    assert [entry.cycle for entry in entries if entry.kind == "cycle"] == list(range(1, 51))
    assert [i for i, entry in enumerate(entries) if entry.kind == "event"] == [25]
    assert [
        entry.events[0].wall_ns for entry in entries if entry.cycle % 10 == 0 and entry.kind == "cycle"
    ] == [make_event(n).wall_ns for n in range(10, 51, 10)]
    assert entries[0].layout.meaning("device_status", 1.0) == "running"
    assert journal.stats().queued == 0


def test_telemetry_waits_for_the_window_and_an_event_does_not(open_journal: Open, tmp_path: Path) -> None:
    journal = open_journal(window=3600.0)
    reader = JournalReader(tmp_path)
    journal.append(make_record(1))
    assert journal.stats().queued == 1
    assert reader.last_sequence() == 0
    journal.append(make_record(2, events=(make_event(),)))
    wait_until(lambda: journal.stats().committed == 2)
    journal.append(make_record(3))
    journal.append_event(make_event())
    wait_until(lambda: journal.stats().committed == 4)
    assert reader.last_sequence() == 4
    assert journal.stats().last_commit_age is not None


def test_window_commits_by_itself(open_journal: Open) -> None:
    journal = open_journal(window=0.05)
    journal.append(make_record(1))
    wait_until(lambda: journal.stats().committed == 1)


def test_a_new_layout_in_the_middle(open_journal: Open, tmp_path: Path) -> None:
    journal = open_journal()
    journal.append(make_record(1))
    journal.append(wide_record(2))
    journal.append(make_record(3))
    assert journal.close(30)
    assert [len(entry.layout) for entry in JournalReader(tmp_path).read(0, 9)] == [3, 60, 3]
    assert len(list((tmp_path / "journal").glob("layout-*.a"))) == 2


def test_sequence_goes_on_above_a_lost_journal(open_journal: Open, tmp_path: Path) -> None:
    journal = open_journal()
    journal.append_event(make_event())
    assert journal.close(30)
    cursors = Cursors(tmp_path)
    cursors.set("pubsub", 1)
    cursors.close()
    shutil.rmtree(tmp_path / "journal")
    epoch = journal.stats().epoch
    journal = open_journal()
    assert journal.stats().committed == 1
    assert journal.stats().epoch > epoch, "the numbers that nobody has seen may come again, in another epoch"


class _CountingFile(RealFile):
    """A file that counts its syncs, or swallows them."""

    def __init__(self, handle: int, disk: _CountingDisk) -> None:
        super().__init__(handle)
        self._disk = disk

    def sync(self) -> None:
        if self._disk.honest:
            self._disk.syncs += 1
            super().sync()


class _CountingDisk(RealDisk):
    def __init__(self, *, honest: bool) -> None:
        self.honest, self.syncs = honest, 0

    def open(self, path: Path, *, write: bool = False, create: bool = False) -> RealFile:
        file = super().open(path, write=write, create=create)
        return _CountingFile(os.dup(file._handle), self)


@pytest.mark.parametrize("honest", [True, False], ids=["as shipped", "negative control"])
def test_every_commit_is_synced(tmp_path: Path, honest: bool) -> None:
    disk = _CountingDisk(honest=honest)
    log = Log.open(disk, tmp_path, max_bytes=1 << 20)
    before = disk.syncs
    for n in range(5):
        log.append([row_of(make_record(n))], LAYOUT, {})
    log.close()
    assert (disk.syncs - before >= 5) == honest


def test_a_record_that_cannot_be_encoded_costs_only_itself(open_journal: Open, tmp_path: Path) -> None:
    journal = open_journal(window=3600.0)
    journal.append(make_record(1))
    journal.append(make_record(2, values=np.zeros(7), events=(make_event(2),)))
    journal.append(make_record(3))
    assert journal.close(30)
    entries = JournalReader(tmp_path).read(0, 9)
    assert [(entry.kind, entry.cycle) for entry in entries] == [("cycle", 1), ("event", 0), ("cycle", 3)]
    assert entries[1].events == (make_event(2),)
    assert (journal.stats().dropped_queue, journal.stats().errors) == (1, 1)
    assert JournalReader(tmp_path).stats().dropped_queue == 1


def test_the_thread_survives_everything(open_journal: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = open_journal()
    failing = threading.Event()
    failing.set()
    append = Log.append

    def broken(self: Log, *args: Any, **kwargs: Any) -> int:
        if failing.is_set():
            raise RuntimeError("out of luck")
        return append(self, *args, **kwargs)

    monkeypatch.setattr(Log, "append", broken)
    journal.append(make_record(1))
    wait_until(lambda: journal.stats().errors > 0)
    assert "out of luck" in str(journal.stats().last_error)
    assert journal.stats().queued == 1
    failing.clear()
    wait_until(lambda: journal.stats().committed == 1)
    wait_until(lambda: journal.stats().last_error is None)
    assert journal.stats().dropped_queue == 0


def test_close_says_when_something_is_not_durable(
    open_journal: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    journal = open_journal()
    monkeypatch.setattr(Log, "append", broken)
    journal.append(make_record(1))
    assert not journal.close(30)


def test_directory_is_created(open_journal: Open, tmp_path: Path) -> None:
    open_journal(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b" / "journal").is_dir()


def test_second_writer_is_refused(open_journal: Open, tmp_path: Path) -> None:
    journal = open_journal()
    with pytest.raises(JournalError, match=f"{tmp_path} is in use by process {os.getpid()}: stop"):
        open_journal()
    assert journal.close(30)
    open_journal()


def test_a_file_in_place_of_the_directory(open_journal: Open, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")
    for directory in (tmp_path / "data", tmp_path / "data" / "below"):
        with pytest.raises(JournalError, match="is not a directory: set DATA_DIR"):
            open_journal(directory)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_directory_without_write_permission(open_journal: Open, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o555)
    with pytest.raises(JournalError, match=r"data cannot be written .*write permission"):
        open_journal(tmp_path / "data")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs /proc, where nobody can make a file")
def test_directory_where_nothing_can_be_made(open_journal: Open) -> None:
    with pytest.raises(JournalError, match=r"/proc/self cannot be written .*DATA_DIR"):
        open_journal(Path("/proc/self"))


def test_a_file_in_place_of_the_journal(open_journal: Open, tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("x")
    with pytest.raises(JournalError, match=r"journal is not a directory: move it away"):
        open_journal()
    assert (tmp_path / "journal").read_text() == "x"


def test_too_small_a_bound_is_refused(open_journal: Open) -> None:
    with pytest.raises(JournalError, match="max_bytes 1000 is too small, use at least 1048576"):
        open_journal(max_bytes=1000)


def test_importing_the_journal_needs_no_pydantic_and_no_cli() -> None:
    import subprocess

    heavy = ("pydantic", "typer", "rich", "pyarrow")
    code = f"import sys, bessai.journal; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
