"""The reading side, from any process: one short read transaction at a time, which never holds the writer up."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw
import numpy as np

from bessai.history.cells import Cells, Ints
from bessai.history.codec import unpack
from bessai.history.database import DAMAGE, NAME, number, open_for_reading
from bessai.history.errors import DamagedChunkError, HistoryError
from bessai.history.levels import CHUNK, LEVELS
from bessai.history.raw import JournalSource, telemetry_from
from bessai.history.room import starts
from bessai.history.writer import PART
from bessai.journal.stats import ReaderStats


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelStats:
    """What is stored of one level."""

    label: str
    chunks: int
    size_bytes: int
    first_ns: int | None
    """UTC nanoseconds at which its oldest chunk begins, None without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryStats:
    """What is stored."""

    sequence: int = 0
    """Sequence of the last record of the journal that is in it."""
    points: int = 0
    size_bytes: int = 0
    """All files."""
    fresh_bytes: int = 0
    """Of what is in no level's chunk yet."""
    levels: tuple[LevelStats, ...] = ()


class Snapshot:
    """What was stored at one instant. Valid inside of `History.snapshot` only."""

    def __init__(self, connection: apsw.Connection | None, path: Path) -> None:
        self._connection = connection
        self._path = path
        self.damaged = 0
        """Stored pieces that could not be read."""
        self.sequence = 0
        self.kept_from: list[float] = [-math.inf] * len(LEVELS)
        """Of each level: UTC nanoseconds before which it has been deleted."""
        if connection is not None:
            self.sequence = number(connection, "SELECT sequence FROM state")
            for level, kept_from in connection.execute("SELECT level, kept_from FROM level").fetchall():
                self.kept_from[int(str(level))] = int(str(kept_from))

    def names(self) -> dict[str, str | None]:
        """Every point, and its unit as it was last."""
        rows = self._all("SELECT name, unit FROM point ORDER BY since, id")
        return {str(name): str(unit) or None for name, unit in rows}

    def identity(self, name: str, unit: str | None) -> int | None:
        """A point's id, None when nothing of it is stored."""
        for (identity,) in self._all("SELECT id FROM point WHERE name = ? AND unit = ?", name, unit or ""):
            return int(str(identity))
        return None

    def chunks(self, point: int, level: int, first: int, end: int) -> Iterator[tuple[Ints, Cells]]:
        """Buckets from number `first` to before `end` of a level, chunk by chunk; `fresh` has the newest."""
        for start in range(first // CHUNK * CHUNK, end, CHUNK):
            for (body,) in self._all(
                "SELECT body FROM chunk WHERE level = ? AND start = ? AND point = ?", level, start, point
            ):
                keys, points = self._unpack(body, frozenset((point,)))
                if point in points:
                    a, b = np.searchsorted(keys, (first, end))
                    yield keys[a:b], points[point][a:b]

    def fresh(self, points: frozenset[int], first: int, last: int) -> Iterator[tuple[Ints, dict[int, Cells]]]:
        """Rows of buckets of ten seconds that are in no chunk yet, those that touch `first` to `last`."""
        for part in sorted({(point - 1) // PART for point in points}):
            query = "SELECT body FROM fresh WHERE part = ? AND last >= ? AND first <= ? ORDER BY id"
            for (body,) in self._all(query, part, first, last):
                yield self._unpack(body, points)

    def _unpack(self, body: object, points: frozenset[int]) -> tuple[Ints, dict[int, Cells]]:
        try:
            _, keys, found = unpack(body, points)  # type: ignore[arg-type]
        except DamagedChunkError:
            self.damaged += 1
            return np.empty(0, np.int64), {}
        return keys, found

    def _all(self, query: str, *bindings: str | int) -> list[tuple[apsw.SQLiteValue, ...]]:
        return [] if self._connection is None else self._connection.execute(query, bindings).fetchall()


class History:
    """Opens lazily, and is empty while there is no history. Use it from one thread at a time."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / NAME
        self._connection: apsw.Connection | None = None
        self._inode = 0
        self._begin: tuple[int, float] | None = None

    def telemetry_from(self, journal: JournalSource, held: ReaderStats) -> float:
        """See `raw.telemetry_from`; looked for anew only after the journal has dropped something."""
        if self._begin is None or self._begin[0] != held.dropped_space or not held.dropped_space:
            self._begin = (held.dropped_space, telemetry_from(journal, held))
        return self._begin[1]

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """What is stored now, for as long as the context lasts.

        Raises:
            HistoryError: it cannot be read, is damaged, or a newer version wrote it.
        """
        try:
            connection = self._open()
            if connection is None:
                yield Snapshot(None, self.path)
                return
            connection.execute("BEGIN")
            try:
                yield Snapshot(connection, self.path)
            finally:
                connection.execute("ROLLBACK")
        except DAMAGE as error:
            self.close()
            raise HistoryError(
                f"{self.path} is damaged, or no history ({error}): start the gateway"
            ) from error
        except (apsw.Error, OSError) as error:
            self.close()
            raise HistoryError(f"{self.path} cannot be read ({error}): check its permissions") from error

    def stats(self) -> HistoryStats:
        """What is stored. Reads the index only, but all of it."""
        with self.snapshot() as snapshot:
            connection = self._connection
            if connection is None:
                return HistoryStats()
            levels = []
            for number_, level in enumerate(LEVELS):
                held = starts(connection, number_)
                ((chunks, size),) = connection.execute(
                    "SELECT count(*), coalesce(sum(length(body)), 0) FROM chunk WHERE level = ?", (number_,)
                ).fetchall()
                levels.append(
                    LevelStats(
                        label=level.label, chunks=int(str(chunks)), size_bytes=int(str(size)),
                        first_ns=held[0] * level.step if held else None,
                    )
                )  # fmt: skip
            files = [self.path.with_name(self.path.name + suffix) for suffix in ("", "-wal")]
            return HistoryStats(
                sequence=snapshot.sequence,
                points=number(connection, "SELECT count(*) FROM point"),
                size_bytes=sum(file.stat().st_size for file in files if file.exists()),
                fresh_bytes=number(connection, "SELECT sum(length(body)) FROM fresh"),
                levels=tuple(levels),
            )

    def close(self) -> None:
        """Close the file; a later call opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> apsw.Connection | None:
        try:
            inode = self.path.stat().st_ino
        except (FileNotFoundError, NotADirectoryError):
            self.close()
            return None
        if self._connection is None or inode != self._inode:
            self.close()
            self._connection, self._inode = open_for_reading(self.path), inode
        return self._connection
