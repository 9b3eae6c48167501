"""`verify` names what is damaged and nothing else; `repair` mends it and loses nothing that is sound."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bessai.journal import Cursors, JournalError, JournalReader
from bessai.journal.disk import RealDisk
from bessai.journal.lock import lock_directory
from bessai.journal.log import Log
from bessai.journal.repair import repair
from bessai.journal.row import row_of
from bessai.journal.snapshot import Memory
from bessai.journal.verify import Report, verify
from bessai.journal.wal import read_frames
from bessai.model import CycleRecord
from support.records import DEVICE, LAYOUT, make_event, make_record

SIZES: dict[str, Any] = {"max_bytes": 150_000, "wal_bytes": 1 << 16, "segment_bytes": 1 << 13}
LAST = 2500


def noisy(n: int) -> CycleRecord:
    """A record of about 30 bytes; one in 60 has an event."""
    values = np.random.default_rng(n).random(3)
    return make_record(n, values=values, events=(make_event(n),) if n % 60 == 0 else ())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stopped journal with full segments, one that grows, kept events, dropped telemetry and a cursor."""
    directory = tmp_path_factory.mktemp("whole")
    log = Log.open(RealDisk(), directory, **SIZES)
    for start in range(1, LAST, 50):
        log.append([row_of(noisy(n)) for n in range(start, start + 50)], LAYOUT, DEVICE)
    log.close()
    cursors = Cursors(directory)
    cursors.set("pubsub", 700)
    cursors.close()
    names = [path.name for path in (directory / "journal").iterdir()]
    assert sum(name.startswith("cold") for name in names) > 2
    assert sum(name.startswith("kept") for name in names) >= 1
    assert log.totals.space > 0
    assert log.last_sequence == LAST
    return directory


@pytest.fixture
def copies(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "copy")
    return tmp_path / "copy"


def held(directory: Path) -> set[tuple[int, int]]:
    return {(e.sequence, e.wall_ns) for e in JournalReader(directory).read(0, 10_000)}


def flip(path: Path, offset: int) -> None:
    with path.open("rb+") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0x10]))


def lost(report: Report) -> set[int]:
    return {n for problem in report.problems for low, high in problem.lost for n in range(low, high + 1)}


def test_a_sound_journal_is_sound_and_stays_as_it_is(whole: Path, copies: Path) -> None:
    report = verify(copies)
    assert report.problems == ()
    assert report.sound
    assert report.found == report.held == len(held(whole))
    assert report.last_sequence == LAST == report.found + report.dropped_space
    assert (report.lost, report.missing, report.cursors) == (0, (), {"pubsub": 700})
    done = repair(copies)
    assert done.findings == ()
    assert done.after.problems == ()
    assert held(copies) == held(whole)


def test_damage_anywhere_is_named_and_mended(whole: Path, tmp_path: Path) -> None:
    """One byte in a random place of each file: all that is not named as lost can be read before and after."""
    draw = random.Random(os.environ.get("BESSAI_SEED", "verify"))
    everything = held(whole)
    names = sorted(path.name for path in (whole / "journal").iterdir())
    cold = [name for name in names if name.startswith("cold")]
    others = [name for name in names if name.startswith(("kept", "layout", "wal"))]
    named = 0
    for attempt, name in enumerate([cold[0], cold[-1], *others, others[-1]]):
        copy = tmp_path / str(attempt)
        shutil.copytree(whole, copy)
        path = copy / "journal" / name
        for offset in draw.sample(range(path.stat().st_size), 2):  # twice the same byte would be none
            flip(path, offset)
        report, readable = verify(copy), held(copy)
        named += not report.sound
        assert report.found == len(readable), (name, report.problems)
        gone = everything - readable
        assert readable <= everything
        assert len(gone) <= 2 * 128
        if not name.startswith("kept"):  # without its index, a segment of events does not tell which it had
            assert {sequence for sequence, _ in gone} == lost(report), (name, report.problems)
        assert report.lost == len(gone)
        assert bool(gone) <= (not report.sound)
        done = repair(copy)
        assert done.after.problems == (), (name, done.after.problems)
        assert done.after.lost == len(gone)
        assert held(copy) == readable, name
    assert named > 3


