"""Carries the journal into the history: see `bessai.history`."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from bessai.history import HistoryWriter, Keep
from bessai.interfaces.sink import CursorStore, Reader, Sink

CONSUMER = "history"
_LOG = logging.getLogger(__name__)


class HistorySink(Sink):
    """Folds every record into rollups, and stores them every few minutes.

    The cursor that counts is in the history itself, stored with the rollups: after a crash, what was folded and
    not stored is folded again. The one among the journal's cursors only shows it.
    """

    def __init__(
        self,
        *,
        directory: Path,
        open_reader: Callable[[], Reader],
        open_cursors: Callable[[], CursorStore],
        keep: Keep | None = None,
        period: float = 300.0,
        most: int = 5000,
        poll: float = 2.0,
        patience: float = 30.0,
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
            patience: seconds that a journal may end before what was folded, until that is believed.
        """
        super().__init__(CONSUMER)
        self._directory, self._keep = directory, keep
        self._open_reader, self._open_cursors = open_reader, open_cursors
        self._period, self._most, self._poll, self._patience = period, most, poll, patience
        self._ahead_since: float | None = None

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
                self._check_end(reader, writer)
                entries = reader.read(writer.folded, 512)
                if entries:
                    if writer.folded:
                        self.missed += max(0, entries[-1].sequence - writer.folded - len(entries))
                    writer.fold_entries(entries)
                self.backlog = max(0, reader.last_sequence() - writer.folded)
                if writer.waiting >= self._most or (writer.waiting and time.monotonic() >= due):
                    self._store(writer, cursors)
                    writer.compact(stop=stop.is_set)
                    due = time.monotonic() + self._period
                if not self.backlog:
                    stop.wait(self._poll)
            if writer.waiting:
                self._store(writer, cursors)

    def _store(self, writer: HistoryWriter, cursors: CursorStore) -> None:
        waiting = writer.waiting
        writer.flush()
        self.delivered += waiting
        self.cursor = writer.stored
        cursors.set(CONSUMER, writer.stored, force=True)
        self.recovered()

    def _check_end(self, reader: Reader, writer: HistoryWriter) -> None:
        """Go on at the end of a journal that was replaced by an older one, as after restoring a backup."""
        last = reader.last_sequence()
        if not 0 < last < writer.folded:
            self._ahead_since = None
        elif self._ahead_since is None:
            self._ahead_since = time.monotonic()
        elif time.monotonic() - self._ahead_since > self._patience:
            _LOG.warning(
                "%s: the journal ends at record %d, and %d was folded already: it was replaced by an older one; "
                "what follows is new",
                self.name, last, writer.folded,
            )  # fmt: skip
            writer.rewind(last)
            self.cursor = last
            self._ahead_since = None
