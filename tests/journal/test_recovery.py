"""Damage: the journal always starts, keeps the evidence, and never gives a sequence twice."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from bessai.journal import Cursors, Journal, JournalReader
from bessai.journal.reservation import BLOCK, Reservation
from support.records import make_event, make_record, wait_until, wide_record

Open = Callable[..., Journal]


def checkpoint(directory: Path) -> None:
    database = apsw.Connection(str(directory / "journal.db"))
    database.execute("SELECT count(*) FROM record")
    database.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    database.close()


def fill(open_journal: Open, directory: Path, count: int = 300) -> None:
    journal = open_journal(directory)
    for n in range(count):
        journal.append(wide_record(n))
    assert journal.close(30)
    checkpoint(directory)


def assert_recovered(open_journal: Open, directory: Path, above: int = 300) -> None:
    journal = open_journal(directory)
    (event,) = journal.events_on_open
    assert event.code == "journal_recovered"
    (aside,) = directory.glob("journal-corrupt-*Z.db")
    assert aside.name in event.message
    journal.append_event(event)
    assert journal.close(30)
    (entry,) = JournalReader(directory).read(0, 10)
    assert above < entry.sequence <= above + 2 * BLOCK
    assert str(entry.sequence) in event.message


@pytest.mark.parametrize("start", [0, 16, 100])
def test_garbage_in_place_of_the_database(open_journal: Open, tmp_path: Path, start: int) -> None:
    fill(open_journal, tmp_path)
    with (tmp_path / "journal.db").open("rb+") as file:
        file.seek(start)
        file.write(random.Random(1).randbytes(8192))
    assert_recovered(open_journal, tmp_path)


def test_a_damaged_page_in_the_middle(open_journal: Open, tmp_path: Path) -> None:
    fill(open_journal, tmp_path)
    path = tmp_path / "journal.db"
    with path.open("rb+") as file:
        file.seek(path.stat().st_size // 2 // 4096 * 4096)
        file.write(bytes(4096))
    assert_recovered(open_journal, tmp_path)


def test_a_truncated_database(open_journal: Open, tmp_path: Path) -> None:
    fill(open_journal, tmp_path)
    os.truncate(tmp_path / "journal.db", 20_000)
    assert_recovered(open_journal, tmp_path)


def test_without_the_reservation_the_cursors_say_where_to_go_on(open_journal: Open, tmp_path: Path) -> None:
    fill(open_journal, tmp_path)
    (tmp_path / "journal.sequence").write_text("nonsense")
    cursors = Cursors(tmp_path)
    cursors.set("pubsub", 300)
    cursors.close()
    (tmp_path / "journal.db").write_bytes(b"garbage" * 1000)
    assert_recovered(open_journal, tmp_path)


def test_an_older_copy_of_the_database_is_noticed_by_its_readers(open_journal: Open, tmp_path: Path) -> None:
    fill(open_journal, tmp_path, 100)
    copy = (tmp_path / "journal.db").read_bytes()
    fill(open_journal, tmp_path, 100)
    cursors = Cursors(tmp_path)
    cursors.set("pubsub", 200)
    (tmp_path / "journal.db").write_bytes(copy)
    journal = open_journal()
    assert journal.stats().committed > 200
    assert [event.code for event in journal.events_on_open] == ["journal_recovered"]
    assert journal.close(30)
    cursors.set("pubsub", 10**15, force=True)
    journal = open_journal()
    assert journal.stats().committed < 10**6, "a cursor set by hand proves nothing"
    cursors.close()


def test_damage_found_while_writing(
    open_journal: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bessai.journal.store import Store

    journal, reader = open_journal(), JournalReader(tmp_path)
    journal.append_event(make_event(1))
    wait_until(lambda: reader.last_sequence() == 1)
    write, fail = Store.write, [True]

    def damaged(self: Store, *args: object, **kwargs: object) -> None:
        if fail.pop() if fail else False:
            raise apsw.CorruptError("database disk image is malformed")
        write(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Store, "write", damaged)
    journal.append_event(make_event(2))
    wait_until(lambda: journal.stats().queued == 0)
    entries = reader.read(1, 10)
    assert [entry.events[0].code for entry in entries] == ["evidence_lost", "journal_recovered"]
    assert entries[0].events == (make_event(2),)
    assert entries[0].sequence > 1
    assert len(list(tmp_path.glob("journal-corrupt-*Z.db"))) == 1


def test_a_database_removed_while_in_use_is_begun_again(open_journal: Open, tmp_path: Path) -> None:
    journal = open_journal()
    journal.append_event(make_event(1))
    wait_until(lambda: journal.stats().committed == 1)
    for file in tmp_path.glob("journal.db*"):
        file.unlink()
    journal.append_event(make_event(2))
    wait_until(lambda: journal.stats().queued == 0)
    codes = [entry.events[0].code for entry in JournalReader(tmp_path).read(1, 10)]
    assert codes == ["evidence_lost", "journal_recovered"]


def test_only_the_newest_damaged_databases_are_kept(open_journal: Open, tmp_path: Path) -> None:
    for n in range(4):
        open_journal(wall_ns=lambda n=n: n * 10**9).close(30)
        checkpoint(tmp_path)
        (tmp_path / "journal.db").write_bytes(b"garbage" * 1000)
        os.utime(tmp_path / "journal.db", ns=(n, n))
    open_journal(wall_ns=lambda: 4 * 10**9)
    assert sorted(file.name for file in tmp_path.glob("journal-corrupt-*.db")) == [
        "journal-corrupt-19700101T000003Z.db",
        "journal-corrupt-19700101T000004Z.db",
    ]


def test_the_journal_starts_from_any_damage(open_journal: Open, tmp_path: Path) -> None:
    fill(open_journal, tmp_path)
    whole = (tmp_path / "journal.db").read_bytes()
    chance = random.Random(2)
    for _ in range(30):
        content = bytearray(whole)
        for _ in range(chance.choice([1, 10, 1000])):
            content[chance.randrange(len(content))] = chance.randrange(256)
        for file in tmp_path.glob("journal*.db*"):
            file.unlink()
        (tmp_path / "journal.db").write_bytes(
            content[: chance.choice([len(content), chance.randrange(len(content))])]
        )
        journal = open_journal()
        journal.append(make_record(999))
        assert journal.close(30), journal.stats()
        last = JournalReader(tmp_path).tail(1)[0]
        assert last.cycle == 999
        assert last.sequence > 300


def test_reservation_outlives_damage_to_itself(tmp_path: Path) -> None:
    reservation = Reservation(tmp_path)
    reservation.cover(5)
    assert Reservation(tmp_path).value == reservation.value == 5 + BLOCK
    text = (tmp_path / "journal.sequence").read_text()
    (tmp_path / "journal.sequence").write_text(text.replace("5", "6", 1))
    assert Reservation(tmp_path).value == 0
