"""What the journal costs: bytes, writes to the device, memory and CPU, beside an outbox of JSON rows in SQLite.

    python -m benchmarks.journal [--quick] [--json] [--only writes|kept|backlog|wide|encode]

writes: a record of 60 points a second and one consumer with a cursor, each on an ext4 of its own, in real time; what
reached its device, as bytes a day. Needs root. kept: bytes a record after compaction. backlog: ten million
records, opened by a process of its own. wide: CPU of 300,000 points a second. encode: CPU a record, in batches of 100.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.device_writes import writes
from benchmarks.harness import Row, machine, median, parser, report
from benchmarks.loop_device import missing
from benchmarks.outbox import Outbox
from bessai.journal.block import pack
from bessai.journal.disk import RealDisk
from bessai.journal.frame import Frame, Totals
from bessai.journal.layouts import Layouts
from bessai.journal.log import BLOCK_ROWS, Log
from bessai.journal.row import row_of
from bessai.journal.segment import COLD, SegmentWriter
from bessai.model import CycleRecord, Layout

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from simulation.profiles import PROFILES
from simulation.scenario import Scenario
from simulation.world import World
from support.plant_records import plant_layout, plant_records

MONTH = 30 * 86_400
DEVICE = {"profile": "bench"}
_SEGMENT = 8 << 20

Found = dict[str, float | None]


# --- kept


def simulated(profile: str, seconds: float) -> list[CycleRecord]:
    """What the real control plane records of a simulated plant without faults."""
    scenario = Scenario(seed=1, profile=PROFILES[profile](), fault_every=math.inf, people_every=math.inf)
    world, records = World(scenario), list[CycleRecord]()
    judge = world.disk.recorded
    assert judge is not None

    def keep(record: CycleRecord) -> None:
        records.append(record)
        judge(record)

    world.disk.recorded = keep
    world.run(seconds)
    return records


def kept(directory: Path, *, quick: bool) -> Found:
    """Bytes a record on the disk, the write-ahead log left out, and what a month of them is."""
    count = 512 if quick else 7200
    found: Found = {}
    sources = {"random walks": plant_records(count)}
    for profile in PROFILES:
        sources[f"simulated {profile}"] = simulated(profile, count)
    for name, records in sources.items():
        log = Log.open(RealDisk(), directory / name.replace(" ", "_"), max_bytes=1 << 32)
        rows = [row_of(record) for record in records[: len(records) // BLOCK_ROWS * BLOCK_ROWS]]
        layout = records[0].image.layout
        for start in range(0, len(rows), 2):
            log.append(rows[start : start + 2], layout, DEVICE)
        size = log.shelf.size / len(rows)
        log.close()
        found[f"{name}: points"] = len(layout)
        found[f"{name}: bytes a record"] = round(size, 1)
        found[f"{name}: GB of 30 days"] = round(size * MONTH / 1e9, 3)
        found[f"{name}: GB of 30 days at 60 points"] = round(size * MONTH / 1e9 * 60 / len(layout), 3)
    return found


# --- backlog


def build(directory: Path, count: int) -> None:
    """A journal of `count` records: one block of 60 points, over and over, as the log itself lays them down."""
    disk, path = RealDisk(), directory / "journal"
    disk.make_directory(path)
    records = plant_records(BLOCK_ROWS)
    body = pack([row_of(record) for record in records], level=6)
    layouts = Layouts(disk, path)
    key = layouts.key(plant_layout(), DEVICE)
    writer: SegmentWriter | None = None
    for first in range(1, count + 1, BLOCK_ROWS):
        if writer is not None and writer.size >= _SEGMENT:
            writer.seal()
            writer.close()
            writer = None
        writer = writer or SegmentWriter(disk, path, COLD, first)
        wall = records[0].image.wall_ns + first * 10**9
        writer.append(
            Frame(
                home=0, commit=first, first=first, count=BLOCK_ROWS, events=0, epoch=1, wall_min=wall,
                wall_max=wall + (BLOCK_ROWS - 1) * 10**9, layout=key, totals=Totals(held=first + BLOCK_ROWS - 1),
            ),
            body,
        )  # fmt: skip
    assert writer is not None
    writer.seal()
    writer.close()


_OPEN = """
import json, resource, sys, time
from pathlib import Path
from bessai.journal import Cursors, JournalReader
from bessai.journal.disk import RealDisk
from bessai.journal.log import Log

def rss(name="VmRSS"):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024

path, what = Path(sys.argv[1]), sys.argv[2]
before, begin = rss(), time.perf_counter()
if what == "writer":
    log = Log.open(RealDisk(), path, max_bytes=1 << 40)
    opened = time.perf_counter()
    count = log.shelf.records
