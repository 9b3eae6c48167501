"""Ten times what fits: the size keeps its bound, and every record is delivered or counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bessai.journal import Journal, JournalReader
from bessai.journal.disk import RealDisk
from bessai.journal.log import Log
from bessai.journal.row import row_of
from support.records import DEVICE, WIDE, make_event, wait_until, wide_record

Open = Callable[..., Journal]
EVER = 1 << 40


def on_disk(directory: Path) -> int:
    """Bytes of all files: what they say and what they occupy, whichever is more."""
    sizes = [file.stat() for file in (directory / "journal").iterdir()]
    return max(sum(s.st_size for s in sizes), sum(s.st_blocks * 512 for s in sizes))


@pytest.mark.parametrize("cap", [1 << 20, pytest.param(8 << 20, marks=pytest.mark.soak)])
def test_never_above_the_cap_and_exactly_counted(tmp_path: Path, cap: int) -> None:
    log = Log.open(RealDisk(), tmp_path, max_bytes=cap)
    reader = JournalReader(tmp_path)
    offered, bytes_offered, with_events = 0, 0, []
    while bytes_offered < 10 * cap:
        rows = []
        for _ in range(100):
            offered += 1
            record = wide_record(offered, events=(make_event(offered),) if offered % 97 == 0 else ())
            bytes_offered += record.image.values.nbytes + record.image.times.nbytes
            with_events += [offered] if record.events else []
            rows.append(row_of(record))
        assert log.append(rows, WIDE, DEVICE) == offered
        assert on_disk(tmp_path) <= cap
    assert not log.findings
    delivered = reader.read(0, EVER)
    stats = reader.stats()
    assert offered == len(delivered) + stats.dropped_space
    assert (stats.records, stats.dropped_queue, stats.damaged) == (len(delivered), 0, 0)
    assert log.size_bytes() >= cap // 4, "and the room is used"
    telemetry = [entry.sequence for entry in delivered if not entry.events]
    assert telemetry == [n for n in range(telemetry[0], offered + 1) if n % 97], "the newest"
    assert [entry.sequence for entry in delivered if entry.events] == with_events
    assert stats.dropped_events == 0
    assert telemetry[0] > with_events[10], "events outlive telemetry"
    log.close()
    again = Log.open(RealDisk(), tmp_path, max_bytes=cap)
    assert (again.totals, again.last_sequence) == (log.totals, offered)
    again.close()


def test_events_alone_keep_the_cap_too(tmp_path: Path) -> None:
    cap = 1 << 20
    log = Log.open(RealDisk(), tmp_path, max_bytes=cap)
    offered = 0
    while log.totals.events < 2_000:
        rows = [row_of(wide_record(offered + n, events=(make_event(n), make_event(n)))) for n in range(1, 51)]
        offered += 50
        log.append(rows, WIDE, DEVICE)
        assert on_disk(tmp_path) <= cap
        assert offered < 50_000
    delivered = JournalReader(tmp_path).read(0, EVER)
    assert [entry.sequence for entry in delivered] == list(range(delivered[0].sequence, offered + 1))
    assert offered == len(delivered) + log.totals.space
    assert log.totals.events == 2 * log.totals.space
    log.close()


def test_what_the_queue_drops_is_counted_as_well(open_journal: Open, tmp_path: Path) -> None:
    journal = open_journal(max_bytes=1 << 20, layout=WIDE, queue=300, window=0.0)
    for n in range(1, 20_001):
        journal.append(wide_record(n, events=(make_event(n),) if n % 1000 == 0 else ()))
    wait_until(lambda: journal.stats().queued == 0)
    assert journal.close(30)
    stats = JournalReader(tmp_path).stats()
    entries = JournalReader(tmp_path).read(0, EVER)
    assert len(entries) + stats.dropped_space + stats.dropped_queue == 20_000
    assert [e.cycle for e in entries if e.events] == list(range(1000, 20_001, 1000))
    assert stats.dropped_events == 0
    assert on_disk(tmp_path) <= 1 << 20
