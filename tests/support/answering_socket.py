"""A Unix socket that answers lines of JSON, as the gateway's does."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

Answer = Callable[[dict[str, Any]], dict[str, Any] | None]
"""What is said to a message; None: nothing, and the connection is closed."""


class AnsweringSocket:
    """Answers from now on until it is closed; use as a context manager, or call `close`."""

    def __init__(self, path: Path, answer: Answer) -> None:
        self._path, self._answer = path, answer
        path.parent.mkdir(parents=True, exist_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(8)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self) -> AnsweringSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nobody listens any more when it returns."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        self._path.unlink()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):  # who asked may be gone
                self._converse(connection)

    def _converse(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as lines:
            for line in lines:
                said = self._answer(json.loads(line))
                if said is None:
                    return
                connection.sendall(json.dumps(said, allow_nan=False).encode() + b"\n")
