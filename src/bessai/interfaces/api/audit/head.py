"""The newest entry's number and hash, kept beside the log."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import apsw

from bessai.interfaces.api.identity.database import open_database


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the log must hold."""

    sequence: int
    """Of the newest entry."""
    hash: str
    first: int
    """The oldest entry that has not been given up for space."""


class Head:
    """The record in `identity.db`, with a connection of its own: a sign-in need not wait for it.

    Args:
        path: of the database; opened when it is first needed, by the thread that then uses it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: apsw.Connection | None = None

    def read(self) -> Known | None:
        """None: there is none yet. Raises IdentityError or apsw.Error."""
        row = self._open().execute("SELECT sequence, hash, first FROM audit_head").fetchone()
        return None if row is None else Known(sequence=row[0], hash=row[1], first=row[2])

    def write(self, known: Known) -> None:
        """Durable when it returns. Raises as `read`."""
        self._open().execute(
            "INSERT OR REPLACE INTO audit_head VALUES (1, ?, ?, ?)", (known.sequence, known.hash, known.first)
        )

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> apsw.Connection:
        if self._connection is None:
            self._connection = open_database(self.path)
        return self._connection
