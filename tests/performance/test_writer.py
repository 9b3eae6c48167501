from __future__ import annotations

import math
import shutil
import sqlite3
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bessai.grid import GridConfig, GridPoints
from bessai.interfaces.performance_sink import PerformanceSink
from bessai.interfaces.sink import keep_running
from bessai.journal import Cursors, JournalReader
from bessai.performance import Performance, PerformanceError, PerformanceWriter, Plant, rebuild
from bessai.performance.database import NAME, open_database, retire
from performance.conftest import NOISY, SECOND, START_NS, Course, Write, course, fold, near, plant, write_into
from support.history_oracle import few
from support.records import wait_until

EVER = (0, 1 << 62)


def told(performance: Performance) -> dict[str, Any]:
    """All that is recorded."""
    return {
        "events": [event.plain() for _, event in performance.events(*EVER)],
        "fecf": performance.fecf(*EVER),
        "rocof": {hour: cells.tolist() for hour, cells in performance.rocof(*EVER).items()},
        "primary": performance.primary(*EVER),
        "availability": performance.availability(START_NS + 8000 * SECOND),
        "energy": performance.energy(*EVER),
    }


def same(one: dict[str, Any], other: dict[str, Any]) -> None:
    np.testing.assert_equal(plainly(one), plainly(other))


