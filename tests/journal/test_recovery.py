"""Damage and copies: the journal always starts, names what is lost, and never gives a number twice in an epoch."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bessai.journal import Cursors, Journal, JournalReader
from support.records import make_event, make_record, wait_until, wide_record

Open = Callable[..., Journal]
BLOCK = 4096


def fill(open_journal: Open, directory: Path, count: int, **options: object) -> Journal:
    """Records with a commit, and so a block of the write-ahead log, each."""
    journal = open_journal(directory, **options)
    start = journal.stats().committed
    for n in range(1, count + 1):
        journal.append(make_record(start + n, events=(make_event(n),)))
        wait_until(lambda n=n: journal.stats().committed == start + n)  # type: ignore[misc]
    assert journal.close(30)
    return journal


def damage(directory: Path, block: int) -> None:
    (log,) = (directory / "journal").glob("wal-*.log")
    with log.open("rb+") as file:
        file.seek(BLOCK * block + 150)
        file.write(b"\xff" * 8)


@pytest.mark.parametrize(("block", "lost"), [(0, 1), (4, 5), (9, 10)])
def test_a_damaged_commit_costs_its_records_and_is_told(
    open_journal: Open, tmp_path: Path, block: int, lost: int
) -> None:
    fill(open_journal, tmp_path, 10)
    damage(tmp_path, block)
    journal = open_journal()
    (event,) = journal.events_on_open
    assert event.code == "journal_recovered"
    assert f"records {lost} to {lost} are lost" in event.message
    assert (journal.stats().lost, journal.stats().committed) == (1, 10)
    journal.append(make_record(11))
    assert journal.close(30)
    entries = JournalReader(tmp_path).read(0, 100)
    assert [e.sequence for e in entries] == [n for n in range(1, 12) if n != lost]
    assert JournalReader(tmp_path).stats().lost == 1


def test_an_older_copy_goes_on_in_a_new_epoch(open_journal: Open, tmp_path: Path) -> None:
    fill(open_journal, tmp_path / "a", 5)
    shutil.copytree(tmp_path / "a", tmp_path / "copy")
    fill(open_journal, tmp_path / "a", 5)
    fill(open_journal, tmp_path / "copy", 5)
    for name in ("a", "copy"):
        assert [e.sequence for e in JournalReader(tmp_path / name).read(0, 99)] == list(range(1, 11))
    one, other = (
        {(e.epoch, e.sequence) for e in JournalReader(tmp_path / name).read(5, 99)} for name in ("a", "copy")
    )
    assert not one & other


def test_a_copy_that_is_older_than_its_readers(open_journal: Open, tmp_path: Path) -> None:
    fill(open_journal, tmp_path / "a", 5)
    shutil.copytree(tmp_path / "a", tmp_path / "copy")
    cursors = Cursors(tmp_path / "copy")
    cursors.set("pubsub", 300)
    cursors.close()
    journal = open_journal(tmp_path / "copy")
    assert journal.stats().committed == 300
    assert "records 6 to 300 are lost" in journal.events_on_open[0].message


def test_a_cursor_set_by_hand_proves_nothing(open_journal: Open, tmp_path: Path) -> None:
    fill(open_journal, tmp_path, 5)
    cursors = Cursors(tmp_path)
    cursors.set("pubsub", 10**15, force=True)
    cursors.close()
    assert open_journal().stats().committed == 5


def test_a_journal_removed_while_in_use_is_begun_again(open_journal: Open, tmp_path: Path) -> None:
    journal = open_journal()
    journal.append_event(make_event(1))
    wait_until(lambda: journal.stats().committed == 1)
    epoch = journal.stats().epoch
    (tmp_path / "journal").rename(tmp_path / "gone")
    journal.append_event(make_event(2))
    wait_until(lambda: journal.stats().epoch > epoch and journal.stats().queued == 0)
    (entry,) = JournalReader(tmp_path).read(0, 10)
    assert entry.events == (make_event(2),)
    assert entry.epoch > epoch


def test_a_damaged_segment_is_found_and_mended_while_running(open_journal: Open, tmp_path: Path) -> None:
    options = {"max_bytes": 1 << 21}
    journal = open_journal(**options)
    for n in range(1, 1500):
        journal.append(wide_record(n))
        if n % 100 == 0:
            wait_until(lambda: journal.stats().queued == 0)
    assert journal.close(30)
    segment = min((tmp_path / "journal").glob("cold-*.seg"))
    with segment.open("rb+") as file:
        file.seek(segment.stat().st_size // 2)
        file.write(b"\xff" * 8)
    journal = open_journal(**options)
    wait_until(lambda: journal.stats().lost > 0)
    lost = journal.stats().lost
    assert 0 < lost <= 128
    wait_until(lambda: JournalReader(tmp_path).tail(1)[0].kind == "event" and not journal.stats().queued)
    reader = JournalReader(tmp_path)
    entries = reader.read(0, 10_000)
    assert reader.stats().damaged == 0, "it was written anew without"
    assert len(entries) == journal.stats().records
    missing = sorted(set(range(1, 1500)) - {e.sequence for e in entries})
    assert missing == list(range(missing[0], missing[0] + lost))
    assert f"records {missing[0]} to {missing[-1]} are lost" in entries[-1].events[0].message


@pytest.mark.parametrize("gone", [(1,), (-1,), (-2, -1)], ids=["sealed", "growing", "all before the log"])
def test_a_segment_that_is_gone_is_told(open_journal: Open, tmp_path: Path, gone: tuple[int, ...]) -> None:
    options = {"max_bytes": 1 << 21}
    journal = open_journal(**options)
    for n in range(1, 1500):
        journal.append(wide_record(n))
        if n % 100 == 0:
            wait_until(lambda: journal.stats().queued == 0)
    assert journal.close(30)
    segments = sorted((tmp_path / "journal").glob("cold-*.seg"))
    for which in gone:
        segments[which].unlink()
    journal = open_journal(**options)
    lost = journal.stats().lost
    entries = JournalReader(tmp_path).read(0, 10_000)
    missing = sorted(set(range(1, 1500)) - {e.sequence for e in entries})
    assert len(missing) == lost
    assert JournalReader(tmp_path).stats().lost == lost
    told = [
        range(int(first), int(last) + 1)
        for event in journal.events_on_open
        for first, last in re.findall(r"records (\d+) to (\d+) are lost", event.message)
    ]
    assert sorted(number for part in told for number in part) == missing
    if not missing:  # what grows is made again from the write-ahead log, as far as it reaches
        assert gone == (-1,)
        assert journal.events_on_open == []
