"""The descriptions of columns, one small file each and each twice, because every record depends on one.

A layout is named by the hash of its description: whoever knows the layout can write the file anew.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from pathlib import Path

from bessai.journal.disk import Disk
from bessai.journal.encoding import layout_from_json, layout_to_json
from bessai.journal.errors import DamagedRecordError
from bessai.model import Layout

Described = tuple[Layout, Mapping[str, str]]

_COPIES = (".a", ".b")
_PREFIX = "layout-"
_RECENT = 8


class Layouts:
    """The layouts of one journal. Reading is lazy; a damaged copy is written again from the other."""

    def __init__(self, disk: Disk, directory: Path) -> None:
        self._disk, self._directory = disk, directory
        self._known: dict[bytes, Described] = {}
        self._durable: set[str] = set()
        """Files that this process has synced."""
        self._recent: dict[Layout, bytes] = {}
        """By identity: describing a layout of a large plant takes a tenth of a second."""
        self._total: int | None = None

    def key(self, layout: Layout, device: Mapping[str, str]) -> bytes:
        """The key of a layout; when it is new, its files are written durably first. Raises OSError."""
        if (known := self._recent.get(layout)) is not None:
            return known
        text = layout_to_json(layout, device).encode()
        key = _key(text)
        self._complete(key, zlib.compress(text, 6))
        self._known[key] = (layout, dict(device))
        if len(self._recent) >= _RECENT:
            self._recent.clear()
        self._recent[layout] = key
        return key

    def get(self, key: bytes) -> Described:
        """The layout and device behind a key. Raises DamagedRecordError when both copies are gone."""
        if key not in self._known:
            text = next(filter(None, (self._read(key, copy) for copy in _COPIES)), None)
            if text is None:
                raise DamagedRecordError(f"the description of the columns, {_PREFIX}{key.hex()}, is lost")
            self._known[key] = layout_from_json(zlib.decompress(text).decode())
        return self._known[key]

    def damaged(self, key: bytes) -> list[str]:
        """Names of the copies that are missing or damaged."""
        return [self._name(key, copy) for copy in _COPIES if self._read(key, copy) is None]

    def keep(self, keys: set[bytes]) -> None:
        """Make both copies of these whole, as far as one is left, and remove all others. Raises OSError."""
        for key in keys:
            if (text := next(filter(None, (self._read(key, copy) for copy in _COPIES)), None)) is not None:
                self._complete(key, text)
        wanted = {self._name(key, copy) for key in keys | set(self._recent.values()) for copy in _COPIES}
        for name in self._disk.names(self._directory):
            if name.startswith(_PREFIX) and name not in wanted:
                self._disk.unlink(self._directory / name)
        self._total = None

    @property
    def size(self) -> int:
        """Bytes of all of them. Raises OSError."""
        if self._total is None:
            self._total = self._size()
        return self._total

    def _size(self) -> int:
        total = 0
        for name in self._disk.names(self._directory):
            if name.startswith(_PREFIX):
                file = self._disk.open(self._directory / name)
                total += file.size()
                file.close()
        return total

    def _complete(self, key: bytes, text: bytes) -> None:
        """Both copies, durably. One whose sync failed may read as whole and not be on the disk."""
        for copy in _COPIES:
            name = self._name(key, copy)
            if name in self._durable and self._read(key, copy) is not None:
                continue
            whole = self._read(key, copy) is not None
            file = self._disk.open(self._directory / name, write=True, create=True)
            try:
                if not whole:
                    file.truncate(0)
                file.write(0, text)
                file.sync()
            finally:
                file.close()
            self._disk.sync_directory(self._directory)
            self._durable.add(name)
            self._total = None

    def _read(self, key: bytes, copy: str) -> bytes | None:
        try:
            file = self._disk.open(self._directory / self._name(key, copy))
            try:
                data = file.read(0, file.size())
            finally:
                file.close()
            return data if _key(zlib.decompress(data)) == key else None
        except (OSError, zlib.error):
            return None

    def _name(self, key: bytes, copy: str) -> str:
        return f"{_PREFIX}{key.hex()}{copy}"


def _key(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()[:16]
