"""The directory of black-box files: bounded, durable, trips kept longest. Used by one thread."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path

from bessai.core.black_box.frames import MARK, UnreadableBoxError
from bessai.core.black_box.reading import outline

SUFFIX = ".bbox"


class Recording:
    """One file that grows. It appears under its name once its first part is on disk.

    Args:
        path: the file's final name.
        frames: the first part.
    """

    def __init__(self, path: Path, frames: Sequence[bytes]) -> None:
        self.path = path
        self.size = 0
        """Bytes that are durable."""
        self._pending = [MARK, *frames]
        self._file: FileIO | None = None

    @property
    def pending(self) -> int:
        """Bytes that still wait for the disk."""
        return sum(map(len, self._pending))

    def add(self, *frames: bytes) -> None:
        """Take more frames; `flush` writes them."""
        self._pending += frames

    def flush(self) -> None:
        """Make everything durable. After an OSError nothing is lost: call it again."""
        if not self._pending:
            return
        data = b"".join(self._pending)
        if self._file is None:
            self._begin(data)
        else:
            try:
                self._file.seek(self.size)
                self._file.truncate()  # what an earlier failure left half written
                _write_all(self._file, data)
                os.fsync(self._file.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    self._file.truncate(self.size)
                raise
        self.size += len(data)
        self._pending.clear()

    def close(self) -> None:
        """Give the file back."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _begin(self, data: bytes) -> None:
        part = self.path.with_suffix(".part")
        file = part.open("wb", buffering=0)
        try:
            _write_all(file, data)
            os.fsync(file.fileno())
            part.replace(self.path)
            _sync_directory(self.path.parent)
        except OSError:
            file.close()
            for left in (part, self.path):
                with contextlib.suppress(OSError):
                    left.unlink(missing_ok=True)
            raise
        self._file = file


class Store:
    """The files.

    Args:
        directory: made when the first file is written.
        max_bytes: of all files together; one file may take half of it.
    """

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self.directory = directory
        self.max_bytes = max_bytes
        self._trips: dict[Path, bool] = {}

    def begin(self, wall_ns: int, code: str, frames: Sequence[bytes]) -> Recording:
        """A new recording; nothing is written before its `flush`."""
        moment = datetime.fromtimestamp(wall_ns // 10**9, UTC)
        stem = f"{moment:%Y%m%dT%H%M%SZ}-{re.sub(r'[^a-z0-9_]+', '_', code.lower())[:60] or 'event'}"
        name, number = stem, 1
        while (self.directory / f"{name}{SUFFIX}").exists():
            number += 1
            name = f"{stem}-{number}"
        return Recording(self.directory / f"{name}{SUFFIX}", frames)

    def make_room(self, recording: Recording) -> None:
        """Remove old files until what `recording` holds back fits: first those without a trip, oldest first.

        Raises:
            OSError: the directory cannot be used.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        files = {path: path.stat().st_size for path in files_in(self.directory)}
        total = sum(files.values()) + recording.pending
        for path in sorted(files, key=lambda path: (self._has_trip(path), path.name)):
            if total <= self.max_bytes:
                return
            if path != recording.path:
                total -= files[path]
                self.remove(path)

    def remove_oldest(self, but: Path) -> bool:
        """Remove the file that is missed least, for a disk that is full. False when there is none."""
        for path in sorted(files_in(self.directory), key=lambda path: (self._has_trip(path), path.name)):
            if path != but:
                self.remove(path)
                return True
        return False

    def remove(self, path: Path) -> None:
        """Remove one file."""
        path.unlink(missing_ok=True)
        self._trips.pop(path, None)

    def sweep(self) -> None:
        """Remove what a gateway that was killed left unnamed."""
        for left in self.directory.glob("*.part"):
            left.unlink(missing_ok=True)

    def totals(self) -> tuple[int, int]:
        """Number of files, and bytes."""
        sizes = [path.stat().st_size for path in files_in(self.directory)]
        return len(sizes), sum(sizes)

    def _has_trip(self, path: Path) -> bool:
        if path not in self._trips:
            try:
                self._trips[path] = any(trigger.kind == "trip" for trigger in outline(path).triggers)
            except UnreadableBoxError:
                self._trips[path] = False
        return self._trips[path]

    def forget(self, path: Path) -> None:
        """The file has grown: look again whether it holds a trip."""
        self._trips.pop(path, None)


def files_in(directory: Path) -> list[Path]:
    """The records of a directory, oldest first; empty when there is none."""
    return sorted(directory.glob(f"*{SUFFIX}"))


def _write_all(file: FileIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
