"""The record of trips on disk: two sealed copies, written off the control loop.

    state = DiskState(data_dir)
    state.load()                      # None on a new installation; StateLost when a record is missing or damaged
    version = state.save({...})       # returns at once; the newest state wins
    state.is_durable(version)         # True once it survives a power cut

`state.json` and `state.json.1` hold the same state. Each is written to a file of its own, made durable, then renamed
over the old one, so that at every moment at least one whole copy of the old or the new state is on disk, and a
damaged one has a twin. A missing record beside a journal is a loss, not an absence of trips.

Format: one JSON object `{"format", "generation", "sha256", "state"}`; the digest seals the other three.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from bessai.core.sealed_file import opened, reserve, sealed, write_durably
from bessai.journal.disk import sync_directory
from bessai.model.state import StateFile, StateLost

__all__ = ["COPIES", "JOURNALS", "NAME", "DiskState", "MemoryState", "StateFile", "StateLost"]

log = logging.getLogger("bessai.state")

NAME = "state.json"
COPIES = (NAME, f"{NAME}.1")
JOURNALS = ("journal", "journal.db")
SLOW = 5.0
"""Seconds after which a disk that does not answer is a problem. A judgement."""
RETRY = 1.0
"""Seconds between attempts while the disk refuses."""
_RESERVE = 16 << 10
"""Bytes kept allocated for the next write of each copy, so that a full disk cannot keep a trip from it."""


class MemoryState:
    """A state file without a disk, for simulated time. Durable at once unless `stuck`."""

    def __init__(self) -> None:
        self.stuck = False
        """True: the disk refuses."""
        self.lost = ""
        """Why the record is lost; empty: it is not."""
        self._text: str | None = None
        self._newest: tuple[int, str] = (0, "")
        self._durable = 0

    @property
    def problem(self) -> str | None:
        """Why the newest state is not durable."""
        return None if self.is_durable(self._newest[0]) else "the disk refuses"

    def load(self) -> dict[str, Any] | None:
        """What was durable last; a state that was not is forgotten, as by a crash."""
        if self.lost:
            raise StateLost(self.lost)
        self._newest = (self._durable, self._text or "")
        loaded: dict[str, Any] | None = None if self._text is None else json.loads(self._text)
        return loaded

    def save(self, state: dict[str, Any]) -> int:
        """Take a state."""
        self._newest = (self._newest[0] + 1, json.dumps(state))
        self._settle()
        return self._newest[0]

    def reject(self) -> None:
        """Nothing is kept aside."""

    def is_durable(self, version: int) -> bool:
        """True unless `stuck`."""
        self._settle()
        return version <= self._durable

    async def flush(self, within: float | None = None) -> bool:
        """Never waits."""
        return self.is_durable(self._newest[0])

    def _settle(self) -> None:
        if not self.stuck and self._newest[0] > self._durable:
            self._durable, self._text = self._newest
            self.lost = ""


class DiskState:
    """The state in a directory. One writer: save only while holding the journal's lock.

    Args:
        directory: where the two copies lie; it exists.
        name: of the file.
        traces: names beside it that prove an earlier life, in which the file was there.
    """

    def __init__(self, directory: Path, name: str = NAME, *, traces: Sequence[str] = JOURNALS) -> None:
        self.notice: str | None = None
        """What `load` could not read, though the other copy was whole."""
        self._directory = directory
        self._copies = (name, f"{name}.1")
        self._traces = traces
        self._problem: str | None = None
        self._generation = 0
        self._loaded = False
        self._aside = False
        self._newest: tuple[int, str] = (0, "")
        self._version = 0
        self._waiting_since = 0.0
        self._durable = 0
        self._closed = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    @property
    def problem(self) -> str | None:
        """Why the newest state is not durable: the disk refuses (tried again every second), or does not answer."""
        if self._problem is None and self._durable < self._version:
            waited = time.monotonic() - self._waiting_since
            if waited > SLOW:
                return f"{self._directory / self._copies[0]}: the disk has not taken the record for {waited:.0f} s"
        return self._problem

    def load(self) -> dict[str, Any] | None:
        """See `StateFile`. Call it before the journal is created: that file is the sign of an earlier life."""
        self._loaded = True
        found: list[tuple[int, dict[str, Any]]] = []
        problems: list[str] = []
        missing: list[str] = []
        for name in self._copies:
            try:
                found.append(opened((self._directory / name).read_bytes()))
            except FileNotFoundError:
                missing.append(name)
            except (OSError, ValueError, RecursionError) as error:
                problems.append(f"{name}: {error}")
        if found:
            if missing or problems:
                self.notice = "; ".join([*problems, *(f"{name} is missing" for name in missing)])
            self._generation, state = max(found, key=lambda pair: pair[0])
            return state
        traces = [*self._traces, *(f"{name}.lost" for name in self._copies)]
        earlier = [name for name in traces if (self._directory / name).exists()]
        if not problems and not earlier:
            return None
        self._aside = bool(problems)
        raise StateLost("; ".join(problems) or f"{self._copies[0]} is missing, though {earlier[0]} is there")

    def save(self, state: dict[str, Any]) -> int:
        """See `StateFile`. RuntimeError before `load`: the generation must follow the one on disk."""
        if not self._loaded:
            raise RuntimeError("load the state first")
        text = json.dumps(state)  # a copy: the caller may go on changing its own
        with self._changed:
            if self._durable == self._version:
                self._waiting_since = time.monotonic()
            self._version += 1
            self._newest = (self._version, text)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="state file", daemon=True)
                self._thread.start()
            self._changed.notify_all()
            return self._version

    def reject(self) -> None:
        """See `StateFile`."""
        self._aside = True

    def is_durable(self, version: int) -> bool:
        """See `StateFile`."""
        return version <= self._durable

    async def flush(self, within: float | None = None) -> bool:
        """See `StateFile`."""
        return await asyncio.to_thread(self.wait, within)

    def wait(self, timeout: float | None = None) -> bool:
        """`flush` for callers without an event loop."""
        with self._changed:
            version = self._version
            return self._changed.wait_for(lambda: self._durable >= version, timeout)

    def close(self, timeout: float = 1.0) -> bool:
        """Write what is left, in seconds at most, and end the thread. False when something is not durable."""
        durable = self.wait(timeout)
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None and durable:
            self._thread.join(timeout)
        return durable

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._newest[0] > self._durable)
                if self._closed:
                    return
                version, text = self._newest
            try:
                self._write(text)
            except OSError as error:
                self._refused(error.strerror or str(error))
            except Exception as error:
                log.exception("state file")
                self._refused(f"{type(error).__name__}: {error}")
            else:
                self._problem = None
                with self._changed:
                    self._durable = version
                    self._changed.notify_all()

    def _refused(self, why: str) -> None:
        """Say why, and let the disk rest before the next attempt."""
        self._problem = f"{self._directory / self._copies[0]} cannot be written: {why}"
        with self._changed:
            self._changed.wait_for(lambda: self._closed, RETRY)

    def _write(self, text: str) -> None:
        """Both copies, whole and durable, or an error; what was there before stays readable until then."""
        paths = [self._directory / name for name in self._copies]
        fresh = [path.with_name(f"{path.name}.new") for path in paths]
        self._generation += 1
        data = sealed(self._generation, json.loads(text))
        for path in fresh:
            write_durably(path, data)
        if self._aside:  # kept for analysis
            for path in paths:
                with suppress(FileNotFoundError):
                    path.replace(path.with_name(f"{path.name}.lost"))
            self._aside = False
        for path, old in zip(fresh, paths, strict=True):
            path.replace(old)
        sync_directory(self._directory)
        for path in fresh:
            reserve(path, max(_RESERVE, 2 * len(data)))
