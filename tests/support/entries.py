"""Journal entries built in memory, and a journal to read them from."""

from __future__ import annotations

import threading
from bisect import bisect_right
from typing import Any

import numpy as np

from bessai.journal.entry import Entry
from bessai.journal.progress import Progress
from bessai.journal.stats import ReaderStats
from bessai.model import (
    Bounds,
    CycleRecord,
    CycleTiming,
    Decision,
    Event,
    GuardState,
    Layout,
    ProcessImage,
    Severity,
)

START_NS = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z."""

LAYOUT = Layout(
    names=("soc", "active_power", "battery_power", "cell_temperature_max", "device_status", "alarms"),
    units=("%", "kW", "kW", "°C", None, None),
    states={"device_status": {0: "standby", 512: "on_grid"}},
    bits={"alarms": {0: "fan", 3: "insulation"}},
)


def cycle_entry(sequence: int, *, layout: Layout = LAYOUT, **changes: Any) -> Entry:
    """One cycle, a second after the one before; values depend on the sequence alone."""
    base = [50.0 + sequence % 40, -1.5, -1.25, 25.5, 512.0, 9.0]
    fields: dict[str, Any] = {
        "sequence": sequence,
        "kind": "cycle",
        "wall_ns": START_NS + sequence * 1_000_000_000,
        "layout": layout,
        "values": np.resize(np.array(base), len(layout)),
        "quality": np.zeros(len(layout), np.uint8),
        "ages": np.full(len(layout), 0.25, np.float32),
        "texts": {"serial_number": "HV0001"},
        "device": {"profile": "test_device", "manufacturer": "Test", "model": "T1"},
        "cycle": sequence,
        "decision": {
            "state": "normal",
            "setpoint": -1.5,
            "bounds": {"low": -5.0, "high": None},
            "asked": -2.0,
            "source": "operator",
            "request_id": "r-1",
            "limited_by": ["soc_max"],
            "reasons": [],
        },
        "timing": {"late": 0.001, "read": 0.2, "decide": 0.002, "write": 0.03, "total": 0.232},
        "verified": True,
        "fed": True,
    }
    return Entry(**(fields | changes))


def event_entry(sequence: int, severity: Severity = Severity.ALARM) -> Entry:
    """An event outside of any cycle."""
    wall_ns = START_NS + sequence * 1_000_000_000
    event = Event(code="evidence_lost", severity=severity, message="No fresh value of soc.", wall_ns=wall_ns)
    empty = Layout(names=(), units=())
    none = np.empty(0)
    return Entry(
        sequence=sequence, kind="event", wall_ns=wall_ns, layout=empty, values=none,
        quality=none.astype(np.uint8), ages=none.astype(np.float32), events=(event,),
    )  # fmt: skip


def cycle_record(cycle: int, events: tuple[Event, ...] = ()) -> CycleRecord:
    """What the control plane hands to the journal, a tenth of a second after the one before."""
    image = ProcessImage(
        layout=LAYOUT, cycle=cycle, monotonic=cycle / 10, wall_ns=START_NS + cycle * 100_000_000,
        values=np.array([50.0 + cycle % 40, -1.5, -1.25, 25.5, 512.0, 9.0]),
        quality=np.zeros(len(LAYOUT), np.uint8), times=np.full(len(LAYOUT), cycle / 10 - 0.05),
    )  # fmt: skip
    return CycleRecord(
        image=image,
        decision=Decision(state=GuardState.NORMAL, setpoint=-1.5, bounds=Bounds(-5.0, 5.0), source="operator"),
        outcome=None, verified=True, fed=True, events=events, texts={"serial_number": "HV0001"},
        timing=CycleTiming(late=0.0, read=0.02, decide=0.001, write=0.005, total=0.026),
    )  # fmt: skip


class MemoryJournal:
    """Reader and cursors over a list, for tests that are not about the disk. Thread-safe."""

    def __init__(self, entries: list[Entry] | None = None) -> None:
        self.entries = entries or []
        self.saved: dict[str, Progress] = {}
        self.lock = threading.Lock()

    def append(self, *entries: Entry) -> None:
        with self.lock:
            self.entries.extend(entries)

    def read(self, after: int, limit: int) -> list[Entry]:
        with self.lock:
            start = bisect_right(self.entries, after, key=lambda entry: entry.sequence)
            return self.entries[start : start + limit]

    def last_sequence(self) -> int:
        with self.lock:
            return self.entries[-1].sequence if self.entries else 0

    def stats(self) -> ReaderStats:
        with self.lock:
            last = self.entries[-1] if self.entries else None
            return ReaderStats(
                records=len(self.entries), last_sequence=last.sequence if last else 0, size_bytes=4096,
                last_wall_ns=last.wall_ns if last else 0,
            )  # fmt: skip

    def get(self, consumer: str) -> int:
        return self.progress(consumer).floor

    def set(self, consumer: str, sequence: int, *, force: bool = False) -> None:
        if force or sequence > self.get(consumer):
            self.save(consumer, Progress(sequence))

    def progress(self, consumer: str) -> Progress:
        return self.saved.get(consumer, Progress())

    def save(self, consumer: str, progress: Progress, *, durable: bool = True) -> None:
        self.saved[consumer] = progress

    def close(self) -> None:
        """Nothing to close."""
