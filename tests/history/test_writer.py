from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import apsw
import numpy as np
import pytest

from bessai.history import History, HistoryError, HistoryWriter, Keep, query
from bessai.history.database import MIGRATIONS, open_for_writing, version_of
from bessai.journal import JournalReader
from bessai.model import Layout
from history.conftest import Fill, course
from support.history_oracle import SECOND, buckets, check, few
from support.records import START_NS

Open = Callable[..., HistoryWriter]
DAY = 86400 * SECOND


def fold_days(
    writer: HistoryWriter, days: int, *, columns: int = 8, spacing: int = 10, first: int = 0
) -> None:
    """Noise that compresses badly, one flush a day."""
    layout = Layout(tuple(f"p{n}" for n in range(columns)), (None,) * columns)
    chance = np.random.default_rng(first)
    rows = 86400 // spacing
    for day in range(first, first + days):
        wall = START_NS + day * DAY + np.arange(rows) * spacing * SECOND
        values = chance.random((rows, columns))
        writer.fold(layout, writer.folded + rows, wall, values, np.zeros(values.shape, np.uint8))
        writer.flush()
        writer.compact()


def size(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.glob("history*.db*") if "-shm" not in file.name)


def test_a_block_that_is_folded_in_part_counts_once(
    fill: Fill, open_writer: Open, reader: JournalReader, history: History
) -> None:
    records = course(40)
    fill(records)
    writer = open_writer()
    for most in (1, 7, 7, 25):
        writer.fold_blocks(few(reader.blocks(writer.folded, most), writer.folded, most))
        writer.flush()
    assert (writer.stored, writer.waiting) == (40, 0)
    start, end = START_NS, START_NS + 40 * SECOND
    (series,) = query(history, reader, ["soc"], start, end, step=10)
    check(series, buckets(records, "soc", "%", start, end, 10 * SECOND))


def test_a_late_sample_is_last_only_within_its_ten_seconds(
    fill: Fill, open_writer: Open, reader: JournalReader, history: History
) -> None:
    """The clock steps back: by 5 s, so that the late one is the newest of its slot, or by 15 s, so that it is not."""
    now = START_NS + 3600 * SECOND
    steps = (now + 19 * SECOND, now + 14 * SECOND, now + 4 * SECOND)
    records = [course(1, start_ns=time, seed=seed)[0] for seed, time in enumerate(steps)]
    records = [
        replace(
            record,
            image=replace(record.image, values=np.array([n, n, n], float), quality=np.zeros(3, np.uint8)),
        )
        for n, record in enumerate(records)
    ]
    fill(records)
    writer = open_writer()
    for n in range(3):
        writer.fold_blocks(few(reader.blocks(n, 1), n, 1))
        writer.flush()
        writer.compact(everything=True)
        for step in (10, 60):
            (series,) = query(history, reader, ["soc"], now, now + 60 * SECOND, step=step)
            check(series, buckets(records, "soc", "%", now, now + 60 * SECOND, step * SECOND))
    assert series.last.tolist() == [1.0]


def test_a_damaged_database_is_set_aside_and_made_again(
    fill: Fill, tmp_path: Path, open_writer: Open, reader: JournalReader, history: History
) -> None:
    records = course(500, 20.0)
    fill(records)
    writer = open_writer()
    writer.fold_blocks(reader.blocks(0, 500))
    writer.flush()
    writer.compact(everything=True)
    writer.close()
    path = tmp_path / "history.db"
    path.write_bytes(b"garbage" * 1000)
    with pytest.raises(HistoryError, match="damaged, or no history"):
        history.stats()
    again = open_writer()
    assert again.finding is not None
    assert "damaged" in again.finding
    assert len(list(tmp_path.glob("history-corrupt-*.db"))) == 1
    assert again.folded == 0
    again.fold_blocks(reader.blocks(0, 500))
    again.flush()
    start, end = START_NS, START_NS + 10_000 * SECOND
    for series in query(history, reader, ["soc", "frequency"], start, end, step=60):
        check(series, buckets(records, series.point, series.unit, start, end, 60 * SECOND))


def test_damage_found_while_writing_sets_it_aside_too(
    fill: Fill, tmp_path: Path, open_writer: Open, reader: JournalReader
) -> None:
    fill(course(300, 20.0))
    writer = open_writer()
    writer.fold_blocks(reader.blocks(0, 300))
    writer.flush()
    writer._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    writer.close()
    path = tmp_path / "history.db"
    data = bytearray(path.read_bytes())
    pages = len(data) // 4096
    for page in range(1, pages):  # all but the first, which names the file's format
        data[page * 4096 : page * 4096 + 100] = b"\xff" * 100
    path.write_bytes(data)
    broken = open_writer()
    if broken.finding is None:
        with pytest.raises(HistoryError, match="damaged"):
            broken.compact(everything=True)
    again = open_writer()
    assert again.folded == 0
    assert len(list(tmp_path.glob("history-corrupt-*.db"))) == 1


def test_one_damaged_piece_costs_only_itself(
    fill: Fill, tmp_path: Path, open_writer: Open, reader: JournalReader, history: History
) -> None:
    records = course(400, 20.0)
    fill(records)
    writer = open_writer()
    writer.fold_blocks(reader.blocks(0, 400))
    writer.flush()
    writer.compact(everything=True)
    writer._connection.execute(
        "UPDATE chunk SET body = CAST(substr(body, 1, 40) || x'ff' || substr(body, 42) AS BLOB) "
        "WHERE level = 0 AND point = (SELECT id FROM point WHERE name = 'soc')"
    )
    start, end = START_NS, START_NS + 9000 * SECOND
    soc, power = query(history, reader, ["soc", "active_power"], start, end, step=10)
    assert soc.count.sum() == 0
    check(power, buckets(records, "active_power", "kW", start, end, 10 * SECOND))
    (soc,) = query(history, reader, ["soc"], start, end, step=60)
    check(soc, buckets(records, "soc", "%", start, end, 60 * SECOND))


