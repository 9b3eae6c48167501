"""The write-ahead log: one file of fixed size, filled with zeros once and then overwritten for ever.

Every commit begins at a block of its own, so that writing never touches a block that already holds acknowledged
records, and syncing changes no size and allocates nothing: one or two blocks reach the device, also when the disk
is full. When the file is full and all of it stands in segments, it is renamed to the next generation and begins
anew; frames of the generation before are invalid from then on.

The last two blocks hold notes: totals without records, each over the older of the two. They need no room.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bessai.journal import frame as frames
from bessai.journal.disk import Disk, File
from bessai.journal.frame import Frame

BLOCK = 4096
_NAME = re.compile(r"wal-(\d{8,})\.log")
_ZEROS = bytes(1 << 16)


class Wal:
    """The open log. `frames` are its valid frames, `end` is where the next commit goes."""

    def __init__(self, disk: Disk, directory: Path, size: int) -> None:
        """Open the log of a directory, or create one. Raises OSError."""
        self._disk, self._directory = disk, directory
        found = generations(disk.names(directory))
        self.generation = found[-1] if found else 1
        for old in found[:-1]:
            disk.unlink(self.path(old))
        self._unnamed = True
        """The file's name is perhaps not durable."""
        self._file: File = disk.open(self.path(self.generation), write=True, create=True)
        try:
            self._identity = disk.identity(self.path(self.generation))
            self._size = max(frames.align(size, BLOCK), self._file.size() // BLOCK * BLOCK)
            self.end = 0
            self.frames: list[Frame] = []
            self.broken: list[tuple[Frame | None, Frame]] = []
            """Damage between two frames."""
            self._recover()
            if self._file.size() < self._size:
                self._fill()
        except BaseException:
            self._file.close()
            raise

    @property
    def shortened(self) -> bool:
        """True when the last commits of the log are damaged."""
        return self.end > (frames.align(self.frames[-1].end, BLOCK) if self.frames else 0)

    def leave_out(self, generation: int, end: int) -> None:
        """Go on behind what was once durable: damage at the end stays damage, and is not written over."""
        if generation == self.generation:
            self.end = max(self.end, min(end // BLOCK * BLOCK, self._limit))

    def path(self, generation: int) -> Path:
        """Where a generation of the log lies."""
        return self._directory / name_of_generation(generation)

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return self._size

    def in_place(self) -> bool:
        """True when the file still has its name. Raises OSError."""
        return self._disk.identity(self.path(self.generation)) == self._identity

    def room(self) -> int:
        """Bytes left for commits."""
        return self._limit - self.end

    @property
    def capacity(self) -> int:
        """Bytes that a commit may have in an empty log."""
        return self._limit

    @property
    def _limit(self) -> int:
        return self._size - 2 * BLOCK

    def write(self, parts: Sequence[tuple[Frame, bytes]]) -> list[Frame]:
        """Write the frames of one commit and sync. Nothing counts as written when it raises OSError."""
        written: list[Frame] = []
        data = bytearray()
        for part, body in parts:
            data += bytes(frames.align(len(data), BLOCK) - len(data))
            raw = frames.build(replace(part, home=self.generation, final=part is parts[-1][0]), body)
            written.append(replace(part, home=self.generation, offset=self.end + len(data), length=len(raw)))
            data += raw
        if self.end + len(data) > self._limit:
            raise OSError(f"{self.path(self.generation)} has no room for {len(data)} bytes")
        if self._unnamed:
            self._disk.sync_directory(self._directory)
            self._unnamed = False
        self._file.write(self.end, bytes(data))
        self._file.sync()
        self.frames += written
        self.end = frames.align(self.end + len(data), BLOCK)
        return written

    def note(self, frame: Frame) -> None:
        """Keep the totals of a frame without records. Raises OSError: then those before stand."""
        place = self._limit + frame.totals.serial % 2 * BLOCK
        self._file.write(place, frames.build(replace(frame, home=self.generation), b""))
        self._file.sync()

    def notes(self) -> list[Frame]:
        """The notes that are whole. Raises OSError."""
        return read_notes(self._file, self._size)

    def body(self, frame: Frame) -> bytes | None:
        """The body of one of its frames; None when it is damaged by now. Raises OSError."""
        found = frames.read(self._file, frame.offset, self._limit, self.generation)
        return None if found is None or found[0].first != frame.first else found[1]

    def settle(self) -> None:
        """Make sure that the last commit and the notes are on the disk: what was read may be in memory only.

        Raises OSError.
        """
        for place in (self._limit, self._limit + BLOCK):
            self._file.write(place, self._file.read(place, BLOCK))
        if self.frames:
            commit = self.frames[-1].commit
            for frame in reversed(self.frames):
                if frame.commit != commit:
                    break
                self._file.write(frame.offset, self._file.read(frame.offset, frame.length))
        self._file.sync()

    def roll(self) -> None:
        """Begin anew. Call it when everything in the log is durable elsewhere. Raises OSError."""
        path = self.path(self.generation + 1)
        self._disk.rename(self.path(self.generation), path)
        self.generation += 1
        self.frames, self.end = [], 0
        self._unnamed = True
        self._disk.sync_directory(self._directory)
        self._unnamed = False

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _recover(self) -> None:
        """Find the valid frames."""
        size = min(self._file.size(), self._limit)
        self.frames, self.broken = read_frames(self._file, size, self.generation)
        self.end = frames.align(self.frames[-1].end, BLOCK) if self.frames else 0

    def _fill(self) -> None:
        offset = self._file.size()
        while offset < self._size:
            part = _ZEROS[: self._size - offset]
            self._file.write(offset, part)
            offset += len(part)
        self._file.sync()
        self._disk.sync_directory(self._directory)


def read_frames(
    file: File, size: int, generation: int
) -> tuple[list[Frame], list[tuple[Frame | None, Frame]]]:
    """The valid frames of the first `size` bytes of a log, and between which of them it is damaged.

    A commit that lacks a part was never acknowledged, unless one follows it. Raises OSError.
    """
    commits: list[list[Frame]] = []
    for frame, _ in frames.scan(file, 0, size, generation, BLOCK):
        if commits and commits[-1][0].commit == frame.commit and not commits[-1][-1].final:
            commits[-1].append(frame)
        elif not commits or frame.commit > commits[-1][-1].last:
            commits.append([frame])
    if commits and not _whole(commits[-1]):
        commits.pop()
    found = [frame for commit in commits for frame in commit]
    broken: list[tuple[Frame | None, Frame]] = []
    before: Frame | None = None
    for frame in found:
        if frame.offset != (0 if before is None else frames.align(before.end, BLOCK)):
            broken.append((before, frame))
        before = frame
    return found, broken


def read_notes(file: File, size: int) -> list[Frame]:
    """The notes at the end of a log of `size` bytes; one that is only being made has none. Raises OSError."""
    places = [size - place * BLOCK for place in (2, 1) if size >= place * BLOCK]
    found = (frames.read(file, place, size) for place in places)
    return [note[0] for note in found if note is not None and not note[0].count]


def _whole(commit: list[Frame]) -> bool:
    """True when no frame of a commit is missing."""
    expected = commit[0].commit
    for frame in commit:
        if frame.first != expected:
            return False
        expected = frame.last + 1
    return commit[-1].final


def name_of_generation(generation: int) -> str:
    """The file name of a generation."""
    return f"wal-{generation:08d}.log"


def generations(names: Sequence[str]) -> list[int]:
    """The generations among the names of a directory, ascending."""
    return sorted(int(match[1]) for name in names if (match := _NAME.fullmatch(name)))
