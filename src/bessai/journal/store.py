"""The database of the journal, seen by its one writer: tables, transactions, bounds.

Everything here blocks on the disk. Only the writer thread (and `Journal.open` before it starts) comes here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import apsw

from bessai.journal.cursors import highest_cursor
from bessai.journal.database import (
    APPLICATION_ID,
    DAMAGE,
    FORMAT,
    connect,
    number,
    set_aside,
)
from bessai.journal.encoding import decode, layout_from_json, layout_to_json
from bessai.journal.errors import DamagedRecordError, JournalError
from bessai.journal.reservation import BLOCK, Reservation
from bessai.model import Layout

NAME = "journal.db"
MIN_BYTES = 1 << 20
CHECKED_BYTES = 16 << 20
"""A database up to this size is checked page by page when it is opened; a larger one at its ends only."""

_RECENT = 8
"""Layouts that are recognised without describing them."""
_CHUNK = 64
_CHUNKS = 64
"""Records dropped in one step, and steps in one transaction: lowering the bound must not stall a commit."""

_SCHEMA = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT};
CREATE TABLE state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    sequence INTEGER NOT NULL, records INTEGER NOT NULL,
    dropped_space INTEGER NOT NULL, dropped_queue INTEGER NOT NULL, dropped_events INTEGER NOT NULL
) STRICT;
CREATE TABLE layout (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
CREATE TABLE record (
    sequence INTEGER PRIMARY KEY, wall_ns INTEGER NOT NULL, events INTEGER NOT NULL,
    layout INTEGER NOT NULL, body BLOB NOT NULL
) STRICT;
CREATE INDEX record_by_time ON record (wall_ns);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One record, encoded, on its way to the disk."""

    wall_ns: int
    events: int
    """How many events it carries; 0 makes it telemetry, which is dropped first."""
    layout: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What the database knows of itself, written in the same transaction as the records."""

    sequence: int = 0
    """The last sequence ever given."""
    records: int = 0
    """Records held now."""
    dropped_space: int = 0
    """Records deleted to keep the size bound."""
    dropped_queue: int = 0
    """Records that never reached the disk, because the queue was full or they could not be encoded."""
    dropped_events: int = 0
    """Events lost with them."""


class Store:
    """An open database. Not safe for two threads at once."""

    def __init__(self, directory: Path, *, max_bytes: int, wall_ns: int, damaged: str | None = None) -> None:
        """Open or create `directory/journal.db`.

        A damaged database is set aside and a fresh one begun; `recovered` then says so. `damaged` tells that
        the caller already found damage.

        Raises:
            JournalError: it is no journal, is newer than this version, or cannot be opened.
            apsw.Error: the disk is full or failing.
        """
        self.path = directory / NAME
        self.recovered: str | None = None
        """What was wrong with the database that was found, None when nothing was."""
        self._reservation = Reservation(directory)
        self._layouts: dict[str, int] = {}
        self._recent: dict[Layout, int] = {}
        """By identity: describing a layout of a large plant takes a tenth of a second."""
        if self.path.exists() and not self.path.is_file():
            raise JournalError(
                f"{self.path} is not a file: move it away, or set DATA_DIR to another directory"
            )
        if damaged is None:
            try:
                self._connection = self._open()
            except (*DAMAGE, DamagedRecordError) as error:
                damaged = str(error)
            except (apsw.CantOpenError, apsw.ReadOnlyError, apsw.PermissionsError) as error:
                raise JournalError(
                    f"{self.path} cannot be written ({error}): give the gateway's user write permission, "
                    "or set DATA_DIR to another directory"
                ) from error
        if damaged is not None:
            aside = set_aside(self.path, wall_ns) if self.path.exists() else None
            self._connection = self._open()
            kept = f"; kept as {aside.name}" if aside else ""
            self.recovered = f"{self.path} was damaged ({damaged}){kept}"
        self._settle_sequence(directory)
        self._bound(max_bytes)
        self._inode = self.path.stat().st_ino
        self._plain_from = 0  # no telemetry is left up to here

    def _open(self) -> apsw.Connection:
        connection = connect(self.path, write=True, busy_ms=1000)
        try:
            format_, application = (
                number(connection, f"PRAGMA {name}") for name in ("user_version", "application_id")
            )
            tables = number(connection, "SELECT count(*) FROM sqlite_schema")
            if tables and application != APPLICATION_ID:
                raise JournalError(
                    f"{self.path} is a database of another program: move it away, or set DATA_DIR to another directory"
                )
            if format_ > FORMAT:
                raise JournalError(
                    f"{self.path} has format {format_}, this version writes {FORMAT}: "
                    "use the version that wrote it, or move the file away"
                )
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            self.created = not tables
            if self.created:
                connection.execute(f"BEGIN IMMEDIATE; {_SCHEMA}")
                connection.execute("INSERT INTO state VALUES (1, 0, 0, 0, 0, 0); COMMIT")
            self._totals = _totals(connection)
            self._check(connection)
            # What a killed process left in the log may not be on the disk yet: this makes it so.
            with contextlib.suppress(apsw.FullError, apsw.BusyError):
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.SQLError as error:
            connection.close()
            raise DamagedRecordError(str(error)) from error
        except BaseException:
            connection.close()
            raise
        return connection

    def _check(self, connection: apsw.Connection) -> None:
        pages = number(connection, "PRAGMA page_count") * number(connection, "PRAGMA page_size")
        if pages <= CHECKED_BYTES:
            for (finding,) in connection.execute("PRAGMA quick_check(1)"):
                if finding != "ok":
                    raise DamagedRecordError(str(finding))
        layouts = {}
        for identity, body in connection.execute("SELECT id, body FROM layout"):
            layouts[identity] = layout_from_json(str(body))
            self._layouts[str(body)] = int(identity)
        for end in ("ASC", "DESC"):
            query = f"SELECT sequence, wall_ns, layout, body FROM record ORDER BY sequence {end} LIMIT 1"  # noqa: S608
            for sequence, wall_ns, layout, body in connection.execute(query):
                if layout not in layouts:
                    raise DamagedRecordError(f"record {sequence} has an unknown layout")
                decode(sequence, wall_ns, body, *layouts[layout])
        number(connection, "SELECT max(wall_ns) FROM record")

    def _settle_sequence(self, directory: Path) -> None:
        """Go on above every sequence ever given, also when the database is new or older than its readers."""
        # A cursor counts up to the reservation only: one that somebody set by hand proves nothing.
        held = number(self._connection, "SELECT max(sequence) FROM record")
        last = max(self._totals.sequence, held)
        reserved, cursor = self._reservation.value, highest_cursor(directory)
        if not reserved and last < cursor:
            last = cursor
        elif last < reserved - 2 * BLOCK or last < cursor <= reserved or (self.created and reserved):
            last = reserved
        if last != max(self._totals.sequence, held) and self.recovered is None:
            self.recovered = f"{self.path} was missing, or older than what its readers have seen"
        self._totals = replace(self._totals, sequence=last)

    def _bound(self, max_bytes: int) -> None:
        page = number(self._connection, "PRAGMA page_size")
        log_pages = min(2000, max_bytes // page // 4)
        self._page = page
        self._limit = max_bytes // page - log_pages
        self.chunk_bytes = self._limit * page // 8
        """A transaction should not hold more than this."""
        # The limit is kept by dropping records; this stops the file when the estimate was wrong.
        self._connection.execute(f"PRAGMA max_page_count = {self._limit + max(16, self._limit // 20)}")
        self._connection.execute(f"PRAGMA wal_autocheckpoint = {log_pages // 2}")
        self._connection.execute(f"PRAGMA journal_size_limit = {log_pages * page}")

    @property
    def totals(self) -> Totals:
        """As of the last commit."""
        return self._totals

    def size_bytes(self) -> int:
        """Bytes of the database and its log on the disk."""
        log = self.path.with_name(self.path.name + "-wal")
        return self.path.stat().st_size + (log.stat().st_size if log.exists() else 0)

    def layout_id(self, layout: Layout, device: Mapping[str, str]) -> int:
        """The id of a layout, written when it is new."""
        if (known := self._recent.get(layout)) is not None:
            return known
        body = layout_to_json(layout, device)
        if body not in self._layouts:
            self._connection.execute("INSERT INTO layout (body) VALUES (?)", (body,))
            self._layouts[body] = self._connection.last_insert_rowid()
        if len(self._recent) >= _RECENT:
            self._recent.clear()
        self._recent[layout] = self._layouts[body]
        return self._layouts[body]

    def write(self, rows: Sequence[Row], *, lost_records: int = 0, lost_events: int = 0) -> None:
        """Store rows in order, durably, all or none. Drops the oldest records when the bound asks for it.

        `lost_records` and `lost_events` are added to what the queue has dropped.

        Raises:
            apsw.Error, OSError, JournalError: nothing was stored; the same rows may be tried again.
        """
        self._still_ours()
        first = self._totals.sequence + 1
        self._reservation.cover(first + len(rows) - 1)
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            space, events, plain_from = self._make_room(sum(len(row.body) + 64 for row in rows))
            connection.executemany(
                "INSERT INTO record VALUES (?, ?, ?, ?, ?)",
                ((i, row.wall_ns, row.events, row.layout, row.body) for i, row in enumerate(rows, first)),
            )
            old = self._totals
            new = Totals(
                sequence=old.sequence + len(rows),
                records=old.records + len(rows) - space,
                dropped_space=old.dropped_space + space,
                dropped_queue=old.dropped_queue + lost_records,
                dropped_events=old.dropped_events + lost_events + events,
            )
            connection.execute(
                "UPDATE state SET sequence = ?, records = ?, dropped_space = ?, dropped_queue = ?, dropped_events = ?",
                (new.sequence, new.records, new.dropped_space, new.dropped_queue, new.dropped_events),
            )
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                with contextlib.suppress(apsw.Error):
                    connection.execute("ROLLBACK")
            raise
        self._totals, self._plain_from = new, plain_from

    def _still_ours(self) -> None:
        try:
            ours = self.path.stat().st_ino == self._inode
        except FileNotFoundError:
            ours = False
        if not ours:
            raise JournalError(f"{self.path} was removed or replaced while in use: leave it to the gateway")

    def _make_room(self, incoming: int) -> tuple[int, int, int]:
        """Drop the oldest records until `incoming` bytes fit: records and events dropped, new `_plain_from`."""
        connection, dropped, events, plain_from = self._connection, 0, 0, self._plain_from
        need = 2 * incoming // self._page + 4  # at most half of a page stays empty between records
        for _ in range(_CHUNKS):
            free = number(connection, "PRAGMA freelist_count")
            if number(connection, "PRAGMA page_count") - free + need <= self._limit:
                break
            oldest = [
                row[0]
                for row in connection.execute(
                    "SELECT sequence FROM record WHERE sequence > ? AND events = 0 ORDER BY sequence LIMIT ?",
                    (plain_from, _CHUNK),
                )
            ]
            if oldest:
                plain_from = int(oldest[-1])
                connection.execute(
                    "DELETE FROM record WHERE sequence BETWEEN ? AND ? AND events = 0",
                    (oldest[0], plain_from),
                )
            else:
                last = number(
                    connection,
                    "SELECT max(sequence) FROM (SELECT sequence FROM record ORDER BY sequence LIMIT ?)",
                    _CHUNK,
                )
                events += number(connection, "SELECT sum(events) FROM record WHERE sequence <= ?", last)
                connection.execute("DELETE FROM record WHERE sequence <= ?", (last,))
            if not connection.changes():
                break
            dropped += connection.changes()
        return dropped, events, plain_from

    def close(self) -> None:
        """Close the database. Everything written is durable already."""
        self._connection.close()


def _totals(connection: apsw.Connection) -> Totals:
    query = "SELECT sequence, records, dropped_space, dropped_queue, dropped_events FROM state"
    for row in connection.execute(query):
        names = ("sequence", "records", "dropped_space", "dropped_queue", "dropped_events")
        return Totals(**dict(zip(names, map(int, row), strict=True)))
    raise DamagedRecordError("the state is missing")
