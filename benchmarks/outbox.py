"""What many gateways do instead of a journal: rows of JSON in SQLite, deleted once they are delivered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import apsw

from bessai.model import CycleRecord


class Outbox:
    """One table in a write-ahead log of SQLite.

    Args:
        path: of the database.
        synchronous: `NORMAL`: a power cut may take commits back. `FULL`: it may not.
    """

    def __init__(self, path: Path, synchronous: str) -> None:
        self._database = apsw.Connection(str(path))
        self._database.execute("PRAGMA journal_mode = wal")
        self._database.execute(f"PRAGMA synchronous = {synchronous}")
        self._database.execute("CREATE TABLE outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB)")

    def put(self, records: Sequence[CycleRecord]) -> None:
        """Store records in one transaction."""
        with self._database:
            self._database.executemany("INSERT INTO outbox (body) VALUES (?)", [(row(r),) for r in records])

    def take(self, limit: int) -> list[tuple[int, bytes]]:
        """The oldest rows."""
        return list(self._database.execute("SELECT id, body FROM outbox ORDER BY id LIMIT ?", (limit,)))

    def done(self, last: int) -> None:
        """Delete what was delivered."""
        self._database.execute("DELETE FROM outbox WHERE id <= ?", (last,))

    def close(self) -> None:
        """Close the database."""
        self._database.close()


def row(record: CycleRecord) -> bytes:
    """A record as such a gateway keeps it, some 600 bytes of 60 points: the time and the values, nothing else."""
    told = {"t": record.image.wall_ns // 10**6, "v": record.image.values.tolist()}
    return json.dumps(told, separators=(",", ":")).encode()
