"""Messages that the far end refuses for what they contain: kept in a file for somebody to look at.

`DATA_DIR/dead-letter/<sink>.jsonl`, one JSON object a line: `time` (RFC 3339, UTC), `error`, `id`, `attributes`
and `data`, the message as text. The file is bounded: the oldest lines make room for new ones and are counted.
A message that was put aside just before a power cut may stand there twice, with the same `id`.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bessai.interfaces.courier import Message
from bessai.interfaces.envelope import timestamp

MOST_BYTES: Final = 16_000_000


class DeadLetters:
    """One sink's file. Opened by the first letter, or read when it is there already."""

    def __init__(self, path: Path, *, most_bytes: int = MOST_BYTES) -> None:
        self.path = path
        self.count = 0
        """Messages in the file."""
        self.dropped = 0
        """Messages that made room for newer ones, since the start."""
        self._most_bytes = most_bytes
        self._size: int | None = None

    def look(self) -> None:
        """Count what the file holds.

        Raises:
            OSError: it cannot be read.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            content = b""
        self._size = content.rfind(b"\n") + 1  # what stands behind it was being written when the power failed
        self.count = content.count(b"\n")

    def put(self, messages: Sequence[Message], error: str) -> None:
        """Durable on return.

        Raises:
            OSError: at least one of them could not be written.
        """
        if self._size is None:
            self.look()
        now = timestamp(time.time_ns())
        lines = [_line(message, error, now) for message in messages]
        data = b"".join(lines)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self._size and self._size + len(data) > self._most_bytes:
            self._make_room(len(data))
        new = not self.path.exists()
        with self.path.open("r+b" if not new else "xb") as file:
            file.truncate(self._size)
            file.seek(0, os.SEEK_END)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            self._size = file.tell()
        if new:
            _sync_directory(self.path.parent)
        self.count += len(lines)

    def _make_room(self, needed: int) -> None:
        """Keep the newest lines: half of the bound, less when `needed` is more."""
        lines = self.path.read_bytes()[: self._size].splitlines(keepends=True)
        kept: list[bytes] = []
        room = min(self._most_bytes // 2, self._most_bytes - needed)
        for line in reversed(lines):
            room -= len(line)
            if room < 0:
                break
            kept.append(line)
        temporary = self.path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            file.writelines(reversed(kept))
            file.flush()
            os.fsync(file.fileno())
            self._size = file.tell()
        temporary.replace(self.path)
        _sync_directory(self.path.parent)
        self.dropped += len(lines) - len(kept)
        self.count = len(kept)


def _line(message: Message, error: str, now: str) -> bytes:
    letter = {
        "time": now,
        "error": error,
        "id": message.id,
        "attributes": dict(message.attributes),
        "data": message.data.decode(errors="replace"),
    }
    return json.dumps(letter, ensure_ascii=False).encode() + b"\n"


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
