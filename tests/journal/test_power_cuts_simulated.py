"""The power goes before any operation of the journal on its disk; see `support.simulated_disk` for what is left.

Before every write, sync and rename of a random workload, disks that a power cut could leave are drawn. Each is
opened anew (sometimes with a second cut while it is being repaired), read whole and compared with what was
acknowledged or seen by a reader before the cut.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from pathlib import Path

import pytest

from bessai.journal import Cursors, JournalReader
from bessai.journal.log import Log
from bessai.journal.progress import Progress
from bessai.journal.row import row_of
from simulation.seeds import base_seed, replay, scale
from support.journal_oracle import Decoder, Oracle, Violation, decoding_once, numbered, records, require
from support.records import DEVICE, LAYOUT
from support.simulated_disk import PowerCut, SimDisk

DATA = Path("/data")
SIZES = {"max_bytes": 76 << 10, "wal_bytes": 64 << 10, "segment_bytes": 1536}
"""So small that a run rolls the log many times and drops what is oldest."""
EVER = 1 << 40


class Run:
    """One workload, and all the power cuts drawn from it."""

    def __init__(self, seed: int, decoder: Decoder, *, honest: bool = True) -> None:
        self.decoder = decoder
        self.chance = random.Random(seed)
        self.disk = SimDisk(DATA, honest=honest, seed=seed)
        self.oracle = Oracle()
        self.n = 0
        self.saved = Progress()
        self.saving: Progress | None = None
        self.counts: Counter[str] = Counter()
        self.reader = JournalReader(DATA, disk=self.disk)

    def open(self, disk: SimDisk) -> Log:
        return Log.open(disk, DATA, wall_ns=lambda: 0, **SIZES)

    def work(self, steps: int) -> None:
        """Append, read, save cursors, close and open again, with cuts drawn all the time."""
        self.disk.before = self.maybe_cut
        log = self.open(self.disk)
        cursors = Cursors(DATA, disk=self.disk)
        for _ in range(steps):
            what = self.chance.random()
            if what < 0.75:
                self.append(log)
            elif what < 0.95:
                self.save(cursors)
            else:
                log.close()
                log = self.open(self.disk)
        log.close()
        cursors.close()

    def append(self, log: Log) -> None:
        items = [numbered(self.n + i) for i in range(1, self.chance.choice((1, 1, 2, 3, 10, 50)) + 1)]
        self.n += len(items)
        self.oracle.offer(items)
        self.oracle.acknowledge(log.append([row_of(item) for item in items], LAYOUT, DEVICE))
        require(not log.findings, "damage is reported:", log.findings)
        self.counts["records"] += len(items)

    def save(self, cursors: Cursors) -> None:
        first = self.chance.randint(0, self.oracle.last)
        self.saving = self.saved.done(max(1, first), self.chance.randint(first, self.oracle.last))
        cursors.save("cloud", self.saving)
        self.saved, self.saving = self.saving, None

    def maybe_cut(self, _kind: str, path: str) -> None:
        """Called before each operation."""
        if self.chance.random() < 0.1:
            self.oracle.see(self.decoder.read(self.reader, max(0, self.oracle.last - 20)))
        if self.chance.random() < (0.15 if "wal" in path or "commit" in path else 0.6):
            self.cut(self.disk.crash(self.chance), self.oracle.fork())

    def cut(self, disk: SimDisk, oracle: Oracle) -> None:
        """Open one disk that a power cut left, and check it."""
        self.counts["cuts"] += 1
        try:
            while self.chance.random() < 0.15:
                disk.crash_after = self.chance.randint(0, 12)
                self.open(disk).close()
                disk.crash_after = None
        except PowerCut:
            return self.cut(disk.crash(self.chance), oracle)
        log = self.open(disk)
        require(not log.findings, "damage is reported:", log.findings)
        reader = JournalReader(DATA, disk=disk)
        found = self.decoder.read(reader)
        oracle.check(found, log.totals)
        if self.chance.random() < 0.02:
            require(found == records(reader.read(0, EVER)), "blocks and entries differ")
        self.counts["with dropped telemetry"] += log.totals.floor > 0
        self.counts["with dropped events"] += log.totals.kept_floor > 0
        require(log.last_sequence >= oracle.last, "last is", log.last_sequence, "instead of", oracle.last)
        cursors = Cursors(DATA, disk=disk)
        require(cursors.progress("cloud") in (self.saved, self.saving or self.saved), "the cursor went back")
        item = numbered(self.n + 1000)
        oracle.offer([item])
        oracle.acknowledge(log.append([row_of(item)], LAYOUT, DEVICE))
        oracle.see(self.decoder.read(reader, oracle.last - 1))
        stats = reader.stats()
        require(stats.damaged == 0, stats)
        require(stats.last_sequence == oracle.last, stats)
        log.close()
        cursors.close()
        reader.close()
        return None


def simulate(base: int, states: int, *, honest: bool = True) -> Counter[str]:
    """At least so many cuts. Raises AssertionError with the seed that shows a violation at once."""
    counts: Counter[str] = Counter()
    with decoding_once() as decoder:
        for seed in itertools.count(base):
            run = Run(seed, decoder, honest=honest)
            try:
                run.work(80)
            except Exception as error:
                raise Violation(f"{type(error).__name__}: {error}\n{replay(seed)}") from error
            counts += run.counts
            if counts["cuts"] >= states:
                break
    return counts


@pytest.mark.timeout(600 * scale())
@pytest.mark.parametrize("part", range(2))
def test_nothing_acknowledged_or_seen_is_lost(part: int) -> None:
    cuts = 750 * scale()
    counts = simulate(base_seed() + part * 10**6, cuts)
    assert counts["cuts"] >= cuts
    assert counts["records"] > 250


@pytest.mark.soak
@pytest.mark.parametrize("part", range(4))
def test_a_million_power_cuts(part: int) -> None:
    assert simulate(base_seed() + (part + 10) * 10**6, 250_000)["cuts"] >= 250_000


def test_negative_control_a_disk_that_lies_is_caught() -> None:
    base = base_seed()
    for seed in range(base, base + 5):
        with pytest.raises(Violation, match="BESSAI_SEED"):
            simulate(seed, 200, honest=False)
