"""A service manager's notification socket, as systemd hands it to a service."""

from __future__ import annotations

import socket
from pathlib import Path


class NotifySocket:
    """Keeps what a service says; use as a context manager."""

    def __init__(self, path: Path) -> None:
        self.address = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._socket.setblocking(False)

    def __enter__(self) -> NotifySocket:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def take(self) -> list[str]:
        """Every line said since the last call, in order."""
        lines: list[str] = []
        while True:
            try:
                lines += self._socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                return lines
