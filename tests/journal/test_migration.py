"""The journal of an older version, a SQLite database, is taken over with its numbers and cursors."""

from __future__ import annotations

import json
import sqlite3
import struct
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from bessai.journal import Cursors, Journal, JournalReader
from bessai.journal.disk import RealDisk
from bessai.journal.log import Log
from bessai.journal.migration import migrate
from support.records import START_NS, make_event, wait_until

Open = Callable[..., Journal]
SCHEMA = """
CREATE TABLE state (id INTEGER PRIMARY KEY, sequence INTEGER, records INTEGER, dropped_space INTEGER,
    dropped_queue INTEGER, dropped_events INTEGER);
CREATE TABLE layout (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE record (sequence INTEGER PRIMARY KEY, wall_ns INTEGER, events INTEGER, layout INTEGER, body BLOB);
"""
LAYOUT = {"names": ["soc", "status"], "units": ["%", None], "states": {"status": {"1": "on"}}, "bits": {}}
EVENT = {
    "code": "evidence_lost", "severity": 2, "message": "m", "wall_ns": START_NS, "active": True, "point": None,
    "value": None, "first_out": True, "about": None, "user": None,
}  # fmt: skip


def body(n: int, events: int = 0) -> bytes:
    columns = (
        struct.pack("<BBIQ", 1, 3, 2, n)
        + np.array([n / 10, 1.0]).tobytes()
        + bytes([0, 2])
        + np.array([0.5, np.nan], np.float32).tobytes()
    )
    tail = {
        "decision": {"state": "normal", "setpoint": n / 4, "bounds": {"low": None, "high": 5.0}}, "outcome": None,
        "timing": {"late": 0.0, "read": 0.1, "decide": 0.0, "write": 0.0, "total": 0.2},
        "texts": {"serial_number": "HV1"}, "events": [EVENT] * events,
    }  # fmt: skip
    return bytes([1]) + zlib.compress(columns + json.dumps(tail).encode(), 1)


def old_journal(directory: Path, sequences: list[int], last: int, spoiled: int | None = None) -> None:
    with closing(sqlite3.connect(directory / "journal.db")) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(SCHEMA)
        device = {"profile": "test_device"}
        database.execute("INSERT INTO layout VALUES (1, ?)", (json.dumps(LAYOUT | {"device": device}),))
        for n in sequences:
            content = b"\x01garbage" if n == spoiled else body(n, n % 10 == 0)
            database.execute(
                "INSERT INTO record VALUES (?, ?, ?, 1, ?)",
                (n, START_NS + n * 10**9, int(n % 10 == 0), content),
            )
        database.execute("INSERT INTO state VALUES (1, ?, ?, 0, 0, 0)", (last, len(sequences)))
        database.commit()
    with closing(sqlite3.connect(directory / "cursors.db")) as database:
        database.execute("CREATE TABLE cursor (consumer TEXT PRIMARY KEY, sequence INTEGER)")
        database.execute("INSERT INTO cursor VALUES ('pubsub', 77)")
        database.commit()


def test_records_numbers_gaps_and_cursors_are_taken_over(open_journal: Open, tmp_path: Path) -> None:
    sequences = [10, 20, 30, *range(41, 1000)]
    old_journal(tmp_path, sequences, 1002)
    journal = open_journal()
    journal.append_event(make_event(7))
    wait_until(lambda: journal.stats().committed == 1003)
    entries = JournalReader(tmp_path).read(0, 5000)
    assert [e.sequence for e in entries] == [*sequences, 1003]
    first = entries[3]
    assert (first.kind, first.cycle, first.wall_ns) == ("cycle", 41, START_NS + 41 * 10**9)
    assert first.values.tolist() == [4.1, 1.0]
    assert first.quality.tolist() == [0, 2]
    assert first.ages[0] == 0.5
    assert np.isnan(first.ages[1])
    assert first.decision == {"state": "normal", "setpoint": 10.25, "bounds": {"low": None, "high": 5.0}}
    assert (first.outcome, first.texts, first.device) == (
        None,
        {"serial_number": "HV1"},
        {"profile": "test_device"},
    )
    assert first.timing["read"] == 0.1
    assert first.layout.meaning("status", 1.0) == "on"
    assert first.verified
    assert first.fed
    assert entries[0].events[0].first_out
    assert Cursors(tmp_path).get("pubsub") == 77
    assert journal.stats().lost == 0
    assert [p.name for p in tmp_path.glob("*.db*")] == []
    assert journal.close(30)
    assert open_journal().events_on_open == []


def test_a_move_that_is_interrupted_goes_on(tmp_path: Path) -> None:
    sequences = list(range(1, 901))
    old_journal(tmp_path, sequences, 900)
    for rounds in (1, 2, 99):
        log = Log.open(RealDisk(), tmp_path)
        left = iter([False] * rounds + [True])
        done = migrate(tmp_path, log, lambda left=left: next(left))  # type: ignore[misc]
        log.close()
    assert done
    assert [e.sequence for e in JournalReader(tmp_path).read(0, 5000)] == sequences
    assert Log.open(RealDisk(), tmp_path).findings == []


def test_a_damaged_record_is_left_out_and_a_damaged_file_is_kept(open_journal: Open, tmp_path: Path) -> None:
    old_journal(tmp_path, list(range(1, 20)), 19, spoiled=5)
    journal = open_journal()
    wait_until(lambda: journal.stats().committed == 19)
    assert [e.sequence for e in JournalReader(tmp_path).read(0, 50)] == [n for n in range(1, 20) if n != 5]
    assert journal.close(30)
    (tmp_path / "journal.db").write_bytes(b"garbage" * 1000)
    journal = open_journal()
    journal.append_event(make_event(1))
    wait_until(lambda: journal.stats().committed == 78)  # above the cursor, which knows of more
    assert (tmp_path / "journal.db.damaged").is_file()


@pytest.mark.parametrize("restart", [False, True])
def test_numbers_that_were_left_out_are_not_lost(tmp_path: Path, restart: bool) -> None:
    log = Log.open(RealDisk(), tmp_path)
    log.skip(500)
    if restart:
        log.close()
        log = Log.open(RealDisk(), tmp_path)
    assert (log.last_sequence, log.damaged, log.findings) == (500, 0, [])
