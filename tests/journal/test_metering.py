"""The journal measures what it writes and how long its syncs take."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bessai.journal import Journal
from bessai.journal.disk import RealDisk, RealFile
from bessai.journal.metering import MeteredDisk
from support.records import make_record, wait_until

Open = Callable[..., Journal]


def test_bytes_are_counted_from_the_start_on_and_syncs_are_timed(tmp_path: Path) -> None:
    disk = MeteredDisk(RealDisk())
    before = disk.syncs
    assert before is None
    file = disk.open(tmp_path / "a", write=True, create=True)
    file.write(0, bytes(1000))
    disk.begin()
    assert disk.written[0] == 0
    file.write(0, b"abc")
    file.write(3, b"defg")
    for _ in range(3):
        file.sync()
    assert disk.written[0] == 7
    assert disk.syncs is not None
    assert disk.syncs.count == 3
    assert 0 <= disk.syncs.p50 <= disk.syncs.p99 <= disk.syncs.max
    file.close()
    reading = disk.open(tmp_path / "a")
    assert reading.read(0, 7) == b"abcdefg"
    reading.close()


def test_a_sync_that_fails_is_not_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: RealFile) -> None:
        raise OSError("full")

    disk = MeteredDisk(RealDisk())
    file = disk.open(tmp_path / "a", write=True, create=True)
    monkeypatch.setattr(RealFile, "sync", fails)
    with pytest.raises(OSError, match="full"):
        file.sync()
    assert disk.syncs is None
    file.close()


def test_percentiles_are_of_the_newest_syncs(tmp_path: Path) -> None:
    disk = MeteredDisk(RealDisk())
    for seconds in (9.0, *(i / 512 for i in range(1, 513))):
        disk.synced(seconds)
    assert disk.syncs is not None
    assert (disk.syncs.p50, disk.syncs.max, disk.syncs.count) == (0.5, 1.0, 512)


def test_a_slow_disk_is_seen_and_the_filling_of_the_log_is_not_counted(
    open_journal: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = RealFile.sync

    def slow(file: RealFile) -> None:
        if threading.current_thread().name == "journal":
            time.sleep(0.02)
        real(file)

    monkeypatch.setattr(RealFile, "sync", slow)
    journal = open_journal(window=0.0)
    before, _ = journal.written
    assert before < 1 << 20  # the 4 MiB of zeros are not in it
    journal.append(make_record(1))
    wait_until(lambda: journal.stats().committed == 1)
    written, seconds = journal.written
    assert before + 4096 > written > before
    assert seconds > 0
    assert journal.sync_times is not None
    assert journal.sync_times.max >= 0.019