else:
    reader, cursors = JournalReader(path), Cursors(path)
    last = reader.last_sequence()
    opened = time.perf_counter()
    count = len(reader.read(last // 2, 200))
end = time.perf_counter()
print(json.dumps({"open": (opened - begin) * 1e3, "read": (end - opened) * 1e3, "rss": rss("VmHWM"),
                  "before": before, "count": count}))
"""


def _opened(path: Path, what: str, *, cold: bool) -> dict[str, float]:
    if cold:
        for file in sorted(path.rglob("*")):
            if file.is_file():
                handle = os.open(file, os.O_RDONLY)
                os.fsync(handle)
                os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(handle)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", _OPEN, str(path), what], check=True, capture_output=True, text=True, env=environment
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout)
    return found


def backlog(directory: Path, *, quick: bool) -> Found:
    """Opening a journal that nobody has drained for long."""
    count = (100_000 if quick else 10_000_000) // BLOCK_ROWS * BLOCK_ROWS
    path = directory / "backlog"
    build(path, count)
    found: Found = {"records": count}
    _opened(path, "writer", cold=False)  # the first one creates the write-ahead log
    for cold, word in ((False, "in the page cache"), (True, "not in the page cache")):
        rounds = [(_opened(path, "writer", cold=cold), _opened(path, "reader", cold=cold)) for _ in range(3)]
        assert all(writer["count"] == count and reader["count"] == 200 for writer, reader in rounds)
        found[f"writer opens, {word}, ms"] = median([writer["open"] for writer, _ in rounds])
        found[f"reader opens, {word}, ms"] = median([reader["open"] for _, reader in rounds])
        found[f"reader's first 200 records, {word}, ms"] = median([reader["read"] for _, reader in rounds])
        for n, who in enumerate(("writer", "reader")):
            found[f"most memory of the {who}, {word}, MB"] = median([pair[n]["rss"] for pair in rounds])
            found[f"… before it opened, {who}, {word}, MB"] = median([pair[n]["before"] for pair in rounds])
    return found


# --- CPU


def _cpu_of(
    directory: Path, records: Sequence[CycleRecord], layout: Layout, batch: int, rounds: int
) -> list[float]:
    """CPU seconds of encoding and storing all of the records, compaction included."""
    log = Log.open(RealDisk(), directory, max_bytes=1 << 32)
    found = []
    for _ in range(rounds):
        begin = time.process_time()
        for start in range(0, len(records), batch):
            log.append([row_of(record) for record in records[start : start + batch]], layout, DEVICE)
        found.append(time.process_time() - begin)
    log.close()
    return found


def wide(directory: Path, *, quick: bool) -> Found:
    """Share of one core that 300,000 points a second take."""
    rounds = 1 if quick else 5
    columns, seconds = 300_000, 4 if quick else 10
    records = plant_records(seconds, columns)
    cost = _cpu_of(directory / "wide", records, plant_layout(columns), 2, rounds)
    found: Found = {"1 record of 300,000 points a second": median([c / seconds for c in cost])}
    many = plant_records(5_000)
    found["5,000 records of 60 points a second"] = median(
        _cpu_of(directory / "many", many, plant_layout(), 512, rounds)
    )
    return found


def encode(directory: Path, *, quick: bool) -> Found:
    """CPU in µs a record, in batches of 100."""
    batch, batches, rounds = 100, 10 if quick else 50, 3 if quick else 9
    records = plant_records(batch * batches)
    log = Log.open(RealDisk(), directory / "encode", max_bytes=1 << 32)
    boxes = {f"outbox {mode}": Outbox(directory / f"{mode}.db", mode) for mode in ("NORMAL", "FULL")}
    costs: dict[str, list[float]] = {"journal": [], **{name: [] for name in boxes}}
    for _ in range(rounds):
        for name, cost in costs.items():
            begin = time.process_time()
            for start in range(0, len(records), batch):
                part = records[start : start + batch]
                if name == "journal":
                    log.append([row_of(record) for record in part], plant_layout(), DEVICE)
                else:
                    boxes[name].put(part)
            cost.append((time.process_time() - begin) / len(records) * 1e6)
    log.close()
    for box in boxes.values():
        box.close()
    found: Found = {f"{name}, µs CPU a record": median(cost) for name, cost in costs.items()}
    for name in boxes:
        ratios = [ours / theirs for ours, theirs in zip(costs["journal"], costs[name], strict=True)]
        found[f"journal / {name}"] = median(ratios)
    return found


PARTS = {"writes": writes, "kept": kept, "backlog": backlog, "wide": wide, "encode": encode}


def main() -> None:
    """Measure and report."""
    made = parser(__doc__ or "")
    made.add_argument("--only", choices=PARTS, action="append", help="measure this only; may be repeated")
    options = made.parse_args()
    result: dict[str, Any] = {"benchmark": "journal", "machine": machine("apsw", "numpy"), "notes": []}
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        for part in options.only or PARTS:
            if part == "writes" and (why := missing()):
                result["notes"].append(f"{why}: skipped")
                continue
            found = PARTS[part](Path(name), quick=options.quick)
            result[part] = found
            unit = "MB a day on the device" if part == "writes" else ""
            rows += [(f"{part}: {what}", value, unit) for what, value in found.items()]
    result["notes"] += [
        "writes: bytes of the device below the file system; aims ≤ 500 MB a day at 2 s, ≤ 150 MB at 10 s",
        "kept: aim ≤ 0.5 GB; backlog: aims ≤ 250 ms and ≤ 64 MB; wide: aim < 1 core; encode + store + publish ≤ 15 µs",
    ]
    report(result, rows, as_json=options.json)


if __name__ == "__main__":
    main()
