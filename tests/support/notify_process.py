"""Notifications in a process of their own, for tests that kill it: `python -m support.notify_process FILE DATA_DIR`."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from bessai.interfaces.notify.sink import NotifySink
from bessai.journal import Cursors, JournalReader
from support.notify_plant import PLACE, PostCourier


def main(file: str, directory: str) -> None:
    """Run until killed."""
    data = Path(directory)
    NotifySink(
        Path(file), directory=data, place=PLACE, open_reader=lambda: JournalReader(data),
        open_cursors=lambda: Cursors(data), courier=PostCourier(), look=0.05,
    ).run(threading.Event())  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
