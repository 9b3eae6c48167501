"""Sessions in the file."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import apsw

from bessai.interfaces.api.identity.secret import digest, new_id, new_secret
from bessai.interfaces.api.roles import Role

IDLE = dict.fromkeys(Role, 30 * 60_000)
"""ms of silence that end a session, by role. A page with an open stream is not silent."""
ABSOLUTE = 12 * 3600_000
"""ms after which one signs in again in any case."""
MOST = 20
"""Sessions of one user; the oldest end first."""
NOTED = 60_000
"""A session's last use is written this often at most, ms: not each request shall wait for the disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One session, with its user as of now."""

    id: str
    user: str
    role: Role
    language: str
    expires: int
    """ms; earlier when it is idle."""
    stale: bool
    """Its last use is to be noted."""


def begin(connection: apsw.Connection, user: str, address: str, now: int) -> str:
    """A new session's secret."""
    secret = new_secret()
    connection.execute("DELETE FROM session WHERE created < ?", (now - ABSOLUTE,))
    connection.execute(
        "DELETE FROM session WHERE rowid IN "
        "(SELECT rowid FROM session WHERE user = ? ORDER BY last_seen DESC LIMIT -1 OFFSET ?)",
        (user, MOST - 1),
    )
    connection.execute(
        "INSERT INTO session VALUES (?, ?, ?, ?, ?, ?)", (digest(secret), new_id(), user, now, now, address)
    )
    connection.execute("UPDATE user SET last_seen = ? WHERE name = ?", (now, user))
    return secret


def find(connection: apsw.Connection, secret: str, now: int) -> Session | None:
    """The session of a cookie, None when it is unknown or over."""
    return _live(connection, "session.hash", digest(secret), now)


def with_id(connection: apsw.Connection, session_id: str, now: int) -> Session | None:
    """The same by its id."""
    return _live(connection, "session.id", session_id, now)


def touch(connection: apsw.Connection, session: Session, now: int) -> None:
    """It was used. Where the disk refuses, it is noted another time: whoever looks may go on looking."""
    with suppress(apsw.Error):
        connection.execute("UPDATE session SET last_seen = ? WHERE id = ?", (now, session.id))
        connection.execute("UPDATE user SET last_seen = ? WHERE name = ?", (now, session.user))


def end(connection: apsw.Connection, session_id: str) -> None:
    """End one."""
    connection.execute("DELETE FROM session WHERE id = ?", (session_id,))


def _live(connection: apsw.Connection, column: str, key: bytes | str, now: int) -> Session | None:
    row = connection.execute(
        "SELECT session.id, session.user, user.role, user.language, session.created, session.last_seen "  # noqa: S608  ours
        f"FROM session JOIN user ON user.name = session.user WHERE {column} = ? AND NOT user.disabled",
        (key,),
    ).fetchone()
    if row is None:
        return None
    role, created, seen = Role(row[2]), row[4], row[5]
    if now - created >= ABSOLUTE or now - seen >= IDLE[role]:
        return None
    return Session(
        id=row[0], user=row[1], role=role, language=row[3], expires=created + ABSOLUTE,
        stale=abs(now - seen) >= NOTED,
    )  # fmt: skip
