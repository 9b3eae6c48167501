from __future__ import annotations

import os
import random
import shutil
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
from bessai.interfaces.folding_sink import last_before
from bessai.interfaces.history_sink import HistorySink
from bessai.interfaces.sink import keep_running
from bessai.journal import Cursors, JournalReader, read_cursors
from bessai.journal.block import Block
from history.conftest import POINTS, Fill, course
from support import history_process
from support.history_oracle import SECOND, buckets, check
from support.records import wait_until

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
        def blocks(self, after: int, limit: int) -> list[Block]:
            blocks = super().blocks(after, limit)
            if not blocks:
                ended.set()
            return blocks

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


def test_after_a_backup_is_restored_no_record_is_lost_or_doubled(fill: Fill, tmp_path: Path) -> None:
    records = course(60)
    fill(records[:20])
    shutil.copytree(tmp_path / "journal", tmp_path / "backup")
    fill(records[20:40])
    sink = make_sink(tmp_path)
    with running(sink):
        wait_until(lambda: sink.status().cursor == 40)
        shutil.rmtree(tmp_path / "journal")
        (tmp_path / "backup").rename(tmp_path / "journal")
        fill(records[40:])
        reader = JournalReader(tmp_path)
        wait_until(lambda: sink.status().cursor == reader.last_sequence() and sink.status().delivered == 60)
        reader.close()
    assert_equals(tmp_path, records, 10, 60)


def test_the_end_of_an_epoch_is_found(fill: Fill, tmp_path: Path) -> None:
    epochs, ends = [0], [0]
    reader = JournalReader(tmp_path)
    for number in range(4):
        fill(course(10 + number * 7))
        ends.append(reader.last_sequence())
        epochs.append(reader.stats().epoch)
        reader.close()
        shutil.copytree(tmp_path / "journal", tmp_path / "copy")
        shutil.rmtree(tmp_path / "journal")
        (tmp_path / "copy").rename(tmp_path / "journal")
    for epoch, end in zip(epochs, ends, strict=True):
        assert last_before(reader, epoch + 1, reader.last_sequence()) == end
    reader.close()


def test_two_services_on_one_directory_do_not_double_a_sample(
    fill: Fill, tmp_path: Path, open_writer: Callable[..., HistoryWriter], reader: JournalReader
) -> None:
    records = course(100)
    fill(records)
    one, other = open_writer(), open_writer()
    for writer in (one, other):
        writer.fold_blocks(reader.blocks(0, 100))
    one.flush()
    with pytest.raises(HistoryError, match="written by another process too"):
        other.flush()
    assert_equals(tmp_path, records, 10)
