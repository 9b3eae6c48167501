"""The single writer: takes records from the event loop, and a thread makes them durable."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Self

from bessai.journal.backlog import Backlog, Ticket
from bessai.journal.disk import Disk, RealDisk
from bessai.journal.errors import JournalError
from bessai.journal.lock import lock_directory
from bessai.journal.log import MIN_BYTES, Log
from bessai.journal.metering import MeteredDisk, SyncTimes
from bessai.journal.migration import is_needed, migrate
from bessai.journal.row import Row, row_of
from bessai.journal.shelf import Finding
from bessai.journal.stats import JournalStats
from bessai.model import CycleRecord, Event, Layout, Severity

_LOG = logging.getLogger(__name__)

QUEUE = 4096
"""Items of each kind that wait in memory while the disk does not take them."""

BATCH = 512
RETRY = 1.0
"""Longest pause in seconds between attempts while the disk fails."""
_PATIENCE = 60
"""Failed attempts after which an older journal that cannot be read is given up, so that the new one can begin."""
_SCRUB_EVERY = 10.0
"""Seconds between looks at one segment each, in search of damage."""


class Journal:
    """The writing side of the journal. One per data directory, in the control plane.

    `events_on_open` holds what opening found worth telling (`journal_recovered`); the core appends it. What is
    found later, the journal appends itself.
    """

    events_on_open: list[Event]

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        layout: Layout,
        device: Mapping[str, str],
        window: float = 2.0,
        max_bytes: int = 1 << 30,
        queue: int = QUEUE,
        wall_ns: Callable[[], int] = time.time_ns,
        disk: Disk | None = None,
    ) -> Self:
        """Open or create the journal and start its writer thread.

        Args:
            directory: where the journal lives; created when missing.
            layout: the columns of the plant's image.
            device: what is known of the device; every entry repeats it to its readers.
            window: seconds of telemetry that one commit holds, and that a power cut may cost.
            max_bytes: bound of all files on the disk. The oldest telemetry goes first.
            queue: items of each kind (telemetry, events) that wait in memory while the disk fails.
            wall_ns: UTC nanoseconds, for what the journal itself has to tell.
            disk: the file system.

        Raises:
            JournalError: the directory cannot be used, another gateway uses it, or the journal is a newer version's.
                Damage is no error: what is damaged is left out and told. A full or failing disk is none either:
                the thread goes on trying, see `stats`.
        """
        if max_bytes < MIN_BYTES:
            raise JournalError(f"{directory}: max_bytes {max_bytes} is too small, use at least {MIN_BYTES}")
        lock = lock_directory(directory)
        try:
            return cls(
                directory, layout, dict(device), window, max_bytes, queue, wall_ns, disk or RealDisk(), lock
            )
        except BaseException:
            os.close(lock)
            raise

    def __init__(
        self,
        directory: Path,
        layout: Layout,
        device: Mapping[str, str],
        window: float,
        max_bytes: int,
        queue: int,
        wall_ns: Callable[[], int],
        disk: Disk,
        lock: int,
    ) -> None:
        self.directory = directory
        self.events_on_open = []
        self._layout, self._device, self._window = layout, device, window
        self._max_bytes, self._wall_ns, self._disk, self._lock = max_bytes, wall_ns, MeteredDisk(disk), lock
        self._backlog = Backlog(queue)
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._log: Log | None = None
        self._told = 0
        self._shown = _Shown()
        self._errors = 0
        self._last_error: str | None = None
        self._last_commit: float | None = None
        self._scrubbed = time.monotonic()
        self._unchecked: list[tuple[str, int]] = []
        try:
            self._open_log()
        except OSError as error:
            self._failed(error)
        else:
            self.events_on_open += self._recovered()
        self._disk.begin()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def append(self, record: CycleRecord) -> None:
        """Hand a cycle over. Never blocks, never touches the disk, never raises."""
        self._put(record)

    def append_event(self, event: Event) -> None:
        """Hand over an event that belongs to no cycle, on the same terms."""
        self._put(event)

    def _put(self, item: CycleRecord | Event) -> None:
        if self._backlog.put(item) or len(self._backlog) >= BATCH:
            self._wake.set()

    def stats(self) -> JournalStats:
        """How the journal is doing; from any thread, without I/O."""
        shown, error = self._shown, self._last_error
        if error is None and not self._stop.is_set() and not self._thread.is_alive():
            error = "the writer thread is dead: restart the gateway"
        commit = self._last_commit
        return JournalStats(
            committed=shown.committed,
            queued=len(self._backlog),
            records=shown.held,
            dropped_queue=shown.queue + self._backlog.lost_records,
            dropped_space=shown.space,
            dropped_events=shown.events + self._backlog.lost_events,
            errors=self._errors,
            last_error=error,
            last_commit_age=None if commit is None else time.monotonic() - commit,
            size_bytes=shown.size,
            lost=shown.lost,
            epoch=shown.epoch,
        )

    @property
    def written(self) -> tuple[int, float]:
        """Bytes handed to the file system since it was opened, and in how many seconds; from any thread."""
        return self._disk.written

    @property
    def sync_times(self) -> SyncTimes | None:
        """How long the newest syncs took, None before the first; from any thread."""
        return self._disk.syncs

    def close(self, timeout: float = 1.5) -> bool:
        """Make what is queued durable and stop the thread; waits `timeout` seconds at most.

        Returns True when everything that was appended and not dropped is durable.
        """
        self._stop.set()
        self._wake.set()
        self._thread.join(timeout)
        return not self._thread.is_alive() and not len(self._backlog)

    def _run(self) -> None:
        pause = RETRY / 8
        while not self._stop.is_set():
            self._wake.wait(self._window)
            self._wake.clear()
            self._attempt()
            if self._last_error is None:
                pause = RETRY / 8
                continue
            self._stop.wait(pause)  # not `_wake`: events do not make a failing disk busier
            pause = min(2 * pause, RETRY)
            self._wake.set()
        self._attempt()
        if self._log is not None:
            self._log.close()
        os.close(self._lock)

    def _attempt(self) -> None:
        try:
            log = self._current()
            if is_needed(self.directory):
                patient = self._errors < _PATIENCE
                if not migrate(self.directory, log, self._stop.is_set, patient=patient):
                    return  # what is new must not come before what is old
                self._show(log)
            self._drain(log)
            self._scrub(log)
            for event in self._recovered():
                self.append_event(event)
            if log.trouble is not None:
                log.tidy()
            if log.trouble is not None:
                raise log.trouble
        except Exception as error:  # noqa: BLE001 - the thread must outlive everything
            self._failed(error)
        else:
            if self._last_error is not None:
                self._last_error = None
                _LOG.info("the journal in %s writes again", self.directory)

    def _failed(self, error: Exception) -> None:
        first, self._last_error = self._last_error is None, f"{type(error).__name__}: {error}"
        self._errors += 1
        if first:
            _LOG.warning("the journal in %s cannot write: %s", self.directory, error)

    def _drain(self, log: Log) -> None:
        while tickets := self._backlog.take(BATCH):
            done = 0
            try:
                rows = self._encoded(tickets)
                tickets = [ticket for ticket, _ in rows]
                for _, group in groupby(rows, key=lambda pair: self._layout_of(pair[0])):
                    chunk = list(group)
                    while chunk:
                        stored = self._store(log, chunk)
                        done += stored
                        chunk = chunk[stored:]
            finally:
                self._backlog.settle(tickets[done:])
        if self._backlog.lost_records:
            self._commit(log, [])

    def _layout_of(self, ticket: Ticket) -> int:
        return id(self._layout if isinstance(ticket.item, Event) else ticket.item.image.layout)

    def _encoded(self, tickets: list[Ticket]) -> list[tuple[Ticket, Row]]:
        """Tickets with their rows; a record that has none is lost, its events go on their own."""
        pairs: list[tuple[Ticket, Row]] = []
        for ticket in tickets:
            parts = [ticket.item]
            while parts:
                item = parts.pop(0)
                try:
                    pairs.append((Ticket(ticket.place, item), row_of(item)))
                except Exception as error:  # noqa: BLE001 - one bad record must not stop the others
                    parts += self._give_up(item, error)
        return pairs

    def _give_up(self, item: CycleRecord | Event, error: Exception) -> tuple[Event, ...]:
        self._errors += 1
        _LOG.warning("a record cannot be kept: %s", error)
        alone = isinstance(item, Event)
        self._backlog.lose(records=1, events=int(alone))
        return () if isinstance(item, Event) else item.events

    def _store(self, log: Log, pairs: list[tuple[Ticket, Row]]) -> int:
        """Store the first of the pairs, as many as one commit takes; returns how many are settled."""
        count = len(pairs)
        while True:
            try:
                self._commit(log, pairs[:count])
            except ValueError as error:  # among them TooLargeError
                if count > 1:
                    count //= 2
                    continue
                for event in self._give_up(pairs[0][0].item, error):
                    self.append_event(event)
            return count

    def _commit(self, log: Log, pairs: list[tuple[Ticket, Row]]) -> None:
        item = pairs[0][0].item if pairs else None
        layout = item.image.layout if isinstance(item, CycleRecord) else self._layout
        records, events = self._backlog.lost_records, self._backlog.lost_events
        log.append([row for _, row in pairs], layout, self._device, lost=records, lost_events=events)
        self._backlog.lose(records=-records, events=-events)
        self._last_commit = time.monotonic()
        self._show(log)

    def _show(self, log: Log) -> None:
        totals = log.totals
        self._shown = _Shown(
            log.last_sequence, totals.held, totals.queue, totals.space, totals.events, log.damaged, log.epoch,
            log.size_bytes(),
        )  # fmt: skip

    def _current(self) -> Log:
        if self._log is not None and not self._log.in_place():
            _LOG.warning("the journal in %s was removed or replaced while in use", self.directory)
            self._log.close()
            self._log = None
        return self._log or self._open_log()

    def _open_log(self) -> Log:
        log = Log.open(self._disk, self.directory, max_bytes=self._max_bytes, wall_ns=self._wall_ns)
        self._log, self._told = log, 0
        self._unchecked = log.unchecked()
        self._show(log)
        return log

    def _scrub(self, log: Log) -> None:
        if not self._unchecked:
            return
        if time.monotonic() - self._scrubbed >= min(_SCRUB_EVERY, self._window):
            self._scrubbed = time.monotonic()
            log.scrub(self._unchecked.pop(0))
            self._show(log)

    def _recovered(self) -> list[Event]:
        """What the log has found since the last time, in words."""
        if self._log is None:
            return []
        findings, self._told = self._log.findings[self._told :], len(self._log.findings)
        return [self._event(finding) for finding in findings]

    def _event(self, finding: Finding) -> Event:
        return Event(
            code="journal_recovered",
            severity=Severity.WARNING,
            message=f"{self.directory / 'journal'}: {finding.what}; records {finding.first} to {finding.last} are lost",
            wall_ns=self._wall_ns(),
        )


@dataclass(frozen=True, slots=True)
class _Shown:
    """What `stats` tells, replaced as a whole."""

    committed: int = 0
    held: int = 0
    queue: int = 0
    space: int = 0
    events: int = 0
    lost: int = 0
    epoch: int = 0
    size: int = 0
