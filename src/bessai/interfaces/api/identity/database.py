"""The SQLite file of the people, which also keeps the head of the audit log."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from bessai.interfaces.api.problems import Problem

NAME = "identity.db"
APPLICATION_ID = 0x42455350
"""Marks the file, so that another program's database is never taken for one."""

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE user (  -- times: ms since 1970, UTC
        name TEXT PRIMARY KEY,
        role INTEGER NOT NULL,
        password TEXT NOT NULL,  -- argon2id
        language TEXT NOT NULL,
        created INTEGER NOT NULL,
        last_seen INTEGER,
        disabled INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE session (
        hash BLOB PRIMARY KEY,  -- SHA-256 of the secret in the cookie
        id TEXT NOT NULL UNIQUE,
        user TEXT NOT NULL REFERENCES user (name) ON DELETE CASCADE,
        created INTEGER NOT NULL,
        last_seen INTEGER NOT NULL,
        address TEXT NOT NULL
    ) STRICT;
    CREATE TABLE token (
        hash BLOB PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL UNIQUE,
        role INTEGER NOT NULL,
        scopes TEXT NOT NULL,  -- words
        user TEXT NOT NULL REFERENCES user (name) ON DELETE CASCADE,
        created INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        last_used INTEGER
    ) STRICT;
    CREATE TABLE failure (
        kind TEXT NOT NULL,  -- user or address
        key TEXT NOT NULL,  -- a digest: people type passwords where the name belongs
        count INTEGER NOT NULL,
        last INTEGER NOT NULL,
        locked_until INTEGER NOT NULL,
        PRIMARY KEY (kind, key)
    ) STRICT;
    CREATE TABLE setup (
        origin TEXT PRIMARY KEY,  -- server or cli
        hash BLOB NOT NULL,
        expires INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE audit_head (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        sequence INTEGER NOT NULL,  -- of the newest entry of the audit log
        hash TEXT NOT NULL,  -- its own
        first INTEGER NOT NULL  -- the oldest entry that has not been given up for space
    ) STRICT;
    """,
)
"""Script number n turns format n into n + 1. The format stands in `user_version`."""


_DISK = (apsw.FullError, apsw.IOError, apsw.ReadOnlyError, apsw.CantOpenError, apsw.BusyError)


class IdentityError(Exception):
    """The file cannot be used; the message names it and the mend."""


def open_database(path: Path) -> apsw.Connection:
    """Open or create the file, readable by its owner alone.

    Raises:
        IdentityError: it is damaged, foreign, newer than this version, or the disk refuses. It is never begun anew
            by itself, because whoever comes first to an empty one becomes the administrator.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    except (OSError, apsw.Error) as error:
        raise IdentityError(f"{path} cannot be opened ({error}): let the gateway's user write it") from error
    try:
        connection.set_busy_timeout(5000)
        _bring_up(connection, path)
    except (apsw.Error, IdentityError) as error:
        connection.close()
        if isinstance(error, IdentityError):
            raise
        raise IdentityError(
            f"{path} cannot be used ({error}): restore it from a backup, or move it away to set the page up anew"
        ) from error
    return connection


@contextmanager
def transaction(connection: apsw.Connection) -> Iterator[None]:
    """All of it or nothing, and durable afterwards.

    Raises:
        Problem: 503, the disk did not take it.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # a full disk has ended it already
                connection.execute("ROLLBACK")
            raise
    except _DISK as error:
        raise Problem(
            503, "identity_unwritable", f"nothing was changed: users cannot be written ({error}): make room on "
            "the disk, and let the gateway's user write it",
        ) from error  # fmt: skip


def _bring_up(connection: apsw.Connection, path: Path) -> None:
    owner, version = connection.pragma("application_id"), connection.pragma("user_version")
    if owner not in {0, APPLICATION_ID} or (owner == 0 and version):
        raise IdentityError(f"{path} is another program's database: move it away")
    if version > len(MIGRATIONS):
        raise IdentityError(f"{path} has format {version}, newer than this gateway's ({len(MIGRATIONS)})")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # who was removed stays removed after a power cut
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute(f"PRAGMA journal_size_limit = {1 << 20}")
    if version == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for number in range(connection.pragma("user_version"), len(MIGRATIONS)):
            connection.execute(MIGRATIONS[number])
            connection.execute(f"PRAGMA user_version = {number + 1}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
