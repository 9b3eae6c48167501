"""Hourly Parquet files, read back by DuckDB and pandas."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pyarrow.parquet as pq
import pytest

from bessai.interfaces.files import FilePace, ParquetFiles
from bessai.interfaces.parquet_settings import ParquetSettings
from bessai.journal import Journal
from bessai.journal.entry import Entry
from bessai.model import Layout
from support.entries import LAYOUT, START_NS, MemoryJournal, cycle_entry, cycle_record, event_entry

HOUR = 3600
QUICK = FilePace(
    poll=0.005, retry_first=0.01, retry_last=0.02, cells=500, group_cells=20_000, ahead_patience=0.05
)


def at(sequence: int, seconds: float, **changes: Any) -> Entry:
    """A record `seconds` after midnight."""
    return cycle_entry(sequence, wall_ns=START_NS + int(seconds * 1e9), **changes)


def every_minute(first: int, last: int, **changes: Any) -> list[Entry]:
    return [at(sequence, sequence * 60, **changes) for sequence in range(first, last + 1)]


class CountingJournal(MemoryJournal):
    """Counts how often it was looked at."""

    looks = 0

    def last_sequence(self) -> int:
        self.looks += 1
        return super().last_sequence()


class Scene:
    """A journal in memory, a clock, and a directory of files."""

    def __init__(self, directory: Path, entries: Sequence[Entry]) -> None:
        self.directory = directory
        self.journal = CountingJournal(list(entries))
        self.seconds = 0.0

    def sink(self, **more: Any) -> ParquetFiles:
        keep_days = more.pop("keep_days", None)
        return ParquetFiles(
            ParquetSettings(directory=self.directory, keep_days=keep_days),
            site=more.pop("site", "plant 1"),
            open_reader=lambda: self.journal, open_cursors=lambda: self.journal, pace=QUICK,
            now_ns=lambda: START_NS + int(self.seconds * 1e9), **more,
        )  # fmt: skip

    def write(self, last: int, **more: Any) -> ParquetFiles:
        """Run a sink until its cursor is at `last` and it has looked again."""
        sink = self.sink(**more)
        with running(sink):
            wait_until(lambda: sink.cursor == last and self.journal.get("parquet") == last)
            looks = self.journal.looks
            wait_until(lambda: self.journal.looks > looks + 6)
            assert sink.cursor == last
        return sink

    def files(self) -> list[str]:
        return sorted(
            str(path.relative_to(self.directory)) for path in self.directory.rglob("*") if path.is_file()
        )

    def sql(self, select: str) -> list[Any]:
        files = (
            f"read_parquet('{self.directory}/**/*.parquet', hive_partitioning = true, union_by_name = true)"
        )
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return connection.execute(select.replace("FILES", files)).fetchall()


class running:  # noqa: N801  reads as a word
    def __init__(self, sink: ParquetFiles) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=sink.run, args=(self._stop,), daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "not reached"
        time.sleep(0.002)


def test_an_hour_is_written_when_it_is_over(tmp_path: Path) -> None:
    scene = Scene(tmp_path, every_minute(1, 59))
    scene.seconds = HOUR + 59
    assert scene.write(0).status().backlog == 59
    assert scene.files() == []
    scene.seconds = HOUR + 61
    status = scene.write(59).status()
    assert (status.backlog, status.delivered, status.state) == (0, 59, "ok")
    assert scene.files() == ["site=plant%201/date=2026-01-01/hour=00/records-e0-1-59.parquet"]
    scene.seconds = 0
    scene.journal.append(
        *every_minute(60, 120)
    )  # a record of the next hour ends an hour, whatever the clock says
    scene.write(119)
    assert scene.files()[1:] == ["site=plant%201/date=2026-01-01/hour=01/records-e0-60-119.parquet"]


def test_what_is_read_back_is_what_was_recorded(tmp_path: Path) -> None:
    quality = np.array([0, 1, 2, 0, 0, 0], np.uint8)
    values = np.array([50.5, np.nan, -1.25, np.inf, 512.0, 9.0])
    entries = [
        at(1, 0.123456789), event_entry(2), at(3, 3, values=values, quality=quality, verified=False),
        at(4, HOUR),
    ]  # fmt: skip
    scene = Scene(tmp_path, entries)
    scene.write(3)
    rows = scene.sql(
        "SELECT sequence, epoch, epoch_ns(time), kind, cycle, state, setpoint, asked, limited_by, verified, soc, "
        "active_power, active_power_quality, battery_power_quality, cell_temperature_max, site, date, hour "
        "FROM FILES ORDER BY sequence"
    )
    assert len(rows) == 3
    same = ("plant 1", "2026-01-01", "00")
    decided = ("normal", -1.5, -2.0, ["soc_max"])
    assert rows[0][:15] == (
        1,
        0,
        START_NS + 123456789,
        "cycle",
        1,
        *decided,
        True,
        51.0,
        -1.5,
        "good",
        "good",
        25.5,
    )
    nothing = (None,) * 3
    assert rows[1][:15] == (
        2,
        0,
        START_NS + 2 * 10**9,
        "event",
        *(None,) * 4,
        [],
        None,
        None,
        None,
        *nothing[:2],
        None,
    )
    assert rows[2][:13] == (3, 0, START_NS + 3 * 10**9, "cycle", 3, *decided, False, 50.5, None, "missing")
    assert rows[2][13:15] == ("stale", float("inf"))
    assert [tuple(map(str, row[15:])) for row in rows] == [same] * 3
    events = scene.sql("SELECT sequence, unnest(events, recursive := true) FROM FILES")
    assert [(row[0], row[1], row[2], row[3], row[5]) for row in events] == [
        (2, "evidence_lost", "alarm", "No fresh value of soc.", True)
    ]
    frame = pd.read_parquet(tmp_path)
    assert str(frame["time"].dtype) == "datetime64[ns, UTC]"
    assert frame["time"][2] == pd.Timestamp("2026-01-01T00:00:03Z")
    assert frame["active_power_quality"].astype(object).fillna("-").tolist() == ["good", "-", "missing"]
    assert frame["soc"].mean() == pytest.approx(50.75)
    assert frame["site"].unique().tolist() == ["plant 1"]
    schema = pq.read_schema(next(tmp_path.rglob("*.parquet")))
    assert schema.field("active_power").metadata == {b"unit": b"kW"}
    assert schema.field("setpoint").metadata == {b"unit": b"kW"}
    assert schema.field("device_status").metadata == {b"states": b'{"0": "standby", "512": "on_grid"}'}
    assert schema.metadata[b"site"] == b"plant 1"


def test_the_queries_of_the_page(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "parquet.md").read_text(encoding="utf-8")
    scene = Scene(tmp_path, [at(n, 30 * 86400 + 7 * HOUR + n * 60) for n in range(1, 59)] + [event_entry(59)])
    scene.seconds = 31 * 86400
    scene.write(59)
    sql = page.split("```sql")[1].split("```")[0].replace("PARQUET_DIR", str(tmp_path))
    with duckdb.connect() as connection:
        quarters, events = (connection.execute(one).fetchall() for one in sql.split(";")[:2])
    assert [row[1] for row in quarters] == [-1.5] * 4
    assert [row[0] for row in events] == ["evidence_lost"]
    found: dict[str, Any] = {}
    python = page.split("```python")[1].split("```")[0].replace("PARQUET_DIR", str(tmp_path))
    exec(python, found)
    assert len(found["frame"]) == 58


def test_a_clock_that_is_set_back_overwrites_nothing(tmp_path: Path) -> None:
    entries = [
        *(at(n, 3000 + n) for n in range(1, 11)),
        *(at(n, HOUR + n) for n in range(11, 21)),
        *(at(n, 3000 + n) for n in range(21, 31)),  # an hour back
        *(at(n, HOUR + n) for n in range(31, 41)),
        at(41, -86400), at(42, 365 * 86400), at(43, 2 * HOUR),
    ]  # fmt: skip
    scene = Scene(tmp_path, entries)
    scene.seconds = 2 * HOUR + 61
    scene.write(42)
    assert scene.sql("SELECT sequence FROM FILES ORDER BY sequence") == [(n,) for n in range(1, 43)]
    assert [name.rpartition("site=plant%201/")[2] for name in scene.files()] == [
        "date=2025-12-31/hour=00/records-e0-41-41.parquet",
        "date=2026-01-01/hour=00/records-e0-1-10.parquet",
        "date=2026-01-01/hour=00/records-e0-21-30.parquet",
        "date=2026-01-01/hour=01/records-e0-11-20.parquet",
        "date=2026-01-01/hour=01/records-e0-31-40.parquet",
        "date=2027-01-01/hour=00/records-e0-42-42.parquet",
    ]


def test_other_columns_and_another_epoch_begin_another_file(tmp_path: Path) -> None:
    wide = Layout(names=(*LAYOUT.names, "unit1.soc"), units=(*LAYOUT.units, "%"))
    equal = Layout(names=LAYOUT.names, units=LAYOUT.units)
    entries = [
        at(1, 1),
        at(2, 2, layout=equal),
        at(3, 3, layout=wide),
        event_entry(4),
        at(5, 5, epoch=1),
        at(6, HOUR),
    ]
    scene = Scene(tmp_path, entries)
    scene.write(5)
    assert [name.rpartition("records-")[2] for name in scene.files()] == [
        "e0-1-2.parquet", "e0-3-4.parquet", "e1-5-5.parquet"
    ]  # fmt: skip
    assert scene.sql('SELECT sequence, "unit1.soc" IS NULL FROM FILES ORDER BY sequence') == [
        (1, True), (2, True), (3, False), (4, True), (5, True)
    ]  # fmt: skip


def test_only_events_and_an_hour_that_begins_with_events(tmp_path: Path) -> None:
    only = [event_entry(n) for n in range(1, 20)]
    scene = Scene(tmp_path, [*only, *(at(n, HOUR + n) for n in range(20, 22)), at(22, 2 * HOUR)])
    scene.write(21)
    assert scene.sql("SELECT count(*), count(cycle), count(soc), sum(len(events)) FROM FILES") == [
        (21, 2, 2, 19)
    ]
    mixed = Scene(tmp_path / "mixed", [event_entry(1), at(2, 2), at(3, HOUR)])
    mixed.write(2)
    assert mixed.sql("SELECT count(*), count(soc) FROM FILES") == [(2, 1)]
    assert len(mixed.files()) == 1


def test_a_file_whose_cursor_was_not_saved_is_not_written_again(tmp_path: Path) -> None:
    scene = Scene(tmp_path, every_minute(1, 130))
    scene.write(119)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}
    scene.journal.set("parquet", 59, force=True)
    scene.journal.entries = scene.journal.entries[80:]  # and the journal has dropped some of it meanwhile
    scene.write(119)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")} == before


def test_a_restored_backup_goes_on_in_another_epoch(tmp_path: Path) -> None:
    scene = Scene(tmp_path, every_minute(1, 61, epoch=1))
    scene.write(59)
    again = [at(n, n * 40, epoch=2) for n in range(51, 91)]  # the backup ended at 50
    scene.journal.entries = [*every_minute(1, 50, epoch=1), *again]
    scene.journal.set("parquet", 20, force=True)
    scene.write(89)
    assert [name.rpartition("records-")[2] for name in scene.files()] == [
        "e1-1-59.parquet",
        "e2-51-89.parquet",
    ]


def test_killed_at_random_moments_every_record_is_in_exactly_one_file(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "data", layout=LAYOUT, device={"model": "T"}, window=0.05)
    count = 600
    for cycle in range(count):
        record = cycle_record(cycle)
        image = replace(record.image, wall_ns=START_NS + cycle * 60 * 10**9)
        journal.append(replace(record, image=image))
        while journal.stats().queued > 500:
            time.sleep(0.005)
    assert journal.close(60)
    result = subprocess.run(
        [sys.executable, "-m", "support.parquet_process", tmp_path / "data", tmp_path / "files", "15"],
        capture_output=True, text=True, timeout=120, check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) > 5
    scene = Scene(tmp_path / "files", [])
    assert scene.sql(
        "SELECT count(*), count(DISTINCT sequence), min(sequence), max(sequence) FROM FILES"
    ) == [(count, count, 1, count)]
    assert scene.sql("SELECT count(*) FROM FILES WHERE hour::int != extract('hour' FROM time)") == [(0,)]
    assert all(name.endswith(".parquet") for name in scene.files())


def test_a_full_disk_is_told_and_the_hour_written_when_there_is_room(tmp_path: Path) -> None:
    scene = Scene(tmp_path, every_minute(1, 61))
    home = tmp_path / "site=plant%201"
    home.mkdir()
    (home / ".unfinished.tmp").symlink_to("/dev/full")
    sink = scene.sink()
    sentences: list[str] = []
    sink.failed = sentences.append  # type: ignore[assignment, method-assign]
    with running(sink):
        wait_until(lambda: sink.cursor == 59)
    (sentence,) = sentences
    assert sentence.startswith(
        f"The disk of PARQUET_DIR={tmp_path} is full. Free space or set PARQUET_KEEP_DAYS."
    )
    assert scene.sql("SELECT count(*) FROM FILES") == [(59,)]
    assert len(scene.files()) == 1


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    scene = Scene(tmp_path / "file", every_minute(1, 61))
    sink = scene.sink()
    with running(sink):
        wait_until(lambda: sink.failures > 2)
        assert f"PARQUET_DIR={tmp_path / 'file'} cannot be written" in str(sink.status().last_error)


def test_without_pyarrow_the_sink_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bessai.interfaces.parquet", None)
    sink = Scene(tmp_path, every_minute(1, 61)).sink()
    with running(sink):
        wait_until(lambda: sink.failures > 0)
        assert "pip install 'open-bess-edge[parquet]'" in str(sink.status().last_error)


def test_the_newest_days_are_kept(tmp_path: Path) -> None:
    day = 86400
    entries = [at(n, n * day) for n in range(1, 6)]
    scene = Scene(tmp_path, entries)
    stranger = tmp_path / "site=plant%201" / "date=2026-01-02" / "notes.txt"
    stranger.parent.mkdir(parents=True)
    stranger.touch()
    scene.write(4, keep_days=2)
    assert scene.sql("SELECT sequence FROM FILES ORDER BY sequence") == [(3,), (4,)]
    assert stranger.exists()
    scene.journal.append(at(6, 3650 * day), at(7, 6 * day), at(8, 7 * day))  # ten years ahead, and back
    scene.write(7, keep_days=2)
    assert scene.sql("SELECT sequence FROM FILES ORDER BY sequence") == [(6,), (7,)]
    scene.journal.append(at(9, -day), at(10, 8 * day))  # a day in the past is not removed as it is written
    scene.write(9, keep_days=2)
    assert (9,) in scene.sql("SELECT sequence FROM FILES")


def test_sequence_numbers_without_a_record_are_counted(tmp_path: Path) -> None:
    scene = Scene(tmp_path, [*every_minute(11, 20), *every_minute(25, 61)])
    status = scene.write(59).status()
    assert (status.delivered, status.missed) == (45, 14)


def test_another_journal_is_written_from_its_beginning(tmp_path: Path) -> None:
    scene = Scene(tmp_path, every_minute(1, 61))
    scene.journal.set("parquet", 5000, force=True)
    scene.write(59)
    assert scene.sql("SELECT count(*) FROM FILES") == [(59,)]


def test_chosen_devices_and_names_that_are_taken(tmp_path: Path) -> None:
    layout = Layout(names=("soc", "a.soc", "b.soc", "state", "hour", "soc_quality"), units=("%",) * 6)
    scene = Scene(tmp_path, [at(1, 1, layout=layout, values=np.arange(6.0)), at(2, HOUR)])
    scene.write(1, publish=["b"])
    assert scene.sql('SELECT state, state_, hour_, soc, soc_quality, soc_quality_, "b.soc" FROM FILES') == [
        ("normal", 3.0, 4.0, 0.0, "good", 5.0, 2.0)
    ]
    assert "a.soc" not in pq.read_schema(next(tmp_path.rglob("*.parquet"))).names
