"""How far each consumer has come: durable, and apart from the journal's own database.

The control plane's writer never waits for another process's lock, because consumers keep their cursors in a
file of their own, `cursors.db`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import apsw

from bessai.journal.database import DAMAGE, connect, set_aside
from bessai.journal.errors import JournalError
from bessai.journal.progress import Progress

NAME = "cursors.db"


class Cursors:
    """The cursors of one service plane. Use it from one thread at a time."""

    def __init__(self, directory: Path, *, wall_ns: Callable[[], int] = time.time_ns) -> None:
        """Open or create `directory/cursors.db`.

        A damaged file is set aside and every cursor begins at 0 again: records are delivered twice, not lost.

        Raises:
            JournalError: the file cannot be opened or written.
        """
        self.path = directory / NAME
        try:
            directory.mkdir(parents=True, exist_ok=True)
            try:
                self._connection = self._open()
            except DAMAGE:
                set_aside(self.path, wall_ns())
                self._connection = self._open()
        except (OSError, apsw.Error) as error:
            raise JournalError(
                f"{self.path} cannot be used ({error}): check its permissions and the free space, or set DATA_DIR"
            ) from error

    def _open(self) -> apsw.Connection:
        connection = connect(self.path, write=True, busy_ms=2000)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS cursor (consumer TEXT PRIMARY KEY, sequence INTEGER NOT NULL) STRICT"
            )
            for (finding,) in connection.execute("PRAGMA quick_check(1)"):
                if finding != "ok":
                    raise apsw.CorruptError(str(finding))
        except BaseException:
            connection.close()
            raise
        return connection

    def get(self, consumer: str) -> int:
        """The last sequence that the consumer is done with, 0 when it is unknown."""
        return self.all().get(consumer, 0)

    def set(self, consumer: str, sequence: int, *, force: bool = False) -> None:
        """Record, durably, that the consumer is done with everything up to `sequence`.

        A lower sequence than the one held is ignored unless `force`.

        Raises:
            JournalError: it could not be written; the old cursor stands.
        """
        try:
            self._connection.execute(
                "INSERT INTO cursor VALUES (?1, ?2) ON CONFLICT (consumer) "
                "DO UPDATE SET sequence = excluded.sequence WHERE ?3 OR excluded.sequence > cursor.sequence",
                (consumer, sequence, force),
            )
        except apsw.Error as error:
            raise JournalError(f"{self.path} cannot be written ({error}): check the free space") from error

    def progress(self, name: str) -> Progress:
        """What the consumer is done with. Ranges beyond the cursor are not kept here: they are delivered twice."""
        return Progress(self.get(name))

    def save(self, name: str, progress: Progress) -> None:
        """Record durably what the consumer is done with."""
        self.set(name, progress.floor)

    def all(self) -> dict[str, int]:
        """Every consumer's cursor."""
        try:
            rows = self._connection.execute(
                "SELECT consumer, sequence FROM cursor ORDER BY consumer"
            ).fetchall()
        except apsw.Error as error:
            raise JournalError(f"{self.path} cannot be read ({error})") from error
        return {str(consumer): int(sequence) for consumer, sequence in rows}  # type: ignore[arg-type]

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def highest_cursor(directory: Path) -> int:
    """The furthest cursor of any consumer; 0 when there is none or the file cannot be read."""
    return max(read_cursors(directory).values(), default=0)


def read_cursors(directory: Path) -> dict[str, int]:
    """Every cursor, read without creating or changing the file; empty when it cannot be read."""
    with contextlib.suppress(apsw.Error):
        connection = connect(directory / NAME, write=False, busy_ms=500)
        try:
            rows = connection.execute("SELECT consumer, sequence FROM cursor ORDER BY consumer").fetchall()
            return {str(consumer): int(sequence) for consumer, sequence in rows}  # type: ignore[arg-type]
        finally:
            connection.close()
    return {}
