"""API tokens in the file, and who calls with one."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import apsw

from bessai.interfaces.api.identity.secret import digest, new_id, new_secret
from bessai.interfaces.api.problems import Problem, field_problem
from bessai.interfaces.api.roles import Principal, Role

PREFIX = "bessai_"
"""Scanners for leaked secrets find it by this."""
SCOPES = ("read", "control", "admin")
DAYS = 366
MOST = 200
NOTED = 60_000
_DAY = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One token as lists show it."""

    id: str
    name: str
    role: Role
    user: str
    """Who made it; it has never more rights than this user."""
    created: int
    expires: int
    last_used: int | None
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who was found behind a cookie or a token."""

    principal: Principal
    scopes: frozenset[str] | None
    """Of a token; None: a session, which has them all."""
    language: str
    expires: int
    csrf: str
    """What a change must show; empty for a token."""


def make(
    connection: apsw.Connection,
    user: str,
    name: str,
    role: Role,
    scopes: Collection[str],
    days: int,
    now: int,
) -> tuple[Token, str]:
    """A new token and its secret, which is told only now.

    Raises:
        Problem: 422 when scopes or days are wrong, 409 when the name is taken or there are too many.
    """
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise field_problem(
            "scopes", [one[:32] for one in unknown[:5]], f"use one or more of {', '.join(SCOPES)}"
        )
    if not 1 <= days <= DAYS:
        raise field_problem("days", days, f"use 1 to {DAYS}")
    connection.execute("DELETE FROM token WHERE expires < ?", (now - 30 * _DAY,))
    if connection.execute("SELECT count(*) FROM token").get >= MOST:
        raise Problem(409, "too_many_tokens", f"there are {MOST} tokens already: remove one")
    secret, token_id = PREFIX + new_secret(), new_id()
    kept = " ".join(scope for scope in SCOPES if scope in scopes)
    try:
        connection.execute(
            "INSERT INTO token VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)",
            (digest(secret), token_id, name, int(role), kept, user, now, now + days * _DAY),
        )
    except apsw.ConstraintError:
        raise Problem(409, "token_exists", f"there is a token {name} already") from None
    return next(token for token in listed(connection) if token.id == token_id), secret


def listed(connection: apsw.Connection) -> list[Token]:
    """All, by name, those that are over too."""
    rows: list[tuple[Any, ...]] = connection.execute(
        "SELECT id, name, role, user, created, expires, last_used, scopes FROM token ORDER BY name"
    ).fetchall()
    return [
        Token(
            id=row[0], name=row[1], role=Role(row[2]), user=row[3], created=row[4], expires=row[5],
            last_used=row[6], scopes=tuple(row[7].split()),
        )
        for row in rows
    ]  # fmt: skip


def remove(connection: apsw.Connection, token_id: str) -> Token:
    """Remove one; what it was.

    Raises:
        Problem: 404.
    """
    found = next((token for token in listed(connection) if token.id == token_id), None)
    if found is None:
        raise Problem(404, "unknown_token", f"there is no token {token_id[:64]}")
    connection.execute("DELETE FROM token WHERE id = ?", (token_id,))
    return found


def find(connection: apsw.Connection, secret: str, now: int) -> Caller | None:
    """Who calls with a token; None when it is unknown or over, or its user may not sign in."""
    return _live(connection, "token.hash", digest(secret), now)


def with_id(connection: apsw.Connection, token_id: str, now: int) -> Caller | None:
    """The same by its id."""
    return _live(connection, "token.id", token_id, now)


def _live(connection: apsw.Connection, column: str, key: bytes | str, now: int) -> Caller | None:
    row = connection.execute(
        "SELECT token.id, token.name, min(token.role, user.role), token.scopes, token.user, token.expires, "  # noqa: S608  ours
        "token.last_used, user.language FROM token JOIN user ON user.name = token.user "
        f"WHERE {column} = ? AND token.expires > ? AND NOT user.disabled",
        (key, now),
    ).fetchone()
    if row is None or row[0] is None:
        return None
    if row[6] is None or abs(now - row[6]) >= NOTED:
        with suppress(apsw.Error):  # where the disk refuses, another time: reading goes on
            connection.execute("UPDATE token SET last_used = ? WHERE id = ?", (now, row[0]))
    principal = Principal(
        name=f"token:{row[1]}", role=Role(row[2]), kind="token", session=row[0], user=row[4]
    )
    return Caller(
        principal=principal, scopes=frozenset(row[3].split()), language=row[7], expires=row[5], csrf=""
    )
