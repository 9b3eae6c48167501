"""A killed process and a full disk, for real."""

from __future__ import annotations

import errno
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bessai.journal import Journal, JournalReader
from bessai.journal.disk import RealDisk, RealFile
from support.records import wait_until, wide_record
from support.small_disk import occupy, small_disk_of

Open = Callable[..., Journal]
TESTS = Path(__file__).parents[1]

WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from bessai.journal import Journal
from support.records import LAYOUT, make_event, make_record
promise_queued = sys.argv[3] == "lie"
journal = Journal.open(Path(sys.argv[2]), layout=LAYOUT, device={}, window=0.002)
told, n = 0, journal.stats().committed
print("started", n, flush=True)
while True:
    stats = journal.stats()
    durable = stats.committed + (stats.queued if promise_queued else 0)
    if durable > told:
        told = durable
        print(told, flush=True)
    if stats.queued < 200:
        n += 1
        journal.append(make_record(n, events=(make_event(n),) if n % 37 == 0 else ()))
"""


def kill_once(directory: Path, after: float, mode: str = "honest") -> tuple[int, int]:
    """Run a writer, SIGKILL it; the last sequence it promised to us, and the one before it was started."""
    command = [sys.executable, "-c", WRITER, str(TESTS), str(directory), mode]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        started = int(process.stdout.readline().split()[1])
        killer_at = time.monotonic() + after
        promised = started
        for line in process.stdout:
            promised = int(line)
            if time.monotonic() > killer_at and process.poll() is None:
                process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    return promised, started


def test_sigkill_loses_nothing_that_was_promised(tmp_path: Path) -> None:
    chance = random.Random(3)
    last = 0
    for _ in range(20):
        promised, started = kill_once(tmp_path, chance.random() * 0.2)
        assert started >= last
        reader = JournalReader(tmp_path)
        last = reader.last_sequence()
        assert last >= promised
        entries = reader.read(started, 1_000_000)
        reader.close()
        assert [entry.sequence for entry in entries] == list(range(started + 1, last + 1))
        assert [entry.cycle for entry in entries] == list(range(started + 1, last + 1))
    assert [e.sequence for e in JournalReader(tmp_path).read(0, 10_000_000)] == list(range(1, last + 1))


def test_negative_control_a_writer_that_promises_too_early_is_caught(tmp_path: Path) -> None:
    missing = 0
    for _ in range(5):
        promised, _ = kill_once(tmp_path, 0.05, "lie")
        missing += promised > JournalReader(tmp_path).last_sequence()
    assert missing > 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MB."""
    with small_disk_of(12, tmp_path) as disk:
        yield disk


def test_full_disk_is_survived_without_a_loss(open_journal: Open, small_disk: Path) -> None:
    data = small_disk / "data"
    journal = open_journal(data)
    for n in range(1, 101):
        journal.append(wide_record(n))
    wait_until(lambda: journal.stats().committed == 100)
    occupy(small_disk / "ballast")
    for n in range(101, 2001):
        journal.append(wide_record(n))
    wait_until(lambda: journal.stats().last_error is not None)
    assert "No space left" in str(journal.stats().last_error)
    stuck = journal.stats()
    assert stuck.committed + stuck.queued == 2000
    assert JournalReader(data).last_sequence() == stuck.committed, "what is there stays readable"
    (small_disk / "ballast").unlink()
    wait_until(lambda: journal.stats().queued == 0)
    wait_until(lambda: journal.stats().last_error is None)
    assert journal.stats().dropped_queue == 0
    assert [entry.cycle for entry in JournalReader(data).read(0, 3000)] == list(range(1, 2001))


def test_full_disk_at_the_start(open_journal: Open, small_disk: Path) -> None:
    data = small_disk / "data"
    data.mkdir()
    occupy(small_disk / "ballast")
    journal = open_journal(data)
    assert journal.stats().last_error is not None
    for n in range(1, 11):
        journal.append(wide_record(n))
    (small_disk / "ballast").unlink()
    wait_until(lambda: journal.stats().committed >= 10)
    assert [entry.cycle for entry in JournalReader(data).read(0, 100) if entry.kind == "cycle"] == list(
        range(1, 11)
    )


def test_files_that_may_not_grow(open_journal: Open, tmp_path: Path) -> None:
    journal = open_journal()
    journal.append(wide_record(1))
    wait_until(lambda: journal.stats().committed == 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        for n in range(2, 1001):
            journal.append(wide_record(n))
        wait_until(lambda: journal.stats().last_error is not None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    wait_until(lambda: journal.stats().queued == 0)
    assert [entry.cycle for entry in JournalReader(tmp_path).read(0, 2000)] == list(range(1, 1001))
    assert journal.stats().dropped_queue == 0


class _FailingDisk(RealDisk):
    """Fails the n-th sync of a file with EIO."""

    def __init__(self) -> None:
        self.until_failure = -1

    def open(self, path: Path, *, write: bool = False, create: bool = False) -> RealFile:
        return _FailingFile(os.dup(super().open(path, write=write, create=create)._handle), self)


class _FailingFile(RealFile):
    def __init__(self, handle: int, disk: _FailingDisk) -> None:
        super().__init__(handle)
        self._disk = disk

    def sync(self) -> None:
        self._disk.until_failure -= 1
        if self._disk.until_failure == 0:
            raise OSError(errno.EIO, "Input/output error")
        super().sync()


@pytest.mark.parametrize("nth", range(1, 8))
def test_a_failing_fsync_is_no_promise_and_no_loss(open_journal: Open, tmp_path: Path, nth: int) -> None:
    disk = _FailingDisk()
    journal = open_journal(window=0.001, disk=disk)
    disk.until_failure = nth
    for n in range(1, 21):
        journal.append(wide_record(n))
        if journal.stats().last_error is None:
            wait_until(lambda: journal.stats().queued == 0 or journal.stats().last_error is not None)
    wait_until(lambda: journal.stats().queued == 0)
    assert journal.stats().errors == 1
    assert journal.close(30)
    assert [entry.cycle for entry in JournalReader(tmp_path).read(0, 100)] == list(range(1, 21))
