"""Writes the journal as hourly Parquet files, for those who have no cloud.

`<directory>/site=<site>/date=YYYY-MM-DD/hour=HH/records-e<epoch>-<first sequence>-<last sequence>.parquet`

A file holds a **run**: records that follow each other in the journal and have the same hour of the wall clock
(UTC), the same epoch and the same columns. Nearly always that is an hour. A clock that is set back begins a new
run, whose file has a name of its own, so nothing is ever overwritten.

Nothing is collected while the hour lasts. When it is over, its records are read from the journal, written to a
temporary file, synced and renamed; then the cursor moves. What dies in between is done again from the journal.
A file that was renamed before its cursor was saved is found by its name and not written again. So every record is in
exactly one file, memory stays flat, and there is no state but the journal, the cursor and the files.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import quote

from bessai.interfaces.parquet_settings import ParquetSettings
from bessai.interfaces.sink import Backoff, CursorStore, Reader, Sink
from bessai.journal.disk import RealDisk
from bessai.journal.entry import Entry
from bessai.model import Layout

_log = logging.getLogger(__name__)

CONSUMER: Final = "parquet"
"""Name of the durable cursor."""

_HOUR: Final = 3600 * 10**9
_NAME: Final = re.compile(r"records-e(\d+)-(\d+)-(\d+)\.parquet")
_UNFINISHED: Final = ".unfinished.tmp"
_MOST_RECORDS: Final = 256
_LOOK_AHEAD: Final = 8
"""Records in which a run that begins with an event looks for a cycle, which has the columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePace:
    """How much at once, how often and how long. Times in seconds."""

    settle: float = 60.0
    """An hour is over this long after its end, or as soon as a record of another hour follows."""
    poll: float = 5.0
    """Pause between looks at the journal."""
    cells: int = 100_000
    """Values that are in memory as records, at most (or one record)."""
    group_cells: int = 2_000_000
    """Values of one row group."""
    retry_first: float = 1.0
    retry_last: float = 60.0
    ahead_patience: float = 30.0
    """How long a cursor beyond the journal's end is believed."""


