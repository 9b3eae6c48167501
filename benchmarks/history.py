"""What the history costs: folding, disk, bytes written, and how soon it answers.

Run: `python -m benchmarks.history`. 60 points at 1 Hz, folded by the columns as fast as they come: 20 that move like
readings of a plant in tenths, 20 that move a little, 20 that stand. A flush every 300 s, as in service. Then a year
of minutes is folded to see a full disk. Questions are asked of a reader opened for each, as a new process would.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.harness import Row, machine, parser, report
from bessai.history import History, HistoryWriter, Keep, query
from bessai.history.cells import Floats, Ints
from bessai.journal import Journal, JournalReader
from bessai.model import Bounds, CycleRecord, CycleTiming, Decision, GuardState, Layout, ProcessImage

COLUMNS = 60
LAYOUT = Layout(tuple(f"p{n}" for n in range(COLUMNS)), ("kW",) * COLUMNS)
SECOND = 1_000_000_000
START = 1_767_225_600 * SECOND
_DAY = 86400
_FLUSH = 300


def course(chance: np.random.Generator, at: Floats, rows: int) -> Floats:
    """Rows that go on from the raw registers `at`, and leave them where they end."""
    steps = np.zeros((rows, COLUMNS))
    steps[:, :20] = chance.integers(-5, 6, (rows, 20))
    steps[:, 20:40] = chance.random((rows, 20)) < 0.02
    raw = at + np.cumsum(steps, 0)
    at[:] = raw[-1]
    return raw / 10


def written() -> int:
    """Bytes that this process has given to the disk so far."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["write_bytes"])


