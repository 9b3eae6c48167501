"""The files of the log: names, the lock, the last line, and durable appending."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bessai.interfaces.api.audit.entries import LINE, AuditError

PATIENCE = 5.0
"""Seconds to wait for another process that writes."""


def name_of(sequence: int) -> str:
    """The file that begins with an entry."""
    return f"audit-{sequence:012d}.jsonl"


def files_of(directory: Path) -> list[Path]:
    """Oldest first."""
    return sorted(directory.glob("audit-" + "[0-9]" * 12 + ".jsonl"))


def first_of(path: Path) -> int:
    """The entry that a file's name says it begins with."""
    return int(path.stem.removeprefix("audit-"))


@contextmanager
def locked(directory: Path, *, writing: bool = True) -> Iterator[None]:
    """Keep other processes (the command line) from writing meanwhile.

    Args:
        directory: of the log.
        writing: False needs no right to write, and no disk that takes anything.

    Raises:
        AuditError: another process holds the lock for too long, or the directory cannot be written.
    """
    lock = directory / "lock"
    try:
        if writing:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        elif not lock.exists():  # nobody has written yet, here
            yield
            return
        handle = os.open(lock, (os.O_RDWR | os.O_CREAT if writing else os.O_RDONLY) | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise AuditError(
            f"{directory} cannot be {'written' if writing else 'read'} ({error.strerror})"
        ) from error
    try:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(handle, (fcntl.LOCK_EX if writing else fcntl.LOCK_SH) | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() > end:
                    raise AuditError(f"{lock} is held by another process") from error
                time.sleep(0.005)
        yield
    finally:
        os.close(handle)


def last_line(path: Path, end: int | None = None) -> tuple[bytes, int]:
    """The last line of a file or of its first `end` bytes, without a newline when it is torn, and where it begins."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END) if end is None else end
        start = max(0, size - 2 * LINE)
        file.seek(start)
        tail = file.read(size - start)
    begin = tail.rfind(b"\n", 0, max(0, len(tail) - 1)) + 1
    return tail[begin:], start + begin


def append(path: Path, data: bytes) -> None:
    """Write at the end of a file, durably; after an error the file is as it was, as far as the disk lets us.

    Raises:
        AuditError: the disk did not take it.
    """
    new = not path.exists()
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise AuditError(f"{path} cannot be written ({error.strerror})") from error
    try:
        size = os.fstat(handle).st_size
        try:
            written = 0
            while written < len(data):
                written += os.write(handle, data[written:])
            os.fsync(handle)
            if new:
                sync_directory(path.parent)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(handle, size)
            raise AuditError(f"{path} cannot be written ({error.strerror}): make room on the disk") from error
    finally:
        os.close(handle)


def cut(path: Path, size: int) -> None:
    """Cut a torn line off, durably. Raises OSError."""
    handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.ftruncate(handle, size)
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_directory(directory: Path) -> None:
    """Make new and removed names durable. Raises OSError."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
