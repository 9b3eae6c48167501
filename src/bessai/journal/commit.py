"""What is durable now, told to the readers in other processes.

The writer overwrites this small file in place after each sync of the write-ahead log and does not sync it: it
must be seen, not survive. After a power cut it may be older than the log, never newer. So a reader never sees
what a power cut could take back, and the next writer knows what readers may have seen.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import astuple, dataclass
from pathlib import Path

from bessai.journal.disk import Disk, File

NAME = "commit"
SIZE = 4096
_BODY = struct.Struct("<4s6Q")
_MAGIC = b"BJc1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A state of the journal."""

    generation: int
    """Of the write-ahead log."""
    offset: int
    """Up to where the log is durable."""
    last: int
    """The last sequence given to a durable record."""
    floor: int
    """Sequence of the oldest record that may still be there; 0 when unknown."""
    epoch: int
    identity: int
    """The inode of the journal's directory: a copy has another."""


class CommitFile:
    """The open file."""

    def __init__(self, file: File) -> None:
        self._file = file

    @classmethod
    def create(cls, disk: Disk, directory: Path) -> CommitFile:
        """Open for writing; created at full size, durably, when it is missing or short."""
        file = disk.open(directory / NAME, write=True, create=True)
        try:
            if file.size() != SIZE:
                file.truncate(0)
                file.write(0, bytes(SIZE))
                file.sync()
                disk.sync_directory(directory)
        except BaseException:
            file.close()
            raise
        return cls(file)

    def write(self, commit: Commit) -> None:
        """Show a new state. Raises OSError."""
        body = _BODY.pack(_MAGIC, *astuple(commit))
        self._file.write(0, body + zlib.crc32(body).to_bytes(4, "little"))

    def read(self) -> Commit | None:
        """The state; None when it was never written, or is damaged. Raises OSError."""
        for _ in range(20):  # the writer may be in the middle of it
            data = self._file.read(0, _BODY.size + 4)
            body = data[: _BODY.size]
            if len(data) == _BODY.size + 4 and zlib.crc32(body).to_bytes(4, "little") == data[_BODY.size :]:
                magic, generation, offset, last, floor, epoch, identity = _BODY.unpack(body)
                if magic == _MAGIC:
                    return Commit(
                        generation=generation,
                        offset=offset,
                        last=last,
                        floor=floor,
                        epoch=epoch,
                        identity=identity,
                    )
            if not any(data):
                return None
        return None

    def close(self) -> None:
        """Let go of it."""
        self._file.close()


def read_commit(disk: Disk, directory: Path) -> Commit | None:
    """The state, None when there is none that can be read."""
    try:
        file = CommitFile(disk.open(directory / NAME))
    except OSError:
        return None
    try:
        return file.read()
    except OSError:
        return None
    finally:
        file.close()
