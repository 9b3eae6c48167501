"""The locked requirements, read as data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RUNTIME = "requirements.txt"
DEVELOPMENT = "requirements-dev.txt"
BUILD = "requirements-build.txt"
CHECKOV = "requirements-checkov.txt"
"""For `make checkov` alone, in an environment of its own."""

_PIN = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?==(?P<version>[^\s;]+)(?:\s*;\s*(?P<marker>[^\\]+))?"
)


@dataclass(frozen=True, kw_only=True)
class Pin:
    """One requirement that allows exactly one version.

    A name may stand twice, for different Pythons.
    """

    name: str
    """Normalised: lower case, with hyphens."""
    version: str
    marker: str
    """The environments it is for; empty: all."""
    hashes: tuple[str, ...]
    """SHA-256 of every file that may be installed for it."""


class LockError(Exception):
    """A line of a lock file that pins nothing."""


def normalised(name: str) -> str:
    """The one spelling of a package's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(path: Path) -> list[Pin]:
    """Every requirement of a file.

    Raises:
        LockError: a line is neither a pin nor a comment; what it says stands in the message.
    """
    return list(_read(path))


def _read(path: Path) -> Iterator[Pin]:
    text = path.read_text("utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        words = line.strip()
        if not words or words.startswith("#"):
            continue
        found = _PIN.match(words)
        rest = re.sub(r"--hash=sha256:[0-9a-f]{64}", "", words[found.end() :]).strip() if found else words
        if found is None or rest:
            raise LockError(f"{path.name}: not a pinned requirement: {words[:80]}")
        yield Pin(
            name=normalised(found["name"]),
            version=found["version"],
            marker=(found["marker"] or "").partition("--hash")[0].strip(),
            hashes=tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})", words)),
        )


@dataclass(frozen=True, kw_only=True)
class PagePackage:
    """One npm package whose code is in the page that the gateway serves."""

    name: str
    version: str
    licence: str
    integrity: str
    """As npm writes it: `sha512-` and base64."""


SHIPPED = ("clsx", "svelte", "uplot")
"""Found in the source maps of a build; `tests/supply/test_page_parts.py` looks again."""


def page_packages(root: Path = ROOT) -> list[PagePackage]:
    """The packages of the page, from npm's lock."""
    locked = json.loads((root / "ui" / "package-lock.json").read_text("utf-8"))["packages"]
    entries = ((name, locked[f"node_modules/{name}"]) for name in SHIPPED)
    return [
        PagePackage(
            name=name, version=entry["version"], licence=entry["license"], integrity=entry["integrity"]
        )
        for name, entry in entries
    ]
