"""The wall clock jumps; the order is that of the sequence, and a time still finds its records."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bessai.journal import Journal, JournalReader
from bessai.journal.disk import RealDisk
from bessai.journal.log import Log
from bessai.journal.row import row_of
from bessai.model import CycleRecord
from simulation.seeds import base_seed, replay
from support.records import DEVICE, LAYOUT, START_NS, make_event, make_record, wait_until

Open = Callable[..., Journal]
DAY = 86_400 * 10**9
YEARS = 3653 * DAY
EVER = 1 << 40
LAST = (1 << 63) - 1
"""The latest time that UTC nanoseconds of 64 bits can tell: in the year 2262. Linux sets no clock so late."""


def record_at(n: int, wall_ns: int) -> CycleRecord:
    record = make_record(n, events=(make_event(n, wall_ns=wall_ns),) if n % 50 == 0 else ())
    return replace(record, image=replace(record.image, wall_ns=wall_ns))


@pytest.mark.parametrize("step", [DAY, -DAY, YEARS, -YEARS], ids=["+1 d", "-1 d", "+10 y", "-10 y"])
def test_a_step_loses_nothing_and_changes_no_order(tmp_path: Path, step: int) -> None:
    clock = [START_NS]
    sizes = {"max_bytes": 1 << 20, "wal_bytes": 128 << 10, "segment_bytes": 4 << 10}
    log = Log.open(RealDisk(), tmp_path, wall_ns=lambda: clock[0], **sizes)
    epoch, walls = log.epoch, []
    for n in range(1, 401):
        clock[0] += 10**9 + (step if n in {150, 300} else 0)
        walls.append(clock[0])
        assert log.append([row_of(record_at(n, clock[0]))], LAYOUT, DEVICE) == n
        if n == 320:
            log.close()
            log = Log.open(RealDisk(), tmp_path, wall_ns=lambda: clock[0], **sizes)
            assert log.epoch == epoch
            assert not log.findings
    reader = JournalReader(tmp_path)
    entries = reader.read(0, EVER)
    assert [entry.sequence for entry in entries] == list(range(1, 401))
    assert [entry.wall_ns for entry in entries] == walls
    assert (log.totals.space, log.totals.skipped) == (0, 0)
    for first, last in ((0, 149), (149, 299), (299, 399), (10, 20), (160, 310)):
        low, high = sorted((walls[first], walls[last]))
        found = [entry.sequence for entry in reader.read_between(low, high)]
        assert found == [n for n, wall in enumerate(walls, 1) if low <= wall <= high]
    assert [entry.sequence for entry in reader.read_between(None, None)] == list(range(1, 401))
    log.close()


def test_a_clock_that_jumps_all_the_time(open_journal: Open, tmp_path: Path) -> None:
    seed = base_seed()
    chance = random.Random(seed)
    clock = [START_NS]
    journal = open_journal(wall_ns=lambda: clock[0], window=0.0)
    walls = []
    for n in range(1, 301):
        step = chance.choice((10**9, DAY, -DAY, YEARS, -YEARS))
        if not YEARS < clock[0] < LAST - YEARS:  # a clock that goes on that way is none
            step = YEARS if clock[0] <= YEARS else -YEARS
        clock[0] += step
        walls.append(clock[0])
        journal.append(record_at(n, clock[0]))
    wait_until(lambda: journal.stats().queued == 0)
    assert journal.close(30)
    reader = JournalReader(tmp_path)
    entries = reader.read(0, EVER)
    assert [(e.sequence, e.wall_ns) for e in entries] == list(enumerate(walls, 1)), replay(seed)
    assert len({entry.epoch for entry in entries}) == 1
    for _ in range(20):
        low, high = sorted(chance.sample(walls, 2))
        found = [entry.sequence for entry in reader.read_between(low, high)]
        assert found == [n for n, wall in enumerate(walls, 1) if low <= wall <= high], replay(seed)


def test_a_clock_at_the_end_of_its_time(open_journal: Open, tmp_path: Path) -> None:
    """Up to the last nanosecond that can be told; a record from beyond is told as lost, and the next is kept."""
    clock = [START_NS]
    journal = open_journal(wall_ns=lambda: clock[0], window=0.0)
    times = (START_NS, LAST - 1, LAST, LAST + 1, START_NS)
    for n, wall_ns in enumerate(times, 1):
        clock[0] = min(wall_ns, LAST)
        journal.append(record_at(n, wall_ns))
    wait_until(lambda: journal.stats().queued == 0)
    assert journal.close(30)
    entries = JournalReader(tmp_path).read(0, EVER)
    assert [entry.wall_ns for entry in entries] == [START_NS, LAST - 1, LAST, START_NS]
    assert [entry.sequence for entry in entries] == [1, 2, 3, 4]
    assert journal.stats().dropped_queue == 1