class ParquetFiles(Sink):
    """See the module. `publish` names the devices whose points go with the plant's own; None: every point."""

    def __init__(
        self,
        settings: ParquetSettings,
        *,
        site: str,
        open_reader: Callable[[], Reader],
        open_cursors: Callable[[], CursorStore],
        publish: Sequence[str] | None = None,
        pace: FilePace | None = None,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        super().__init__(CONSUMER)
        self._directory = settings.directory
        self._home = settings.directory / f"site={quote(site, safe='')}"
        self._keep_days = settings.keep_days
        self._site = site
        self._publish = publish
        self._open_reader = open_reader
        self._open_cursors = open_cursors
        self._pace = pace or FilePace()
        self._now_ns = now_ns
        self._ahead_since: float | None = None

    def run(self, stop: threading.Event) -> None:
        """Write until `stop` is set. Blocks: give it a thread."""
        reader = self._open_reader()
        try:
            cursors = self._open_cursors()
            try:
                self._write_all(reader, cursors, stop)
            finally:
                cursors.close()
        finally:
            reader.close()

    def _write_all(self, reader: Reader, cursors: CursorStore, stop: threading.Event) -> None:
        backoff = Backoff(self._pace.retry_first, self._pace.retry_last)
        self.cursor = cursors.get(CONSUMER)
        while not stop.is_set():
            self._check_cursor(reader, cursors)
            try:
                advanced = self._write_run(reader, cursors, stop)
            except (OSError, ImportError) as error:
                self.failed(self._explain(error))
                _log.debug("parquet failed", exc_info=True)
                stop.wait(backoff.next())
                continue
            backoff.reset()
            self.backlog = max(0, reader.last_sequence() - self.cursor)
            self.recovered()
            if not advanced:
                stop.wait(self._pace.poll)

    def _write_run(self, reader: Reader, cursors: CursorStore, stop: threading.Event) -> bool:
        """Write the next run. False when there is none that is over, or when told to stop."""
        first = next(iter(reader.read(self.cursor, 1)), None)
        if first is None or not self._over(first.wall_ns, reader):
            return False
        home = self._hour_directory(first.wall_ns)
        last = self._written(home, first, reader)
        if last is None:
            run = _Run(first, self._pace.cells)
            temporary = self._home / _UNFINISHED
            self._home.mkdir(parents=True, exist_ok=True)
            try:
                with temporary.open("wb") as file:
                    self._write(run, reader, file, stop)
                    file.flush()
                    os.fsync(file.fileno())
                if stop.is_set():
                    return False
                last = run.last
                self._publish_file(
                    temporary, home / f"records-e{first.epoch}-{first.sequence}-{last}.parquet"
                )
            finally:
                temporary.unlink(missing_ok=True)
            self.delivered += run.rows
            self._note_missed(last - self.cursor - run.rows, last)
        cursors.set(CONSUMER, last)
        self.cursor = last
        self._forget_old_days(home.parent)
        return True

    def _write(self, run: _Run, reader: Reader, file: BinaryIO, stop: threading.Event) -> None:
        from bessai.interfaces.parquet import Columns, Writer  # noqa: PLC0415  an optional library

        writer: Writer | None = None
        try:
            for entries in run.read(reader):
                if stop.is_set():
                    return
                if writer is None:
                    columns = Columns(run.layout, site=self._site, device=run.device, publish=self._publish)
                    writer = Writer(file, columns, self._pace.group_cells)
                writer.write(entries)
            if writer is not None:
                writer.finish()
        finally:
            if writer is not None:
                writer.abandon()

    def _written(self, home: Path, first: Entry, reader: Reader) -> int | None:
        """How far the file goes that has this record already; None when there is none.

        After a backup was restored, the file may go further than the journal's records of the same epoch do.
        """
        for match in filter(None, map(_NAME.fullmatch, RealDisk().names(home))):
            epoch, low, high = map(int, match.groups())
            if epoch == first.epoch and low <= first.sequence <= high:
                run = _Run(first, self._pace.cells)
                own = (entry.sequence for entries in run.read(reader) for entry in entries)
                return max((sequence for sequence in own if sequence <= high), default=None)
        return None

    def _over(self, wall_ns: int, reader: Reader) -> bool:
        """True when no record can follow that belongs to the same run."""
        hour = wall_ns // _HOUR
        if self._now_ns() >= (hour + 1) * _HOUR + int(self._pace.settle * 1e9):
            return True
        newest = reader.read(reader.last_sequence() - 1, 1)
        return bool(newest) and newest[0].wall_ns // _HOUR != hour

    def _hour_directory(self, wall_ns: int) -> Path:
        at = datetime.fromtimestamp(wall_ns // _HOUR * 3600, UTC)
        return self._home / f"date={at:%Y-%m-%d}" / f"hour={at:%H}"

    def _publish_file(self, temporary: Path, path: Path) -> None:
        """Give a complete file its name, durably."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.replace(path)
        disk = RealDisk()
        for directory in (path.parent, path.parent.parent, self._home, self._directory):
            disk.sync_directory(directory)
        with contextlib.suppress(PermissionError):  # not ours, perhaps
            disk.sync_directory(self._directory.parent)

    def _forget_old_days(self, today: Path) -> None:
        """Remove our files of the oldest days. Days are counted, not dated: a wrong clock removes one at most."""
        if self._keep_days is None:
            return
        days = sorted(path for path in self._home.glob("date=*") if path.is_dir())
        for day in days[: -self._keep_days]:
            if day != today:
                for path in [*day.glob("hour=*/records-*.parquet"), *day.glob("hour=*"), day]:
                    with contextlib.suppress(OSError):  # a directory with files of others stays
                        path.rmdir() if path.is_dir() else path.unlink()

    def _check_cursor(self, reader: Reader, cursors: CursorStore) -> None:
        """A journal that is another one than before is written from its beginning."""
        if not 0 < reader.last_sequence() < self.cursor:
            self._ahead_since = None
        elif self._ahead_since is None:
            self._ahead_since = time.monotonic()
        elif time.monotonic() - self._ahead_since > self._pace.ahead_patience:
            _log.warning("parquet: its cursor is ahead of the journal's end, writing all of it")
            cursors.set(CONSUMER, 0, force=True)
            self.cursor = 0

    def _note_missed(self, missing: int, last: int) -> None:
        if missing:
            self.missed += missing
            _log.warning(
                "parquet: %d of the sequence numbers up to %d have no readable record: dropped for want of space, "
                "damaged, or skipped when the journal was recovered",
                missing, last,
            )  # fmt: skip

    def _explain(self, error: Exception) -> str:
        kept = "Records are kept in the journal and written later."
        if isinstance(error, ImportError):
            return f"Parquet files need a package more: pip install 'open-bess-edge[parquet]'. {kept}"
        code = error.errno if isinstance(error, OSError) else None
        if code in {errno.ENOSPC, errno.EDQUOT}:
            return f"The disk of PARQUET_DIR={self._directory} is full. Free space or set PARQUET_KEEP_DAYS. {kept}"
        why = os.strerror(code) if code else str(error)
        return f"PARQUET_DIR={self._directory} cannot be written ({why}). Check its permissions and its disk. {kept}"


class _Run:
    """Records that go into one file, read from the journal a few at a time."""

    def __init__(self, first: Entry, cells: int) -> None:
        self._hour, self._epoch = first.wall_ns // _HOUR, first.epoch
        self._cells = cells
        self.last = first.sequence - 1
        self.rows = 0
        self.layout = first.layout
        """Of the cycles; empty while the run has only events."""
        self.device = first.device

    def read(self, reader: Reader) -> Iterator[list[Entry]]:
        """Batches, until the run ends."""
        while entries := reader.read(self.last, self._limit()):
            if not self.rows:
                cycle = next((entry for entry in entries if entry.kind == "cycle"), None)
                if cycle is not None:
                    self.layout, self.device = cycle.layout, cycle.device
            own = entries[: self._own(entries)]
            if own:
                self.rows += len(own)
                self.last = own[-1].sequence
                yield own
            if len(own) < len(entries):
                return

    def _limit(self) -> int:
        if not len(self.layout) and not self.rows:
            return _LOOK_AHEAD
        return max(1, min(_MOST_RECORDS, self._cells // max(1, len(self.layout))))

    def _own(self, entries: Sequence[Entry]) -> int:
        for count, entry in enumerate(entries):
            if entry.wall_ns // _HOUR != self._hour or entry.epoch != self._epoch:
                return count
            if entry.kind == "cycle" and not _same_columns(entry.layout, self.layout):
                return count
        return len(entries)


def _same_columns(one: Layout, other: Layout) -> bool:
    return one is other or (one.names == other.names and one.units == other.units)
