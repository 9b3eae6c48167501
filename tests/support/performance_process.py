"""Folds a journal into its records of performance: `python performance_process.py DIRECTORY GRID_FILE`."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from bessai.interfaces.performance_sink import PerformanceSink
from bessai.journal import Cursors, JournalReader
from bessai.journal.block import Block
from bessai.performance import Performance, PerformanceWriter, read_plant
from support.history_oracle import few


class Few(JournalReader):
    """Hands out few records at a time, so that there is much to interrupt."""

    def blocks(self, after: int, limit: int) -> list[Block]:
        """See `JournalReader`."""
        return few(super().blocks(after, min(limit, 40)), after, 40)


def main() -> None:
    directory, grid = Path(sys.argv[1]), Path(sys.argv[2])
    reader = JournalReader(directory)
    last, names = reader.last_sequence(), reader.blocks(0, 1)[0].layout.names
    reader.close()
    stop = threading.Event()

    class Hasty(PerformanceSink):
        """Ends at the journal's end."""

        def tidy(self, writer: PerformanceWriter, stop: threading.Event) -> None:
            if writer.stored >= last:
                stop.set()

    sink = Hasty(
        directory=directory,
        open_reader=lambda: Few(directory),
        open_cursors=lambda: Cursors(directory),
        plant=lambda names: read_plant(grid, names),
        most=1,
        poll=0.01,
    )
    if Performance(directory, read_plant(grid, names)).sequence() >= last:
        stop.set()
    print("ready", flush=True)
    sink.run(stop)


if __name__ == "__main__":
    main()
