"""A backup file, to be read: its manifest, its hashes, and its files as a disk."""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bessai.journal.disk import File, RealDisk
from bessai.journal.errors import JournalError
from bessai.journal.snapshot import Memory
from bessai.journal.verify import Tick

FORMAT = 1
MANIFEST = "manifest.json"
_CHUNK = 1 << 20
_MEMBER = re.compile(r"(journal|cursors)/[a-z0-9][a-z0-9._-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup says of itself."""

    version: str
    """Of the gateway that wrote it."""
    site: str | None
    created_ns: int
    """UTC nanoseconds."""
    epoch: int
    last_sequence: int
    files: dict[str, tuple[int, str]]
    """Name to bytes and SHA-256."""

    def text(self) -> str:
        """As JSON."""
        files = {name: {"bytes": size, "sha256": digest} for name, (size, digest) in self.files.items()}
        return json.dumps(
            {
                "format": FORMAT, "version": self.version, "site": self.site, "created_ns": self.created_ns,
                "epoch": self.epoch, "last_sequence": self.last_sequence, "files": files,
            },
            indent=1,
        )  # fmt: skip


class Tar:
    """A backup as a disk that can only be read. See `disk.Disk`."""

    def __init__(self, path: Path) -> None:
        """Look at a backup.

        Raises:
            JournalError: it is none, or is not complete.
        """
        self._path = path
        try:
            with tarfile.open(path, mode="r:") as tar:
                members = tar.getmembers()
                self.places = {m.name: (m.offset_data, m.size) for m in members if m.isfile()}
            self.manifest = _manifest(self.open(Path(MANIFEST)), path)
        except FileNotFoundError as error:
            where = (
                f"{path} does not exist"
                if not path.exists()
                else f"{path} is no whole backup: its {MANIFEST} is missing"
            )
            raise JournalError(where) from error
        except (tarfile.TarError, OSError) as error:
            raise JournalError(f"{path} cannot be read as a backup ({error})") from error

    def check(self, tick: Tick | None = None) -> list[str]:
        """Compare every file with the manifest: the names of those that differ. Raises OSError."""
        wrong = sorted(self.places.keys() - self.manifest.files.keys() - {MANIFEST})
        wrong += [name for name in self.manifest.files if not _MEMBER.fullmatch(name)]
        total, done = sum(size for size, _ in self.manifest.files.values()), 0
        for name, (size, digest) in self.manifest.files.items():
            found = hashlib.sha256()
            if name in self.places and self.places[name][1] == size:
                with closing(self.open(Path(name))) as file:
                    for offset in range(0, size, _CHUNK):
                        found.update(file.read(offset, _CHUNK))
            if found.hexdigest() != digest:
                wrong.append(name)
            done += size
            if tick is not None:
                tick(done, total)
        return wrong

    def open(self, path: Path, *, write: bool = False, create: bool = False) -> File:  # noqa: D102
        if write or create:
            raise OSError("a backup cannot be written")
        if str(path) not in self.places:
            raise FileNotFoundError(str(path))
        return _Member(RealDisk().open(self._path), *self.places[str(path)])

    def names(self, directory: Path) -> list[str]:  # noqa: D102
        return [Path(name).name for name in self.places if Path(name).parent == directory]

    def rename(self, old: Path, new: Path) -> None:  # noqa: D102
        raise OSError("a backup cannot be written")

    def unlink(self, path: Path) -> None:  # noqa: D102
        raise OSError("a backup cannot be written")

    def make_directory(self, path: Path) -> None:  # noqa: D102
        raise OSError("a backup cannot be written")

    def sync_directory(self, path: Path) -> None:  # noqa: D102
        pass

    def identity(self, path: Path) -> int:  # noqa: D102
        return 0


class _Member(Memory):
    def __init__(self, file: File, offset: int, size: int) -> None:
        super().__init__(b"")
        self._file, self._offset, self._size = file, offset, size

    def read(self, offset: int, length: int) -> bytes:
        return self._file.read(self._offset + offset, max(0, min(length, self._size - offset)))

    def size(self) -> int:
        return self._size

    def close(self) -> None:
        self._file.close()


def _manifest(file: File, path: Path) -> Manifest:
    with closing(file):
        data = file.read(0, file.size())
    try:
        told = json.loads(data)
        if told["format"] > FORMAT:
            raise JournalError(
                f"{path} has format {told['format']}, this version reads {FORMAT}: "
                f"restore it with version {told['version']}"
            )
        return Manifest(
            version=told["version"], site=told["site"], created_ns=told["created_ns"], epoch=told["epoch"],
            last_sequence=told["last_sequence"],
            files={name: (f["bytes"], f["sha256"]) for name, f in told["files"].items()},
        )  # fmt: skip
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise JournalError(f"{path} is no backup: its {MANIFEST} cannot be read ({error})") from error
