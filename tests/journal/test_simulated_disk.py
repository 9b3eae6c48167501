"""The simulated disk loses what a real one may lose, and nothing else."""

from __future__ import annotations

import errno
import random
from pathlib import Path

import pytest

from bessai.journal.disk import Disk
from support.simulated_disk import PAGE, SECTOR, PowerCut, SimDisk

DATA = Path("/data")
FILE = DATA / "file"


def written(*parts: bytes, synced: bytes = b"") -> SimDisk:
    """A disk with one file whose name and first part are durable."""
    disk = SimDisk()
    file = disk.open(FILE, write=True, create=True)
    offset = 0
    if synced:
        file.write(0, synced)
        file.sync()
        offset = len(synced)
    disk.sync_directory(DATA)
    for part in parts:
        file.write(offset, part)
        offset += len(part)
    return disk


def states(disk: SimDisk, path: Path = FILE, draws: int = 400) -> set[bytes | None]:
    """What many power cuts leave of a file; None where there is none."""
    left: set[bytes | None] = set()
    for seed in range(draws):
        after = disk.crash(random.Random(seed))
        left.add(after.content(path) if path in after.files() else None)
    return left


def test_it_is_a_disk() -> None:
    disk: Disk = SimDisk()
    disk.make_directory(DATA / "a" / "b")
    file = disk.open(DATA / "a" / "b" / "c", write=True, create=True)
    file.write(3, b"xyz")
    file.write(1, b"__")
    assert file.read(0, 100) == b"\0__xyz"
    file.truncate(4)
    file.truncate(6)
    assert (file.size(), file.read(2, 3)) == (6, b"_x\0")
    disk.rename(DATA / "a" / "b" / "c", DATA / "a" / "b" / "d")
    assert disk.names(DATA / "a" / "b") == ["d"]
    assert disk.names(DATA / "a") == ["b"]
    assert disk.names(DATA / "nowhere") == []
    assert disk.open(DATA / "a" / "b" / "d").read(0, 2) == b"\0_"
    disk.unlink(DATA / "a" / "b" / "d")
    disk.unlink(DATA / "a" / "b" / "d")
    with pytest.raises(FileNotFoundError):
        disk.open(DATA / "a" / "b" / "d", write=True)
    with pytest.raises(FileNotFoundError):
        disk.open(DATA / "nowhere" / "d", write=True, create=True)
    with pytest.raises(OSError, match="Bad file descriptor"):
        disk.open(disk_file(disk)).write(0, b"read only")
    assert disk.identity(DATA) != disk.identity(DATA / "a")


def disk_file(disk: Disk) -> Path:
    disk.open(FILE, write=True, create=True)
    return FILE


def test_what_is_synced_stays() -> None:
    assert states(written(synced=b"abc")) == {b"abc"}


def test_what_is_not_synced_may_be_lost_or_kept() -> None:
    assert states(written(b"new", synced=b"old")) >= {b"old", b"oldnew"}
    disk = SimDisk()
    disk.open(FILE, write=True, create=True).write(0, b"x")
    assert states(disk) >= {None, b"", b"x", b"\0"}, "no name, no content, all, a size without content"


def test_pages_are_reordered_and_torn_at_sectors() -> None:
    disk = written(synced=b"o" * 2 * PAGE)
    file = disk.open(FILE, write=True)
    file.write(0, b"1" * PAGE)
    file.write(PAGE, b"2" * PAGE)
    left = states(disk)
    assert {b"1" * PAGE + b"o" * PAGE, b"o" * PAGE + b"2" * PAGE} <= left
    torn = [c for c in left if c and 0 < c[:PAGE].count(b"1") < PAGE]
    assert torn
    assert all(c[:PAGE].count(b"1") % SECTOR == 0 for c in torn)


def test_an_earlier_state_of_a_page_may_be_what_is_left() -> None:
    disk = written(b"1", b"2", synced=b"0")
    assert states(disk) == {b"0", b"01", b"012", b"0\0", b"0\0\0", b"01\0"}


def test_a_truncation_without_sync_may_be_lost() -> None:
    disk = written(synced=b"abc")
    file = disk.open(FILE, write=True)
    file.truncate(1)
    assert states(disk) == {b"abc", b"a"}
    file.sync()
    assert states(disk) == {b"a"}