def plainly(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 9) if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {key: plainly(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plainly(item) for item in value]
    if hasattr(value, "__dataclass_fields__"):
        return {name: plainly(getattr(value, name)) for name in value.__dataclass_fields__}
    return value


def busy(count: int = 1500, *, begin: float = 0.0) -> Course:
    """Five seconds from record to record."""
    chance = np.random.default_rng(8)
    t = begin + np.arange(count) * 5.0
    frequency = 50 + 0.15 * np.sin(t / 40) + chance.normal(0, 0.05, count)
    frequency[chance.random(count) < 0.05] = np.nan
    return course(t, frequency=frequency, active_power=chance.normal(0, 200, count), setpoint=10.0)


def test_stopped_anywhere_nothing_is_lost_or_doubled(write: Write, tmp_path: Path) -> None:
    """What was folded and not stored is folded again by the next writer."""
    write(busy())
    expected = told(fold(tmp_path, plant(), every=100_000))
    (tmp_path / NAME).unlink()
    reader, chance = JournalReader(tmp_path), np.random.default_rng(2)
    for _ in range(25):
        writer = PerformanceWriter(tmp_path, plant())
        blocks = few(reader.blocks(writer.folded, 400), writer.folded, int(chance.integers(1, 200)))
        writer.fold_blocks(blocks)
        if chance.random() < 0.5:
            writer.flush()
        writer.close()
    reader.close()
    same(told(fold(tmp_path, plant())), expected)


def test_two_writers_do_not_double_anything(write: Write, tmp_path: Path) -> None:
    write(busy(300))
    reader = JournalReader(tmp_path)
    one, other = PerformanceWriter(tmp_path, plant()), PerformanceWriter(tmp_path, plant())
    for writer in (one, other):
        writer.fold_blocks(reader.blocks(0, 1000))
    one.flush()
    with pytest.raises(PerformanceError, match="another process"):
        other.flush()
    reader.close()
    one.close()
    other.close()


def test_a_damaged_database_is_set_aside_and_made_again(write: Write, tmp_path: Path) -> None:
    write(busy(400))
    expected = told(fold(tmp_path, plant()))
    (tmp_path / NAME).write_bytes(b"no database" * 1000)
    with pytest.raises(PerformanceError, match="damaged"):
        Performance(tmp_path, plant()).events(*EVER)
    writer = PerformanceWriter(tmp_path, plant())
    assert writer.finding is not None
    assert writer.folded == 0
    writer.close()
    same(told(fold(tmp_path, plant())), expected)
    assert len(list(tmp_path.glob("performance-corrupt-*.db"))) == 1


def test_the_file_of_another_program_and_of_a_newer_version_are_refused(tmp_path: Path) -> None:
    PerformanceWriter(tmp_path, plant()).close()
    connection = sqlite3.connect(tmp_path / NAME)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(PerformanceError, match="format 99"):
        PerformanceWriter(tmp_path, plant())


def test_rebuilding_from_the_whole_journal_changes_nothing(write: Write, tmp_path: Path) -> None:
    write(busy())
    expected = told(fold(tmp_path, plant(), every=64))
    reader = JournalReader(tmp_path)
    done = rebuild(tmp_path, plant(), reader)
    reader.close()
    assert (done.floor_ns, done.records, done.taken_over) == (None, 1500, False)
    same(told(Performance(tmp_path, plant())), expected)


def test_rebuilding_from_what_is_left_keeps_the_older_hours(write: Write, tmp_path: Path) -> None:
    for begin in range(0, 20_000, 2500):
        write(busy(500, begin=begin), layout=NOISY, max_bytes=1 << 20)
        performance = fold(tmp_path, plant())
    expected, reader = told(performance), JournalReader(tmp_path)
    assert reader.stats().dropped_space > 1000
    with open_written(tmp_path) as connection:
        connection.execute(
            "UPDATE quarter SET exported = -1 WHERE quarter >= (SELECT max(quarter) - 1 FROM quarter)"
        )
    assert plainly(told(performance)) != plainly(expected)
    done = rebuild(tmp_path, plant(), reader)
    reader.close()
    assert done.floor_ns is not None
    assert START_NS + 3600 * SECOND < done.floor_ns < START_NS + 20_000 * SECOND
    assert 0 < done.records < 2000
    found = told(performance)
    for name in ("fecf", "primary", "availability", "rocof", "energy"):
        assert plainly(found[name]) == plainly(expected[name]), name
    before = [one for one in expected["events"] if one["start_ns"] < done.floor_ns - 60 * SECOND]
    assert plainly(found["events"])[: len(before)] == plainly(before)
    assert len(found["events"]) == near(len(expected["events"]), abs=1)


def test_after_a_backup_is_restored_nothing_is_lost_or_doubled(write: Write, tmp_path: Path) -> None:
    """The journal gives numbers again; what was folded beyond them stays, as it was measured."""
    write(busy(200))
    shutil.copytree(tmp_path / "journal", tmp_path / "backup")
    write(busy(200, begin=1000.0))
    follow(tmp_path, 400)
    shutil.rmtree(tmp_path / "journal")
    (tmp_path / "backup").rename(tmp_path / "journal")
    write(busy(200, begin=2000.0))
    reader = JournalReader(tmp_path)
    last = reader.last_sequence()
    reader.close()
    follow(tmp_path, last)
    energy = Performance(tmp_path, plant()).energy(*EVER)
    assert sum(one.coverage for one in energy) == near(3000 / 900, abs=0.1)
    gateway = Performance(tmp_path, plant()).availability(START_NS + 2940 * SECOND)[0]
    assert (gateway.source, gateway.good) == ("gateway", 49)


def follow(directory: Path, last: int) -> None:
    """Runs the sink until it has stored a record."""
    stop = threading.Event()
    sink = PerformanceSink(
        directory=directory, open_reader=lambda: JournalReader(directory), open_cursors=lambda: Cursors(directory),
        plant=lambda _: plant(), period=0.0, poll=0.01,
    )  # fmt: skip
    thread = threading.Thread(target=keep_running, args=(sink, stop))
    thread.start()
    try:
        wait_until(lambda: sink.status().cursor == last)
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()


def test_a_layout_that_comes_later_may_have_more(tmp_path: Path) -> None:
    """The voltage had no point when the records were opened."""
    grid = GridConfig(rated_power=1000, rated_apparent_power=1100, nominal_voltage=400,
                      points=GridPoints(voltage=None))  # fmt: skip
    write_into(tmp_path, course(np.arange(0, 60, 1.0), voltage=300.0))
    found = fold(tmp_path, Plant.of(grid)).events(*EVER)
    assert [event.kind for _, event in found] == ["voltage"]


def test_a_damaged_hour_is_named_and_the_rest_goes_on(write: Write, tmp_path: Path) -> None:
    write(busy(200))
    performance = fold(tmp_path, plant())
    with open_written(tmp_path) as connection:
        connection.execute("UPDATE hour SET body = x'00' WHERE series = 'frequency'")
    with pytest.raises(PerformanceError, match="rebuild"):
        performance.fecf(*EVER)
    write(busy(200, begin=1000.0))
    assert len(fold(tmp_path, plant()).fecf(*EVER)) == 1


def test_what_cannot_be_carried_on_ends(write: Write, tmp_path: Path) -> None:
    write(busy(200))
    performance = fold(tmp_path, plant())
    before = performance.energy(*EVER)
    with open_written(tmp_path) as connection:
        connection.execute("UPDATE state SET carry = '{}'")
    writer = PerformanceWriter(tmp_path, plant())
    assert (writer.finding, writer.folded) == (None, 200)
    writer.close()
    assert performance.energy(*EVER) == before


class open_written:  # noqa: N801
    def __init__(self, directory: Path) -> None:
        self._connection = open_database(directory / NAME, write=True)

    def __enter__(self) -> Any:
        return self._connection

    def __exit__(self, *_: object) -> None:
        assert self._connection is not None
        self._connection.close()


def test_days_with_data_are_kept_whatever_the_clock_says(write: Write, tmp_path: Path) -> None:
    hours = [course(np.arange(hour * 3600, hour * 3600 + 60, 5.0)) for hour in (0, 1, 2, 90_000)]
    write(*hours)
    fold(tmp_path, plant())
    with open_written(tmp_path) as connection:
        held = [h for (h,) in connection.execute("SELECT DISTINCT hour FROM hour ORDER BY hour")]
        assert len(held) == 4
        connection.execute("DELETE FROM hour WHERE hour = ?", (held[0],))
        for number in range(held[0] - 30, held[0]):
            connection.execute("INSERT INTO hour VALUES (?, 'good:soc', zeroblob(45))", (number,))
        retire(connection, 1)
        kept = [h for (h,) in connection.execute("SELECT DISTINCT hour FROM hour ORDER BY hour")]
    assert len(kept) == 24
    assert kept[-3:] == held[1:]
