"""Carries the journal into a database that is made of it, and that knows how far it has come."""

from __future__ import annotations

import logging
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Generic, Protocol, TypeVar

from bessai.interfaces.sink import CursorStore, Sink
from bessai.journal.block import Block
from bessai.journal.stats import ReaderStats

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


class Writer(Protocol):
    """What is made of the journal. Used by the thread that opened it only."""

    stored: int
    """Sequence of the last record that is stored."""
    folded: int
    """Sequence of the last record that is in memory or stored."""
    epoch: int
    """Epoch of the last record that is folded."""
    waiting: int
    """Records folded and not stored yet."""

    def full(self) -> bool:
        """Whether it is time to flush, so that memory stays small."""
        ...

    def fold_blocks(self, blocks: Sequence[Block]) -> None:
        """Fold blocks, in order and none left out, into memory; records up to `folded` are skipped."""
        ...

    def flush(self) -> None:
        """Store what was folded: all of it or nothing."""
        ...

    def rewind(self, sequence: int) -> None:
        """Go on after an earlier record, because others have those numbers now."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


W = TypeVar("W", bound=Writer)


class FoldingSink(Sink, Generic[W]):
    """Folds every record, and stores what they add up to from time to time.

    The cursor that counts is in the database itself, stored with the rest: after a crash, what was folded and not
    stored is folded again. The one among the journal's cursors only shows it.
    """

    def __init__(
        self,
        name: str,
        *,
        open_reader: Callable[[], BlockReader],
        open_cursors: Callable[[], CursorStore],
        period: float,
        most: int = 5000,
        poll: float = 2.0,
    ) -> None:
        """Nothing is opened yet.

        Args:
            name: of the consumer.
            open_reader: opens a reader of the journal.
            open_cursors: opens its cursors.
            period: seconds between two stores.
            most: records after which it is stored earlier, while catching up.
            poll: seconds between looks into the journal.
        """
        super().__init__(name)
        self._open_reader, self._open_cursors = open_reader, open_cursors
        self._period, self._most, self._poll = period, most, poll

    @abstractmethod
    def open_writer(self, reader: BlockReader, stop: threading.Event) -> W | None:
        """Open the database; None when `stop` was set before it could be."""

    def tidy(self, writer: W, stop: threading.Event) -> None:
        """Called after each store."""

    def run(self, stop: threading.Event) -> None:
        """Follow the journal until `stop` is set, then store. Blocks: give it a thread."""
        with closing(self._open_reader()) as reader, closing(self._open_cursors()) as cursors:
            writer = self.open_writer(reader, stop)
            if writer is None:
                return
            with closing(writer):
                self._follow_on(reader, cursors, writer, stop)

    def _follow_on(self, reader: BlockReader, cursors: CursorStore, writer: W, stop: threading.Event) -> None:
        self.cursor = writer.stored
        self.recovered()
        due = time.monotonic() + self._period
        while not stop.is_set():
            self._fold(reader, writer)
            due_now = writer.waiting and time.monotonic() >= due
            if due_now or writer.waiting >= self._most or writer.full():
                self._store(writer, cursors)
                self.tidy(writer, stop)
                due = time.monotonic() + self._period
            if not self.backlog:
                stop.wait(self._poll)
        if writer.waiting:
            self._store(writer, cursors)

    def _fold(self, reader: BlockReader, writer: Writer) -> None:
        held = reader.stats()
        if held.epoch > writer.epoch > 0:
            self._follow(held, reader, writer)
        for block in reader.blocks(writer.folded, 256):
            if writer.folded:
                self.missed += max(0, block.first_sequence - writer.folded - 1)
            writer.fold_blocks([block])
        self.backlog = max(0, held.last_sequence - writer.folded)

    def _follow(self, held: ReaderStats, reader: BlockReader, writer: Writer) -> None:
        """Into a new epoch of the journal, as after restoring a backup: it may use numbers again."""
        last = last_before(reader, writer.epoch + 1, held.last_sequence)
        if last < writer.folded:
            _LOG.warning(
                "%s: the journal goes on from record %d, it was restored or repaired; what was folded beyond stays",
                self.name, last,
            )  # fmt: skip
            writer.rewind(last)
        writer.epoch = held.epoch

    def _store(self, writer: Writer, cursors: CursorStore) -> None:
        waiting = writer.waiting
        writer.flush()
        self.delivered += waiting
        self.cursor = writer.stored
        cursors.set(self.name, writer.stored, force=True)
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
