"""What the writer, the readers and the cursors share: opening a SQLite file, and setting a damaged one aside."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import apsw

from bessai.journal.errors import JournalError

OLDEST_SQLITE = (3, 51, 3)
"""Earlier versions may corrupt a database in WAL mode when two connections use it."""

APPLICATION_ID = 0x42455353
"""Marks the file as a journal, so that another program's database is never taken for one."""

FORMAT = 1
"""Format of the tables, kept in `user_version`."""

KEEP_ASIDE = 2
"""Damaged databases that are kept for analysis; older ones are deleted, the disk is bounded."""

DAMAGE = (apsw.CorruptError, apsw.NotADBError)
"""SQLite's words for a file that is not, or is no longer, a sound database."""


def check_version() -> None:
    """Raise JournalError when the SQLite library in use has the WAL-reset bug."""
    version = apsw.sqlite_lib_version()
    if tuple(int(part) for part in version.split(".")[:3]) < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        raise JournalError(
            f"SQLite {version} ({apsw.__file__}) may corrupt the journal, {oldest} or newer is needed: "
            f"pip install 'apsw>={oldest}'"
        )


def connect(path: Path, *, write: bool, busy_ms: int) -> apsw.Connection:
    """Open a database. A file that does not exist is created when `write`, else raises apsw.CantOpenError."""
    check_version()
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE if write else apsw.SQLITE_OPEN_READONLY
    connection = apsw.Connection(str(path), flags=flags)
    connection.set_busy_timeout(busy_ms)
    # Closing stays quick: the next writer finds the log of writes and goes on with it.
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    return connection


def number(connection: apsw.Connection, query: str, *bindings: int) -> int:
    """The single integer that a query returns, 0 for NULL or no row."""
    for row in connection.execute(query, bindings):
        return int(row[0] or 0)
    return 0


def set_aside(path: Path, wall_ns: int) -> Path:
    """Rename a damaged database with its companions to `<name>-corrupt-<utc>.db` and return the new path."""
    stamp = datetime.fromtimestamp(wall_ns // 10**9, UTC).strftime("%Y%m%dT%H%M%SZ")
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


def sync_directory(directory: Path) -> None:
    """Make a new or renamed file's name durable."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
