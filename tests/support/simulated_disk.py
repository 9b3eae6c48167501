"""A file system in memory that knows what a power cut would leave of it.

    disk = SimDisk()
    ...                                   # use it as a `bessai.journal.disk.Disk`
    after = disk.crash(random.Random(1))  # one of the disks that a power cut now could leave; `disk` goes on

What it promises is what Linux file systems promise, and no more. Written pages of 4 KiB are volatile until `sync`; at
a power cut each write of each page is kept, lost or torn at a sector of 512 B, whatever became of the others, and a
file may have grown without its new content. A new name, a rename or a removal is all or nothing, and volatile until
`sync_directory`; what survives of them is the first so many, or any that do not concern the same name.
A failed `sync` leaves its pages clean: the next one succeeds without writing them.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

PAGE = 4096
SECTOR = 512


class PowerCut(BaseException):
    """The power went before an operation. Not an OSError: no code survives it."""


@dataclass(frozen=True, slots=True)
class _Page:
    """One write of one page."""

    number: int
    content: bytes
    """The whole page, with everything written to it before."""
    size: int
    """Of the file, after the write."""


@dataclass(slots=True, repr=False)
class _Inode:
    number: int
    directory: bool = False
    current: bytearray = field(default_factory=bytearray)
    """What programs see."""
    durable: bytearray = field(default_factory=bytearray)
    dirty: list[_Page | int] = field(default_factory=list)
    """Writes and truncations (the new length) since the last sync, in order."""
    allocated: set[int] = field(default_factory=set)
    """Pages that have a place on the disk, so that writing them needs none."""

    def apply(self, content: bytearray, change: _Page | int) -> None:
        if isinstance(change, int):
            del content[change:]
            content.extend(bytes(change - len(content)))
            return
        start = change.number * PAGE
        if len(content) < min(change.size, start + PAGE):
            content.extend(bytes(min(change.size, start + PAGE) - len(content)))
        end = min(start + PAGE, len(content))
        content[start:end] = change.content[: end - start]

    def sync(self) -> None:
        for change in self.dirty:
            self.apply(self.durable, change)
        self.dirty.clear()

    def survivor(self, chance: random.Random) -> bytearray:
        """What a power cut leaves."""
        content = bytearray(self.durable)
        if not self.dirty:
            return content
        kept = chance.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        for change in self.dirty:
            if isinstance(change, int):
                if chance.random() >= kept:
                    break  # what follows stands on it
                self.apply(content, change)
            elif chance.random() < kept:
                self.apply(content, self._torn(content, change, chance) if chance.random() < 0.2 else change)
            elif chance.random() < 0.2 and len(content) < change.size:
                content.extend(bytes(change.size - len(content)))
        return content

    @staticmethod
    def _torn(content: bytearray, page: _Page, chance: random.Random) -> _Page:
        old = bytes(content[page.number * PAGE : (page.number + 1) * PAGE]).ljust(PAGE, b"\0")
        cut = chance.randrange(1, PAGE // SECTOR) * SECTOR
        parts = [page.content[:cut], old[cut:]] if chance.random() < 0.5 else [old[:cut], page.content[cut:]]
        return _Page(page.number, b"".join(parts), page.size)


@dataclass(frozen=True, slots=True, eq=False)
class _Change:
    """One change of names in one directory: what the names stand for from then on."""

    directory: str
    names: tuple[tuple[str, _Inode | None], ...]


class SimFile:
    """See `bessai.journal.disk.File`."""

    def __init__(self, disk: SimDisk, inode: _Inode, path: str, *, write: bool) -> None:
        self._disk, self._inode, self._path, self._writable = disk, inode, path, write

    def read(self, offset: int, length: int) -> bytes:
        self._disk.alive()
        return bytes(memoryview(self._inode.current)[offset : offset + length])

    def write(self, offset: int, data: bytes) -> None:
        self._disk.operation("write", self._path)
        self._check()
        inode = self._inode
        for number in range(offset // PAGE, -(-(offset + len(data)) // PAGE)):
            self._disk.allocate(inode, number)
            start = max(number * PAGE, offset)
            end = min((number + 1) * PAGE, offset + len(data))
            if len(inode.current) < start:
                inode.current.extend(bytes(start - len(inode.current)))
            inode.current[start:end] = data[start - offset : end - offset]
            page = bytes(inode.current[number * PAGE : (number + 1) * PAGE]).ljust(PAGE, b"\0")
            inode.dirty.append(_Page(number, page, len(inode.current)))

    def size(self) -> int:
        self._disk.alive()
        return len(self._inode.current)

    def truncate(self, length: int) -> None:
        self._disk.operation("truncate", self._path)
        self._check()
        self._inode.apply(self._inode.current, length)
        self._inode.dirty.append(length)
        self._inode.allocated -= {number for number in self._inode.allocated if number * PAGE >= length}

    def sync(self) -> None:
        self._disk.operation("sync", self._path)
        if self._disk.sync_fails():
            self._inode.durable = self._inode.survivor(self._disk.chance)
            self._inode.dirty.clear()
            raise OSError(errno.EIO, os.strerror(errno.EIO), self._path)
        if self._disk.honest:
            self._inode.sync()

    def close(self) -> None:
        """Nothing is held."""

    def _check(self) -> None:
        if not self._writable:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF), self._path)


class SimDisk:
    """See `bessai.journal.disk.Disk`. The root directory and `directory` are there from the start."""

    def __init__(
        self,
        directory: Path = Path("/data"),
        *,
        budget: int | None = None,
        honest: bool = True,
        seed: int = 0,
    ) -> None:
        """An empty disk.

        Args:
            directory: exists, durably, with its parents.
            budget: bytes that files may have, in whole pages, a new file one at least; None for no limit.
            honest: `sync` does what it says. Without, it does nothing: no test of durability may pass.
            seed: of what a failed sync leaves.
        """
        self.budget, self.honest = budget, honest
        self.chance = random.Random(seed)
        self.operations = 0
        """Calls that change something, and syncs. Each is a possible power cut."""
        self.crash_after: int | None = None
        """Raise `PowerCut` instead of doing more than so many operations, and ever after."""
        self.before: Callable[[str, str], None] | None = None
        """Called before each operation with its kind and path."""
        self.syncs = 0
        self.failing_syncs: set[int] = set()
        """Which calls of `sync` and `sync_directory` fail with EIO, the first being 1."""
        self._next = 1
        self._names: dict[str, _Inode] = {}
        self._durable: dict[str, _Inode] = {}
        self._pending: list[_Change] = []
        for path in [directory, *directory.parents]:
            self._names[str(path)] = self._durable[str(path)] = self._inode(directory=True)

    def open(self, path: Path, *, write: bool = False, create: bool = False) -> SimFile:
        self.alive()
        name = str(path)
        if name not in self._names and create:
            parent = self._names.get(os.path.dirname(name))  # noqa: PTH120
            if parent is None or not parent.directory:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
            self.operation("create", name)
            self._need(PAGE)
            self._change((name, self._inode()))
        inode = self._find(name)
        if inode.directory:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
        return SimFile(self, inode, name, write=write)

    def names(self, directory: Path) -> list[str]:
        self.alive()
        prefix = f"{directory}/"
        return [
            name[len(prefix) :]
            for name in self._names
            if name.startswith(prefix) and "/" not in name[len(prefix) :]
        ]

    def rename(self, old: Path, new: Path) -> None:
        self.operation("rename", str(new))
        assert old.parent == new.parent, "not needed, so not simulated"
        self._change((str(old), None), (str(new), self._find(str(old))))

    def unlink(self, path: Path) -> None:
        self.operation("unlink", str(path))
        if str(path) in self._names:
            self._change((str(path), None))

    def make_directory(self, path: Path) -> None:
        for missing in reversed([p for p in [path, *path.parents] if str(p) not in self._names]):
            self.operation("mkdir", str(missing))
            self._change((str(missing), self._inode(directory=True)))

    def sync_directory(self, path: Path) -> None:
        self.operation("sync_directory", str(path))
        self._find(str(path))
        fails = self.sync_fails()
        if not self.honest:
            return
        ours = [change for change in self._pending if change.directory == str(path)]
        if fails:
            del ours[self.chance.randint(0, len(ours)) :]
        for change in ours:
            self._apply(self._durable, change)
            self._pending.remove(change)
        if fails:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    def identity(self, path: Path) -> int:
        self.alive()
        return self._find(str(path)).number

    def crash(self, chance: random.Random) -> SimDisk:
        """One of the disks that a power cut at this moment could leave. This one goes on undisturbed."""
        names = dict(self._durable)
        if chance.random() < 0.7:
            pending = self._pending[: chance.randint(0, len(self._pending))]
        else:
            pending, lost = [], set[str]()
            for change in self._pending:
                concerned = {name for name, _ in change.names}
                if chance.random() < 0.5 or concerned & lost:
                    lost |= concerned
                else:
                    pending.append(change)
        for change in pending:
            self._apply(names, change)
        return self._copy(names, lambda inode: inode.survivor(chance))

    def clone(self) -> SimDisk:
        """The same content, all of it durable, with the same identities."""
        return self._copy(self._names, lambda inode: bytearray(inode.current))

    def files(self) -> list[Path]:
        """Every file, sorted."""
        return sorted(Path(name) for name, inode in self._names.items() if not inode.directory)

    def content(self, path: Path) -> bytes:
        """What programs see of a file."""
        return bytes(self._find(str(path)).current)

    def damage(self, path: Path, content: bytes) -> None:
        """Put other bytes in place of a file's content, durably."""
        inode = self._find(str(path))
        inode.current, inode.durable = bytearray(content), bytearray(content)
        inode.dirty.clear()

    def used(self) -> int:
        """Bytes that the files occupy, in whole pages."""
        inodes = {inode.number: inode for inode in self._names.values() if not inode.directory}
        return sum(max(1, len(inode.allocated)) for inode in inodes.values()) * PAGE

    def alive(self) -> None:
        """Raises PowerCut once the power is off."""
        if self.crash_after is not None and self.operations >= self.crash_after:
            raise PowerCut

    def operation(self, kind: str, path: str) -> None:
        """Count an operation that is about to be done."""
        self.alive()
        if self.before is not None:
            self.before(kind, path)
        self.operations += 1

    def sync_fails(self) -> bool:
        """Count a sync; whether it is one that fails."""
        self.syncs += 1
        return self.syncs in self.failing_syncs

    def allocate(self, inode: _Inode, number: int) -> None:
        """Find a place for a page, if it has none."""
        if number not in inode.allocated:
            if inode.allocated:
                self._need(PAGE)
            inode.allocated.add(number)

    def _need(self, size: int) -> None:
        if self.budget is not None and self.used() + size > self.budget:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _inode(self, *, directory: bool = False) -> _Inode:
        self._next += 1
        return _Inode(self._next, directory)

    def _find(self, name: str) -> _Inode:
        if name not in self._names:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        return self._names[name]

    def _change(self, *names: tuple[str, _Inode | None]) -> None:
        change = _Change(os.path.dirname(names[0][0]), names)  # noqa: PTH120
        self._apply(self._names, change)
        self._pending.append(change)

    @staticmethod
    def _apply(names: dict[str, _Inode], change: _Change) -> None:
        for name, inode in change.names:
            if inode is None:
                names.pop(name, None)
            else:
                names[name] = inode

    def _copy(self, names: dict[str, _Inode], content: Callable[[_Inode], bytearray]) -> SimDisk:
        copy = SimDisk(budget=self.budget, honest=self.honest, seed=self.chance.randrange(1 << 30))
        copy._next = self._next
        copy._names, copied = {}, {}
        for name in sorted(names):
            parent = os.path.dirname(name)  # noqa: PTH120
            if name != "/" and parent not in copy._names:
                continue  # its directory is lost
            inode = names[name]
            if inode.number not in copied:
                left = content(inode)
                pages = set(range(-(-len(left) // PAGE)))
                copied[inode.number] = _Inode(
                    inode.number, inode.directory, left, bytearray(left), allocated=pages
                )
            copy._names[name] = copied[inode.number]
        copy._durable = dict(copy._names)
        return copy
