"""What the black box costs: the loop's share of a cycle, memory held, and how soon it is on disk.

    python -m benchmarks.black_box [--quick] [--json] [--before SECONDS]

A guard that decides nothing keeps its own time out of the numbers.
"""

from __future__ import annotations

import math
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Row, machine, parser, report
from bessai.core.black_box import BlackBox, RecordedGuard, read_box
from bessai.core.memory import from_plain, to_plain
from bessai.model import (
    Bounds,
    Considered,
    Decision,
    GuardState,
    Layout,
    Priority,
    ProcessImage,
    Quality,
    Request,
    UnitDecision,
    WriteOutcome,
)

COLUMNS = 60
LAYOUT = Layout(tuple(f"p{i}" for i in range(COLUMNS)), ("kW",) * COLUMNS)


@dataclass(slots=True)
class Refusal:
    """A command that was not taken."""

    why: str = ""
    times: int = 0
    retry_at: float = 0.0


@dataclass(slots=True)
class Unit:
    """About as much as a commanded device remembers: some thirty numbers, some lists."""

    state: GuardState = GuardState.NORMAL
    valid: int = 3
    began: float | None = 1000.0
    first: float = 0.1
    standing: tuple[str, float | None] | None = ("charge", -4.2)
    touched: bool = True
    proved: bool = True
    last_fed: float | None = 1000.123
    written: dict[str, float] = field(default_factory=lambda: {"setpoint": -4.2, "mode": 1.0, "beat": 7.0})
    beat: int = 7
    refusals: dict[str, Refusal] = field(default_factory=lambda: {"charge": Refusal("no", 2, 3.0)})
    blocked: dict[str, bool] = field(default_factory=lambda: {f"limit_{i}": False for i in range(12)})
    since: dict[str, float] = field(default_factory=lambda: {f"limit_{i}": 1000.0 + i for i in range(12)})
    a: float = 0.1
    b: float = math.inf
    c: float = -math.inf
    d: float = 0.0


@dataclass(slots=True)
class Memory:
    """Of a plant."""

    units: dict[str, Unit] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)


class Idle:
    """A guard with a decision as large as a real one."""

    def __init__(self, units: list[str], request: Request) -> None:
        self.memory = Memory({unit: Unit() for unit in units}, [request])
        self._request = request

    def remember(self, memory: Memory) -> None:
        """Go on from a memory."""
        self.memory = memory

    def decide(self, images: Any, requests: Any, *, fresh: Any) -> Decision:
        """The same every time."""
        now = next(iter(images.values())).monotonic
        considered = Considered(
            source="operator", priority=Priority.OPERATOR, power=-4.2, bounds=Bounds(),
            seconds_left=self._request.expires - now, role="won", reason="bench",
        )  # fmt: skip
        return Decision(
            state=GuardState.NORMAL,
            setpoint=-4.2,
            bounds=Bounds(-50.0, 50.0),
            considered=(considered,),
            units=tuple(
                UnitDecision(unit=u, state=GuardState.NORMAL, setpoint=-4.2 + now % 1, bounds=Bounds(-5, 5))
                for u in images
            ),
        )

    def settled(self, revision: int) -> None:
        """Nothing."""

    def fall_back(self, why: str) -> Decision:
        """Never asked."""
        raise NotImplementedError

    def command(self, unit: str, now: float) -> None:
        """Nothing."""

    def feed(self, unit: str, now: float) -> None:
        """Nothing."""

    def wrote(self, unit: str, outcome: WriteOutcome, now: float) -> None:
        """Nothing."""

    def connection_changed(self, unit: str) -> None:
        """Nothing."""

    def operate(self, operation: Any, now: float, wall_ns: int) -> None:
        """Nothing."""


def day(rate: float, count: int, before: float, directory: Path) -> dict[str, Any]:
    """`before` seconds and a half of cycles, then an event."""
    units = [f"u{i}" for i in range(count)]
    request = Request(source="operator", priority=Priority.OPERATOR, power=-4.2, expires=1e9)
    idle, rng = Idle(units, request), np.random.default_rng(1)
    plain = to_plain(idle.memory)
    start = time.perf_counter()
    for _ in range(20):
        to_plain(idle.memory)
    snapshot = (time.perf_counter() - start) / 20
    assert to_plain(from_plain(Memory, plain)) == plain
    box = BlackBox(directory, {}, before=before, threaded=False)
    guard = RecordedGuard(idle, box)
    bare, noted, worst = [], [], []
    values = {u: rng.normal(50, 10, COLUMNS) for u in units}
    measured = {u: np.full(COLUMNS, 1000.0) for u in units}
    for cycle in range(int(1.5 * before * rate)):
        now = 1000.0 + cycle / rate
        images = {}
        for u in units:
            if (
                cycle % max(1, round(rate)) == 0
            ):  # devices are read once a second; a third of the points moves
                moved = rng.integers(0, COLUMNS, COLUMNS // 3)
                values[u] = values[u].copy()
                values[u][moved] = np.round(rng.normal(50, 10, len(moved)), 1)
                measured[u] = np.full(COLUMNS, now)
            quality = np.full(COLUMNS, Quality.GOOD, np.uint8)
            images[u] = ProcessImage(
                LAYOUT, cycle, now, 10**18 + int(now * 1e9), values[u].copy(), quality, measured[u].copy()
            )
        fresh = frozenset(units)
        start = time.thread_time()  # CPU, so that a busy machine does not show
        idle.decide(images, (request,), fresh=fresh)
        middle = time.thread_time()
        # the work of the thread happens here too: the median is what the loop pays, the maximum what the thread does
        guard.decide(images, (request,), fresh=fresh)
        for u in units:
            guard.command(u, now)
        end = time.thread_time()
        bare.append(middle - start)
        noted.append(end - middle - (middle - start))
        worst.append(end - middle)
    handed = max(worst)
    start = time.perf_counter()
    box.freeze("bench", now, 10**18)
    frozen = time.perf_counter() - start
    (file,) = directory.glob("*.bbox")
    start = time.perf_counter()
    read = read_box(file)
    reading = time.perf_counter() - start
    return {
        "snapshot_ms": snapshot * 1e3,
        "noting_us_p50": float(np.median(noted)) * 1e6,
        "packing_ms_max": handed * 1e3,
        "packing_core_%": 100 * (sum(noted) - len(noted) * float(np.median(noted))) / (len(noted) / rate),
        "ring_mb": box.status()["ring_bytes"] / 1e6,
        "seconds_held": box.status()["seconds_held"],
        "file_mb": file.stat().st_size / 1e6,
        "freeze_ms": frozen * 1e3,
        "reading_s": reading,
        "calls": len(read.items),
    }


def main() -> None:
    """Measure and report."""
    made = parser(__doc__ or "")
    made.add_argument("--before", type=float, default=120.0, help="seconds (default 120)")
    options = made.parse_args()
    before = 20.0 if options.quick else options.before
    result: dict[str, Any] = {
        "benchmark": "black_box",
        "machine": machine("numpy"),
        "before": before,
        "notes": [],
    }
    rows: list[Row] = []
    for rate, count in ((1, 1), (10, 1), (1, 100), (10, 100)):
        with tempfile.TemporaryDirectory() as directory:
            numbers = day(rate, count, before, Path(directory))
        result[f"{rate} Hz x {count}"] = numbers
        rows += [
            (f"{rate} Hz x {count} units x {COLUMNS} columns: {name}", value, "")
            for name, value in numbers.items()
        ]
    report(result, rows, as_json=options.json)


if __name__ == "__main__":
    main()