def fill(writer: HistoryWriter, days: int, spacing: int) -> float:
    """Fold so many days of records; CPU seconds of it."""
    chance, at = np.random.default_rng(1), np.full(COLUMNS, 500.0)
    flush = _FLUSH if spacing == 1 else _DAY // spacing
    quality = np.zeros((flush, COLUMNS), np.uint8)
    busy = 0.0
    for n in range(days * _DAY // spacing // flush):
        wall: Ints = START + (n * flush + np.arange(flush)) * spacing * SECOND
        values = course(chance, at, flush)
        begin = time.process_time()
        writer.fold(LAYOUT, writer.folded + flush, wall, values, quality)
        writer.flush()
        writer.compact()
        busy += time.process_time() - begin
    return busy


def tail(directory: Path, records: int, first: int) -> None:
    """Put records into the journal that the history does not have yet."""
    journal = Journal.open(directory, layout=LAYOUT, device={})
    for n in range(records):
        image = ProcessImage(
            layout=LAYOUT, cycle=n, monotonic=1.0, wall_ns=first + n * SECOND, values=np.full(COLUMNS, n / 10),
            quality=np.zeros(COLUMNS, np.uint8), times=np.full(COLUMNS, 0.9),
        )  # fmt: skip
        journal.append(
            CycleRecord(
                image=image, decision=Decision(state=GuardState.NORMAL, setpoint=0.0, bounds=Bounds()), outcome=None,
                verified=True, fed=True, timing=CycleTiming(late=0, read=0, decide=0, write=0, total=0),
            )
        )  # fmt: skip
    journal.close(60)


def timed(ask: Callable[[], object], rounds: int) -> float:
    """Milliseconds, median."""
    taken = []
    for _ in range(rounds):
        begin = time.perf_counter()
        ask()
        taken.append(1e3 * (time.perf_counter() - begin))
    return statistics.median(taken)


def answers(directory: Path, days: int, years: int, rounds: int, *, more: int = 0) -> list[Row]:
    """How long questions take, the file opened anew for each."""
    end = START + days * _DAY * SECOND

    def ask(points: int, seconds: float, most: int = 2000, step: float | None = None) -> Callable[[], object]:
        def asked() -> None:
            history, reader = History(directory), JournalReader(directory)
            names = [f"p{n}" for n in range(points)]
            start = max(START, end - int(seconds * SECOND))
            for series in query(history, reader, names, start, end, max_points=most, step=step):
                assert series.count.sum() == (end - start) // SECOND // (60 if years else 1) + more
            history.close()
            reader.close()

        return asked

    rows: list[Row] = []
    if not years:
        rows += [
            (f"{days} days of 1 s to 2,000 rows, 1 point", timed(ask(1, days * _DAY), rounds), "ms"),
            (f"{days} days of 1 s to 2,000 rows, 10 points", timed(ask(10, days * _DAY), rounds), "ms"),
            (
                f"{days} days, every bucket of 1 min, 1 point",
                timed(ask(1, days * _DAY, step=60), rounds),
                "ms",
            ),
            ("1 day, every bucket of 10 s, 1 point", timed(ask(1, _DAY, step=10), rounds), "ms"),
        ]
    else:
        rows += [
            (f"{years} year to 2,000 rows, 1 point", timed(ask(1, days * _DAY), rounds), "ms"),
            (
                f"{years} year, every bucket of 15 min, 1 point",
                timed(ask(1, days * _DAY, step=900), rounds),
                "ms",
            ),
            (
                f"{years} year, every bucket of 1 min, 1 point",
                timed(ask(1, days * _DAY, step=60), rounds),
                "ms",
            ),
            (f"{years} year of days, 60 points", timed(ask(60, days * _DAY, step=86400), rounds), "ms"),
        ]
    return rows


def month(directory: Path, *, quick: bool) -> list[Row]:
    """30 days at 1 Hz."""
    days = 2 if quick else 30
    writer = HistoryWriter(directory)
    before = written()
    busy = fill(writer, days, 1)
    os.sync()
    after = written()
    rows: list[Row] = [
        ("fold and store, CPU a record of 60 points", 1e6 * busy / (days * _DAY), "µs"),
        ("given to the disk", (after - before) / days / 1e6, "MB a day"),
    ]
    begin = time.perf_counter()
    chance, at = np.random.default_rng(2), np.full(COLUMNS, 500.0)
    writer.fold(
        LAYOUT, writer.folded + 300, START + days * _DAY * SECOND + np.arange(300) * SECOND,
        course(chance, at, 300), np.zeros((300, COLUMNS), np.uint8),
    )  # fmt: skip
    writer.flush()
    rows.append(("one flush of 300 s", 1e3 * (time.perf_counter() - begin), "ms"))
    history = History(directory)
    stats = history.stats()
    rows.append((f"all files after {days} days", stats.size_bytes / 1e6, "MB"))
    rows += [
        (f"a year of {level.label}, 60 points", level.size_bytes / days * 365.25 / 1e6, "MB")
        for level in stats.levels[:2]
    ]
    history.close()
    rows += answers(directory, days, 0, 5)
    writer.rewind(0)
    writer.close()
    tail(directory, 300, START + days * _DAY * SECOND - 300 * SECOND)
    rows += [
        (f"{what}, 300 records not stored yet", value, unit)
        for what, value, unit in answers(directory, days, 0, 5, more=300)[:1]
    ]
    return rows


def year(directory: Path, *, quick: bool) -> list[Row]:
    """A year, a record a minute: the same rollups from 1 min on."""
    days = 90 if quick else 366
    writer = HistoryWriter(directory, keep=Keep(years=(0.01, 2, 10, 50)))
    fill(writer, days, 60)
    writer.compact(everything=True)
    writer.close()
    history = History(directory)
    rows: list[Row] = [
        (f"a year of {level.label}, 60 points", level.size_bytes / days * 365.25 / 1e6, "MB")
        for level in history.stats().levels[2:]
    ]
    history.close()
    return rows + answers(directory, days, 1, 5)


def main() -> None:
    """Measure and report."""
    arguments = parser(__doc__ or "")
    arguments.add_argument(
        "--directory", type=Path, default=Path(), help="a directory on the disk to measure"
    )
    given = arguments.parse_args()
    rows: list[Row] = []
    for part in (month, year):
        with tempfile.TemporaryDirectory(dir=given.directory) as directory:
            rows += part(Path(directory), quick=given.quick)
    notes = ["a minute of a year has one record here, so its minutes take less room than those of the month"]
    report({"machine": machine("apsw", "numpy"), "rows": rows, "notes": notes}, rows, as_json=given.json)


if __name__ == "__main__":
    main()
