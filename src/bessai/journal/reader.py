"""Reading the journal, from any process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import apsw

from bessai.journal.database import APPLICATION_ID, FORMAT, connect, number
from bessai.journal.encoding import decode, layout_from_json
from bessai.journal.entry import Entry
from bessai.journal.errors import DamagedRecordError, JournalError
from bessai.journal.stats import ReaderStats
from bessai.journal.store import NAME
from bessai.model import Layout

BATCH = 256
_COLUMNS = "SELECT sequence, wall_ns, layout, body FROM record"
_EVER = 1 << 62


class _Row(NamedTuple):
    sequence: int
    wall_ns: int
    layout: int
    body: bytes


class JournalReader:
    """The reading side. Use it from one thread at a time.

    It opens lazily and returns nothing while there is no journal; it follows when the database is set aside
    and a new one begun. Each call is one short read transaction, so a reader never holds up the writer. A
    damaged record is skipped and counted in `stats().damaged`.

    Every method raises JournalError when the file cannot be read or was written by a newer version.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / NAME
        self._connection: apsw.Connection | None = None
        self._inode = 0
        self._layouts: dict[int, tuple[Layout, dict[str, str]]] = {}
        self._damaged = 0

    def read(self, after: int, limit: int) -> list[Entry]:
        """Up to `limit` entries with a sequence above `after`, in order.

        Fewer than `limit` means that the end was reached, so damaged records are made up for.
        """
        entries: list[Entry] = []
        while len(entries) < limit:
            wanted = limit - len(entries)
            rows = self._rows(f"{_COLUMNS} WHERE sequence > ? ORDER BY sequence LIMIT ?", after, wanted)
            entries += self._decode(rows)
            if len(rows) < wanted:
                break
            after = rows[-1].sequence
        return entries

    def tail(self, count: int) -> list[Entry]:
        """The last `count` entries, in order."""
        return self._decode(self._rows(f"{_COLUMNS} ORDER BY sequence DESC LIMIT ?", count)[::-1])

    def read_between(self, first_ns: int | None, last_ns: int | None) -> Iterator[Entry]:
        """Entries whose `wall_ns` lies within both ends, in order of sequence; None leaves an end open.

        Reads in batches: memory stays small and the writer undisturbed, however long the range is.
        """
        span = (-_EVER if first_ns is None else first_ns, _EVER if last_ns is None else last_ns)
        ends = self._query(
            "SELECT min(sequence), max(sequence) FROM record WHERE wall_ns BETWEEN ? AND ?", *span
        )
        if not ends or ends[0][0] is None:
            return
        after, last = (int(str(ends[0][0])) - 1, int(str(ends[0][1])))
        query = f"{_COLUMNS} WHERE sequence > ? AND sequence <= ? ORDER BY sequence LIMIT ?"
        while rows := self._rows(query, after, last, BATCH):
            yield from self._decode([row for row in rows if span[0] <= row.wall_ns <= span[1]])
            after = rows[-1].sequence

    def first_sequence(self) -> int:
        """Sequence of the oldest record held, 0 when there is none."""
        return self._number("SELECT min(sequence) FROM record")

    def last_sequence(self) -> int:
        """Sequence of the newest record held, 0 when there is none."""
        return self._number("SELECT max(sequence) FROM record")

    def stats(self) -> ReaderStats:
        """What the journal holds and has dropped. Cheap: nothing is counted for it."""
        rows = self._query(
            "SELECT (SELECT min(sequence) FROM record), (SELECT max(sequence) FROM record), records, "
            "dropped_queue, dropped_space, dropped_events, "
            "(SELECT wall_ns FROM record ORDER BY sequence LIMIT 1), "
            "(SELECT wall_ns FROM record ORDER BY sequence DESC LIMIT 1) FROM state"
        )
        if not rows:
            return ReaderStats(damaged=self._damaged)
        first, last, records, queue, space, events, first_ns, last_ns = (int(str(v or 0)) for v in rows[0])
        files = (self.path, self.path.with_name(self.path.name + "-wal"))
        return ReaderStats(
            first_sequence=first,
            last_sequence=last,
            records=records,
            dropped_queue=queue,
            dropped_space=space,
            dropped_events=events,
            first_wall_ns=first_ns,
            last_wall_ns=last_ns,
            size_bytes=sum(file.stat().st_size for file in files if file.exists()),
            damaged=self._damaged,
        )

    def close(self) -> None:
        """Close the file; a later call opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._layouts.clear()

    def _open(self) -> apsw.Connection | None:
        """The connection, None while there is no journal."""
        try:
            inode = self.path.stat().st_ino
        except (FileNotFoundError, NotADirectoryError):
            self.close()
            return None
        if self._connection is not None and inode == self._inode:
            return self._connection
        self.close()
        connection = connect(self.path, write=False, busy_ms=2000)
        try:
            format_, application = (
                number(connection, f"PRAGMA {name}") for name in ("user_version", "application_id")
            )
            if format_ == 0 and not number(connection, "SELECT count(*) FROM sqlite_schema"):
                connection.close()  # about to be created
                return None
            if application != APPLICATION_ID:
                raise JournalError(
                    f"{self.path} is not a journal: set DATA_DIR to the gateway's data directory"
                )
            if format_ > FORMAT:
                raise JournalError(
                    f"{self.path} has format {format_}, this version reads {FORMAT}: use the version that wrote it"
                )
        except BaseException:
            connection.close()
            raise
        self._connection, self._inode = connection, inode
        return connection

    def _query(self, query: str, *bindings: int) -> list[tuple[apsw.SQLiteValue, ...]]:
        try:
            connection = self._open()
            return [] if connection is None else connection.execute(query, bindings).fetchall()
        except apsw.NotADBError as error:
            self.close()
            raise JournalError(
                f"{self.path} is not a journal, or damaged ({error}): start the gateway"
            ) from error
        except (apsw.Error, OSError) as error:
            self.close()
            raise JournalError(f"{self.path} cannot be read ({error}): check its permissions") from error

    def _number(self, query: str) -> int:
        rows = self._query(query)
        return int(str(rows[0][0] or 0)) if rows else 0

    def _rows(self, query: str, *bindings: int) -> list[_Row]:
        return [_Row(*row) for row in self._query(query, *bindings)]  # type: ignore[arg-type]

    def _decode(self, rows: list[_Row]) -> list[Entry]:
        entries = []
        for row in rows:
            try:
                entries.append(decode(row.sequence, row.wall_ns, row.body, *self._layout(row.layout)))
            except DamagedRecordError:
                self._damaged += 1
            except JournalError as error:
                raise JournalError(f"{self.path}: {error}") from error
        return entries

    def _layout(self, identity: int) -> tuple[Layout, dict[str, str]]:
        if identity not in self._layouts:
            rows = self._query("SELECT body FROM layout WHERE id = ?", identity)
            if not rows:
                raise DamagedRecordError(f"layout {identity} is missing")
            self._layouts[identity] = layout_from_json(str(rows[0][0]))
        return self._layouts[identity]
