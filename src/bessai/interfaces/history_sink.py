"""Carries the journal into the history: see `bessai.history`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from bessai.history import HistoryWriter, Keep
from bessai.interfaces.folding_sink import BlockReader, FoldingSink
from bessai.interfaces.sink import CursorStore

CONSUMER = "history"


class HistorySink(FoldingSink[HistoryWriter]):
    """Folds every record into rollups, and stores them every few minutes."""

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
        super().__init__(
            CONSUMER, open_reader=open_reader, open_cursors=open_cursors, period=period, most=most, poll=poll
        )
        self._directory, self._keep = directory, keep

    def open_writer(self, reader: BlockReader, stop: threading.Event) -> HistoryWriter:
        """Open the history."""
        return HistoryWriter(self._directory, keep=self._keep)

    def tidy(self, writer: HistoryWriter, stop: threading.Event) -> None:
        """Move what has come together into chunks."""
        writer.compact(stop=stop.is_set)
