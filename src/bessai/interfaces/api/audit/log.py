"""`Audit`: writing and reading the log."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import apsw

from bessai.interfaces.api.audit import files
from bessai.interfaces.api.audit.entries import ORIGIN, AuditError, Entry, line_of, make, parse
from bessai.interfaces.api.audit.head import Head, Known
from bessai.interfaces.api.audit.verify import Held, Sound, Verdict, check
from bessai.interfaces.api.identity.database import NAME, IdentityError

FILE_BYTES = 2 << 20
FILES = 32
"""64 MiB in all: some 150,000 entries."""


class Audit:
    """The log.

    Args:
        directory: of its files; it is made when it is missing.
        head: keeps the newest entry's hash; None: `identity.db` beside the directory.
        clock: seconds since 1970.
        file_bytes: a file that has reached this is not continued.
        most_files: the oldest of more are given up.
    """

    def __init__(
        self, directory: Path, head: Head | None = None, clock: Callable[[], float] = time.time,
        file_bytes: int = FILE_BYTES, most_files: int = FILES,
    ) -> None:  # fmt: skip
        self.directory = directory
        self.head = head or Head(directory.parent / NAME)
        self._clock = clock
        self._file_bytes, self._most_files = file_bytes, most_files
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="audit")
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="audit-read")
        self._sound: Sound = {}

    def close(self) -> None:
        """End what is being written, and the threads."""
        self._writer.submit(self.head.close)
        self._writer.shutdown()
        self._reader.shutdown(cancel_futures=True)

    async def note(
        self, *, user: str, role: str, address: str, action: str, target: str = "", reason: str = "",
        outcome: str = "done", detail: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Append an entry; it is on the disk when this returns.

        Args:
            user: who.
            role: in which role.
            address: from where.
            action: what, a snake_case name.
            target: of what.
            reason: why, in the person's words.
            outcome: `asked` before, then `done`, `refused` or `failed`.
            detail: more, never a secret.

        Raises:
            AuditError: it could not be written: do not act.
        """
        work = partial(
            self._append, user=user, role=role, address=address, action=action, target=target, reason=reason,
            outcome=outcome, detail=detail,
        )  # fmt: skip
        await asyncio.get_running_loop().run_in_executor(self._writer, work)

    async def verify(self) -> Verdict:
        """Check every line. Raises AuditError when the log cannot be read."""
        return await asyncio.get_running_loop().run_in_executor(self._reader, self.check)

    async def page(
        self, *, before: int | None = None, limit: int = 100, user: str | None = None, action: str | None = None
    ) -> tuple[list[Entry], int | None, bool]:  # fmt: skip
        """Entries, newest first; where the next page begins; whether the chain holds.

        Lines that cannot be read are left out: the last of the three is False then. Raises as `verify`.
        """
        work = partial(self.read_page, before=before, limit=limit, user=user, action=action)
        return await asyncio.get_running_loop().run_in_executor(self._reader, work)

    def check(self) -> Verdict:
        """`verify`, where there is no event loop."""
        with self._readable():
            return self._verify({})

    def read_page(
        self, *, before: int | None = None, limit: int = 100, user: str | None = None, action: str | None = None
    ) -> tuple[list[Entry], int | None, bool]:  # fmt: skip
        """`page`, where there is no event loop."""
        with self._readable():
            return self._page(before, limit, user, action)

    def _page(
        self, before: int | None, limit: int, user: str | None, action: str | None
    ) -> tuple[list[Entry], int | None, bool]:
        sound = self._verify(self._sound).ok  # files that have not changed since are not read again
        found: list[Entry] = []
        for path in reversed(files.files_of(self.directory)):
            if before is not None and files.first_of(path) >= before:
                continue
            for line in reversed(path.read_bytes().splitlines(keepends=True)):
                try:
                    entry = parse(line)
                except ValueError:
                    continue
                if before is not None and entry.sequence >= before:
                    continue
                if (user and entry.user != user) or (action and entry.action != action):
                    continue
                if len(found) == limit:
                    return found, found[-1].sequence, sound
                found.append(entry)
        return found, None, sound

    def _verify(self, sound: Sound) -> Verdict:
        if not self.directory.exists():
            known = self.head.read() if self.head.path.exists() else None
            return check([], known, sound)
        with files.locked(self.directory, writing=False):
            known = self.head.read() if self.head.path.exists() else None
            opened = [Held(path) for path in files.files_of(self.directory)]
        try:
            return check(opened, known, sound)
        finally:
            for held in opened:
                held.file.close()

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (OSError, apsw.Error, IdentityError) as error:
            raise AuditError(f"{self.directory} cannot be read ({error})") from error

    def _append(self, **what: Any) -> None:
        try:
            with files.locked(self.directory):
                known, notes = self._continue()
                for note in (*notes, what):
                    known = self._write(known, note)
        except (OSError, apsw.Error, IdentityError) as error:
            raise AuditError(f"{self.directory} cannot be written ({error})") from error

    def _continue(self) -> tuple[Known, list[dict[str, Any]]]:
        """Where the chain goes on, and what was found there that must be noted."""
        known = self.head.read()
        held = [path for path in files.files_of(self.directory) if path.stat().st_size]
        line, start = files.last_line(held[-1]) if held else (b"", 0)
        last = _entry(line)
        if known is None:
            if not held:
                return Known(sequence=0, hash=ORIGIN, first=1), []
            sequence = last.sequence if last else files.first_of(held[-1])
            begun = Known(
                sequence=sequence, hash=last.hash if last else ORIGIN, first=files.first_of(held[0])
            )
            _end_line(held[-1], line)
            return begun, [_own("audit_head_missing", {"last": sequence})]
        if last and last.sequence == known.sequence and last.hash == known.hash:
            return known, []
        if last and last.sequence == known.sequence + 1 and last.previous == known.hash:
            # The power went between the line and the record of it.
            known = Known(sequence=last.sequence, hash=last.hash, first=known.first)
            self.head.write(known)
            return known, []
        if line and not line.endswith(b"\n"):
            before = _entry(files.last_line(held[-1], start)[0]) if start else _last_of(held[:-1])
            if (before.hash if before else ORIGIN) == known.hash:
                files.cut(held[-1], start)
                lost = {"bytes": len(line), "sha256": hashlib.sha256(line).hexdigest()}
                return known, [_own("audit_mended", lost)]
            _end_line(held[-1], line)
        # Somebody has shortened or rewritten it. The chain goes on from what we know, so that the break stays seen.
        newest = max(known.sequence, last.sequence if last else 0)
        return Known(sequence=newest, hash=known.hash, first=known.first), [
            _own("audit_tampered", {"expected": known.sequence, "found": last.sequence if last else None})
        ]

    def _write(self, known: Known, what: Mapping[str, Any]) -> Known:
        time_ = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds")
        entry = make(
            sequence=known.sequence + 1, time=time_.replace("+00:00", "Z"), previous=known.hash,
            **{"target": "", "reason": "", "outcome": "done", "detail": None, **what},
        )  # fmt: skip
        held = files.files_of(self.directory)
        path, first = held[-1] if held else None, known.first
        if path is None or path.stat().st_size >= self._file_bytes:
            path = self.directory / files.name_of(entry.sequence)
            held.append(path)
        files.append(path, line_of(entry))
        spare = held[: -self._most_files]
        if spare:
            first = files.first_of(held[len(spare)])
        after = Known(sequence=entry.sequence, hash=entry.hash, first=first)
        self.head.write(after)
        for old in spare:
            old.unlink(missing_ok=True)
        return after


def _own(action: str, detail: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of the log about itself."""
    return {"user": "", "role": "", "address": "", "action": action, "detail": detail}


def _entry(line: bytes) -> Entry | None:
    try:
        return parse(line)
    except ValueError:
        return None


def _last_of(held: list[Path]) -> Entry | None:
    return _entry(files.last_line(held[-1])[0]) if held else None


def _end_line(path: Path, line: bytes) -> None:
    if line and not line.endswith(b"\n"):
        files.append(path, b"\n")
