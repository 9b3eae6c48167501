"""The one-time secret that makes the first administrator."""

from __future__ import annotations

import hmac
from typing import Literal

import apsw

from bessai.interfaces.api.identity.secret import digest, new_secret

LASTS = 24 * 3600_000
"""ms."""

Origin = Literal["server", "cli"]
"""Who made it; each has one at a time, so that neither ends the other's."""


def make(connection: apsw.Connection, origin: Origin, now: int) -> str:
    """A new secret instead of the one before."""
    secret = new_secret()
    connection.execute("INSERT OR REPLACE INTO setup VALUES (?, ?, ?)", (origin, digest(secret), now + LASTS))
    return secret


def fits(connection: apsw.Connection, secret: str, now: int) -> bool:
    """It is one of those that were made and not over."""
    rows = connection.execute("SELECT hash FROM setup WHERE expires > ?", (now,)).fetchall()
    given = digest(secret)
    return any(hmac.compare_digest(row[0], given) for row in rows)


def clear(connection: apsw.Connection) -> None:
    """It has been used."""
    connection.execute("DELETE FROM setup")
