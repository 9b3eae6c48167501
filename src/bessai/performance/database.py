"""The SQLite file `performance.db`: opening it, and its tables through the versions."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import apsw
import numpy as np

from bessai.history.database import check_version, number, version_of
from bessai.performance.errors import PerformanceError
from bessai.performance.events import FIELDS, Key, Rows
from bessai.performance.excursion import GridEvent
from bessai.performance.quarters import COUNTERS, Quarter, Reading

NAME = "performance.db"
APPLICATION_ID = 0x42455350
"""Marks the file, so that another program's database is never taken for one."""
MOST_EVENTS = 20_000
"""Summaries of events that are kept."""

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE state (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        sequence INTEGER NOT NULL,  -- of the last record that is in the tables below
        epoch INTEGER NOT NULL,
        carry TEXT NOT NULL  -- JSON: what is carried from one record to the next
    ) STRICT;
    INSERT INTO state VALUES (1, 0, 0, '');
    CREATE TABLE hour (
        hour INTEGER NOT NULL,  -- since 1970 UTC
        series TEXT NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (hour, series)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE law (
        hour INTEGER PRIMARY KEY,
        body TEXT NOT NULL  -- JSON: the frequency response that was in force last in that hour
    ) STRICT;
    CREATE TABLE quarter (
        quarter INTEGER PRIMARY KEY,  -- since 1970 UTC
        exported REAL NOT NULL,  -- kWh by integrating the power
        imported REAL NOT NULL,
        seconds REAL NOT NULL,  -- over which the power was known
        counters TEXT NOT NULL  -- JSON
    ) STRICT;
    CREATE TABLE event (
        id INTEGER PRIMARY KEY,
        epoch INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        kind TEXT NOT NULL,
        start_ns INTEGER NOT NULL,
        body TEXT NOT NULL,  -- JSON
        UNIQUE (epoch, sequence, kind)
    ) STRICT;
    CREATE INDEX event_start ON event (start_ns);
    CREATE TABLE part (
        event INTEGER NOT NULL REFERENCES event (id),
        first INTEGER NOT NULL,  -- number of its first row
        body BLOB NOT NULL,
        PRIMARY KEY (event, first)
    ) STRICT;
    """,
)
"""Script number n turns format n into n + 1. The format stands in `user_version`."""


def open_database(path: Path, *, write: bool) -> apsw.Connection | None:
    """Open the database, or create it for writing. None when there is none to read.

    Raises:
        PerformanceError: a newer version wrote it.
        apsw.Error: it is damaged or another program's, or the disk does not take it.
    """
    check_version()
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE if write else apsw.SQLITE_OPEN_READONLY
    try:
        connection = apsw.Connection(str(path), flags=flags)
    except apsw.CantOpenError:
        if write or path.exists():
            raise
        return None
    try:
        connection.set_busy_timeout(2000)
        version, application = version_of(connection), number(connection, "PRAGMA application_id")
        empty = (
            not version and not application and not number(connection, "SELECT count(*) FROM sqlite_schema")
        )
        if application != APPLICATION_ID and not empty:
            raise apsw.NotADBError("it is not marked as records of performance")
        if version > len(MIGRATIONS):
            raise PerformanceError(
                f"{path} has format {version}, this version reads {len(MIGRATIONS)}: use the version that wrote it"
            )
        if write:
            _prepare(connection, version)
        elif version < len(MIGRATIONS):  # about to be created
            connection.close()
            return None
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: apsw.Connection, version: int) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    # The journal still has what a power cut takes from here: NORMAL saves a sync for each commit.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA journal_size_limit = {4 << 20}")
    with connection:
        for step in range(version, len(MIGRATIONS)):
            connection.execute(MIGRATIONS[step])
            connection.execute(f"PRAGMA user_version = {step + 1}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def put_quarter(connection: apsw.Connection, number_: int, quarter: Quarter) -> None:
    """Store a quarter hour."""
    counters = json.dumps({name: asdict(one) for name, one in quarter.counters.items()})
    connection.execute(
        "INSERT OR REPLACE INTO quarter VALUES (?, ?, ?, ?, ?)",
        (number_, quarter.exported, quarter.imported, quarter.seconds, counters),
    )


def get_quarters(connection: apsw.Connection, first: int, end: int) -> dict[int, Quarter]:
    """The quarters from number `first` to before `end` that are stored."""
    rows = connection.execute("SELECT * FROM quarter WHERE quarter >= ? AND quarter < ?", (first, end))
    found = {}
    for number_, exported, imported, seconds, text in rows:
        counters = {name: Reading(**json.loads(str(text))[name]) for name in COUNTERS}
        found[int(str(number_))] = Quarter(
            exported=float(str(exported)), imported=float(str(imported)), seconds=float(str(seconds)),
            counters=counters,
        )  # fmt: skip
    return found


def put_event(connection: apsw.Connection, event: GridEvent) -> None:
    """Store or update an event's summary."""
    connection.execute(
        "INSERT INTO event (epoch, sequence, kind, start_ns, body) VALUES (?1, ?2, ?3, ?4, ?5) "
        "ON CONFLICT (epoch, sequence, kind) DO UPDATE SET body = ?5",
        (event.epoch, event.sequence, event.kind, event.start_ns, json.dumps(event.plain())),
    )


def put_rows(connection: apsw.Connection, key: Key, first: int, rows: Rows) -> None:
    """Store records of an event whose summary is stored."""
    times, values = rows.wall_ns.astype("<i8"), rows.values.astype("<f8")
    body = zlib.compress(times.tobytes() + values.T.tobytes(), 6)
    connection.execute(
        "INSERT OR REPLACE INTO part SELECT id, ?, ? FROM event WHERE epoch = ? AND sequence = ? AND kind = ?",
        (first, body, *key),
    )


def get_rows(connection: apsw.Connection, event: int) -> Rows:
    """The records of an event.

    Raises:
        ValueError: they are not what was written.
    """
    found = Rows(wall_ns=np.zeros(0, np.int64), values=np.zeros((0, len(FIELDS))))
    for (body,) in connection.execute("SELECT body FROM part WHERE event = ? ORDER BY first", (event,)):
        try:
            data = zlib.decompress(body)
        except zlib.error as error:
            raise ValueError(str(error)) from None
        count = len(data) // 8 // (1 + len(FIELDS))
        times = np.frombuffer(data, "<i8", count)
        values = np.frombuffer(data, "<f8", offset=8 * count).reshape(len(FIELDS), count).T
        found += Rows(wall_ns=times.astype(np.int64), values=values.astype(np.float64))
    return found


def get_events(
    connection: apsw.Connection, first_ns: int, end_ns: int, kind: str | None = None
) -> Iterator[tuple[int, GridEvent]]:
    """Numbers and summaries of the events that began in a range, in order."""
    query = "SELECT id, body FROM event WHERE start_ns >= ? AND start_ns < ? ORDER BY start_ns, id"
    for identity, body in connection.execute(query, (first_ns, end_ns)).fetchall():
        event = GridEvent(**json.loads(str(body)))
        if kind in {None, event.kind}:
            yield int(str(identity)), event


def make_room(connection: apsw.Connection, max_bytes: int) -> None:
    """Delete the records of the oldest events until the others keep to a bound, and summaries beyond their number."""
    used = number(connection, "SELECT sum(length(body)) FROM part")
    while used > max_bytes:
        ((event, size),) = connection.execute(
            "SELECT part.event, sum(length(part.body)) FROM part JOIN event ON event.id = part.event "
            "GROUP BY part.event ORDER BY event.start_ns LIMIT 1"
        ).fetchall()
        connection.execute("DELETE FROM part WHERE event = ?", (event,))
        connection.execute(
            "UPDATE event SET body = json_set(body, '$.dropped', json('true')) WHERE id = ?", (event,)
        )
        used -= int(str(size))
    connection.execute(
        "DELETE FROM part WHERE event IN (SELECT id FROM event ORDER BY start_ns DESC LIMIT -1 OFFSET ?)",
        (MOST_EVENTS,),
    )
    connection.execute(
        "DELETE FROM event WHERE id IN (SELECT id FROM event ORDER BY start_ns DESC LIMIT -1 OFFSET ?)",
        (MOST_EVENTS,),
    )


def retire(connection: apsw.Connection, days: int) -> None:
    """Keep the newest days with data. A clock that is wrong for a while deletes nothing."""
    for table, most in (("hour", days * 24), ("quarter", days * 96)):
        ((held, oldest),) = connection.execute(
            f"SELECT count(*), min({table}) FROM (SELECT DISTINCT {table} FROM {table})"  # noqa: S608
        ).fetchall()
        if int(str(held)) <= most or oldest is None:
            continue
        ((first,),) = connection.execute(
            f"SELECT min({table}) FROM (SELECT DISTINCT {table} FROM {table} ORDER BY {table} DESC LIMIT ?)",  # noqa: S608
            (most,),
        ).fetchall()
        connection.execute(f"DELETE FROM {table} WHERE {table} < ?", (first,))  # noqa: S608
        if table == "hour":
            connection.execute("DELETE FROM law WHERE hour < ?", (first,))


def plain(value: float | None) -> float | None:
    """A number for JSON; None for one that is none."""
    return None if value is None or not np.isfinite(value) else float(value)
