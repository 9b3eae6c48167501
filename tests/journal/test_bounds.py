"""The journal keeps its bounds, on the disk and in memory, and counts exactly what that costs."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bessai.journal import Journal, JournalReader
from bessai.journal.backlog import Backlog
from bessai.journal.log import Log
from support.records import make_event, make_record, wait_until, wide_record

Open = Callable[..., Journal]
MB = 1 << 20


def offer(journal: Journal, numbers: range, *, every: int = 50) -> int:
    """Append noisy records, one in `every` with an event; returns how many had one."""
    for n in numbers:
        journal.append(wide_record(n, events=(make_event(n),) if n % every == 0 else ()))
        if n % 500 == 499:
            wait_until(lambda: journal.stats().queued == 0)
    wait_until(lambda: journal.stats().queued == 0)
    return sum(n % every == 0 for n in numbers)


def test_size_is_bounded_and_every_drop_counted(open_journal: Open, tmp_path: Path) -> None:
    journal = open_journal(max_bytes=MB)
    sizes: list[int] = []
    with_event = 0
    for start in range(0, 6000, 500):
        with_event += offer(journal, range(start, start + 500))
        sizes.append(journal.stats().size_bytes)
    stats = journal.stats()
    assert max(sizes) <= MB
    assert min(sizes[3:]) > MB // 2, "the bound is used"
    entries = JournalReader(tmp_path).read(0, 10_000)
    assert stats.committed == 6000
    assert stats.dropped_queue == stats.dropped_events == 0
    assert len(entries) + stats.dropped_space == 6000
    assert len(entries) == stats.records
    assert sum(bool(entry.events) for entry in entries) == with_event, "events go last"
    telemetry = [entry.sequence for entry in entries if not entry.events]
    assert telemetry == [n for n in range(telemetry[0], 6001) if (n - 1) % 50], "the oldest went first"
    assert journal.close(30)
    journal = open_journal(max_bytes=MB)
    assert journal.stats().dropped_space == stats.dropped_space
    assert JournalReader(tmp_path).stats().dropped_space == stats.dropped_space


def test_events_go_when_nothing_else_is_left(open_journal: Open, tmp_path: Path) -> None:
    journal = open_journal(max_bytes=MB)
    offer(journal, range(3000), every=1)
    stats = journal.stats()
    entries = JournalReader(tmp_path).read(0, 10_000)
    assert stats.dropped_space == stats.dropped_events > 0
    assert [entry.sequence for entry in entries] == list(range(stats.dropped_space + 1, 3001))
    assert stats.size_bytes <= MB


def test_a_lower_bound_takes_effect(open_journal: Open, tmp_path: Path) -> None:
    journal = open_journal(max_bytes=4 * MB)
    offer(journal, range(4000))
    assert journal.close(30)
    journal = open_journal(max_bytes=MB)
    offer(journal, range(4000, 5000))
    stats = journal.stats()
    assert stats.records * 700 < MB
    assert stats.records + stats.dropped_space == 5000


def full_disk(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    full = [True]
    append = Log.append

    def limited(self: Log, *args: Any, **kwargs: Any) -> int:
        if full[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        return append(self, *args, **kwargs)

    monkeypatch.setattr(Log, "append", limited)
    return full


def test_a_full_queue_drops_telemetry_and_keeps_events(
    open_journal: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = full_disk(monkeypatch)
    journal = open_journal(queue=100)
    for n in range(1000):
        journal.append(make_record(n, events=(make_event(n),) if n % 20 == 0 else ()))
    journal.append_event(make_event(5000))
    wait_until(lambda: journal.stats().last_error is not None)
    wait_until(lambda: journal.stats().queued == 100 + 51)  # an attempt under way has some in hand
    assert journal.stats().dropped_queue == 1001 - 151
    full[0] = False
    wait_until(lambda: journal.stats().queued == 0)
    entries = JournalReader(tmp_path).read(0, 2000)
    assert [entry.sequence for entry in entries] == list(range(1, 152)), "no gap: these never had a number"
    assert [entry.events[0] for entry in entries if entry.events] == [
        make_event(n) for n in (*range(0, 1000, 20), 5000)
    ]
    cycles = [entry.cycle for entry in entries if entry.kind == "cycle"]
    assert cycles == sorted(cycles)
    assert [n for n in cycles if n % 20][-100:] == [n for n in range(1000) if n % 20][-100:]
    stats = JournalReader(tmp_path).stats()
    assert (stats.dropped_queue, stats.dropped_events) == (850, 0)


def test_a_flood_of_events_is_bounded_too() -> None:
    backlog = Backlog(10)
    for n in range(25):
        backlog.put(make_record(n, events=(make_event(n), make_event(n))))
        backlog.put(make_event(n))
    assert len(backlog) == 10
    assert (backlog.lost_records, backlog.lost_events) == (40, 60)


def test_backlog_gives_back_what_was_not_written_in_place() -> None:
    backlog = Backlog(10)
    for n in range(6):
        backlog.put(make_event(n) if n % 2 else make_record(n))
    taken = backlog.take(4)
    backlog.put(make_event(6))
    assert len(backlog) == 7
    backlog.settle(taken[1:])
    assert [ticket.place for ticket in backlog.take(99)] == [1, 2, 3, 4, 5, 6]
