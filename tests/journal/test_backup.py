"""A backup of a running journal holds all that was durable and nothing else; a restored one repeats no name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bessai.journal import Cursors, Journal, JournalError, JournalReader
from bessai.journal.archive import Tar
from bessai.journal.backup import backup
from bessai.journal.disk import RealDisk
from bessai.journal.lock import in_use, lock_directory
from bessai.journal.log import Log
from bessai.journal.restore import restore
from bessai.journal.verify import verify
from support.records import make_event, make_record, wait_until

Open = Callable[..., Journal]

WRITER = """
import os, sys, time
from pathlib import Path
from bessai.journal.disk import RealDisk
from bessai.journal.lock import lock_directory
from bessai.journal.log import Log
from bessai.journal.row import row_of
from support.records import DEVICE, WIDE, make_event, wide_record
directory = Path(sys.argv[1])
lock = lock_directory(directory)
log = Log.open(RealDisk(), directory, max_bytes=400_000, wal_bytes=1 << 16, segment_bytes=1 << 14)
rows = [row_of(wide_record(n, events=(make_event(n),) if n % 40 == 0 else ())) for n in range(200)]
print("ready", flush=True)
n = 0
while os.getppid() == int(sys.argv[2]):
    log.append(rows[n % 180 : n % 180 + 1 + n % 20], WIDE, DEVICE)
    n += 1
    time.sleep(0.002)
