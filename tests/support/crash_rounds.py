"""Writers and consumers of a real journal whose life ends in the middle, over and over.

    python -m support.crash_rounds '{"directory": "/tmp/x", "rounds": 100, "seed": 1}'

The process that is started is warm and forks one writer and one consumer a round. They report on pipes what was
acknowledged and what was delivered, and are killed at a random moment; with `image` the power is cut too: the file
system in that file, mounted at `directory`, is shut down without writing its log. Then this process, which is never
killed, compares the journal with the reports. It prints what it counted, or ends with the violation.
"""

from __future__ import annotations

import errno
import faulthandler
import fcntl
import json
import os
import random
import select
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from bessai.journal import Cursors, Journal, JournalReader
from bessai.journal.disk import RealDisk, RealFile
from bessai.journal.log import Log
from bessai.journal.row import row_of
from support.journal_oracle import Violation, content, content_of, numbered, require
from support.records import DEVICE, LAYOUT

EXT4_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2
BATCH = 10
"""Records that the consumer delivers at once."""
MAX_BYTES = 1 << 20
SIZES = {"max_bytes": MAX_BYTES, "wal_bytes": 48 << 10, "segment_bytes": 8 << 10}
"""So small that the write-ahead log rolls often."""
_REPORT = struct.Struct("<qqq")
OPENED, ACKNOWLEDGED, DELIVERED = 1, 2, 3

Report = tuple[int, int, int]
Tell = Callable[[int, int, int], None]


class LyingDisk(RealDisk):
    """Says that it synced. The negative control: with it, power cuts must lose something."""

    def open(self, path: Path, *, write: bool = False, create: bool = False) -> RealFile:
        handle = os.open(
            path, os.O_CLOEXEC | (os.O_RDWR if write else 0) | (os.O_CREAT if create else 0), 0o644
        )
        return _LyingFile(handle)

    def sync_directory(self, path: Path) -> None:
        """Nothing."""


class _LyingFile(RealFile):
    def sync(self) -> None:
        """Nothing."""


class Child:
    """A forked process that reports on a pipe until it is killed."""

    def __init__(self, work: Callable[[Tell], None]) -> None:
        self._end, told = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._end)  # so that it ends when nobody listens any more
            _live(told, work)
        os.close(told)
        self._rest = b""

    def next(self) -> Report | None:
        """Wait for one report; None when the child has ended."""
        while len(self._rest) < _REPORT.size:
            if not select.select([self._end], [], [], 60)[0]:
                os.kill(self.pid, signal.SIGUSR1)
                time.sleep(1)
                raise Violation("a child has said nothing for a minute, see its traceback")
            data = os.read(self._end, 1 << 16)
            if not data:
                return None
            self._rest += data
        report, self._rest = self._rest[: _REPORT.size], self._rest[_REPORT.size :]
        return _REPORT.unpack(report)

    def kill(self, *, may_have_ended: bool = False) -> list[Report]:
        """SIGKILL; everything that was reported and not read yet."""
        os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        reports = []
        while (report := self.next()) is not None:
            reports.append(report)
        os.close(self._end)
        require(may_have_ended or os.WIFSIGNALED(status), "a child ended by itself, see its traceback")
        return reports


def _live(told: int, work: Callable[[Tell], None]) -> NoReturn:
    faulthandler.register(signal.SIGUSR1)

    def tell(kind: int, one: int, other: int) -> None:
        os.write(told, _REPORT.pack(kind, one, other))

    try:
        work(tell)
    except BaseException as error:  # noqa: BLE001
        if os.strerror(errno.EIO) not in str(error):  # that is what a disk without power says
            traceback.print_exc()
    os._exit(1)


