"""What is deleted, and when: by age for each level, and the finest level first when space runs out."""

from __future__ import annotations

import logging

import apsw

from bessai.history.database import number
from bessai.history.levels import LEVELS, Keep

_LOG = logging.getLogger(__name__)

LOG_BYTES = 8 << 20
"""Of the bound, what the log of writes may take."""
_NEXT = "SELECT min(start) FROM chunk WHERE level = ? AND start > ?"


def starts(connection: apsw.Connection, level: int) -> list[int]:
    """First buckets of a level's chunks, oldest first."""
    found: list[int] = []
    after = -(1 << 62)
    while True:
        ((start,),) = connection.execute(_NEXT, (level, after)).fetchall()
        if start is None:
            return found
        after = int(str(start))
        found.append(after)


def retire(connection: apsw.Connection, keep: Keep) -> None:
    """Delete what is older than is kept."""
    with connection:
        for level in range(len(LEVELS)):
            for start in starts(connection, level)[: -keep.chunks(level)]:
                _drop(connection, level, start)


def make_room(connection: apsw.Connection, keep: Keep) -> None:
    """Within a transaction: delete until the database leaves room for what one transaction adds."""
    size = number(connection, "PRAGMA page_size")
    limit = (keep.max_bytes - LOG_BYTES) * 7 // 8 // size
    for left in (2, 0):
        for level in range(len(LEVELS)):
            oldest = starts(connection, level) if _used(connection) > limit else []
            while len(oldest) > left and _used(connection) > limit:
                _drop(connection, level, oldest.pop(0))
    while _used(connection) > limit:
        connection.execute("DELETE FROM fresh WHERE id IN (SELECT id FROM fresh ORDER BY id LIMIT 64)")
        if not connection.changes():
            return
        _LOG.warning("the history is full of what is new: raise HISTORY_MAX_MB")


def _used(connection: apsw.Connection) -> int:
    return number(connection, "PRAGMA page_count") - number(connection, "PRAGMA freelist_count")


def _drop(connection: apsw.Connection, level: int, start: int) -> None:
    step = LEVELS[level].step
    connection.execute("DELETE FROM chunk WHERE level = ? AND start = ?", (level, start))
    connection.execute(
        "INSERT INTO level VALUES (?1, ?2) ON CONFLICT (level) DO UPDATE SET kept_from = max(kept_from, ?2)",
        (level, start * step + LEVELS[level].span),
    )
