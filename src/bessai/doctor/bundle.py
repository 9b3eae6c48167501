"""The support bundle: one file that shows somebody far away what the gateway and its machine are like.

Everything in it has gone through a `Sieve`. `MANIFEST.txt` says what each file is and what was left out, and why.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bessai import __version__
from bessai.doctor.look import Look
from bessai.doctor.masking import Sieve, known_secrets
from bessai.doctor.parts import PARTS, Part, given, people
from bessai.doctor.result import Checked

MAX_BYTES = 20 << 20
_KEPT = 64 << 10
"""Bytes of the cap for the manifest itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file of the bundle."""

    name: str
    about: str
    content: bytes


@dataclass(slots=True)
class Bundle:
    """What was gathered."""

    site: str
    time: datetime
    members: list[Member] = field(default_factory=list)
    missing: list[tuple[str, str]] = field(default_factory=list)
    """Files that are not there, and why."""

    @property
    def folder(self) -> str:
        """Name of the folder inside, and of the file without its ending."""
        safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in self.site)[:40]
        return f"bessai-support-{safe}-{self.time:%Y%m%dT%H%M%SZ}"

    def manifest(self) -> str:
        """What the bundle holds, for who sends it and for who gets it."""
        lines = [
            f"Support bundle of {self.site}, made {self.time:%Y-%m-%d %H:%M:%S} UTC by bessai {__version__}",
            "",
            "In it:",
            *(f"  {m.name:<24} {len(m.content):>9} bytes  {m.about}" for m in self.members),
            "",
            "Not in it:",
            *(f"  {name:<24} {why}" for name, why in self.missing),
            "  keys, passwords, tokens  masked wherever they were known or looked like some",
            "  users' names             replaced by signs, the same throughout this bundle",
            "  identity.db, audit log   never; only number and hash of its newest entry",
            "  notification file        never: its addresses are secrets",
            "  measured values          only those that events and alarms name",
            "",
            "Still in it: the site's name, addresses and host names of devices and servers, serial numbers that",
            "devices tell, and whatever people wrote as a reason. Look before you send it.",
            "",
        ]
        return "\n".join(lines)

    def write(self, path: Path) -> int:
        """Write it, for this user alone; the number of bytes.

        Raises:
            OSError: it cannot be written, or is there already.
        """
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(handle, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as tar:
                about = Member(name="MANIFEST.txt", about="", content=self.manifest().encode())
                for member in (about, *self.members):
                    info = tarfile.TarInfo(f"{self.folder}/{member.name}")
                    info.size, info.mode, info.mtime = len(member.content), 0o600, int(self.time.timestamp())
                    tar.addfile(info, io.BytesIO(member.content))
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path.stat().st_size


def gather(
    look: Look, found: Sequence[Checked], *, max_bytes: int = MAX_BYTES, parts: Sequence[Part] = PARTS
) -> Bundle:
    """Collect everything. What cannot be had is named, and stops nothing."""
    sieve = Sieve(known_secrets(given(look)), people(look))
    site = look.settings.site_id if look.settings is not None else "unknown"
    bundle = Bundle(site=site, time=datetime.fromtimestamp(look.now(), UTC))
    left = max_bytes - _KEPT
    for part in parts:
        for name, made in _made(part, look, found):
            if isinstance(made, Exception):
                bundle.missing.append((name, sieve.text(str(made)) or type(made).__name__))
                continue
            content = _bytes(made, sieve)
            if len(content) > left:
                bundle.missing.append(
                    (name, f"{len(content)} bytes: more than the {max_bytes >> 20} MB allow")
                )
                continue
            left -= len(content)
            bundle.members.append(Member(name=name, about=part.about, content=content))
    return bundle


def _made(part: Part, look: Look, found: Sequence[Checked]) -> Iterator[tuple[str, Any]]:
    try:
        yield from part.make(look, found)
    except Exception as error:  # noqa: BLE001  the bundle is made when things are broken
        yield part.name, error


def _bytes(made: Any, sieve: Sieve) -> bytes:
    if isinstance(made, str):
        return sieve.text(made).encode()
    return (json.dumps(sieve.plain(made), indent=1, ensure_ascii=False, default=str) + "\n").encode()
