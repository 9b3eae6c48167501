"""Rows between the write-ahead log and a segment."""

from __future__ import annotations

from bessai.journal.block import pack
from bessai.journal.frame import Frame
from bessai.journal.row import Row


def packed(rows: list[Row]) -> tuple[list[Row], bytes]:
    """As many of the first rows as one block takes, and the block."""
    while True:
        try:
            return rows, pack(rows)
        except ValueError:
            if len(rows) == 1:
                raise
            rows = rows[: len(rows) // 2]


class Run:
    """Rows on their way to a segment: one layout, one epoch, no gap."""

    def __init__(self, frame: Frame) -> None:
        self.layout, self.epoch, self.first = frame.layout, frame.epoch, frame.first
        self.rows: list[Row] = []

    def takes(self, frame: Frame) -> bool:
        """True when the rows of a frame may follow."""
        return (self.layout, self.epoch, self.first + len(self.rows)) == (
            frame.layout,
            frame.epoch,
            frame.first,
        )
