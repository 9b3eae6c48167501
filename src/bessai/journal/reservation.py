"""The sequence's high-water mark, kept apart from the database so that it outlives its loss.

The file `journal.sequence` names a number that no record has ever gone beyond. It is raised by a whole block
*before* a record needs it, so it costs one fsync in thousands of records, and it is overwritten in place, so
a full disk does not stop it. After the loss of the database the sequence goes on above it: the gap is at most
two blocks, and no (site, sequence) is ever given twice.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path

from bessai.journal.database import sync_directory

BLOCK = 10_000
"""Sequence numbers reserved at once."""

_PREFIX = "bessai-sequence "


class Reservation:
    """The file and the number it holds."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "journal.sequence"
        self.value = self._read()
        """No record has a sequence above this; 0 when the file is missing or damaged."""

    def cover(self, sequence: int) -> None:
        """Make sure, durably, that `sequence` is reserved. Raises OSError."""
        if sequence <= self.value:
            return
        value = sequence + BLOCK
        text = f"{value:020d}"
        line = f"{_PREFIX}{text} {zlib.crc32(text.encode()):08x}\n".encode()
        new = not self._path.exists()
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if os.pwrite(handle, line, 0) != len(line):
                raise OSError(f"{self._path}: written in part only")
            os.fsync(handle)
        finally:
            os.close(handle)
        if new:
            sync_directory(self._path.parent)
        self.value = value

    def _read(self) -> int:
        try:
            text, check = self._path.read_text("ascii").removeprefix(_PREFIX).split()
            return int(text) if int(check, 16) == zlib.crc32(text.encode()) else 0
        except (OSError, ValueError):
            return 0
