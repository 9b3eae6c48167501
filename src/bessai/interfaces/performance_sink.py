"""Carries the journal into the records of performance: see `bessai.performance`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from pathlib import Path

from bessai.interfaces.folding_sink import BlockReader, FoldingSink
from bessai.interfaces.sink import CursorStore
from bessai.performance import PerformanceWriter, Plant

CONSUMER = "performance"


class PerformanceSink(FoldingSink[PerformanceWriter]):
    """Folds every record into events, hours and quarters, and stores them twice a minute."""

    def __init__(
        self,
        *,
        directory: Path,
        open_reader: Callable[[], BlockReader],
        open_cursors: Callable[[], CursorStore],
        plant: Callable[[Collection[str]], Plant],
        period: float = 30.0,
        most: int = 5000,
        poll: float = 2.0,
    ) -> None:
        """Nothing is opened yet.

        Args:
            directory: the data directory.
            open_reader: opens a reader of its journal.
            open_cursors: opens its cursors.
            plant: the plant, from the names of the points that the journal has.
            period: seconds between two stores.
            most: records after which it is stored earlier, while catching up.
            poll: seconds between looks into the journal.
        """
        super().__init__(
            CONSUMER, open_reader=open_reader, open_cursors=open_cursors, period=period, most=most, poll=poll
        )
        self._directory, self._plant = directory, plant

    def open_writer(self, reader: BlockReader, stop: threading.Event) -> PerformanceWriter | None:
        """Open the records, once the journal says what points there are."""
        while not stop.is_set():
            newest = reader.blocks(max(0, reader.stats().last_sequence - 1), 1)
            if newest:
                return PerformanceWriter(self._directory, self._plant(newest[-1].layout.names))
            stop.wait(self._poll)
        return None
