"""The single writer: takes records from the event loop, and a thread makes them durable."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

import apsw

from bessai.journal.backlog import Backlog, Item, Ticket
from bessai.journal.database import DAMAGE, check_version
from bessai.journal.encoding import encode_cycle, encode_event
from bessai.journal.errors import DamagedRecordError, JournalError
from bessai.journal.lock import lock_directory
from bessai.journal.stats import JournalStats
from bessai.journal.store import MIN_BYTES, Row, Store, Totals
from bessai.model import CycleRecord, Event, Layout, Severity

_LOG = logging.getLogger(__name__)

QUEUE = 4096
"""Items of each kind that wait in memory while the disk does not take them."""

BATCH = 512
RETRY = 1.0
"""Seconds between attempts while the disk fails."""


class Journal:
    """The writing side of the journal. One per data directory, in the control plane.

    `events_on_open` holds what opening found worth telling (`journal_recovered`); the core appends it.
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
    ) -> Self:
        """Open or create the journal and start its writer thread.

        Args:
            directory: where the journal lives; created when missing.
            layout: the columns of the plant's image.
            device: what is known of the device; every entry repeats it to its readers.
            window: seconds of telemetry that one commit holds, and that a power cut may cost.
            max_bytes: bound of database and log on the disk. The oldest telemetry goes first.
            queue: items of each kind (telemetry, events) that wait in memory while the disk fails.
            wall_ns: UTC nanoseconds, for what the journal itself has to tell.

        Raises:
            JournalError: the directory cannot be used, another gateway uses it, or the database is another
                program's or a newer version's. A damaged database is no error: it is set aside. A full or
                failing disk is none either: the thread goes on trying, see `stats`.
        """
        check_version()
        if max_bytes < MIN_BYTES:
            raise JournalError(f"{directory}: max_bytes {max_bytes} is too small, use at least {MIN_BYTES}")
        lock = lock_directory(directory)
        try:
            return cls(directory, layout, dict(device), window, max_bytes, queue, wall_ns, lock)
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
        lock: int,
    ) -> None:
        self.directory = directory
        self.events_on_open = []
        self._layout, self._device, self._window = layout, device, window
        self._max_bytes, self._wall_ns, self._lock = max_bytes, wall_ns, lock
        self._backlog = Backlog(queue)
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._damaged: str | None = None
        self._doubt: tuple[int, list[Ticket]] | None = None
        self._store: Store | None = None
        self._totals, self._size = Totals(), 0
        self._errors = 0
        self._last_error: str | None = None
        self._last_commit: float | None = None
        try:
            store = self._open_store()
            if store.recovered is not None:
                self.events_on_open.append(self._recovered(store.recovered))
        except (apsw.Error, OSError) as error:
            self._failed(error)
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def append(self, record: CycleRecord) -> None:
        """Hand a cycle over. Never blocks, never touches the disk, never raises."""
        self._put(record)

    def append_event(self, event: Event) -> None:
        """Hand over an event that belongs to no cycle, on the same terms."""
        self._put(event)

    def _put(self, item: Item) -> None:
        if self._backlog.put(item) or len(self._backlog) >= BATCH:
            self._wake.set()

    def stats(self) -> JournalStats:
        """How the journal is doing; from any thread, without I/O."""
        totals, error = self._totals, self._last_error
        if error is None and not self._stop.is_set() and not self._thread.is_alive():
            error = "the writer thread is dead: restart the gateway"
        commit = self._last_commit
        return JournalStats(
            committed=totals.sequence,
            queued=len(self._backlog),
            records=totals.records,
            dropped_queue=totals.dropped_queue + self._backlog.lost_records,
            dropped_space=totals.dropped_space,
            dropped_events=totals.dropped_events + self._backlog.lost_events,
            errors=self._errors,
            last_error=error,
            last_commit_age=None if commit is None else time.monotonic() - commit,
            size_bytes=self._size,
        )

    def close(self, timeout: float = 1.5) -> bool:
        """Make what is queued durable and stop the thread; waits `timeout` seconds at most.

        Returns True when everything that was appended and not dropped is durable.
        """
        self._stop.set()
        self._wake.set()
        self._thread.join(timeout)
        return not self._thread.is_alive() and not len(self._backlog)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(self._window)
            self._wake.clear()
            self._attempt()
            if self._last_error is not None:
                self._stop.wait(RETRY)  # not `_wake`: events do not make a failing disk busier
                self._wake.set()
        self._attempt()
        self._close_store()
        os.close(self._lock)

    def _attempt(self) -> None:
        try:
            self._drain()
        except Exception as error:  # noqa: BLE001 - the thread must outlive everything
            self._failed(error)
        else:
            if self._last_error is not None:
                self._last_error = None
                _LOG.info("the journal in %s writes again", self.directory)

    def _failed(self, error: Exception) -> None:
        self._errors += 1
        if self._last_error is None:
            _LOG.warning("the journal in %s cannot write: %s", self.directory, error)
        self._last_error = f"{type(error).__name__}: {error}"
        if isinstance(error, (*DAMAGE, DamagedRecordError)):
            self._damaged = str(error)
        if not isinstance(error, apsw.FullError | apsw.BusyError):
            self._close_store()

    def _drain(self) -> None:
        store = self._store
        if store is None:
            store = self._open_store()
            self._settle_doubt(store)
            if store.recovered is not None:
                self.append_event(self._recovered(store.recovered))
        while tickets := self._backlog.take(BATCH):
            pairs: list[tuple[Ticket, Row]] | None = None
            done = 0
            try:
                pairs = self._encode(store, tickets)
                while done < len(pairs):
                    rows = _chunk([row for _, row in pairs[done:]], store.chunk_bytes)
                    self._doubt = (
                        store.totals.sequence,
                        [ticket for ticket, _ in pairs[done : done + len(rows)]],
                    )
                    self._write(store, rows)
                    self._doubt = None
                    done += len(rows)
            finally:
                self._backlog.settle(tickets if pairs is None else [ticket for ticket, _ in pairs[done:]])
        if self._backlog.lost_records:
            self._write(store, [])

    def _encode(self, store: Store, tickets: list[Ticket]) -> list[tuple[Ticket, Row]]:
        layouts = [
            store.layout_id(self._layout if isinstance(item, Event) else item.image.layout, self._device)
            for item in (ticket.item for ticket in tickets)
        ]
        pairs: list[tuple[Ticket, Row]] = []
        for ticket, layout in zip(tickets, layouts, strict=True):
            parts: list[Item] = [ticket.item]
            while parts:
                item = parts.pop(0)
                try:
                    pairs.append((Ticket(ticket.place, item), _row(item, layout, store.chunk_bytes)))
                except Exception as error:  # noqa: BLE001 - one bad record must not stop the others
                    self._errors += 1
                    _LOG.warning("a record cannot be kept: %s", error)
                    self._backlog.lose(records=1, events=isinstance(item, Event))
                    parts += () if isinstance(item, Event) else item.events
        return pairs

    def _write(self, store: Store, rows: list[Row]) -> None:
        records, events = self._backlog.lost_records, self._backlog.lost_events
        store.write(rows, lost_records=records, lost_events=events)
        self._backlog.lose(records=-records, events=-events)
        self._totals, self._last_commit = store.totals, time.monotonic()
        self._size = store.size_bytes()

    def _open_store(self) -> Store:
        # Damage is told once: should setting aside fail, opening or writing will find it again.
        damaged, self._damaged = self._damaged, None
        store = Store(self.directory, max_bytes=self._max_bytes, wall_ns=self._wall_ns(), damaged=damaged)
        self._store, self._totals, self._size = store, store.totals, store.size_bytes()
        return store

    def _settle_doubt(self, store: Store) -> None:
        # A commit whose fsync failed is found whole in the log once the database is opened again.
        if self._doubt is not None and store.recovered is None:
            before, tickets = self._doubt
            if store.totals.sequence == before + len(tickets):
                self._backlog.confirm(tickets)
        self._doubt = None

    def _close_store(self) -> None:
        if self._store is not None:
            with contextlib.suppress(apsw.Error):
                self._store.close()
            self._store = None

    def _recovered(self, what: str) -> Event:
        return Event(
            code="journal_recovered",
            severity=Severity.WARNING,
            message=f"{what}; the sequence goes on at {self._totals.sequence + 1}",
            wall_ns=self._wall_ns(),
        )


def _row(item: Item, layout: int, max_bytes: int) -> Row:
    if isinstance(item, Event):
        wall_ns, events, body = item.wall_ns, 1, encode_event(item)
    else:
        wall_ns, events, body = item.image.wall_ns, len(item.events), encode_cycle(item)
    if len(body) > max_bytes:
        raise ValueError(f"{len(body)} bytes are more than one record may have, {max_bytes}")
    return Row(wall_ns=wall_ns, events=events, layout=layout, body=body)


def _chunk(rows: list[Row], max_bytes: int) -> list[Row]:
    """The first rows that one transaction may hold; at least one."""
    total = 0
    for count, row in enumerate(rows):
        total += len(row.body)
        if count and total > max_bytes:
            return rows[:count]
    return rows
