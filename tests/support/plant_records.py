"""Records of a plant as a day brings them: registers times gains that wander, requests that run out, ramps."""

from __future__ import annotations

import numpy as np

from bessai.model import (
    Bounds,
    Considered,
    CycleRecord,
    CycleTiming,
    Decision,
    GuardState,
    Layout,
    Priority,
    ProcessImage,
    UnitDecision,
    Write,
    WriteOutcome,
)
from support.records import START_NS

_GAINS = (1.0, 0.1, 0.01, 0.001)


def plant_layout(columns: int = 60) -> Layout:
    return Layout(tuple(f"point_{i}" for i in range(columns)), ("kW",) * columns)


def plant_records(count: int, columns: int = 60, *, requests: int = 3, seed: int = 1) -> list[CycleRecord]:
    """One record a second. A fifth of the columns stand still, a tenth are computed from others by a division, the rest
    are registers that wander by up to a few hundred counts a second; four requests read them."""
    random = np.random.default_rng(seed)
    layout = plant_layout(columns)
    kind = np.arange(columns) % 10
    steps = np.where(kind < 2, 0.0, 10.0 ** random.uniform(-0.5, 2.2, columns))
    gains = np.array([_GAINS[i % 4] for i in range(columns)])
    raw = random.integers(0, 30_000, columns).astype(np.float64)
    quality = np.where(np.arange(columns) % 17 == 16, 6, 0).astype(np.uint8)
    setpoint, records = 0.0, []
    for n in range(count):
        raw = np.clip(raw + np.rint(random.normal(0.0, steps)), -32_768, 65_535)
        values = np.where(kind == 2, raw / 10.0, raw * gains)
        monotonic = 1000.0 + n + random.normal(0.0, 0.0002)
        read = monotonic - np.array([0.05, 0.12, 0.35, 0.71]) - np.abs(random.normal(0.0, 0.004, 4))
        setpoint = round(min(setpoint + 1.25, 80.0), 3)
        decision = Decision(
            state=GuardState.NORMAL,
            setpoint=setpoint,
            bounds=Bounds(-100.0, round(100.0 - 0.001 * n, 3)),
            asked=80.0,
            source="optimiser",
            request_id="7c9e6679-7425-40de-944b-e07fc1f90ae7",
            reason="day ahead prices",
            target=80.0,
            limited_by=("ramp",),
            considered=tuple(
                Considered(
                    source=f"source_{i}",
                    priority=Priority.OPTIMISER,
                    power=80.0,
                    bounds=Bounds(-100.0, 100.0),
                    seconds_left=900.0 * (i + 1) - monotonic % 900 + random.normal(0.0, 0.0002),
                    role="won" if i == 0 else "outranked",
                    reason="day ahead prices",
                    id="7c9e6679-7425-40de-944b-e07fc1f90ae7",
                )
                for i in range(requests)
            ),
            units=(
                UnitDecision(
                    unit="", state=GuardState.NORMAL, setpoint=setpoint, bounds=Bounds(-100.0, 100.0)
                ),
            ),
        )
        phases = np.abs(random.normal((0.0002, 0.04, 0.001, 0.02), (0.0001, 0.004, 0.0002, 0.004))).tolist()
        late, reading, deciding, writing = phases
        records.append(
            CycleRecord(
                image=ProcessImage(
                    layout=layout,
                    cycle=n,
                    monotonic=monotonic,
                    wall_ns=START_NS + n * 10**9 + int(random.normal(0.0, 200_000)),
                    values=values,
                    quality=quality.copy(),
                    times=read[np.arange(columns) * 4 // columns],
                ),
                decision=decision,
                outcome=WriteOutcome(verified=True, written=(Write("active_power_setpoint", setpoint),)),
                verified=True,
                fed=True,
                timing=CycleTiming(
                    late=late,
                    read=reading,
                    decide=deciding,
                    write=writing,
                    total=reading + deciding + writing,
                ),
                texts={"serial_number": "HV2140081234", "firmware": "V100R001C00SPC123"},
            )
        )
    return records
