"""A journal as one tar file, taken while the gateway runs, and back.

    <file>.tar:  cursors/<consumer>.cur   journal/layout-*   journal/kept-*, cold-*   journal/wal-*   journal/commit
                 manifest.json, the last one: sizes and SHA-256 of all others

The file holds every record up to the manifest's last sequence and none beyond. Files that are dropped or renamed
while they are copied do not matter: all are open before the copy begins. The state files of the gateway
(`state.json`: trips, counters) are not part of it.
"""

from __future__ import annotations

import hashlib
import io
import os
import resource
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bessai import __version__
from bessai.journal.archive import MANIFEST, Manifest
from bessai.journal.commit import NAME as COMMIT
from bessai.journal.commit import SIZE as COMMIT_SIZE
from bessai.journal.commit import Commit, packed
from bessai.journal.cursors import DIRECTORY as CURSORS
from bessai.journal.cursors import file_of, read_progress
from bessai.journal.disk import Disk, File, RealDisk, sync_directory
from bessai.journal.errors import JournalError
from bessai.journal.lock import lock_directory
from bessai.journal.progress import Progress
from bessai.journal.segment import COLD, KEPT, firsts, name_of, read_index
from bessai.journal.snapshot import Memory, Snapshot, take
from bessai.journal.verify import Tick
from bessai.journal.wal import name_of_generation

_CHUNK = 1 << 20
_PATIENCE = 60.0


def backup(directory: Path, target: Path, *, site: str | None = None, tick: Tick | None = None) -> Manifest:
    """Write the journal of a data directory to `target`, which appears only when it is complete and durable.

    Args:
        directory: the data directory; a gateway may be running there.
        target: the file; one that exists is replaced.
        site: for the manifest.
        tick: told how many bytes are written.

    Raises:
        JournalError: the journal cannot be read.
        OSError: the file cannot be written.
    """
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    with ExitStack() as stack:
        parts, state = _opened(directory, stack)
        total = sum(size for _, size, _ in parts)
        files: dict[str, tuple[int, str]] = {}
        done = 0
        created_ns = time.time_ns()
        stack.callback(part.unlink, missing_ok=True)
        with part.open("wb") as out:
            with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
                for name, size, file in parts:
                    source = _Source(file, size)
                    _add(tar, name, size, source, created_ns)
                    files[name] = (size, source.digest())
                    done += size
                    if tick is not None:
                        tick(done, total)
                manifest = Manifest(
                    version=__version__, site=site, created_ns=created_ns, epoch=state.epoch, last_sequence=state.last,
                    files=files,
                )  # fmt: skip
                text = manifest.text().encode()
                _add(tar, MANIFEST, len(text), io.BytesIO(text), created_ns)
            out.flush()
            os.fsync(out.fileno())
        part.replace(target)
        sync_directory(target.resolve().parent)
    return manifest


def _add(tar: tarfile.TarFile, name: str, size: int, source: Any, created_ns: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = size, created_ns // 10**9, 0o644
    tar.addfile(member, source)


def _opened(directory: Path, stack: ExitStack) -> tuple[list[tuple[str, int, File]], Snapshot]:
    """Every file of one instant, open, with how many bytes of it belong to the backup."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
    disk, deadline = RealDisk(), time.monotonic() + _PATIENCE
    with _not_starting(directory) as running:
        while True:
            attempt = ExitStack()
            cursors = read_progress(directory)
            state = take(disk, directory / "journal", running=running)
            try:
                parts = _parts(disk, directory / "journal", state, attempt)
                after = take(disk, directory / "journal", running=running)
            except FileNotFoundError:  # dropped meanwhile
                attempt.close()
            except BaseException:
                attempt.close()
                raise
            else:
                if _same(state, after):
                    stack.enter_context(attempt)
                    files = [file_of(name, _up_to(held, state.last)) for name, held in cursors.items()]
                    own = [(f"{CURSORS}/{name}", len(data), Memory(data)) for name, data in files]
                    return [*own, *parts], state
                attempt.close()
            if time.monotonic() > deadline:
                raise JournalError(
                    f"{directory / 'journal'} changes faster than it can be copied: stop the gateway first"
                )


@contextmanager
def _not_starting(directory: Path) -> Iterator[bool]:
    """True when a gateway runs; when none does, none can start before everything is open."""
    try:
        lock = lock_directory(directory)
    except JournalError:
        yield True
        return
    try:
        yield False
    finally:
        os.close(lock)


def _same(one: Snapshot, other: Snapshot) -> bool:
    """True when no file was renamed or dropped between two snapshots."""
    a, b = one.totals, other.totals
    return (one.generation, a.floor, a.kept_floor, a.space, a.skipped) == (
        other.generation, b.floor, b.kept_floor, b.space, b.skipped,
    )  # fmt: skip


def _parts(disk: Disk, path: Path, state: Snapshot, stack: ExitStack) -> list[tuple[str, int, File]]:
    names = disk.names(path)
    found: list[tuple[str, int, File]] = []

    def add(name: str, measure: Callable[[File], int]) -> None:
        file = disk.open(path / name)
        stack.callback(file.close)
        if size := measure(file):
            found.append((f"journal/{name}", size, file))

    for name in sorted(name for name in names if name.startswith("layout-")):
        add(name, lambda file: file.size())
    # Where the log is damaged, the copies in segments may be all that is left of its records.
    cold_until = state.last + 1 if state.broken else state.begin
    for kind, until in ((KEPT, state.totals.floor), (COLD, cold_until)):
        for first in firsts(names, kind):
            if first < until:
                add(name_of(kind, first), lambda file, f=first, u=until: _before(file, f, u))  # type: ignore[misc]
    commit = Commit(
        generation=state.generation, offset=state.end, last=state.last, floor=state.totals.floor,
        epoch=state.epoch, identity=0,
    )  # fmt: skip
    if state.generation:
        wal = name_of_generation(state.generation)
        found.append((f"journal/{wal}", state.log.size(), state.log))
    found.append((f"journal/{COMMIT}", COMMIT_SIZE, Memory(packed(commit).ljust(COMMIT_SIZE, b"\0"))))
    return found


def _before(file: File, first: int, until: int) -> int:
    """How many bytes of a segment hold records below `until`."""
    size = file.size()
    index = read_index(file, first)
    held = [frame for frame in index.frames if frame.last < until]
    if index.sealed and len(held) == len(index.frames):
        return size
    return -(-held[-1].end // 8) * 8 if held else 0


def _up_to(progress: Progress, last: int) -> Progress:
    """Without what a consumer cannot have seen: a cursor that was set by hand."""
    if progress.newest <= last:
        return progress
    ranges = tuple((low, min(high, last)) for low, high in progress.ranges if low <= last)
    return Progress(min(progress.floor, last), ranges)


class _Source:
    """A file for tarfile, hashed on the way."""

    def __init__(self, file: File, size: int) -> None:
        self._file, self._left, self._offset, self._hash = file, size, 0, hashlib.sha256()

    def read(self, length: int = _CHUNK) -> bytes:
        data = self._file.read(self._offset, min(length, self._left))
        self._offset += len(data)
        self._left -= len(data)
        self._hash.update(data)
        return data

    def digest(self) -> str:
        return self._hash.hexdigest()
