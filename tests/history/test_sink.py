from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bessai.history import History, HistoryError, HistoryWriter, query
from bessai.interfaces.history_sink import HistorySink
from bessai.interfaces.sink import keep_running
from bessai.journal import Cursors, Entry, JournalReader, read_cursors
from history.conftest import POINTS, Fill, course
from support import history_process
from support.history_oracle import SECOND, buckets, check
from support.records import START_NS, make_record, wait_until

DAY = 86400 * SECOND


def make_sink(directory: Path, **options: Any) -> HistorySink:
    chosen = {"period": 0.0, "poll": 0.01} | options
    return HistorySink(
        directory=directory,
        open_reader=lambda: JournalReader(directory),
        open_cursors=lambda: Cursors(directory),
        **chosen,
    )


@contextmanager
def running(sink: HistorySink) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=keep_running, args=(sink, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(60)
        assert not thread.is_alive()


def assert_equals(directory: Path, records: list[Any], *steps: int) -> None:
    history, reader = History(directory), JournalReader(directory)
    times = [record.image.wall_ns for record in records]
    start, end = min(times) // DAY * DAY, (max(times) // DAY + 1) * DAY
    for step in steps:
        for series in query(history, reader, POINTS.names, start, end, step=step):
            assert series.count.sum() == len(records)
            check(series, buckets(records, series.point, series.unit, start, end, step * SECOND))
    history.close()
    reader.close()


def test_it_follows_the_journal(fill: Fill, tmp_path: Path) -> None:
    records = course(700, 7.0)
    fill(records[:400])
    sink = make_sink(tmp_path)
    with running(sink):
        wait_until(lambda: sink.status().cursor == 400)
        fill(records[400:])
        wait_until(lambda: sink.status().cursor == 700)
    status = sink.status()
    assert (status.state, status.backlog, status.delivered, status.missed) == ("ok", 0, 700, 0)
    assert read_cursors(tmp_path)["history"] == 700
    assert_equals(tmp_path, records, 10, 60, 900, 86400)


def test_what_was_folded_is_stored_when_it_is_told_to_end(fill: Fill, tmp_path: Path) -> None:
    fill(course(50))
    ended = threading.Event()

    class Watched(JournalReader):
        def read(self, after: int, limit: int) -> list[Entry]:
            entries = super().read(after, limit)
            if not entries:
                ended.set()
            return entries

    sink = make_sink(tmp_path, period=1e9)
    sink._open_reader = lambda: Watched(tmp_path)
    with running(sink):
        assert ended.wait(60)
        assert sink.status().cursor == 0, "nothing is due yet"
    assert sink.status().cursor == 50
    history = History(tmp_path)
    assert history.stats().sequence == 50
    history.close()


def test_killed_at_any_point_it_neither_loses_nor_doubles_a_sample(fill: Fill, tmp_path: Path) -> None:
    records = course(3000, 40.0)
    fill(records)
    chance = random.Random(5)
    stored = [0]
    while stored[-1] < len(records):
        command = [sys.executable, history_process.__file__, str(tmp_path)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            if len(stored) <= 3:
                time.sleep(chance.uniform(0.02, 0.3))
                process.send_signal(signal.SIGKILL)
            assert process.wait(60) in {0, -signal.SIGKILL}
        history = History(tmp_path)
        stored.append(history.stats().sequence)
        history.close()
    assert stored == sorted(stored)
    assert_equals(tmp_path, records, 10, 60, 900, 86400)


def test_a_journal_that_was_replaced_by_an_older_one_is_followed(
    fill: Fill, tmp_path: Path, open_writer: Callable[..., HistoryWriter]
) -> None:
    writer = open_writer()
    writer.rewind(1000)
    records = course(30)
    fill(records)
    sink = make_sink(tmp_path, patience=0.05)
    with running(sink):
        wait_until(lambda: sink.status().cursor == 30)
        fill([make_record(n, layout=POINTS) for n in range(40, 50)])
        wait_until(lambda: sink.status().cursor == 40)
    history, reader = History(tmp_path), JournalReader(tmp_path)
    (series,) = query(history, reader, ["soc"], START_NS, START_NS + 100 * SECOND, step=10)
    assert series.count.tolist() == [0, 0, 0, 0, 10, 0, 0, 0, 0, 0], "only what is new was folded"
    history.close()
    reader.close()


def test_two_services_on_one_directory_do_not_double_a_sample(
    fill: Fill, tmp_path: Path, open_writer: Callable[..., HistoryWriter], reader: JournalReader
) -> None:
    records = course(100)
    fill(records)
    one, other = open_writer(), open_writer()
    for writer in (one, other):
        writer.fold_entries(reader.read(0, 100))
    one.flush()
    with pytest.raises(HistoryError, match="written by another process too"):
        other.flush()
    assert_equals(tmp_path, records, 10)
