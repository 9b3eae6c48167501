"""The window between a trip and its record on disk, and what the control loop pays for it.

    python -m benchmarks.state_file [--quick] [--json] [--directory DIR]

Each save changes the state as a trip does, alone, with a rest before it. The window ends when both copies and the
directory are synced. DIR is on the disk to measure: the gateway's DATA_DIR (default: the present directory).
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.harness import Row, machine, parser, report
from bessai.core.latch import Latch, to_state
from bessai.core.state_file import DiskState
from bessai.model import Trip

_REST = 0.02


def window(directory: Path, trips: int, rounds: int) -> list[Row]:
    """Milliseconds until durable, and microseconds that the caller waits, with so many trips standing."""
    latch = Latch()
    for number in range(trips):
        latch.trip(Trip(code=f"code_{number}", unit="rack_1", point="cell_voltage_max", message="x" * 80))
    file = DiskState(directory)
    file.load()
    durable, blocked = [], []
    for _ in range(rounds):
        time.sleep(_REST)
        start = time.perf_counter()
        file.save(to_state(latch.memory))
        blocked.append(1e6 * (time.perf_counter() - start))
        if not file.wait(60.0):
            raise SystemExit(f"error: {file.problem}")
        durable.append(1e3 * (time.perf_counter() - start))
    file.close()
    name = f"{trips} standing trips"
    return [
        (f"{name}: trip to durable, median", statistics.median(durable), "ms"),
        (f"{name}: trip to durable, p99", statistics.quantiles(durable, n=100)[98], "ms"),
        (f"{name}: trip to durable, max", max(durable), "ms"),
        (f"{name}: control loop held, median", statistics.median(blocked), "µs"),
        (f"{name}: control loop held, max", max(blocked), "µs"),
    ]


def main() -> None:
    """Measure and report."""
    arguments = parser(__doc__ or "")
    arguments.add_argument(
        "--directory", type=Path, default=Path(), help="a directory on the disk to measure"
    )
    given = arguments.parse_args()
    rounds = 100 if given.quick else 1000
    rows: list[Row] = []
    for trips in (1, 20):
        with tempfile.TemporaryDirectory(dir=given.directory) as directory:
            rows += window(Path(directory), trips, rounds)
    notes = ["a killed process loses what was not handed to the kernel yet; a power cut, what is not durable"]
    report({"machine": machine(), "rounds": rounds, "rows": rows, "notes": notes}, rows, as_json=given.json)


if __name__ == "__main__":
    main()
