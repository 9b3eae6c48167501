"""Folds a journal into its history, storing as often as it can: `python history_process.py DIRECTORY`."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from bessai.history import History
from bessai.interfaces.history_sink import HistorySink
from bessai.journal import Cursors, JournalReader
from bessai.journal.block import Block
from support.history_oracle import few


class Few(JournalReader):
    """Hands out few records at a time, so that there is much to interrupt."""

    def blocks(self, after: int, limit: int) -> list[Block]:
        """See `JournalReader`."""
        return few(super().blocks(after, min(limit, 100)), after, 100)


class Hasty(HistorySink):
    """Says when it has come to the end."""

    def run(self, stop: threading.Event) -> None:
        """See `HistorySink`; ends at the journal's end."""
        reader = JournalReader(self._directory)
        last = reader.last_sequence()
        reader.close()

        def watch() -> None:
            while History(self._directory).stats().sequence < last:
                stop.wait(0.02)
            stop.set()

        threading.Thread(target=watch, daemon=True).start()
        super().run(stop)


def main() -> None:
    directory = Path(sys.argv[1])
    sink = Hasty(
        directory=directory,
        open_reader=lambda: Few(directory),
        open_cursors=lambda: Cursors(directory),
        period=0.0,
        most=1,
        poll=0.01,
    )
    print("ready", flush=True)
    sink.run(threading.Event())


if __name__ == "__main__":
    main()
