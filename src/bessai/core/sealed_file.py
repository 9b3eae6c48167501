"""Files whose content is sealed by a digest, and that are durable when they are called written."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

FORMAT = 1
"""Version of the envelope."""


def sealed(generation: int, state: Mapping[str, Any]) -> bytes:
    """The bytes of a file."""
    content = {"format": FORMAT, "generation": generation, "state": state}
    return json.dumps({**content, "sha256": _digest(content)}, indent=1).encode() + b"\n"


def opened(data: bytes) -> tuple[int, dict[str, Any]]:
    """Generation and state of a file's bytes. ValueError when anything in them is not as it was written."""
    try:
        content = json.loads(data)
    except UnicodeDecodeError as error:
        raise ValueError("damaged: not text") from error
    except ValueError as error:
        raise ValueError(f"damaged: {error}") from error
    if not isinstance(content, dict):
        raise ValueError("damaged: not an object")
    version = content.get("format")
    if isinstance(version, int) and version > FORMAT:
        raise ValueError(f"format {version} is newer than this gateway's ({FORMAT})")
    digest = content.pop("sha256", None)
    if set(content) != {"format", "generation", "state"} or digest != _digest(content):
        raise ValueError("damaged: the digest does not fit the content")
    return content["generation"], content["state"]


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def write_durably(path: Path, data: bytes) -> None:
    """Write a whole file and wait until the disk has it. OSError when it has not; the file is gone then."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        written = 0
        while written < len(data):
            written += os.pwrite(handle, data[written:], written)
        os.ftruncate(handle, len(data))
        os.fsync(handle)
    except OSError:  # after a failed fsync nobody knows what is on disk: the next attempt takes a new file
        with suppress(OSError):
            path.unlink()
        raise
    finally:
        os.close(handle)


def reserve(path: Path, size: int) -> None:
    """Allocate the blocks of the next write now. Best effort: some file systems cannot."""
    with suppress(OSError):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(handle, 0, size)
        finally:
            os.close(handle)
