"""What every check is given: settings, the running gateway's own words, and the machine, all of it handed in."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bessai.core.settings import Settings
from bessai.site import Site

Ask = Callable[[dict[str, Any]], dict[str, Any] | None]
"""Asks the running gateway one thing; None: there is none, OSError: it does not answer."""
Run = Callable[[Sequence[str]], str | None]


def run(command: Sequence[str]) -> str | None:
    """What a command prints, whatever its exit code; None when it is not there or does not end in time."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=8, check=False, stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


@dataclass(frozen=True, kw_only=True)
class Look:
    """See the module."""

    data_dir: Path
    settings: Settings | None = None
    """None: they cannot be used, and `problems` says why."""
    site: Site | None = None
    problems: Sequence[str] = ()
    env_file: Path = Path("config/.env")
    status: Mapping[str, Any] | None = None
    """What the running gateway of the data directory says of itself; None: none runs, or none answers."""
    trouble: str | None = None
    """Why a gateway that holds the data directory does not answer."""
    ask: Ask = lambda _: None
    root: Path = field(default=Path("/"))
    """Where the kernel's files are looked for."""
    run: Run = run
    log: Path | None = None
    """The gateway's log, where systemd does not keep it."""
    now: Callable[[], float] = time.time
    """UTC seconds."""
    kept: dict[str, Any] = field(default_factory=dict)
    """What was found once and is needed again."""

    def read(self, path: str) -> str | None:
        """A file of the kernel's, without the last line's end; None when it is not there."""
        try:
            return (self.root / path).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return None

    def number(self, path: str) -> float | None:
        """A file that holds one number."""
        try:
            return float(self.read(path) or "")
        except ValueError:
            return None

    def glob(self, pattern: str) -> list[Path]:
        """Files of the kernel's, sorted."""
        return sorted(self.root.glob(pattern))

    @property
    def pid(self) -> int | None:
        """Of the running control plane."""
        return None if self.status is None else int(self.status["pid"])

    @property
    def gateway_runs(self) -> bool:
        """Whether a gateway may be talking to the devices now."""
        return self.status is not None or self.trouble is not None
