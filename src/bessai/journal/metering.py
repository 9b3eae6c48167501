"""A disk that measures itself: what is written to it, and how long its syncs take."""

from __future__ import annotations

import math
import time
from array import array
from dataclasses import dataclass
from pathlib import Path

from bessai.journal.disk import Disk, File

_RING = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncTimes:
    """Seconds that the newest syncs of files took."""

    p50: float
    p99: float
    max: float
    count: int
    """Syncs that this was measured on."""


class MeteredDisk:
    """A `Disk` around another one; see there. The journal's writer thread uses it, anybody may look.

    Counted is what was handed to the file system, in bytes of the files; what the file system and the flash add to it
    is theirs. A sync that fails is not timed.
    """

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._times = array("d", bytes(8 * _RING))
        self._written = 0
        self._syncs = 0
        self._since = time.monotonic()

    def begin(self) -> None:
        """Count from now on: what was written before, such as a new file filled with zeros, is not written again."""
        self._written, self._since = 0, time.monotonic()

    @property
    def written(self) -> tuple[int, float]:
        """Bytes, and the seconds in which they were written."""
        return self._written, time.monotonic() - self._since

    @property
    def syncs(self) -> SyncTimes | None:
        """None before the first."""
        found = sorted(self._times[: min(self._syncs, _RING)])
        if not found:
            return None
        p50, p99 = (found[math.ceil(share * len(found)) - 1] for share in (0.5, 0.99))
        return SyncTimes(p50=p50, p99=p99, max=found[-1], count=len(found))

    def wrote(self, size: int) -> None:
        """Count bytes."""
        self._written += size

    def synced(self, seconds: float) -> None:
        """Keep how long a sync took."""
        self._times[self._syncs % _RING] = seconds
        self._syncs += 1

    def open(self, path: Path, *, write: bool = False, create: bool = False) -> File:  # noqa: D102
        file = self._disk.open(path, write=write, create=create)
        return MeteredFile(file, self) if write else file

    def names(self, directory: Path) -> list[str]:  # noqa: D102
        return self._disk.names(directory)

    def rename(self, old: Path, new: Path) -> None:  # noqa: D102
        self._disk.rename(old, new)

    def unlink(self, path: Path) -> None:  # noqa: D102
        self._disk.unlink(path)

    def make_directory(self, path: Path) -> None:  # noqa: D102
        self._disk.make_directory(path)

    def sync_directory(self, path: Path) -> None:  # noqa: D102
        self._disk.sync_directory(path)

    def identity(self, path: Path) -> int:  # noqa: D102
        return self._disk.identity(path)


class MeteredFile:
    """A `File` of a `MeteredDisk`."""

    def __init__(self, file: File, disk: MeteredDisk) -> None:
        self._file = file
        self._disk = disk
        self.read = file.read
        self.size = file.size
        self.truncate = file.truncate
        self.close = file.close

    def write(self, offset: int, data: bytes) -> None:  # noqa: D102
        self._file.write(offset, data)
        self._disk.wrote(len(data))

    def sync(self) -> None:  # noqa: D102
        start = time.monotonic()
        self._file.sync()
        self._disk.synced(time.monotonic() - start)
