from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from bessai.journal import Cursors, Journal, JournalError, JournalReader, Progress, ReaderStats, read_cursors
from bessai.journal.commit import NAME
from support.records import START_NS, make_event, make_record, wait_until

Open = Callable[..., Journal]


def test_nothing_is_there_yet(open_journal: Open, tmp_path: Path) -> None:
    reader = JournalReader(tmp_path / "later")
    assert reader.read(0, 10) == reader.tail(5) == list(reader.read_between(None, None)) == []
    assert reader.first_sequence() == reader.last_sequence() == 0
    assert reader.stats() == ReaderStats()
    journal = open_journal(tmp_path / "later")
    assert reader.read(0, 10) == []
    journal.append_event(make_event())
    wait_until(lambda: reader.last_sequence() == 1)
    assert reader.first_sequence() == 1


def test_a_look_before_the_writers_first_word_hides_nothing(open_journal: Open, tmp_path: Path) -> None:
    """The log is there, full of nothing, a moment before the file that says how far it counts."""
    journal, reader = open_journal(), JournalReader(tmp_path)
    word, away = tmp_path / "journal" / NAME, tmp_path / "away"
    word.rename(away)
    assert reader.read(0, 10) == []
    away.rename(word)
    journal.append_event(make_event())
    wait_until(lambda: reader.last_sequence() == 1)
    assert [entry.sequence for entry in reader.read(0, 10)] == [1]


def test_an_empty_directory_is_no_journal_yet(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    assert JournalReader(tmp_path).read(0, 1) == []
    assert JournalReader(tmp_path).stats() == ReaderStats()


def test_read_pages_through(open_journal: Open, tmp_path: Path) -> None:
    journal, reader = open_journal(), JournalReader(tmp_path)
    for n in range(1, 1001):
        journal.append(make_record(n))
    assert journal.close(30)
    seen: list[int] = []
    while batch := reader.read(seen[-1] if seen else 0, 77):
        assert len(batch) <= 77
        seen += [entry.sequence for entry in batch]
    assert seen == list(range(1, 1001))
    assert [entry.sequence for entry in reader.tail(3)] == [998, 999, 1000]
    between = [entry.cycle for entry in reader.read_between(START_NS + 100 * 10**9, START_NS + 700 * 10**9)]
    assert between == list(range(100, 701)), "both ends belong to it"
    assert len(list(reader.read_between(None, None))) == 1000
    assert list(reader.read_between(5, 6)) == []
    stats = reader.stats()
    assert (stats.first_sequence, stats.last_sequence, stats.records) == (1, 1000, 1000)
    assert (stats.first_wall_ns, stats.last_wall_ns) == (START_NS + 10**9, START_NS + 10**12)
    assert stats.size_bytes > 0


def test_a_clock_that_steps_back_changes_the_order_of_nothing(open_journal: Open, tmp_path: Path) -> None:
    journal = open_journal()
    for n in (10, 11, 5, 6, 12):
        journal.append(make_record(n))
    assert journal.close(30)
    found = JournalReader(tmp_path).read_between(START_NS + 6 * 10**9, START_NS + 11 * 10**9)
    assert [(entry.sequence, entry.cycle) for entry in found] == [(1, 10), (2, 11), (4, 6)]


def test_a_damaged_part_is_skipped_and_counted(open_journal: Open, tmp_path: Path) -> None:
    journal = open_journal(window=3600.0)
    for n in range(1, 11):
        journal.append(make_record(n, events=(make_event(n),)))
        wait_until(lambda n=n: journal.stats().committed == n)  # type: ignore[misc]
    assert journal.close(30)
    reader = JournalReader(tmp_path)
    assert reader.last_sequence() == 10, "the places of all ten are known"
    (log,) = (tmp_path / "journal").glob("wal-*.log")
    with log.open("rb+") as file:
        for n in (3, 4):
            file.seek(4096 * (n - 1) + 200)
            file.write(b"\xff\xff")
    assert [entry.sequence for entry in reader.read(0, 5)] == [1, 2, 5, 6, 7]
    assert reader.stats().damaged == 2


def test_not_a_directory(tmp_path: Path) -> None:
    (tmp_path / "journal").write_bytes(b"garbage" * 1000)
    with pytest.raises(JournalError, match="journal cannot be read"):
        JournalReader(tmp_path).read(0, 1)


def test_reading_while_writing(open_journal: Open, tmp_path: Path) -> None:
    journal = open_journal(window=0.001)
    done = threading.Event()
    problems: list[str] = []

    def follow() -> None:
        reader, last = JournalReader(tmp_path), 0
        while not done.is_set() or reader.last_sequence() > last:
            for entry in reader.read(last, 50):
                if entry.sequence != last + 1 or entry.cycle != entry.sequence:
                    problems.append(f"{entry.sequence} after {last}")
                last = entry.sequence
        if last != 3000:
            problems.append(f"ended at {last}")

    threads = [threading.Thread(target=follow) for _ in range(2)]
    for thread in threads:
        thread.start()
    for n in range(1, 3001):
        journal.append(make_record(n))
        if n % 100 == 0:
            wait_until(lambda: journal.stats().queued == 0)
    wait_until(lambda: journal.stats().queued == 0)
    done.set()
    for thread in threads:
        thread.join(60)
    assert problems == []
    assert journal.stats().errors == 0


def test_cursors_are_durable_and_never_go_back(tmp_path: Path) -> None:
    cursors = Cursors(tmp_path)
    assert cursors.get("pubsub") == 0
    cursors.set("pubsub", 10)
    cursors.set("pubsub", 7)
    cursors.set("otel", 3)
    assert cursors.all() == {"otel": 3, "pubsub": 10}
    cursors.close()
    cursors = Cursors(tmp_path)
    assert cursors.get("pubsub") == 10
    cursors.set("pubsub", 7, force=True)
    assert cursors.get("pubsub") == 7
    assert read_cursors(tmp_path) == {"otel": 3, "pubsub": 7}
    cursors.close()


def test_reading_cursors_creates_nothing(tmp_path: Path) -> None:
    assert read_cursors(tmp_path) == {}
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_place_leaves_the_one_before_and_two_begin_again(tmp_path: Path) -> None:
    cursors = Cursors(tmp_path)
    for sequence in (5, 6, 7):
        cursors.set("pubsub", sequence)
    cursors.close()
    path = tmp_path / "cursors" / "pubsub.cur"
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"garbage" * 500)
    assert read_cursors(tmp_path)["pubsub"] == 6
    path.write_bytes(b"garbage" * 500)
    assert Cursors(tmp_path).get("pubsub") == 0, "delivered twice, not lost"
    cursors = Cursors(tmp_path)
    cursors.set("pubsub", 1)
    assert Cursors(tmp_path).get("pubsub") == 1


