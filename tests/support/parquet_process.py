"""Writes Parquet files from a real journal in children that are killed at random moments.

    python -m support.parquet_process DATA_DIR PARQUET_DIR KILLS

The last child is left alone until it has written every hour. Prints how many of the children were killed.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

import bessai.interfaces.parquet  # noqa: F401  loaded once, before the children are made
from bessai.interfaces.files import FilePace, ParquetFiles
from bessai.interfaces.parquet_settings import ParquetSettings
from bessai.journal import Cursors, JournalReader


def write(data: Path, directory: Path) -> None:
    """Until nothing is left."""
    reader = JournalReader(data)
    last = reader.last_sequence()
    reader.close()
    sink = ParquetFiles(
        ParquetSettings(directory=directory),
        site="site",
        open_reader=lambda: JournalReader(data),
        open_cursors=lambda: Cursors(data),
        pace=FilePace(poll=0.001),
    )
    stop = threading.Event()
    threading.Thread(target=lambda: sink.run(stop), daemon=True).start()
    while sink.cursor < last:
        time.sleep(0.001)
    stop.set()


def main() -> None:
    """See the module."""
    data, directory, kills = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    random.seed(kills)
    killed = 0
    for attempt in range(kills + 1):
        child = os.fork()
        if child == 0:
            write(data, directory)
            os._exit(0)
        if attempt < kills:
            time.sleep(random.uniform(0.005, 0.06))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        killed += os.WIFSIGNALED(status)
        if not os.WIFSIGNALED(status) and os.waitstatus_to_exitcode(status):
            sys.exit(f"a child failed with {status}")
    print(killed)


if __name__ == "__main__":
    main()