def test_a_rename_is_all_or_nothing() -> None:
    disk = written(synced=b"new")
    other = DATA / "other"
    disk.open(other, write=True, create=True).write(0, b"old")
    disk.open(other, write=True).sync()
    disk.sync_directory(DATA)
    disk.rename(FILE, other)
    left = {
        tuple((p.name, after.content(p)) for p in after.files())
        for after in (disk.crash(random.Random(seed)) for seed in range(100))
    }
    assert left == {(("file", b"new"), ("other", b"old")), (("other", b"new"),)}
    disk.sync_directory(DATA)
    assert states(disk) == {None}
    assert states(disk, other) == {b"new"}


def test_names_that_do_not_concern_each_other_may_be_reordered() -> None:
    disk = SimDisk()
    for name in "ab":
        disk.open(DATA / name, write=True, create=True)
    left = {tuple(disk.crash(random.Random(seed)).names(DATA)) for seed in range(200)}
    assert left == {(), ("a",), ("b",), ("a", "b")}


def test_a_directory_takes_along_what_is_in_it() -> None:
    disk = SimDisk()
    disk.make_directory(DATA / "inner")
    disk.open(DATA / "inner" / "x", write=True, create=True)
    disk.sync_directory(DATA / "inner")
    assert states(disk, DATA / "inner" / "x") == {None, b""}
    disk.sync_directory(DATA)
    assert states(disk, DATA / "inner" / "x") == {b""}


def test_a_crash_leaves_the_disk_as_it_was() -> None:
    disk = written(b"new", synced=b"old")
    after = disk.crash(random.Random(2))
    disk.open(FILE, write=True).sync()
    assert states(disk) == {b"oldnew"}
    after.open(FILE, write=True).write(0, b"!")
    assert disk.content(FILE) == b"oldnew"
    assert after.identity(DATA) == disk.identity(DATA)


def test_a_failed_sync_marks_its_pages_clean() -> None:
    lost = 0
    for seed in range(50):
        disk = SimDisk(seed=seed)
        file = disk.open(FILE, write=True, create=True)
        disk.sync_directory(DATA)
        disk.failing_syncs = {2}
        file.write(0, b"x" * PAGE)
        with pytest.raises(OSError, match="Input/output") as failed:
            file.sync()
        assert failed.value.errno == errno.EIO
        file.sync()
        assert file.read(0, 1) == b"x", "the cache still has it"
        lost += states(disk, draws=1) != {b"x" * PAGE}
        file.write(0, b"y")
        file.sync()
        assert states(disk, draws=1) == {b"y" + b"x" * (PAGE - 1)}, "a page is written whole"
    assert 0 < lost < 50


def test_power_cut_at_an_operation() -> None:
    disk = SimDisk()
    disk.crash_after = 2
    file = disk.open(FILE, write=True, create=True)
    file.write(0, b"x")
    with pytest.raises(PowerCut):
        file.sync()
    with pytest.raises(PowerCut):
        file.read(0, 1)
    assert None in states(disk)


def test_a_full_disk_still_overwrites() -> None:
    disk = SimDisk(budget=3 * PAGE)
    file = disk.open(FILE, write=True, create=True)
    file.write(0, bytes(2 * PAGE))
    disk.open(DATA / "small", write=True, create=True).write(0, b"x")
    assert disk.used() == 3 * PAGE
    with pytest.raises(OSError, match="No space") as full:
        file.write(2 * PAGE - 1, b"12")
    assert full.value.errno == errno.ENOSPC
    assert file.read(2 * PAGE - 1, 9) == b"1", "what fitted is written"
    with pytest.raises(OSError, match="No space"):
        disk.open(DATA / "more", write=True, create=True)
    file.write(0, b"y" * 2 * PAGE)
    disk.unlink(DATA / "small")
    file.write(2 * PAGE, b"1")


def test_a_disk_that_lies_loses_what_was_synced() -> None:
    disk = SimDisk(honest=False)
    disk.open(FILE, write=True, create=True).sync()
    disk.sync_directory(DATA)
    assert None in states(disk)


def test_damage_is_durable() -> None:
    disk = written(synced=b"abc")
    disk.damage(FILE, b"ab")
    assert states(disk) == {b"ab"}
    assert disk.clone().content(FILE) == b"ab"