def test_the_exact_range_and_times(copies: Path) -> None:
    segment = sorted((copies / "journal").glob("cold-*.seg"))[1]
    first = int(segment.stem.removeprefix("cold-"))
    flip(segment, 200)
    (problem,) = verify(copies).problems
    assert (problem.file, problem.first) == (segment.name, first)
    assert problem.lost == ((problem.first, problem.last),)
    entries = {e.sequence for e in JournalReader(copies).read(0, 10_000)}
    assert not entries & set(range(problem.first, problem.last + 1))
    assert {problem.first - 1, problem.last + 1} <= entries
    assert problem.wall_min is not None
    assert problem.wall_max is not None
    assert problem.wall_max - problem.wall_min == (problem.last - problem.first) * 10**9


def test_the_end_of_the_log_is_damaged(whole: Path, copies: Path) -> None:
    """What was copied to a segment before is not lost, also after more was written and a second restart."""
    (path,) = (copies / "journal").glob("wal-*.log")
    everything, data = held(whole), path.read_bytes()
    frames, _ = read_frames(Memory(data), len(data) - 8192, int(path.stem.removeprefix("wal-")))
    flip(path, frames[-1].offset + 200)
    readable = held(copies)
    assert 0 < len(everything - readable) < 50
    for expected in (LAST, LAST + 1):
        log = Log.open(RealDisk(), copies, **SIZES)
        assert log.last_sequence == expected
        log.append([row_of(noisy(1))], LAYOUT, DEVICE)
        log.close()
        assert readable <= held(copies)
    assert verify(copies).lost == len(everything - readable)
    assert repair(copies).after.lost == len(everything - readable)
    assert readable <= held(copies)


@pytest.mark.parametrize("copy", [".a", ".b"])
def test_one_copy_of_a_layout_is_enough(whole: Path, copies: Path, copy: str) -> None:
    (path,) = (copies / "journal").glob(f"layout-*{copy}")
    path.unlink()
    report = verify(copies)
    assert [(p.file, p.lost) for p in report.problems] == [(path.name, ())]
    assert repair(copies).after.sound
    assert path.exists()
    assert held(copies) == held(whole)


def test_without_its_layout_nothing_can_be_read_and_nothing_is_thrown_away(copies: Path, whole: Path) -> None:
    paths = list((copies / "journal").glob("layout-*"))
    for path in paths:
        path.unlink()
    report = verify(copies)
    assert report.found == 0
    assert len(lost(report)) == report.held


def test_a_cursor_beyond_the_end_and_a_damaged_one(copies: Path) -> None:
    cursors = Cursors(copies)
    cursors.set("by_hand", 10**6, force=True)
    cursors.close()
    (copies / "cursors" / "pubsub.cur").write_bytes(b"x" * 8192)
    assert {(p.file, p.what) for p in verify(copies).problems} == {
        ("cursors/by_hand.cur", "it is at 1000000, the journal ends at 2500"),
        ("cursors/pubsub.cur", "it is damaged"),
    }


def test_the_lock_is_needed_to_repair_not_to_verify(copies: Path) -> None:
    lock = lock_directory(copies)
    assert verify(copies).sound
    with pytest.raises(JournalError, match="in use by process"):
        repair(copies)
    os.close(lock)


def test_a_new_epoch_by_hand(copies: Path) -> None:
    log = Log.open(RealDisk(), copies, **SIZES)
    before = log.epoch
    log.close()
    assert repair(copies).epoch == before
    after = repair(copies, new_epoch=True).epoch
    assert after > before
    log = Log.open(RealDisk(), copies, **SIZES)
    assert (log.epoch, log.findings) == (after, [])
    log.append([row_of(noisy(1))], LAYOUT, DEVICE)
    log.close()
    assert JournalReader(copies).tail(1)[0].epoch == after
    assert verify(copies).sound
