"""Restarting the gateway: by systemd, or by a command where there is none."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Protocol

from bessai.update import UpdateError

UNIT = "bessai-gateway.service"
_RUNS_HERE = Path("/run/systemd/system")


class Service(Protocol):
    """Whoever starts the gateway."""

    def restart(self) -> None:
        """Begin a restart; does not wait for its end. UpdateError when it cannot even begin."""


class Systemd:
    """The unit of a machine with systemd."""

    def __init__(self, unit: str = UNIT) -> None:
        self._unit = unit

    def restart(self) -> None:
        """See `Service`."""
        # A unit that failed is started too; systemd would else wait for RestartSec first.
        _run(["systemctl", "restart", "--no-block", self._unit])


class Command:
    """A line for the shell that ends the gateway and starts `current/bin/bessai run`."""

    def __init__(self, line: str) -> None:
        self._line = line

    def restart(self) -> None:
        """See `Service`."""
        _run(["/bin/sh", "-c", self._line])


def service(unit: str, command: str | None) -> Service:
    """The one that this machine has.

    Raises:
        UpdateError: there is no systemd and no command was given.
    """
    if command:
        return Command(command)
    if _RUNS_HERE.is_dir() and shutil.which("systemctl"):
        return Systemd(unit)
    raise UpdateError(
        "systemd does not run here: say with --restart-command how the gateway is restarted, "
        "or use --unwatched and restart it yourself"
    )


def _run(command: list[str]) -> None:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise UpdateError(f"{' '.join(command)}: exit code {done.returncode}: {done.stderr.strip()}")
