"""One writer per data directory."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from bessai.journal.errors import JournalError


def lock_directory(directory: Path) -> int:
    """Create the directory and lock it for one writer: the handle that holds the lock until it is closed.

    Raises:
        JournalError: the directory cannot be made or written, or another process holds the lock.
    """
    path = directory / "journal.lock"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except (FileExistsError, NotADirectoryError) as error:
        raise JournalError(f"{directory} is not a directory: set DATA_DIR to one") from error
    except OSError as error:
        raise JournalError(
            f"{directory} cannot be written ({error.strerror}): give the gateway's user write permission, "
            "or set DATA_DIR to another directory"
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(handle, 32, 0).decode("ascii", "replace").strip()
        os.close(handle)
        who = f"process {holder}" if holder else "another process"
        raise JournalError(
            f"{directory} is in use by {who}: stop that gateway, or set DATA_DIR to another directory"
        ) from error
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    except OSError:
        pass  # a full disk; the number is for people only
    return handle


def in_use(directory: Path) -> bool:
    """True when a gateway holds the lock of the directory, or nobody can tell."""
    try:
        handle = os.open(directory / "journal.lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False
