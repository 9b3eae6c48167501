"""The SQLite file: opening it, its tables through the versions, and setting a damaged one aside."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import apsw

from bessai.history.errors import HistoryError
from bessai.history.levels import SECOND

NAME = "history.db"
OLDEST_SQLITE = (3, 51, 3)
"""Earlier versions may corrupt a database in WAL mode when two connections use it."""
APPLICATION_ID = 0x42455348
"""Marks the file as a history, so that another program's database is never taken for one."""
KEEP_ASIDE = 1
"""Damaged databases that are kept for analysis; older ones are deleted, the disk is bounded."""
DAMAGE = (apsw.CorruptError, apsw.NotADBError)
"""SQLite's words for a file that is not, or is no longer, a sound database."""

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE state (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        sequence INTEGER NOT NULL,  -- of the last record that is in the tables below
        epoch INTEGER NOT NULL
    ) STRICT;
    INSERT INTO state VALUES (1, 0, 0);
    CREATE TABLE level (
        level INTEGER PRIMARY KEY,
        kept_from INTEGER  -- UTC nanoseconds; before it, chunks have been deleted. NULL: none
    ) STRICT;
    CREATE TABLE point (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        unit TEXT NOT NULL,  -- '' where there is none
        since INTEGER NOT NULL,  -- sequence up to which it was folded when this unit was last seen to begin
        UNIQUE (name, unit)
    ) STRICT;
    CREATE TABLE chunk (  -- up to 8,640 buckets of one level of one point
        level INTEGER NOT NULL,
        start INTEGER NOT NULL,  -- number of its first bucket, a multiple of 8,640
        point INTEGER NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (level, start, point)
    ) STRICT;
    CREATE TABLE fresh (  -- buckets of 10 s that are in no chunk yet, of up to 32 points; ids grow
        id INTEGER PRIMARY KEY,
        part INTEGER NOT NULL,  -- (id of the points - 1) / 32
        first INTEGER NOT NULL,  -- number of the first bucket, and of the last
        last INTEGER NOT NULL,
        body BLOB NOT NULL
    ) STRICT;
    CREATE INDEX fresh_part ON fresh (part, id);
    """,
)
"""Script number n turns format n into n + 1. The format stands in `user_version`."""


def check_version() -> None:
    """Raise HistoryError when the SQLite library in use has the WAL-reset bug."""
    version = apsw.sqlite_lib_version()
    if tuple(int(part) for part in version.split(".")[:3]) < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        raise HistoryError(
            f"SQLite {version} ({apsw.__file__}) may corrupt the history, {oldest} or newer is needed: "
            f"pip install 'apsw>={oldest}'"
        )


def open_for_writing(path: Path, migrations: Sequence[str] = MIGRATIONS) -> apsw.Connection:
    """Open or create the database and bring it to the newest format.

    Raises:
        HistoryError: a newer version wrote it.
        apsw.Error: it is damaged or no history, or the disk does not take it.
    """
    check_version()
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
    try:
        connection.set_busy_timeout(2000)
        check_owner(connection, path, newest=len(migrations))
        connection.execute("PRAGMA journal_mode = WAL")
        # The journal still has what a power cut takes from here: NORMAL saves a sync for each commit.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA journal_size_limit = {4 << 20}")
        with connection:
            for number in range(version_of(connection), len(migrations)):
                connection.execute(migrations[number])
                connection.execute(f"PRAGMA user_version = {number + 1}")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    except BaseException:
        connection.close()
        raise
    return connection


def open_for_reading(path: Path) -> apsw.Connection | None:
    """Open the database, None while there is none. Raises as `open_for_writing` does."""
    check_version()
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    except apsw.CantOpenError:
        if path.exists():
            raise
        return None
    try:
        connection.set_busy_timeout(2000)
        check_owner(connection, path, newest=len(MIGRATIONS))
        if version_of(connection) == len(MIGRATIONS):
            return connection
        connection.close()  # about to be created, or to be brought to the newest format
    except BaseException:
        connection.close()
        raise
    return None


def version_of(connection: apsw.Connection) -> int:
    """The format, 0 for a new file."""
    return number(connection, "PRAGMA user_version")


def check_owner(connection: apsw.Connection, path: Path, *, newest: int) -> None:
    """Raise HistoryError when a newer version wrote the file, apsw.NotADBError when it is no history."""
    version = version_of(connection)
    application = number(connection, "PRAGMA application_id")
    new = not version and not application and not number(connection, "SELECT count(*) FROM sqlite_schema")
    if application != APPLICATION_ID and not new:
        raise apsw.NotADBError("it is not marked as a history")
    if version > newest:
        raise HistoryError(
            f"{path} has format {version}, this version reads {newest}: use the version that wrote it"
        )


def number(connection: apsw.Connection, query: str, *bindings: int) -> int:
    """The single integer that a query returns, 0 for NULL or no row."""
    for row in connection.execute(query, bindings):
        return int(row[0] or 0)
    return 0


def set_aside(path: Path, wall_ns: int) -> Path:
    """Rename a damaged database with its companions to `<name>-corrupt-<utc>.db` and return the new path."""
    stamp = datetime.fromtimestamp(wall_ns // SECOND, UTC).strftime("%Y%m%dT%H%M%SZ")
    target = path.with_name(f"{path.stem}-corrupt-{stamp}.db")
    copy = 1
    while target.exists():
        copy += 1
        target = path.with_name(f"{path.stem}-corrupt-{stamp}-{copy}.db")
    for suffix in ("", "-wal", "-shm"):
        source = path.with_name(path.name + suffix)
        if source.exists():
            source.rename(target.with_name(target.name + suffix))
    aside = sorted(path.parent.glob(f"{path.stem}-corrupt-*.db"), key=lambda file: file.stat().st_mtime_ns)
    for old in aside[:-KEEP_ASIDE]:
        for suffix in ("", "-wal", "-shm"):
            old.with_name(old.name + suffix).unlink(missing_ok=True)
    return target
