"""The writing side: folds records in memory, and stores what it has folded from time to time.

What is folded goes into the table `fresh` first: one row for each 32 points and flush, so that a flush touches few
pages of the disk. When a quarter of a day has come together, `compact` moves it into chunks of all levels, where a
point's long series stands in few rows. Both are one transaction each, and the sequence of the last record folded
is part of the first: a crash at any point neither loses nor doubles a sample.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import apsw
import numpy as np
from numpy.typing import NDArray

from bessai.history.cells import Cells, Floats, Ints, merged, squash
from bessai.history.codec import pack, unpack
from bessai.history.database import DAMAGE, NAME, number, open_for_writing, set_aside
from bessai.history.errors import DamagedChunkError, HistoryError
from bessai.history.folding import Folding, Run
from bessai.history.levels import CHUNK, LEVELS, Keep
from bessai.history.room import make_room, retire
from bessai.journal.block import Block
from bessai.journal.row import CYCLE
from bessai.model import Layout

_LOG = logging.getLogger(__name__)

PART = 32
"""Points of one row of `fresh`."""
COMPACT_ROWS = 72
"""Rows of one part of `fresh` that begin a compaction: six hours of flushes."""
COMPACT_BUCKETS = 8640
"""The same in buckets, for catching up."""


class HistoryWriter:
    """One per data directory, in the service plane. After an error, close it and open another.

    A damaged database is set aside, and `finding` says so; the caller folds the journal again from `folded` on.
    """

    def __init__(
        self, directory: Path, *, keep: Keep | None = None, wall_ns: Callable[[], int] = time.time_ns
    ) -> None:
        """Open or create `directory/history.db`.

        Raises:
            HistoryError: it cannot be opened, or a newer version wrote it.
        """
        self.path = directory / NAME
        self.finding: str | None = None
        """What became of a damaged database."""
        self.damaged = 0
        """Stored pieces that were not what was written, and are lost."""
        self._keep, self._wall_ns = keep or Keep(), wall_ns
        try:
            directory.mkdir(parents=True, exist_ok=True)
            try:
                self._open()
            except DAMAGE as error:
                self._put_aside(error)
                self._open()
        except (apsw.Error, OSError) as error:
            raise HistoryError(
                f"{self.path} cannot be used ({error}): check its permissions and the free space"
            ) from error
        self.folded = self.stored
        """Sequence of the last record that is in memory or stored."""
        self.waiting = 0
        """Records folded and not stored yet."""
        self._folding = Folding()

    def _open(self) -> None:
        self._connection = connection = open_for_writing(self.path)
        try:
            self.stored = number(connection, "SELECT sequence FROM state")
            """Sequence of the last record that is stored."""
            self.epoch = number(connection, "SELECT epoch FROM state")
            """Epoch of the last record that is folded."""
            self._points: dict[tuple[str, str], int] = {}
            self._current: dict[str, int] = {}
            for row in connection.execute("SELECT id, name, unit FROM point ORDER BY since"):
                identity, name, unit = int(str(row[0])), str(row[1]), str(row[2])
                self._points[name, unit] = self._current[name] = identity
        except BaseException:
            connection.close()
            raise

    def full(self) -> bool:
        """Whether it is time to flush, so that memory stays small."""
        return self._folding.full()

    def fold_blocks(self, blocks: Sequence[Block]) -> None:
        """Fold blocks of the journal, in order and none left out, into memory; records up to `folded` are skipped."""
        for block in blocks:
            new = block.since(self.folded + 1)
            cycles = new.kinds == CYCLE
            if cycles.any():
                self._folding.add(
                    new.layout,
                    new.last_sequence,
                    new.wall_ns[cycles],
                    new.values[cycles],
                    new.quality[cycles],
                )
            self.waiting += new.count
            self.folded, self.epoch = new.last_sequence, new.epoch

    def fold(
        self, layout: Layout, sequence: int, wall_ns: Ints, values: Floats, quality: NDArray[np.uint8]
    ) -> None:
        """Fold records of one layout, a row each, the last one with this sequence."""
        self._folding.add(layout, sequence, wall_ns, values, quality)
        self.waiting += len(wall_ns)
        self.folded = sequence

    def flush(self) -> None:
        """Store what was folded. All of it or, after an error, nothing.

        Raises:
            HistoryError: it could not be stored, or another process has moved on.
        """
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.execute(
                    "UPDATE state SET sequence = ?, epoch = ? WHERE sequence = ?",
                    (self.folded, self.epoch, self.stored),
                )
                if connection.changes() != 1:
                    raise HistoryError(f"{self.path} is written by another process too: run one gateway only")
                make_room(connection, self._keep)
                for run in self._folding.runs:
                    if run.tables:
                        self._store(run, *merged(run.tables))
                connection.execute("COMMIT")
            except BaseException:
                _roll_back(connection)
                raise
        except apsw.Error as error:
            raise self._error(error) from error
        self.stored, self.waiting = self.folded, 0
        self._folding.runs.clear()

    def rewind(self, sequence: int) -> None:
        """Go on after an earlier record, because others have those numbers now. What was folded stays.

        Raises:
            HistoryError: it could not be stored.
        """
        self.folded = sequence
        self.flush()

    def _store(self, run: Run, keys: Ints, cells: Cells) -> None:
        columns: dict[int, dict[int, Cells]] = {}
        for column, identity in enumerate(self._identities(run)):
            columns.setdefault((identity - 1) // PART, {})[identity] = cells[:, column]
        self._connection.executemany(
            "INSERT INTO fresh (part, first, last, body) VALUES (?, ?, ?, ?)",
            [(part, int(keys[0]), int(keys[-1]), pack(keys, 0, points)) for part, points in columns.items()],
        )

    def _identities(self, run: Run) -> list[int]:
        found = []
        for name, given in zip(run.layout.names, run.layout.units, strict=True):
            unit = given or ""
            identity = self._points.get((name, unit))
            if identity is None:
                identity = self._points[name, unit] = len(self._points) + 1
                self._connection.execute(
                    "INSERT INTO point VALUES (?, ?, ?, ?)", (identity, name, unit, run.last)
                )
            elif self._current.get(name) != identity:
                self._connection.execute("UPDATE point SET since = ? WHERE id = ?", (run.last, identity))
            self._current[name] = identity
            found.append(identity)
        return found

    def compact(self, *, everything: bool = False, stop: Callable[[], bool] = lambda: False) -> None:
        """Move what has come together in `fresh` into chunks, and delete what is older than is kept.

        Args:
            everything: also what would wait for more.
            stop: asked between two transactions; True ends it early.

        Raises:
            HistoryError: it could not be stored. What was moved before stands.
        """
        least = (1, 1) if everything else (COMPACT_ROWS, COMPACT_BUCKETS)
        try:
            parts = self._connection.execute(
                "SELECT part FROM fresh GROUP BY part HAVING count(*) >= ? OR sum(last - first + 1) >= ?",
                least,
            ).fetchall()
            for (part,) in parts:
                if stop():
                    return
                self._compact(int(str(part)))
            if parts:
                retire(self._connection, self._keep)
        except apsw.Error as error:
            raise self._error(error) from error

    def _compact(self, part: int) -> None:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            make_room(connection, self._keep)
            points: dict[int, list[tuple[Ints, Cells]]] = {}
            for (body,) in connection.execute("SELECT body FROM fresh WHERE part = ? ORDER BY id", (part,)):
                try:
                    _, keys, found = unpack(body)
                except DamagedChunkError as error:
                    self._lost(error)
                    continue
                for point, cells in found.items():
                    points.setdefault(point, []).append((keys, cells))
            for point, tables in points.items():
                keys, cells = merged(tables)
                slots = 1
                for number_, level in enumerate(LEVELS):
                    keys, cells = squash(keys // (level.slots // slots), cells)
                    slots = level.slots
                    self._merge(point, number_, keys, cells)
            connection.execute("DELETE FROM fresh WHERE part = ?", (part,))
            connection.execute("COMMIT")
        except BaseException:
            _roll_back(connection)
            raise

    def _merge(self, point: int, level: int, keys: Ints, cells: Cells) -> None:
        starts = keys // CHUNK * CHUNK
        for start in np.unique(starts).tolist():
            mine = starts == start
            tables = [(keys[mine], cells[mine])]
            where = (level, start, point)
            for (body,) in self._connection.execute(
                "SELECT body FROM chunk WHERE level = ? AND start = ? AND point = ?", where
            ).fetchall():
                try:
                    _, old_keys, old = unpack(body)  # type: ignore[arg-type]
                    tables.insert(0, (old_keys, old[point]))
                except (DamagedChunkError, KeyError) as error:
                    self._lost(error)
            all_keys, all_cells = merged(tables)
            self._connection.execute(
                "INSERT INTO chunk VALUES (?1, ?2, ?3, ?4) "
                "ON CONFLICT (level, start, point) DO UPDATE SET body = ?4",
                (*where, pack(all_keys, level, {point: all_cells})),
            )

    def _lost(self, error: Exception) -> None:
        self.damaged += 1
        _LOG.warning("a piece of the history in %s is lost: %s", self.path, error)

    def _error(self, error: apsw.Error) -> HistoryError:
        if isinstance(error, DAMAGE):
            self._connection.close()
            self._put_aside(error)
            return HistoryError(self.finding)
        return HistoryError(f"{self.path} cannot be written ({error}): check the free space")

    def _put_aside(self, error: Exception) -> None:
        aside = set_aside(self.path, self._wall_ns())
        self.finding = (
            f"the history was damaged ({error}) and is now {aside.name}; "
            "a new one is made of what the journal holds"
        )
        _LOG.warning("%s", self.finding)

    def close(self) -> None:
        """Close the file. What was folded and not flushed is folded again by the next writer."""
        self._connection.close()


def _roll_back(connection: apsw.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")
