from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import numpy as np
import pytest

from bessai.journal import Journal, JournalError, JournalReader
from bessai.journal import writer as writer_module
from bessai.journal.store import Store
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
    with apsw.Connection(str(tmp_path / "journal.db")) as database:
        assert database.execute("SELECT count(*) FROM layout").get == 2


@pytest.mark.parametrize("where", ["sequence > 5", "1"], ids=["tail", "all"])
def test_sequence_is_never_used_again(open_journal: Open, tmp_path: Path, where: str) -> None:
    journal = open_journal()
    for n in range(10):
        journal.append(make_record(n))
    assert journal.close(30)
    database = apsw.Connection(str(tmp_path / "journal.db"))
    database.execute(f"DELETE FROM record WHERE {where}")
    database.close()
    journal = open_journal()
    assert journal.events_on_open == []
    journal.append(make_record(10))
    assert journal.close(30)
    assert JournalReader(tmp_path).last_sequence() == 11


def test_sequence_goes_on_above_a_lost_database(open_journal: Open, tmp_path: Path) -> None:
    journal = open_journal()
    journal.append_event(make_event())
    assert journal.close(30)
    for file in tmp_path.glob("journal.db*"):
        file.unlink()
    journal = open_journal()
    assert [event.code for event in journal.events_on_open] == ["journal_recovered"]
    assert journal.stats().committed > 1


def test_synchronous_full_and_wal(tmp_path: Path) -> None:
    store = Store(tmp_path, max_bytes=1 << 20, wall_ns=0)
    connection = store._connection
    assert connection.pragma("synchronous") == 2
    assert connection.pragma("journal_mode") == "wal"
    store.close()


class _SyncCounter(apsw.VFS):
    """Counts fsyncs of the log: what a power cut would leave."""

    def __init__(self) -> None:
        self.syncs = 0
        super().__init__("sync-counter", "unix", makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        return _File(self, name, flags)


class _File(apsw.VFSFile):
    def __init__(self, vfs: _SyncCounter, name: Any, flags: list[int]) -> None:
        self.vfs, self.log = vfs, bool(flags[0] & apsw.SQLITE_OPEN_WAL)
        super().__init__("unix", name, flags)

    def xSync(self, flags: int) -> None:
        self.vfs.syncs += self.log
        super().xSync(flags)


@pytest.mark.parametrize("full", [True, False], ids=["as shipped", "negative control"])
def test_every_commit_is_synced(tmp_path: Path, full: bool) -> None:
    vfs = _SyncCounter()
    try:
        store = Store(tmp_path, max_bytes=1 << 20, wall_ns=0)
        if not full:
            store._connection.pragma("synchronous", "NORMAL")
        before = vfs.syncs
        layout = store.layout_id(LAYOUT, {})
        for n in range(5):
            row = writer_module._row(make_record(n), layout, store.chunk_bytes)
            store.write([row])
        syncs = vfs.syncs - before
        store.close()
    finally:
        vfs.unregister()
    assert (syncs >= 5) == full


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
    write = Store.write

    def broken(self: Store, *args: Any, **kwargs: Any) -> None:
        if failing.is_set():
            raise RuntimeError("out of luck")
        write(self, *args, **kwargs)

    monkeypatch.setattr(Store, "write", broken)
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
        raise apsw.FullError("no space")

    journal = open_journal()
    monkeypatch.setattr(Store, "write", broken)
    journal.append(make_record(1))
    assert not journal.close(30)


def test_directory_is_created(open_journal: Open, tmp_path: Path) -> None:
    open_journal(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b" / "journal.db").is_file()


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


def test_directory_in_place_of_the_database(open_journal: Open, tmp_path: Path) -> None:
    (tmp_path / "journal.db").mkdir()
    with pytest.raises(JournalError, match=r"journal\.db is not a file: move it away"):
        open_journal()


def test_database_of_another_program_is_left_alone(open_journal: Open, tmp_path: Path) -> None:
    with apsw.Connection(str(tmp_path / "journal.db")) as database:
        database.execute("CREATE TABLE theirs (x)")
    before = (tmp_path / "journal.db").read_bytes()
    with pytest.raises(JournalError, match=r"journal\.db is a database of another program"):
        open_journal()
    assert (tmp_path / "journal.db").read_bytes() == before


def test_newer_format_is_refused(open_journal: Open, tmp_path: Path) -> None:
    open_journal().close(30)
    database = apsw.Connection(str(tmp_path / "journal.db"))
    database.pragma("user_version", 2)
    database.close()
    with pytest.raises(JournalError, match="has format 2, this version writes 1"):
        open_journal()
    with pytest.raises(JournalError, match="has format 2, this version reads 1"):
        JournalReader(tmp_path).last_sequence()


def test_old_sqlite_is_refused(open_journal: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.40.1")
    with pytest.raises(JournalError, match=r"SQLite 3\.40\.1 .*pip install 'apsw>=3\.51\.3'"):
        open_journal()


def test_too_small_a_bound_is_refused(open_journal: Open) -> None:
    with pytest.raises(JournalError, match="max_bytes 1000 is too small, use at least 1048576"):
        open_journal(max_bytes=1000)


def test_importing_the_journal_needs_no_pydantic_and_no_cli() -> None:
    import subprocess

    heavy = ("pydantic", "typer", "rich", "pyarrow")
    code = f"import sys, bessai.journal; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