class Rounds:
    """The lives of one journal."""

    def __init__(
        self, directory: Path, seed: int, *, image: Path | None, honest: bool, early: bool, threaded: bool
    ) -> None:
        self.directory, self.image = directory, image
        self.chance = random.Random(seed)
        self.disk = RealDisk() if honest else LyingDisk()
        self.early, self.threaded = early, threaded
        self.sizes: dict[str, int] = {"max_bytes": MAX_BYTES} if threaded else SIZES
        self.counts: Counter[str] = Counter()
        self.lives: list[tuple[int, int]] = []
        """First sequence and first number of each life that opened the journal."""
        self.n = 0
        self.checked = 0
        """Everything up to here was found in the journal, as it should be."""
        self.acknowledged = 0
        self.delivered = 0

    def write(self, tell: Tell, first: int, seed: int) -> None:
        """Append batches and report what is acknowledged."""
        chance = random.Random(seed)
        log = Log.open(self.disk, self.directory, wall_ns=time.time_ns, **self.sizes)
        tell(OPENED, log.last_sequence, first)
        while True:
            items = [numbered(first + i) for i in range(chance.choice((1, 1, 2, 3, 20)))]
            first += len(items)
            if self.early:
                tell(ACKNOWLEDGED, log.last_sequence + len(items), first)
            tell(ACKNOWLEDGED, log.append([row_of(item) for item in items], LAYOUT, DEVICE), first)

    def write_by_thread(self, tell: Tell, first: int, seed: int) -> None:
        """The same with the thread that the gateway uses: telemetry waits, events do not."""
        chance = random.Random(seed)
        journal = Journal.open(
            self.directory,
            layout=LAYOUT,
            device=DEVICE,
            window=chance.choice((0.0, 0.002)),
            max_bytes=MAX_BYTES,
            disk=self.disk,
        )
        while journal.stats().last_error is not None:
            time.sleep(0.001)
        told = journal.stats().committed
        tell(OPENED, told, first)
        while True:
            if journal.stats().queued < 10:
                journal.append(numbered(first))  # type: ignore[arg-type]
                first += 1
            else:
                time.sleep(0.0002)
            if (committed := journal.stats().committed) > told:
                told = committed
                tell(ACKNOWLEDGED, told, first)

    def consume(self, tell: Tell) -> None:
        """Deliver batch after batch, each before the cursor says so."""
        reader, cursors = (
            JournalReader(self.directory, disk=self.disk),
            Cursors(self.directory, disk=self.disk),
        )
        after = cursors.get("cloud")
        while True:
            if entries := reader.read(after, BATCH):
                tell(DELIVERED, entries[0].sequence, entries[-1].sequence)
                require([e.sequence for e in entries] == list(range(after + 1, after + 1 + len(entries))))
                after = entries[-1].sequence
                cursors.set("cloud", after)
            else:
                time.sleep(0.003)

    def warm(self, place: Path) -> None:
        """Do once what every child will do, so that the children need not load and compile it."""
        log, items = (
            Log.open(self.disk, place, wall_ns=time.time_ns, **self.sizes),
            [numbered(n) for n in range(1, 40)],
        )
        log.append([row_of(item) for item in items], LAYOUT, DEVICE)
        log.close()
        cursors = Cursors(place, disk=self.disk)
        cursors.set("cloud", JournalReader(place, disk=self.disk).read(0, 9)[-1].sequence)
        cursors.close()

    def round(self) -> None:
        """One writer and one consumer live and die."""
        seed, first = self.chance.randrange(1 << 30), self.n + 1
        self.n += 100_000
        write = self.write_by_thread if self.threaded else self.write
        writer = Child(lambda tell: write(tell, first, seed))
        consumer = Child(self.consume)
        reports: list[Report] = []
        for _ in range(self.chance.choice((0, 1, 2, 3, 5, 8))):  # 0: it may die while it opens the journal
            report = writer.next()
            require(report, "the writer ended by itself, see its traceback")
            reports.append(report or (0, 0, 0))
        time.sleep(self.chance.random() * 0.002)
        if self.image is not None:
            handle = os.open(self.directory, os.O_RDONLY)
            fcntl.ioctl(handle, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
            os.close(handle)
        cut = self.image is not None
        delivered = consumer.kill(may_have_ended=cut)
        reports += writer.kill(may_have_ended=cut)
        if self.image is not None:
            subprocess.run(["umount", str(self.directory)], check=True)
            mount(self.image, self.directory)
        self.note(reports)
        self.note_delivered(delivered)
        self.counts["rounds"] += 1

    def note(self, reports: list[Report]) -> None:
        """Take the writer's reports."""
        for kind, sequence, first in reports:
            if kind == OPENED:
                require(sequence >= self.acknowledged, "opened at", sequence, "after", self.acknowledged)
                self.lives.append((sequence + 1, first))
            else:
                require(sequence > self.acknowledged, sequence, "acknowledged after", self.acknowledged)
                self.acknowledged = sequence
                self.counts["acknowledgements"] += 1

    def note_delivered(self, reports: list[Report]) -> None:
        """Take the consumer's reports: nothing left out, at most one batch twice."""
        for _, first, last in reports:
            require(first <= self.delivered + 1, self.delivered + 1, "was not delivered, but", first)
            twice = self.delivered - first + 1
            require(twice <= BATCH, twice, "records were delivered twice")
            if twice > 0:
                self.counts["batches twice"] += 1
                require(reports[0][1] == first, "twice in one life")
            self.delivered = max(self.delivered, last)

    def check(self) -> None:
        """Open the journal as the next gateway would, and compare what is new in it with the reports."""
        log = Log.open(self.disk, self.directory, wall_ns=time.time_ns, **self.sizes)
        require(not log.findings, "damage is reported:", log.findings)
        require(log.last_sequence >= self.acknowledged, log.last_sequence, "lacks", self.acknowledged)
        totals, last = log.totals, log.last_sequence
        log.close()
        reader = JournalReader(self.directory, disk=self.disk)
        entries = reader.read(self.checked, 1 << 40)
        reader.close()
        got = [entry.sequence for entry in entries]
        require(
            got == list(range(self.checked + 1, last + 1)),
            "missing:",
            set(range(self.checked + 1, last)) - set(got),
        )
        require((totals.space, totals.events) == (0, 0), totals)
        life = 0
        for entry in entries:
            while life + 1 < len(self.lives) and self.lives[life + 1][0] <= entry.sequence:
                life += 1
            first, n = self.lives[life]
            expected = content_of(numbered(n + entry.sequence - first))
            require(content(entry) == expected, entry.sequence, "has another content:", entry)
        self.lives = self.lives[life:]
        self.checked = self.acknowledged = last
        require(self.delivered <= last, self.delivered, "was delivered and is gone, last is", last)
        self.counts["records"] = last


def mount(image: Path, directory: Path) -> None:
    """Mount an ext4 image that does not write its log by itself."""
    subprocess.run(["mount", "-o", "loop,commit=300,noatime", str(image), str(directory)], check=True)


def main(
    directory: str,
    rounds: int,
    seed: int,
    image: str = "",
    every: int = 1,
    honest: bool = True,
    early: bool = False,
    threaded: bool = False,
) -> None:
    """Run, and print the counts as JSON.

    Args:
        directory: of the journal; with `image` where that is mounted already.
        rounds: how many lives.
        seed: of all that is random, except the moment when the kernel acts.
        image: an ext4 file system: cut its power, too.
        every: rounds between two checks.
        honest: False for the negative control of power cuts, a disk that does not sync.
        early: True for the negative control of kills, a writer that acknowledges before it writes.
        threaded: write as the gateway does, through the thread of `Journal`.
    """
    file = Path(image) if image else None
    lives = Rounds(Path(directory), seed, image=file, honest=honest, early=early, threaded=threaded)
    with tempfile.TemporaryDirectory() as warming:
        lives.warm(Path(warming))
    for n in range(rounds):
        lives.round()
        if (n + 1) % every == 0 or n + 1 == rounds:
            lives.check()
    print(json.dumps(lives.counts))


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