"""


def contents(directory: Path) -> list[tuple[int, int, int, int]]:
    """What every record says that can be read, in short."""
    return [
        (e.sequence, e.epoch, e.wall_ns, len(e.events)) for e in JournalReader(directory).read(0, 1 << 30)
    ]


def filled(open_journal: Open, directory: Path, count: int, **options: object) -> None:
    journal = open_journal(directory, **options)
    for n in range(count):
        journal.append(make_record(n, events=(make_event(n),) if n % 10 == 0 else ()))
    wait_until(lambda: journal.stats().queued == 0)
    assert journal.close(30)


def test_backups_beside_a_writer_that_rolls_and_drops(tmp_path: Path) -> None:
    live = tmp_path / "live"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", WRITER, str(live), str(os.getpid())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as writer:
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
            assert in_use(live)
            reader = JournalReader(live)
            wait_until(lambda: reader.stats().dropped_space > 0)
            generations, dropped = set(), set()
            for attempt in range(5):
                start = reader.last_sequence()
                manifest = backup(live, tmp_path / "live.tar")
                assert manifest.last_sequence >= start
                seen = {e.sequence: (e.epoch, e.wall_ns, len(e.events)) for e in reader.read(0, 1 << 30)}
                generations |= {name for name in manifest.files if name.startswith("journal/wal-")}

                tar = Tar(tmp_path / "live.tar")
                assert tar.check() == []
                report = verify(Path(), disk=tar)
                assert report.problems == ()
                assert report.found == report.held
                assert (report.lost, report.missing) == (0, ())
                dropped.add(report.dropped_space)

                copy = tmp_path / f"copy-{attempt}"
                restore(tmp_path / "live.tar", copy)
                log = Log.open(RealDisk(), copy, max_bytes=400_000, wal_bytes=1 << 16, segment_bytes=1 << 14)
                assert log.findings == []
                assert (log.last_sequence, log.damaged) == (manifest.last_sequence, 0)
                assert log.totals.held == report.held
                log.close()
                restored = {
                    e.sequence: (e.epoch, e.wall_ns, len(e.events))
                    for e in JournalReader(copy).read(0, 1 << 30)
                }
                assert len(restored) == report.held
                assert max(restored) == manifest.last_sequence
                wanted = {n: told for n, told in seen.items() if n <= manifest.last_sequence}
                assert wanted, "the reader was too slow to tell anything"
                assert wanted.items() <= restored.items()
                shutil.rmtree(copy)
            assert len(generations) > 1, "the log rolled between backups"
            assert len(dropped) > 1, "records were dropped between backups"
        finally:
            writer.kill()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["live", "live.tar"]


def test_a_stopped_journal_and_its_cursors(open_journal: Open, tmp_path: Path) -> None:
    filled(open_journal, tmp_path / "a", 500)
    cursors = Cursors(tmp_path / "a")
    cursors.set("pubsub", 300)
    cursors.set("by_hand", 10**15, force=True)
    cursors.close()
    (tmp_path / "a" / "state.json").write_text("{}")
    (tmp_path / "a" / "journal" / "commit").unlink()
    manifest = backup(tmp_path / "a", tmp_path / "a.tar", site="plant-1")
    assert (manifest.site, manifest.last_sequence) == ("plant-1", 500)
    assert not [name for name in manifest.files if "state" in name]
    restore(tmp_path / "a.tar", tmp_path / "b")
    assert verify(tmp_path / "b").problems == ()
    assert Cursors(tmp_path / "b").all() == {"by_hand": 500, "pubsub": 300}
    journal = open_journal(tmp_path / "b")
    assert journal.events_on_open == []
    assert journal.stats().committed == 500
    assert contents(tmp_path / "b") == contents(tmp_path / "a")


def test_no_name_is_given_twice_after_restores(open_journal: Open, tmp_path: Path) -> None:
    filled(open_journal, tmp_path / "a", 50)
    backup(tmp_path / "a", tmp_path / "a.tar")
    names = []
    for name in ("a", "b", "c"):
        if name != "a":
            restore(tmp_path / "a.tar", tmp_path / name)
        filled(open_journal, tmp_path / name, 50)
        names.append(
            {(epoch, sequence) for sequence, epoch, _, _ in contents(tmp_path / name) if sequence > 50}
        )
    assert [len(part) for part in names] == [50, 50, 50]
    assert len(set().union(*names)) == 150


def test_a_restore_in_place_repeats_no_name_either(open_journal: Open, tmp_path: Path) -> None:
    """The new directory may get the inode of the one that was there when the backup was made."""
    filled(open_journal, tmp_path / "a", 50)
    backup(tmp_path / "a", tmp_path / "a.tar")
    filled(open_journal, tmp_path / "a", 50)
    before = set(contents(tmp_path / "a"))
    (done,) = restore(tmp_path / "a.tar", tmp_path / "a", replace=True).aside
    assert contents_of_journal(done) == before
    filled(open_journal, tmp_path / "a", 50)
    after = {(epoch, sequence) for sequence, epoch, _, _ in contents(tmp_path / "a") if sequence > 50}
    assert not after & {(epoch, sequence) for sequence, epoch, _, _ in before}


def contents_of_journal(path: Path) -> set[tuple[int, int, int, int]]:
    target = path.with_name("looked-at")
    target.mkdir()
    shutil.copytree(path, target / "journal")
    return set(contents(target))


def test_restore_refuses(open_journal: Open, tmp_path: Path) -> None:
    filled(open_journal, tmp_path / "a", 50)
    target = tmp_path / "a.tar"
    backup(tmp_path / "a", target)
    before = contents(tmp_path / "a")
    with pytest.raises(JournalError, match="holds records up to 50"):
        restore(target, tmp_path / "a")
    lock = lock_directory(tmp_path / "a")
    with pytest.raises(JournalError, match="in use by process"):
        restore(target, tmp_path / "a", replace=True)
    os.close(lock)
    whole = target.read_bytes()
    place = Tar(target).places["journal/wal-00000001.log"][0] + 200
    target.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    with pytest.raises(JournalError, match=r"damaged: journal/wal-00000001\.log"):
        restore(target, tmp_path / "a", replace=True)
    target.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(JournalError, match=r"no whole backup|cannot be read as a backup"):
        restore(target, tmp_path / "a", replace=True)
    with tarfile.open(target, "w") as tar:
        tar.add(tmp_path / "a" / "journal", "../journal")
    with pytest.raises(JournalError, match="no whole backup"):
        restore(target, tmp_path / "a", replace=True)
    assert contents(tmp_path / "a") == before
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["journal", "journal.lock"]


def test_a_file_that_cannot_be_written_is_not_there(open_journal: Open, tmp_path: Path) -> None:
    filled(open_journal, tmp_path / "a", 50)
    (tmp_path / "old.tar").mkdir()
    with pytest.raises(OSError, match="directory"):
        backup(tmp_path / "a", tmp_path / "old.tar")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "old.tar"]
