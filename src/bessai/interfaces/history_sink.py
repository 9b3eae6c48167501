"""Carries the journal into the history: see `bessai.history`."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Protocol

from bessai.history import HistoryWriter, Keep
from bessai.interfaces.sink import CursorStore, Sink
from bessai.journal.block import Block
from bessai.journal.stats import ReaderStats

CONSUMER = "history"
_LOG = logging.getLogger(__name__)


class BlockReader(Protocol):
    """What is needed of `bessai.journal.JournalReader`. Used by the thread that opened it only."""

    def blocks(self, after: int, limit: int) -> list[Block]:
        """Blocks with records above `after`, in order, until they hold `limit` records or the end is reached."""
        ...

    def stats(self) -> ReaderStats:
        """What the journal holds. Cheap."""
        ...

    def close(self) -> None:
        """Let go of the files."""
        ...


class HistorySink(Sink):
    """Folds every record into rollups, and stores them every few minutes.

    The cursor that counts is in the history itself, stored with the rollups: after a crash, what was folded and
    not stored is folded again. The one among the journal's cursors only shows it.
    """

    def __init__(
        self,
        *,
        directory: Path,
        open_reader: Callable[[], BlockReader],
        open_cursors: Callable[[], CursorStore],
        keep: Keep | None = None,
        period: float = 300.0,
        most: int = 5000,
        poll: float = 2.0,
    ) -> None:
        """Nothing is opened yet.

        Args:
            directory: the data directory.
            open_reader: opens a reader of its journal.
            open_cursors: opens its cursors.
            keep: how much history is kept.
            period: seconds between two stores; between them readers take the newest from the journal.
            most: records after which it is stored earlier, while catching up.
            poll: seconds between looks into the journal.
        """
        super().__init__(CONSUMER)
        self._directory, self._keep = directory, keep
        self._open_reader, self._open_cursors = open_reader, open_cursors
        self._period, self._most, self._poll = period, most, poll

    def run(self, stop: threading.Event) -> None:
        """Follow the journal until `stop` is set, then store. Blocks: give it a thread."""
        with (
            closing(self._open_reader()) as reader,
            closing(self._open_cursors()) as cursors,
            closing(HistoryWriter(self._directory, keep=self._keep)) as writer,
        ):
            self.cursor = writer.stored
            self.recovered()
            due = time.monotonic() + self._period
            while not stop.is_set():
                self._fold(reader, writer)
                due_now = writer.waiting and time.monotonic() >= due
                if due_now or writer.waiting >= self._most or writer.full():
                    self._store(writer, cursors)
                    writer.compact(stop=stop.is_set)
                    due = time.monotonic() + self._period
                if not self.backlog:
                    stop.wait(self._poll)
            if writer.waiting:
                self._store(writer, cursors)

    def _fold(self, reader: BlockReader, writer: HistoryWriter) -> None:
        held = reader.stats()
        if held.epoch > writer.epoch > 0:
            self._follow(held, reader, writer)
        for block in reader.blocks(writer.folded, 256):
            if writer.folded:
                self.missed += max(0, block.first_sequence - writer.folded - 1)
            writer.fold_blocks([block])
        self.backlog = max(0, held.last_sequence - writer.folded)

    def _follow(self, held: ReaderStats, reader: BlockReader, writer: HistoryWriter) -> None:
        """Into a new epoch of the journal, as after restoring a backup: it may use numbers again."""
        last = last_before(reader, writer.epoch + 1, held.last_sequence)
        if last < writer.folded:
            _LOG.warning(
                "%s: the journal goes on from record %d, it was restored or repaired; what was folded beyond stays",
                self.name, last,
            )  # fmt: skip
            writer.rewind(last)
        writer.epoch = held.epoch

    def _store(self, writer: HistoryWriter, cursors: CursorStore) -> None:
        waiting = writer.waiting
        writer.flush()
        self.delivered += waiting
        self.cursor = writer.stored
        cursors.set(CONSUMER, writer.stored, force=True)
        self.recovered()


def last_before(reader: BlockReader, epoch: int, last: int) -> int:
    """Sequence of the last record of an earlier epoch than this one."""
    low, high = 0, last
    while low < high:
        middle = (low + high) // 2
        blocks = reader.blocks(middle, 1)
        if blocks and blocks[0].epoch < epoch:
            low = blocks[0].last_sequence
        elif blocks:
            high = min(middle, blocks[0].first_sequence - 1)
        else:
            high = middle
    return low
