"""A point of connection whose course is given by arrays, as a journal on disk."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bessai.grid.records import RecordSettings
from bessai.journal import Journal, JournalReader
from bessai.model import Bounds, CycleRecord, Decision, Event, GuardState, Layout, Quality
from bessai.performance import Performance, PerformanceWriter, Plant
from bessai.performance.law import Law
from support.records import DEVICE, make_record, wait_until

near: Any = pytest.approx
SECOND = 1_000_000_000
START_NS = 1_772_323_200 * SECOND
"""2026-03-01T00:00:00Z."""
NAMES = {
    "frequency": ("grid_frequency", "Hz"),
    "voltage": ("grid_voltage", "V"),
    "active_power": ("grid_power", "kW"),
    "reactive_power": ("grid_reactive_power", "kvar"),
    "soc": ("soc", "%"),
    "energy_exported": ("meter.energy_exported_total", "kWh"),
    "energy_imported": ("meter.energy_imported_total", "kWh"),
}
POC = Layout(tuple(name for name, _ in NAMES.values()), tuple(unit for _, unit in NAMES.values()))
NOISY = Layout((*POC.names, *(f"noise_{n}" for n in range(60))), (*POC.units, *[None] * 60))
"""Takes much room in a journal."""
USUAL = {
    "frequency": 50.0, "voltage": 400.0, "active_power": 0.0, "reactive_power": 0.0, "soc": 50.0,
    "energy_exported": 1000.0, "energy_imported": 2000.0,
}  # fmt: skip


def plant(law: Law | None = None, **settings: Any) -> Plant:
    return Plant(
        nominal_voltage=400.0,
        rated_power=1000.0,
        points={role: name for role, (name, _) in NAMES.items() if not role.startswith("energy_")},
        law=law or Law(enabled=True, droop=5.0, dead_band=30.0),
        settings=RecordSettings(**settings),
    )


@dataclass(frozen=True, kw_only=True)
class Course:
    """What every record of a course says; `times` are UTC nanoseconds of its ticks."""

    times: NDArray[np.int64]
    values: Mapping[str, NDArray[np.float64]]
    """NaN where there is no evidence."""
    ages: NDArray[np.float64]
    setpoint: NDArray[np.float64]
    offset: NDArray[np.float64]
    events: Mapping[int, tuple[Event, ...]]

    def records(self, layout: Layout = POC) -> list[CycleRecord]:
        columns = np.stack([self.values[role] for role in NAMES], axis=1)
        noise = np.random.default_rng(len(self.times)).random((len(self.times), len(layout) - len(POC)))
        columns = np.concatenate([columns, noise], axis=1)
        made = []
        for n, (wall_ns, row) in enumerate(zip(self.times.tolist(), columns, strict=True)):
            missing = np.isnan(row)
            record = make_record(
                n,
                layout=layout,
                values=np.where(missing, 7.0, row),  # a value that is no evidence must not be used
                quality=np.where(missing, Quality.STALE, Quality.GOOD).astype(np.uint8),
                times=np.full(len(layout), 100.0 - self.ages[n]),
                events=self.events.get(n, ()),
            )
            setpoint, offset = float(self.setpoint[n]), float(self.offset[n])
            decision = Decision(
                state=GuardState.NORMAL,
                setpoint=None if np.isnan(setpoint) else setpoint,
                bounds=Bounds(),
                offset=None if np.isnan(offset) else offset,
            )
            made.append(replace(record, image=replace(record.image, wall_ns=wall_ns), decision=decision))
        return made


def course(times: Any, *, age: float | NDArray[np.float64] = 0.0,
           setpoint: Any = 0.0, offset: Any = np.nan, events: Mapping[int, tuple[Event, ...]] | None = None,
           **values: Any) -> Course:  # fmt: skip
    """Args: times in seconds since START_NS, what differs from `USUAL`."""
    count = len(times)

    def spread(value: Any) -> NDArray[np.float64]:
        return np.broadcast_to(np.asarray(value, np.float64), (count,)).copy()

    return Course(
        times=START_NS + np.round(np.asarray(times, np.float64) * SECOND).astype(np.int64),
        values={role: spread(values.get(role, usual)) for role, usual in USUAL.items()},
        ages=spread(age),
        setpoint=spread(setpoint),
        offset=spread(offset),
        events=events or {},
    )


Write = Callable[..., None]


def write_into(directory: Path, *courses: Course, layout: Layout = POC, max_bytes: int = 1 << 30) -> None:
    """Puts courses into a journal."""
    journal = Journal.open(directory, layout=layout, device=DEVICE, max_bytes=max_bytes)
    for course_ in courses:
        for n, record in enumerate(course_.records(layout)):
            journal.append(record)
            if n % 1000 == 999:
                wait_until(lambda: journal.stats().queued < 1000)
    assert journal.close(60)
    assert journal.stats().dropped_queue == 0


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Puts courses into the journal of `tmp_path`."""
    return functools.partial(write_into, tmp_path)


def fold(directory: Path, plant_: Plant, *, every: int = 512) -> Performance:
    """Folds the journal, storing after `every` records at least."""
    reader, writer = JournalReader(directory), PerformanceWriter(directory, plant_)
    while blocks := reader.blocks(writer.folded, every):
        writer.fold_blocks(blocks)
        writer.flush()
    writer.close()
    reader.close()
    return Performance(directory, plant_)