def test_gaps_are_kept(tmp_path: Path) -> None:
    cursors = Cursors(tmp_path)
    progress = Progress(10).done(21, 30).done(41, 50)
    cursors.save("pubsub", progress)
    assert Cursors(tmp_path).progress("pubsub") == progress
    assert cursors.get("pubsub") == 10
    cursors.set("pubsub", 25)
    assert Cursors(tmp_path).progress("pubsub") == Progress(30, ((41, 50),))


def test_what_is_not_durable_leaves_the_last_that_is(tmp_path: Path) -> None:
    cursors = Cursors(tmp_path)
    for sequence in (5, 6):
        cursors.save("pubsub", Progress(sequence))
    for sequence in (7, 8, 9):
        cursors.save("pubsub", Progress(sequence), durable=False)
    assert read_cursors(tmp_path)["pubsub"] == 9, "it survives the process"
    path = tmp_path / "cursors" / "pubsub.cur"
    whole = path.read_bytes()
    for place in (0, 4096):
        path.write_bytes(whole[:place] + bytes(300) + whole[place + 300 :])
        assert read_cursors(tmp_path)["pubsub"] in {6, 9}, "a power cut costs one place at most"
    path.write_bytes(whole)
    cursors.save("pubsub", Progress(10))
    cursors.save("pubsub", Progress(11), durable=False)
    assert read_cursors(tmp_path)["pubsub"] == 11


@pytest.mark.skipif(os.geteuid() != 0 and not Path("/proc/self").is_dir(), reason="needs /proc")
def test_cursors_that_cannot_be_kept(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match=r"pubsub\.cur cannot be written"):
        Cursors(Path("/proc/self")).set("pubsub", 1)
    with pytest.raises(JournalError, match="is no name for a consumer"):
        Cursors(tmp_path).set("../x", 1)
