"""The few file operations that the journal needs, handed in so that tests can cut the power between any two."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Protocol

_SECTOR = 4096


class File(Protocol):
    """An open file. Every method may raise OSError, and then did nothing, a part or all of its work."""

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes; fewer only at the end of the file."""
        ...

    def write(self, offset: int, data: bytes) -> None:
        """All of `data`. Durable only after `sync`."""
        ...

    def size(self) -> int:
        """Bytes."""
        ...

    def truncate(self, length: int) -> None:
        """Cut or extend with zeros."""
        ...

    def sync(self) -> None:
        """Returns when the content, and the size that is needed to read it, survives a power cut."""
        ...

    def close(self) -> None:
        """Let go of it. Never raises."""
        ...


class Disk(Protocol):
    """A file system. Every method may raise OSError."""

    def open(self, path: Path, *, write: bool = False, create: bool = False) -> File:
        """Raises FileNotFoundError when it does not exist and `create` is not set."""
        ...

    def names(self, directory: Path) -> list[str]:
        """Names in a directory, in no order; none when it does not exist."""
        ...

    def rename(self, old: Path, new: Path) -> None:
        """Replaces `new`, all or nothing. Durable only after `sync_directory`."""
        ...

    def unlink(self, path: Path) -> None:
        """Nothing happens when it does not exist. Durable only after `sync_directory`."""
        ...

    def make_directory(self, path: Path) -> None:
        """With its parents; nothing happens when it exists."""
        ...

    def sync_directory(self, path: Path) -> None:
        """Returns when the names in the directory survive a power cut."""
        ...

    def identity(self, path: Path) -> int:
        """What tells this file or directory from a copy of it: its inode."""
        ...


class RealFile:
    """See `File`."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def read(self, offset: int, length: int) -> bytes:  # noqa: D102
        parts, got = [], 0
        while got < length and (data := self._some(offset + got, length - got)):
            parts.append(data)
            got += len(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _some(self, offset: int, length: int) -> bytes:
        """What one call gives. A sector that cannot be read gives zeros: the checks find it like other damage."""
        try:
            return os.pread(self._handle, length, offset)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
        length = min(length, _SECTOR - offset % _SECTOR)
        try:
            return os.pread(self._handle, length, offset)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return bytes(min(length, max(0, self.size() - offset)))

    def write(self, offset: int, data: bytes) -> None:  # noqa: D102
        view = memoryview(data)
        while view:
            done = os.pwrite(self._handle, view, offset)
            view, offset = view[done:], offset + done

    def size(self) -> int:  # noqa: D102
        return os.fstat(self._handle).st_size

    def truncate(self, length: int) -> None:  # noqa: D102
        os.ftruncate(self._handle, length)

    def sync(self) -> None:  # noqa: D102
        os.fdatasync(self._handle)

    def close(self) -> None:  # noqa: D102
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


class RealDisk:
    """The operating system's. See `Disk`."""

    def open(self, path: Path, *, write: bool = False, create: bool = False) -> RealFile:  # noqa: D102
        flags = os.O_CLOEXEC | (os.O_RDWR if write else os.O_RDONLY) | (os.O_CREAT if create else 0)
        return RealFile(os.open(path, flags, 0o644))

    def names(self, directory: Path) -> list[str]:  # noqa: D102
        try:
            return [entry.name for entry in directory.iterdir()]
        except FileNotFoundError:
            return []

    def rename(self, old: Path, new: Path) -> None:  # noqa: D102
        old.replace(new)

    def unlink(self, path: Path) -> None:  # noqa: D102
        path.unlink(missing_ok=True)

    def make_directory(self, path: Path) -> None:  # noqa: D102
        path.mkdir(parents=True, exist_ok=True)

    def sync_directory(self, path: Path) -> None:  # noqa: D102
        sync_directory(path)

    def identity(self, path: Path) -> int:  # noqa: D102
        return path.stat().st_ino


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
