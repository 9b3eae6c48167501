"""Takes over the journal of earlier versions: a SQLite database, `journal.db`, and its cursors, `cursors.db`.

The records keep their sequences. Moving them can be interrupted at any point and goes on at the next start; the old
files go when everything in them is durable in the new journal.
"""

from __future__ import annotations

import errno
import json
import logging
import sqlite3
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from bessai.journal.cursors import Cursors
from bessai.journal.encoding import layout_from_json
from bessai.journal.errors import DamagedRecordError, TooLargeError
from bessai.journal.forms import PARTS
from bessai.journal.log import Log
from bessai.journal.row import CYCLE, FED, VERIFIED, Row
from bessai.model import Layout

_LOG = logging.getLogger(__name__)

NAME, CURSORS = "journal.db", "cursors.db"
_HEAD = struct.Struct("<BBIQ")
_BATCH = 256
_PASSING = {
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
}  # fmt: skip
_Record = tuple[int, int, int, bytes]
"""Sequence, UTC nanoseconds, layout, body."""


def is_needed(directory: Path) -> bool:
    """True when there is a journal of an older version."""
    return (directory / NAME).is_file()


def migrate(
    directory: Path, log: Log, stop: Callable[[], bool] = lambda: False, *, patient: bool = True
) -> bool:
    """Move the old journal into the new one; False when `stop` ended it before all was moved.

    Raises:
        OSError: the disk is full or failing; call it again. Not `patient`, what cannot be read is given up: the
            old files stay, under another name.
    """
    _move_cursors(directory, patient=patient)
    moved = 0
    try:
        with closing(_connect(directory / NAME)) as database:
            layouts = {
                i: layout_from_json(body) for i, body in database.execute("SELECT id, body FROM layout")
            }
            for chunk in _chunks(database, log.last_sequence):
                if stop():
                    return False
                moved += _take_over(log, chunk, *layouts[chunk[0][2]])
            ((last,),) = database.execute("SELECT sequence FROM state").fetchall()
            log.skip(last)
    except (sqlite3.DatabaseError, DamagedRecordError, LookupError) as error:
        if patient and _may_pass(error):
            raise OSError(errno.EIO, f"{directory / NAME} cannot be read now: {error}") from error
        _LOG.warning(
            "%s cannot be read to its end (%s); %d records were taken over", directory / NAME, error, moved
        )
        for suffix in ("-wal", "-shm", ""):
            if (directory / f"{NAME}{suffix}").exists():
                (directory / f"{NAME}{suffix}").rename(directory / f"{NAME}.damaged{suffix}")
    _LOG.info("%d records of %s were taken over", moved, directory / NAME)
    for name in (NAME, CURSORS):
        for suffix in ("", "-wal", "-shm"):
            (directory / f"{name}{suffix}").unlink(missing_ok=True)
    (directory / "journal.sequence").unlink(missing_ok=True)
    return True


def _may_pass(error: Exception) -> bool:
    """True for what a busy or failing disk says, False for what a damaged database says."""
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _PASSING


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)


def _chunks(database: sqlite3.Connection, after: int) -> Iterator[list[_Record]]:
    """Records above `after` in order: of one layout and without a gap."""
    query = "SELECT sequence, wall_ns, layout, body FROM record WHERE sequence > ? ORDER BY sequence LIMIT ?"
    while records := database.execute(query, (after, _BATCH)).fetchall():
        for _, group in groupby(enumerate(records), key=lambda pair: (pair[1][2], pair[1][0] - pair[0])):
            yield [record for _, record in group]
        after = records[-1][0]


def _take_over(log: Log, chunk: list[_Record], layout: Layout, device: Mapping[str, str]) -> int:
    """Append records under their own numbers; how many. What is damaged, or too large, is left out."""
    rows = [
        (record[0], row)
        for record in chunk
        if (row := _row(record)) is not None and row.cells in {0, len(layout)}
    ]
    moved = len(rows)
    for _, group in groupby(enumerate(rows), key=lambda pair: pair[1][0] - pair[0]):
        part = [pair for _, pair in group]
        log.skip(part[0][0] - 1)
        count = len(part)
        while part:
            try:
                log.append([row for _, row in part[:count]], layout, device)
                part = part[count:]
            except TooLargeError:
                if count == 1:
                    log.skip(part.pop(0)[0])
                    moved -= 1
                count = max(1, count // 2)
    return moved


def _row(record: _Record) -> Row | None:
    """A record of the old format as a row, None when it is damaged."""
    _, wall_ns, _, body = record
    try:
        data = zlib.decompress(memoryview(body)[1:])
        kind, flags, columns, cycle = _HEAD.unpack_from(data)
        start = _HEAD.size
        values = np.frombuffer(data, "<f8", columns, start).astype(np.float64)
        quality = np.frombuffer(data, "u1", columns, start + 8 * columns)
        ages = np.frombuffer(data, "<f4", columns, start + 9 * columns).astype(np.float64)
        tail: dict[str, Any] = json.loads(data[start + 13 * columns :])
        nothing: dict[str, Any] = {"outcome": None}
        forms = [
            json.dumps(tail.get(part, nothing.get(part, {})), separators=(",", ":")) for part in PARTS[:-1]
        ]
        events = tail["events"]
    except (zlib.error, struct.error, ValueError, LookupError):
        return None
    return Row(
        wall_ns=wall_ns,
        flags=kind * CYCLE | bool(flags & 1) * VERIFIED | bool(flags & 2) * FED,
        cycle=cycle,
        events=len(events),
        values=values,
        quality=quality,
        times=-ages,
        forms=(forms[0], forms[1], forms[2], forms[3], json.dumps(events, separators=(",", ":"))),
        numbers=[],
    )


def _move_cursors(directory: Path, *, patient: bool) -> None:
    path = directory / CURSORS
    if not path.is_file():
        return
    try:
        with closing(_connect(path)) as database:
            held = dict(database.execute("SELECT consumer, sequence FROM cursor").fetchall())
    except sqlite3.DatabaseError as error:
        if patient and _may_pass(error):
            raise OSError(errno.EIO, f"{path} cannot be read now: {error}") from error
        _LOG.warning("%s cannot be read (%s): its consumers begin anew", path, error)
        return
    with closing(Cursors(directory)) as cursors:
        for consumer, sequence in held.items():
            cursors.set(consumer, sequence)
