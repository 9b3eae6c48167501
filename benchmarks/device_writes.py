"""What reaches the device: a record of 60 points a second and one consumer with a cursor, in real time.

The journal and outboxes, each on a file system of its own. `benchmarks.journal` reports it.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.loop_device import LoopDevice, mounted
from benchmarks.outbox import Outbox
from bessai.journal import Cursors, Journal, JournalReader, Progress
from bessai.model import CycleRecord

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.plant_records import plant_layout, plant_records

DAY = 86_400
DEVICE = {"profile": "bench"}


def _journal(path: Path, records: Iterator[CycleRecord], window: float, end: Callable[[], bool]) -> None:
    journal = Journal.open(path / "data", layout=plant_layout(), device=DEVICE, window=window)
    reader, cursors = JournalReader(path / "data"), Cursors(path / "data")
    due = synced = time.monotonic()
    while not end():
        journal.append(next(records))
        entries = reader.read(cursors.get("bench"), 1000)
        if entries:
            # As `interfaces.delivery` does it.
            durable = time.monotonic() - synced >= 10.0
            synced = time.monotonic() if durable else synced
            cursors.save("bench", Progress(entries[-1].sequence), durable=durable)
        due += 1.0
        time.sleep(max(0.0, due - time.monotonic()))
    journal.close(10.0)
    reader.close()
    cursors.close()


def _outbox(
    path: Path, records: Iterator[CycleRecord], window: float, end: Callable[[], bool], synchronous: str
) -> None:
    outbox = Outbox(path / "outbox.db", synchronous)
    due = time.monotonic()
    while not end():
        outbox.put(list(itertools.islice(records, int(window))))
        rows = outbox.take(1000)
        outbox.done(rows[-1][0])
        due += window
        time.sleep(max(0.0, due - time.monotonic()))
    outbox.close()


VARIANTS: dict[str, tuple[str, Callable[[Path, Iterator[CycleRecord], Callable[[], bool]], None]]] = {
    "journal, window 2 s": ("defaults", lambda p, r, e: _journal(p, r, 2.0, e)),
    "journal, window 10 s": ("defaults", lambda p, r, e: _journal(p, r, 10.0, e)),
    "journal, window 2 s, mounted with commit=60": ("commit=60", lambda p, r, e: _journal(p, r, 2.0, e)),
    "journal, window 10 s, mounted with commit=60": ("commit=60", lambda p, r, e: _journal(p, r, 10.0, e)),
    "outbox NORMAL, commits every 2 s": ("defaults", lambda p, r, e: _outbox(p, r, 2.0, e, "NORMAL")),
    "outbox FULL, commits every 2 s": ("defaults", lambda p, r, e: _outbox(p, r, 2.0, e, "FULL")),
    "outbox NORMAL, commits every 10 s": ("defaults", lambda p, r, e: _outbox(p, r, 10.0, e, "NORMAL")),
    "outbox FULL, commits every 10 s": ("defaults", lambda p, r, e: _outbox(p, r, 10.0, e, "FULL")),
}
"""Mount options, and what runs there until it is told to end."""


def writes(directory: Path, *, quick: bool) -> dict[str, float | None]:
    """MB a day that reach the device."""
    warm, seconds = (4.0, 6.0) if quick else (30.0, 300.0)
    records = plant_records(int(warm + seconds) + 60)
    with contextlib.ExitStack() as stack:
        devices = {
            name: stack.enter_context(mounted(directory, f"device_{n}", options))
            for n, (name, (options, _)) in enumerate(VARIANTS.items())
        }
        stop = threading.Event()
        threads = [
            threading.Thread(target=run, args=(devices[name].path, iter(records), stop.is_set))
            for name, (_, run) in VARIANTS.items()
        ]
        for thread in threads:
            thread.start()
        time.sleep(warm)
        before = {name: _settled(device) for name, device in devices.items()}
        begin = time.monotonic()
        time.sleep(seconds)
        found = {name: _settled(device) for name, device in devices.items()}
        took = time.monotonic() - begin
        stop.set()
        for thread in threads:
            thread.join()
    return {name: round((found[name] - before[name]) / took * DAY / 1e6, 1) for name in VARIANTS}


def _settled(device: LoopDevice) -> int:
    device.sync()
    return device.written()
