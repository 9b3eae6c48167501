"""Cycle records and events to put into a journal."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

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

LAYOUT = Layout(
    ("soc", "active_power", "device_status"), ("%", "kW", None), {"device_status": {1: "running"}}, {}
)
DEVICE = {"profile": "test_device", "model": "T1"}
START_NS = 1_767_225_600_000_000_000


def make_event(n: int = 0, **changes: Any) -> Event:
    fields: dict[str, Any] = {
        "code": "evidence_lost",
        "severity": Severity.ALARM,
        "message": f"number {n}",
        "wall_ns": START_NS + n,
    }
    return Event(**(fields | changes))


def make_record(
    n: int, *, events: tuple[Event, ...] = (), layout: Layout = LAYOUT, **image: Any
) -> CycleRecord:
    size = len(layout)
    columns: dict[str, Any] = {
        "values": np.arange(n, n + size, dtype=np.float64),
        "quality": np.zeros(size, np.uint8),
        "times": np.full(size, 99.5),
    }
    return CycleRecord(
        image=ProcessImage(
            layout=layout, cycle=n, monotonic=100.0, wall_ns=START_NS + n * 10**9, **(columns | image)
        ),
        decision=Decision(state=GuardState.NORMAL, setpoint=2.5, bounds=Bounds(-5.0), reasons=("because",)),
        outcome=None,
        verified=True,
        fed=False,
        timing=CycleTiming(late=0.0, read=0.1, decide=0.2, write=0.3, total=0.6),
        events=events,
        texts={"serial_number": "HV1"},
    )


def wide_record(n: int, *, events: tuple[Event, ...] = ()) -> CycleRecord:
    """About 700 bytes that do not compress."""
    noise = np.random.default_rng(n).random(60)
    return make_record(n, events=events, layout=WIDE, values=noise, times=noise)


WIDE = Layout(tuple(f"point_{i}" for i in range(60)), (None,) * 60)


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "gave up waiting"
        time.sleep(0.01)
