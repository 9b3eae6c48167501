"""How far each consumer has come: one small file each, written in place, so that it works on a full disk too.

A file has two places; each write goes to the other one, so a torn write leaves the state before it.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
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


@dataclass(slots=True)
class _Held:
    """An open cursor."""

    file: File
    durable: int
    """The place of the last state that was synced, as far as is known."""
    counter: int
    progress: Progress


class Cursors:
    """The cursors of one data directory. Use it from one thread at a time, and each consumer from one place."""

    def __init__(self, directory: Path, *, disk: Disk | None = None) -> None:
        """The cursors in `directory/cursors`. Nothing is opened before it is needed."""
        self.path = directory / DIRECTORY
        self._disk: Disk = disk or RealDisk()
        self._open: dict[str, _Held] = {}

    def get(self, consumer: str) -> int:
        """The sequence up to which the consumer is done with everything, 0 when it is unknown."""
        return self.progress(consumer).floor

    def progress(self, consumer: str) -> Progress:
        """All that the consumer is done with. Raises JournalError when it cannot be read."""
        if consumer in self._open:
            return self._open[consumer].progress
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

    def save(self, consumer: str, progress: Progress, *, durable: bool = True) -> None:
        """Record what the consumer is done with.

        Without `durable` it survives the death of the process and not a power cut, after which the last state that
        was saved durably stands. That spares the disk.

        Raises:
            JournalError: it could not be written; the old state stands.
        """
        if not _CONSUMER.fullmatch(consumer):
            raise JournalError(
                f"{consumer!r} is no name for a consumer: use lower-case letters, digits, - and _"
            )
        try:
            held = self._open.get(consumer) or self._create(consumer)
            self._open[consumer] = held
            # Only one place is written to until it is synced; the other one is the last that was.
            held.file.write((1 - held.durable) * _PLACE, _pack(held.counter + 1, progress))
            if durable:
                held.file.sync()
        except OSError as error:
            raise JournalError(
                f"{self._path(consumer)} cannot be written ({error.strerror or error}): "
                "check the free space and the permissions"
            ) from error
        held.counter, held.progress = held.counter + 1, progress
        if durable:
            held.durable = 1 - held.durable

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
            return _newest(file)[2]
        finally:
            file.close()

    def _create(self, consumer: str) -> _Held:
        self._disk.make_directory(self.path)
        file = self._disk.open(self._path(consumer), write=True, create=True)
        try:
            if (size := file.size()) < 2 * _PLACE:
                file.write(size, bytes(2 * _PLACE - size))
            file.sync()  # what a killed process left is from here on durable
            self._disk.sync_directory(self.path)
            self._disk.sync_directory(self.path.parent)
            place, counter, progress = _newest(file)
            return _Held(file, place, counter, progress)
        except BaseException:
            file.close()
            raise

    def _forget(self, consumer: str) -> None:
        if (held := self._open.pop(consumer, None)) is not None:
            held.file.close()


def file_of(consumer: str, progress: Progress) -> tuple[str, bytes]:
    """The name and the content of a new cursor's file."""
    return f"{consumer}{_SUFFIX}", (bytes(_PLACE) + _pack(1, progress)).ljust(2 * _PLACE, b"\0")


def read_progress(directory: Path, *, disk: Disk | None = None) -> dict[str, Progress]:
    """What every consumer is done with, read without changing a file. Raises JournalError."""
    cursors = Cursors(directory, disk=disk)
    return {name: cursors.progress(name) for name in cursors._names()}


def damaged_cursors(directory: Path, disk: Disk) -> list[str]:
    """Names of the files that hold no state and are not new either. Raises OSError."""
    damaged = []
    for name in sorted(disk.names(directory / DIRECTORY)):
        if name.endswith(_SUFFIX):
            file = disk.open(directory / DIRECTORY / name)
            try:
                if not _newest(file)[1] and any(file.read(0, 2 * _PLACE)):
                    damaged.append(name)
            finally:
                file.close()
    return damaged


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


def _newest(file: File) -> tuple[int, int, Progress]:
    """The newest place that is whole, its counter and its state; the counter is zero when there is none."""
    best = (0, 0, Progress())
    for place in (0, 1):
        data = file.read(place * _PLACE, _PLACE)
        if len(data) < _HEAD.size or data[:4] != _MAGIC:
            continue
        _, counter, floor, count = _HEAD.unpack_from(data)
        end = _HEAD.size + 16 * count
        if count > MOST_RANGES or zlib.crc32(data[:end]).to_bytes(4, "little") != data[end : end + 4]:
            continue
        numbers = struct.unpack_from(f"<{2 * count}Q", data, _HEAD.size)
        if counter > best[1]:
            best = (place, counter, Progress(floor, tuple(zip(numbers[::2], numbers[1::2], strict=True))))
    return best