def test_another_programs_database_and_a_newer_one(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    connection = open_for_writing(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(HistoryError, match="has format 99, this version reads 1"):
        HistoryWriter(tmp_path)
    with pytest.raises(HistoryError, match="has format 99"):
        History(tmp_path).stats()
    assert path.exists(), "it is not set aside: it is sound"


def test_migrations_run_once_each_and_in_order(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    open_for_writing(path).close()
    later = (
        *MIGRATIONS,
        "CREATE TABLE extra (a); INSERT INTO extra VALUES (1)",
        "UPDATE extra SET a = a * 10 + 2",
    )
    for _ in range(2):
        connection = open_for_writing(path, later)
        assert version_of(connection) == 3
        assert connection.execute("SELECT a FROM extra").fetchall() == [(12,)]
        connection.close()
    broken = (*later, "INSERT INTO extra VALUES (7); SELECT * FROM nowhere")
    with pytest.raises(apsw.SQLError):
        open_for_writing(path, broken)
    connection = open_for_writing(path, later)
    assert connection.execute("SELECT count(*) FROM extra").fetchall() == [(1,)], "all of it or nothing"
    connection.close()


def test_it_stays_below_its_bound(tmp_path: Path, open_writer: Open, history: History) -> None:
    keep = Keep(max_bytes=16 << 20)
    writer = open_writer(keep)
    biggest = 0
    for day in range(10):
        fold_days(writer, 1, columns=8, first=day)
        biggest = max(biggest, size(tmp_path))
    assert biggest <= keep.max_bytes
    levels = {level.label: level for level in history.stats().levels}
    assert levels["10s"].first_ns is not None
    assert levels["10s"].first_ns > START_NS, "the finest went first"
    assert levels["15min"].first_ns is not None
    assert levels["15min"].first_ns <= START_NS, "coarser ones are still there"


def test_a_large_plant_is_stored_before_memory_is_full(open_writer: Open) -> None:
    columns, rows = 4000, 110
    layout = Layout(tuple(f"p{n}" for n in range(columns)), (None,) * columns)
    writer = open_writer()
    assert not writer.full()
    wall = START_NS + np.arange(rows) * 10 * SECOND
    writer.fold(layout, rows, wall, np.ones((rows, columns)), np.zeros((rows, columns), np.uint8))
    assert writer.full()
    writer.flush()
    assert not writer.full()
    assert writer.stored == rows


def test_what_is_older_than_is_kept_goes(
    tmp_path: Path, open_writer: Open, history: History, reader: JournalReader
) -> None:
    writer = open_writer(Keep(years=(5 / 365.25, 1, 1, 1)))
    fold_days(writer, 20, columns=1, spacing=60)
    levels = history.stats().levels
    assert [level.chunks for level in levels] == [6, 4, 1, 1], "days; six days each; all; all"
    start, end = START_NS + 6 * SECOND * 60, START_NS + 20 * DAY
    (series,) = query(history, reader, ["p0"], start, end, step=10)
    assert (series.step_ns, series.resolution) == (60 * SECOND, "1min"), "the finest there is for all of it"
    assert series.count.sum() == 20 * 1440 - 6
    (series,) = query(history, reader, ["p0"], end - DAY, end, step=10)
    assert (series.step_ns, series.count.sum()) == (10 * SECOND, 1440)


def test_a_clock_ten_years_ahead_for_an_hour_deletes_nothing(open_writer: Open, history: History) -> None:
    writer = open_writer(Keep(years=(5 / 365.25, 1, 1, 1)))
    fold_days(writer, 4, columns=1, spacing=60)
    fold_days(writer, 1, columns=1, spacing=60, first=3650)
    assert history.stats().levels[0].first_ns == START_NS
    fold_days(writer, 1, columns=1, spacing=60, first=4)
    assert history.stats().levels[0].first_ns == START_NS


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"HISTORY_KEEP_YEARS": "10s=forever"}, "HISTORY_KEEP_YEARS '10s=forever': '10s=forever' is not"),
        ({"HISTORY_KEEP_YEARS": "5min=1"}, "10s, 1min, 15min, 1d"),
        ({"HISTORY_KEEP_YEARS": "1d=-1"}, "'1d=-1' is not"),
        ({"HISTORY_MAX_MB": "1"}, "HISTORY_MAX_MB '1': give megabytes from 16"),
        ({"HISTORY_MAX_MB": "nan"}, "HISTORY_MAX_MB 'nan'"),
    ],
)
def test_settings_that_make_no_sense(environment: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=r"^HISTORY_") as error:
        Keep.from_environment(environment)
    assert message in str(error.value)


def test_settings() -> None:
    assert Keep.from_environment({"HISTORY_KEEP_YEARS": ""}) == Keep()
    keep = Keep.from_environment({"HISTORY_KEEP_YEARS": "10s=1, 1d=90", "HISTORY_MAX_MB": "100"})
    assert (keep.years, keep.max_bytes) == ((1, 2, 10, 90), 100 << 20)
