"""How far each consumer has come: one small file each, written in place, so that it works on a full disk too.

A file has two places; each write goes to the other one, so a torn write leaves the state before it.
"""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path

from bessai.journal.disk import Disk, File, RealDisk
from bessai.journal.errors import JournalError
from bessai.journal.progress import MOST_RANGES, Progress

DIRECTORY = "cursors"
_SUFFIX = ".cur"
_CONSUMER = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_PLACE = 4096
_HEAD = struct.Struct("<4sQQI")
_MAGIC = b"BJp1"


class Cursors:
    """The cursors of one data directory. Use it from one thread at a time, and each consumer from one place."""

    def __init__(self, directory: Path, *, disk: Disk | None = None) -> None:
        """The cursors in `directory/cursors`. Nothing is opened before it is needed."""
        self.path = directory / DIRECTORY
        self._disk: Disk = disk or RealDisk()
        self._open: dict[str, tuple[File, int, Progress]] = {}

    def get(self, consumer: str) -> int:
        """The sequence up to which the consumer is done with everything, 0 when it is unknown."""
        return self.progress(consumer).floor

    def progress(self, consumer: str) -> Progress:
        """All that the consumer is done with. Raises JournalError when it cannot be read."""
        if consumer in self._open:
            return self._open[consumer][2]
        return self._read(consumer)

    def set(self, consumer: str, sequence: int, *, force: bool = False) -> None:
        """Record, durably, that the consumer is done with everything up to `sequence`.

        A lower sequence than the one held is ignored unless `force`.

        Raises:
            JournalError: it could not be written; the old cursor stands.
        """
        old = self.progress(consumer)
        new = Progress(sequence) if force else old.raised(sequence)
        if new != old or consumer not in self._open:
            self.save(consumer, new)

    def save(self, consumer: str, progress: Progress) -> None:
        """Record, durably, what the consumer is done with.

        Raises:
            JournalError: it could not be written; the old state stands.
        """
        if not _CONSUMER.fullmatch(consumer):
            raise JournalError(
                f"{consumer!r} is no name for a consumer: use lower-case letters, digits, - and _"
            )
        try:
            if consumer not in self._open:
                self._open[consumer] = self._create(consumer)
            file, counter, _ = self._open[consumer]
            body = _pack(counter + 1, progress)
            file.write((counter + 1) % 2 * _PLACE, body)
            file.sync()
        except OSError as error:
            raise JournalError(
                f"{self._path(consumer)} cannot be written ({error.strerror or error}): "
                "check the free space and the permissions"
            ) from error
        self._open[consumer] = (file, counter + 1, progress)

    def all(self) -> dict[str, int]:
        """Every consumer's cursor."""
        return {name: self.get(name) for name in self._names()}

    def close(self) -> None:
        """Close the files."""
        for consumer in list(self._open):
            self._forget(consumer)

    def _names(self) -> list[str]:
        try:
            names = self._disk.names(self.path)
        except OSError as error:
            raise JournalError(f"{self.path} cannot be read ({error.strerror or error})") from error
        found = (n.removesuffix(_SUFFIX) for n in names if n.endswith(_SUFFIX))
        return sorted(name for name in found if _CONSUMER.fullmatch(name))

    def _path(self, consumer: str) -> Path:
        return self.path / f"{consumer}{_SUFFIX}"

    def _read(self, consumer: str) -> Progress:
        try:
            file = self._disk.open(self._path(consumer))
        except FileNotFoundError:
            return Progress()
        except OSError as error:
            raise JournalError(
                f"{self._path(consumer)} cannot be read ({error.strerror or error})"
            ) from error
        try:
            return _newest(file)[1]
        finally:
            file.close()

    def _create(self, consumer: str) -> tuple[File, int, Progress]:
        self._disk.make_directory(self.path)
        file = self._disk.open(self._path(consumer), write=True, create=True)
        try:
            if (size := file.size()) < 2 * _PLACE:
                file.write(size, bytes(2 * _PLACE - size))
                file.sync()
                self._disk.sync_directory(self.path)
                self._disk.sync_directory(self.path.parent)
            return file, *_newest(file)
        except BaseException:
            file.close()
            raise

    def _forget(self, consumer: str) -> None:
        if (held := self._open.pop(consumer, None)) is not None:
            held[0].close()


def read_cursors(directory: Path, *, disk: Disk | None = None) -> dict[str, int]:
    """Every cursor, read without creating or changing a file; empty when they cannot be read."""
    try:
        return Cursors(directory, disk=disk).all()
    except (JournalError, OSError):
        return {}


def highest_cursor(directory: Path, disk: Disk) -> int:
    """The newest sequence that any consumer is done with; 0 when there is none or it cannot be read."""
    cursors = Cursors(directory, disk=disk)
    try:
        return max((cursors.progress(name).newest for name in cursors._names()), default=0)
    except (JournalError, OSError):
        return 0


def _pack(counter: int, progress: Progress) -> bytes:
    numbers = [number for pair in progress.ranges for number in pair]
    body = _HEAD.pack(_MAGIC, counter, progress.floor, len(progress.ranges)) + struct.pack(
        f"<{len(numbers)}Q", *numbers
    )
    return body + zlib.crc32(body).to_bytes(4, "little")


def _newest(file: File) -> tuple[int, Progress]:
    """The counter and the state of the newest place that is whole; zero when there is none."""
    best = (0, Progress())
    for place in (0, _PLACE):
        data = file.read(place, _PLACE)
        if len(data) < _HEAD.size or data[:4] != _MAGIC:
            continue
        _, counter, floor, count = _HEAD.unpack_from(data)
        end = _HEAD.size + 16 * count
        if count > MOST_RANGES or zlib.crc32(data[:end]).to_bytes(4, "little") != data[end : end + 4]:
            continue
        numbers = struct.unpack_from(f"<{2 * count}Q", data, _HEAD.size)
        if counter > best[0]:
            best = (counter, Progress(floor, tuple(zip(numbers[::2], numbers[1::2], strict=True))))
    return best
