"""The writing side: folds the journal's blocks in memory, and stores what they add up to.

The sequence of the last record that was folded, and what is carried from it to the next, are part of the transaction
that stores the rest: a crash at any point neither loses nor doubles a sample, and an event that was open goes on.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import apsw

from bessai.history.database import DAMAGE, set_aside
from bessai.journal.block import Block
from bessai.performance.database import (
    NAME,
    get_quarters,
    make_room,
    open_database,
    put_event,
    put_quarter,
    put_rows,
    retire,
)
from bessai.performance.errors import PerformanceError, TakenOverError
from bessai.performance.folding import Folding
from bessai.performance.hours import HOUR_NS, Cells, pack, unpack
from bessai.performance.law import Law
from bessai.performance.quarters import QUARTER_NS, Quarter
from bessai.performance.settings import Plant

_LOG = logging.getLogger(__name__)
_MOST_HOURS = 24
"""Hours in memory that make it time to store."""


class PerformanceWriter:
    """One per data directory, in the service plane. After an error, close it and open another.

    A damaged database is set aside, and `finding` says so; the caller folds the journal again from `folded` on.
    """

    def __init__(self, directory: Path, plant: Plant, *, wall_ns: Callable[[], int] = time.time_ns) -> None:
        """Open or create `directory/performance.db`.

        Raises:
            PerformanceError: it cannot be opened, or a newer version wrote it.
        """
        self.path = directory / NAME
        self.finding: str | None = None
        """What became of a damaged database."""
        self._plant, self._wall_ns = plant, wall_ns
        try:
            directory.mkdir(parents=True, exist_ok=True)
            try:
                self._open()
            except DAMAGE as error:
                self._put_aside(error)
                self._open()
        except (apsw.Error, OSError) as error:
            raise PerformanceError(
                f"{self.path} cannot be used ({error}): check its permissions and the free space"
            ) from error
        self.folded = self.stored
        """Sequence of the last record that is in memory or stored."""
        self.waiting = 0
        """Records folded and not stored yet."""
        self._retired = 0
        """The newest hour when old ones were last deleted."""

    def _open(self) -> None:
        connection = open_database(self.path, write=True)
        assert connection is not None  # noqa: S101 - it is created
        self._connection = connection
        try:
            self._load_state()
        except BaseException:
            connection.close()
            raise

    def _load_state(self) -> None:
        connection = self._connection
        self._begin()
        ((sequence, epoch, carry),) = connection.execute(
            "SELECT sequence, epoch, carry FROM state"
        ).fetchall()
        self.stored = int(str(sequence))
        """Sequence of the last record that is stored."""
        self.epoch = int(str(epoch))
        """Epoch of the last record that is folded."""
        try:
            if carry:
                self._folding.restore(json.loads(str(carry)))
        except (ValueError, LookupError, TypeError) as error:
            _LOG.warning("what %s carries on is lost (%s): an open event ends there", self.path, error)
            self._begin()

    def _begin(self) -> None:
        self._folding = Folding(self._plant)
        self._folding.hours.load = self._hour
        self._folding.quarters.load = self._quarter

    def full(self) -> bool:
        """Whether it is time to flush, so that memory stays small."""
        return len({hour for hour, _ in self._folding.hours.cells}) >= _MOST_HOURS

    def fold_blocks(self, blocks: Sequence[Block]) -> None:
        """Fold blocks of the journal, in order and none left out, into memory; records up to `folded` are skipped."""
        for block in blocks:
            new = block.since(self.folded + 1)
            if new.count <= 0:
                continue
            self._folding.fold(new)
            self.waiting += new.count
            self.folded, self.epoch = new.last_sequence, new.epoch

    def flush(self) -> None:
        """Store what was folded. All of it or, after an error, nothing.

        Raises:
            PerformanceError: it could not be stored, or another process has moved on.
        """
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.execute(
                    "UPDATE state SET sequence = ?, epoch = ?, carry = ? WHERE sequence = ?",
                    (self.folded, self.epoch, json.dumps(self._folding.state()), self.stored),
                )
                if connection.changes() != 1:
                    raise TakenOverError(
                        f"{self.path} is written by another process too, which goes on with it"
                    )
                self._store()
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except DAMAGE as error:
            connection.close()
            self._put_aside(error)
            raise PerformanceError(self.finding) from error
        except apsw.Error as error:
            raise PerformanceError(
                f"{self.path} cannot be written ({error}): check the free space"
            ) from error
        self.stored, self.waiting = self.folded, 0
        self._folding.settle()

    def _store(self) -> None:
        connection, folding = self._connection, self._folding
        for hour, series in folding.hours.stale:
            body = pack(series, folding.hours.cells[hour, series])
            connection.execute("INSERT OR REPLACE INTO hour VALUES (?, ?, ?)", (hour, series, body))
        for hour, law in folding.laws.items():
            connection.execute("INSERT OR REPLACE INTO law VALUES (?, ?)", (hour, json.dumps(asdict(law))))
        for quarter in folding.quarters.stale:
            put_quarter(connection, quarter, folding.quarters.quarters[quarter])
        for event in folding.events.touched.values():
            put_event(connection, event)
        for key, first, rows in folding.events.parts:
            put_rows(connection, key, first, rows)
        if folding.events.parts:
            make_room(connection, self._plant.settings.max_mb << 20)
        newest = max((hour for hour, _ in folding.hours.cells), default=0)
        if newest != self._retired:
            retire(connection, self._plant.settings.keep_days)
            self._retired = newest

    def rewind(self, sequence: int) -> None:
        """Go on after an earlier record, because others have those numbers now. What was folded stays.

        Raises:
            PerformanceError: it could not be stored.
        """
        self.folded = sequence
        self.flush()

    def start_again(self, sequence: int, floor_ns: int) -> None:
        """Forget what is at or after a time, and fold the records after `sequence` again.

        Args:
            sequence: of the last record that is not folded again.
            floor_ns: UTC nanoseconds, the beginning of an hour.

        Raises:
            PerformanceError: it could not be stored.
        """
        hour, quarter = floor_ns // HOUR_NS, floor_ns // QUARTER_NS
        self._begin()
        self._folding.floor_ns = floor_ns
        connection = self._connection
        for (body,) in connection.execute(
            "SELECT body FROM law WHERE hour < ? ORDER BY hour DESC LIMIT 1", (hour,)
        ).fetchall():
            self._folding.law = Law(**json.loads(str(body)))
        try:
            with connection:
                connection.execute("DELETE FROM hour WHERE hour >= ?", (hour,))
                connection.execute("DELETE FROM law WHERE hour >= ?", (hour,))
                connection.execute("DELETE FROM quarter WHERE quarter >= ?", (quarter,))
                connection.execute(
                    "DELETE FROM part WHERE event IN (SELECT id FROM event WHERE start_ns >= ?)", (floor_ns,)
                )
                connection.execute("DELETE FROM event WHERE start_ns >= ?", (floor_ns,))
                carry = json.dumps(self._folding.state())
                connection.execute("UPDATE state SET sequence = ?, carry = ?", (sequence, carry))
        except apsw.Error as error:
            raise PerformanceError(
                f"{self.path} cannot be written ({error}): check the free space"
            ) from error
        self.folded = self.stored = sequence
        self.waiting = 0

    def _hour(self, hour: int, series: str) -> Cells | None:
        for (body,) in self._connection.execute(
            "SELECT body FROM hour WHERE hour = ? AND series = ?", (hour, series)
        ):
            try:
                return unpack(series, body)
            except ValueError as error:
                _LOG.warning("hour %d of %s in %s is lost: %s", hour, series, self.path, error)
        return None

    def _quarter(self, quarter: int) -> Quarter | None:
        return get_quarters(self._connection, quarter, quarter + 1).get(quarter)

    def _put_aside(self, error: Exception) -> None:
        aside = set_aside(self.path, self._wall_ns())
        self.finding = (
            f"the records of performance were damaged ({error}) and are now {aside.name}; "
            "new ones are made of what the journal holds"
        )
        _LOG.warning("%s", self.finding)

    def close(self) -> None:
        """Close the file. What was folded and not flushed is folded again by the next writer."""
        self._connection.close()
