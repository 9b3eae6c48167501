"""A disk without space, a disk that fails, and a disk that hangs."""

from __future__ import annotations

import random
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bessai.journal import Cursors, Journal, JournalReader
from bessai.journal.disk import RealDisk, RealFile
from bessai.journal.log import Log
from bessai.journal.row import row_of
from simulation.seeds import base_seed, replay
from support.journal_oracle import Decoder, Oracle, decoding_once, numbered, require
from support.records import DEVICE, LAYOUT, wait_until, wide_record
from support.simulated_disk import SimDisk
from support.small_disk import occupy, small_disk_of

Open = Callable[..., Journal]
DATA = Path("/data")
SIZES = {"max_bytes": 76 << 10, "wal_bytes": 64 << 10, "segment_bytes": 1536}
EVER = 1 << 40
STRIDE = 16


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 32 MB."""
    with small_disk_of(32, tmp_path) as disk:
        yield disk


def test_a_full_disk_costs_nothing_that_was_accepted(open_journal: Open, small_disk: Path) -> None:
    data = small_disk / "data"
    journal = open_journal(data, window=0.0, max_bytes=8 << 20)
    cursors, reader = Cursors(data), JournalReader(data)
    n = 100
    for number in range(1, n + 1):
        journal.append(wide_record(number))
    wait_until(lambda: journal.stats().committed == n)
    cursors.set("cloud", 50)
    occupy(small_disk / "ballast")
    while journal.stats().queued == 0:
        errors = journal.stats().errors
        for _ in range(200):
            n += 1
            journal.append(wide_record(n))
        wait_until(lambda: journal.stats().queued == 0 or journal.stats().errors > errors + 1)  # noqa: B023
        require(n < 20_000, "it never got full")
    assert "space" in str(journal.stats().last_error)
    assert n > 500, "what was reserved beforehand takes records for a while"
    stuck = journal.stats()
    assert (stuck.committed + stuck.queued, stuck.dropped_queue) == (n, 0)

    occupy(small_disk / "rest")  # what the journal itself has given back
    assert shutil.disk_usage(small_disk).free == 0
    held = [entry.cycle for entry in reader.read(0, EVER)]
    assert held == list(range(1, len(held) + 1)), "readers read"
    assert len(held) >= stuck.committed
    cursors.set("cloud", 100)
    assert Cursors(data).get("cloud") == 100, "consumers acknowledge"

    for name in ("ballast", "rest"):
        (small_disk / name).unlink()
    wait_until(lambda: journal.stats().queued == 0 and journal.stats().last_error is None)
    assert journal.stats().dropped_queue == 0
    assert [entry.cycle for entry in reader.read(0, EVER)] == list(range(1, n + 1))
    expected = {n: wide_record(n).image.values.tobytes() for n in range(1, n + 1, 50)}
    assert {e.cycle: e.values.tobytes() for e in reader.read(0, EVER) if e.cycle % 50 == 1} == expected


def test_a_disk_that_is_full_from_the_start(open_journal: Open, small_disk: Path) -> None:
    data = small_disk / "data"
    data.mkdir()
    occupy(small_disk / "ballast")
    journal = open_journal(data)
    wait_until(lambda: journal.stats().last_error is not None)
    for n in range(1, 11):
        journal.append(wide_record(n))
    assert journal.stats().queued == 10
    (small_disk / "ballast").unlink()
    wait_until(lambda: journal.stats().queued == 0)
    assert [e.cycle for e in JournalReader(data).read(0, EVER) if e.kind == "cycle"] == list(range(1, 11))


def test_a_killed_writer_opens_again_on_a_full_disk(open_journal: Open, small_disk: Path) -> None:
    data = small_disk / "data"
    journal = open_journal(data, window=0.0)
    for n in range(1, 501):
        journal.append(wide_record(n))
    assert journal.close(30)
    occupy(small_disk / "ballast")
    journal = open_journal(data)
    journal.append(wide_record(501))
    wait_until(lambda: journal.stats().committed == 501)
    assert [entry.cycle for entry in JournalReader(data).read(0, EVER)] == list(range(1, 502))


@pytest.mark.parametrize("part", range(4))
def test_the_nth_sync_fails(part: int) -> None:
    """For n = 1 to 200: whatever was acknowledged before or after is there after a power cut, and nothing else."""
    base = base_seed()
    with decoding_once() as decoder:
        for nth in range(part + 1, STRIDE + 1, 4):
            try:
                fail_syncs(nth, base + nth, decoder)
            except Exception as error:
                raise AssertionError(
                    replay(base, [f"sync {nth}: {type(error).__name__}: {error}"])
                ) from error


def fail_syncs(nth: int, seed: int, decoder: Decoder) -> None:
    """Append while the n-th of every `STRIDE` syncs fails, up to 200; cut the power again and again."""
    chance, disk, oracle = random.Random(seed), SimDisk(DATA, seed=seed), Oracle()
    log = reopen(disk)
    first = disk.syncs
    for sync in range(first + nth, first + 201, STRIDE):
        disk.failing_syncs |= {sync + n for n in range(chance.choice((1, 1, 2, 4)))}
    n = failures = 0
    while disk.syncs < first + 210:
        items = [numbered(n + i) for i in range(1, chance.choice((1, 2, 10, 40)) + 1)]
        rows = [row_of(item) for item in items]
        n += len(items)
        oracle.offer(items)
        while oracle.flight:
            try:
                oracle.acknowledge(log.append(rows, LAYOUT, DEVICE))
            except OSError:
                failures += 1
                require(failures < 500, "it never writes again")
                if chance.random() < 0.5:
                    log.close()
                    log = reopen(disk)
                    if log.last_sequence > oracle.last:  # it was durable after all
                        oracle.acknowledge(log.last_sequence)
        if chance.random() < 0.5:
            after = disk.crash(chance)
            opened = reopen(after)
            require(not opened.findings, opened.findings)
            oracle.fork().check(decoder.read(JournalReader(DATA, disk=after)), opened.totals)
    require(log.trouble is None, "it is not over:", log.trouble)
    oracle.check(decoder.read(JournalReader(DATA, disk=disk)), log.totals)


def reopen(disk: SimDisk) -> Log:
    """Open until it succeeds."""
    while True:
        try:
            return Log.open(disk, DATA, wall_ns=lambda: 0, **SIZES)
        except OSError:
            continue


def test_the_thread_survives_syncs_that_fail(open_journal: Open, tmp_path: Path) -> None:
    seed = base_seed()
    disk = SimDisk(tmp_path, seed=seed)
    journal = open_journal(disk=disk, window=0.0)
    disk.failing_syncs = {disk.syncs + n for n in (3, 4, 11, 20)}
    seen = set()
    for n in range(1, 301):
        journal.append(wide_record(n))
        if n % 10 == 0 and n < 250:
            wait_until(lambda: journal.stats().queued == 0 or journal.stats().last_error is not None)
        seen.add(journal.stats().last_error)
    wait_until(lambda: journal.stats().queued == 0)
    assert any(error is not None and "Input/output" in error for error in seen), replay(seed, map(str, seen))
    stats = journal.stats()
    assert (stats.last_error, stats.dropped_queue, stats.committed) == (None, 0, 300)
    assert stats.errors >= 1
    assert journal.close(30)
    for cut in range(20):
        after = disk.crash(random.Random(seed + cut))
        Log.open(after, tmp_path).close()
        entries = JournalReader(tmp_path, disk=after).read(0, EVER)
        assert [entry.cycle for entry in entries] == list(range(1, 301)), replay(seed)


class HangingDisk(RealDisk):
    """Once `hang` is set, no sync returns until it is cleared."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.hangs = threading.Event()

    def open(self, path: Path, *, write: bool = False, create: bool = False) -> RealFile:
        return _HangingFile(super().open(path, write=write, create=create), self)


class _HangingFile(RealFile):
    def __init__(self, file: RealFile, disk: HangingDisk) -> None:
        super().__init__(file._handle)
        self._disk = disk

    def sync(self) -> None:
        if not self._disk.go.is_set():
            self._disk.hangs.set()
            self._disk.go.wait()
        super().sync()


def test_a_disk_that_hangs_does_not_hold_up_the_cycle(open_journal: Open, tmp_path: Path) -> None:
    disk = HangingDisk()
    journal = open_journal(disk=disk, window=0.0, queue=500)
    disk.go.clear()
    journal.append(numbered(13))  # type: ignore[arg-type]
    assert disk.hangs.wait(60)
    for n in range(1, 1001):
        journal.append(wide_record(n))  # all of them return, while the thread hangs
    assert journal.stats().committed == 0
    disk.go.set()
    wait_until(lambda: journal.stats().queued == 0)
    stats = journal.stats()
    assert stats.dropped_queue > 0
    assert stats.committed + stats.dropped_queue == 1001
    assert len(JournalReader(tmp_path).read(0, EVER)) == stats.committed
