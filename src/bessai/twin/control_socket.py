"""The simulator's control socket: changes its faults from another terminal, one JSON object a line.

    {"op": "set", "faults": ["silence@rack_3", "busy=10%"]}
    {"op": "clear", "faults": []}
    {"op": "list"}

Each answer is `{"ok": true, "faults": [everything that is on]}` or `{"ok": false, "error": "…"}`. The socket is
a file that only the simulator's own user may open.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket
import stat
import tempfile
from pathlib import Path
from typing import Any

from bessai.twin.fault_panel import FaultPanel

_DIRECTORY = "bessai-twin-"
_LINE_LIMIT = 256 * 1024


class ControlError(Exception):
    """The simulator is there and does not answer as it should, or what is there is no simulator."""


def control_path(address: str) -> Path:
    """Where the simulator of an address has its socket: `5020`, `HOST:5020`, or the path of a serial line.

    It is in a directory of the user's, under `XDG_RUNTIME_DIR` or the system's temporary directory.
    """
    name = address if address.startswith("/") else address.rpartition(":")[2]
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    return (
        Path(base) / f"{_DIRECTORY}{os.getuid()}" / f"{re.sub(r'[^A-Za-z0-9]+', '-', name).strip('-')}.sock"
    )


class ControlSocket:
    """Serves the socket; every answer is immediate.

    Args:
        path: where to listen.
        panel: what it changes.
    """

    def __init__(self, path: Path, panel: FaultPanel) -> None:
        self.path = path
        self._panel = panel
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Listen; the file of a simulator that was killed is replaced.

        Raises:
            OSError: the path is taken by something else, or cannot be made.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.path.parent.name.startswith(_DIRECTORY) and self.path.parent.stat().st_uid != os.getuid():
            raise PermissionError(
                f"{self.path.parent} belongs to another user; choose another with --control"
            )
        if self.path.exists() or self.path.is_symlink():
            if not stat.S_ISSOCK(self.path.lstat().st_mode):
                raise FileExistsError(f"{self.path} is not a socket; choose another with --control")
            with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(ConnectionRefusedError):
                probe.connect(str(self.path))
                raise FileExistsError(
                    f"another simulator listens on {self.path}; choose another with --control"
                )
            self.path.unlink()
        mask = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, self.path, limit=_LINE_LIMIT)
        finally:
            os.umask(mask)

    async def stop(self) -> None:
        """Close every connection and remove the file."""
        if self._server is not None:
            self._server.close()
            self._server = None
            for writer in list(self._writers):
                writer.close()
            self.path.unlink(missing_ok=True)

    def answer(self, line: bytes) -> dict[str, Any]:
        """The answer to one line."""
        try:
            message = json.loads(line)
            if not isinstance(message, dict):
                raise TypeError("send one JSON object a line")
            texts = message.get("faults", [])
            if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
                raise TypeError("faults: give a list of texts")
            match message.get("op"):
                case "set":
                    return {"ok": True, "faults": self._panel.apply(texts)}
                case "clear":
                    return {"ok": True, "faults": self._panel.clear(texts)}
                case "list":
                    return {"ok": True, "faults": self._panel.listing()}
                case other:
                    raise ValueError(f"op {other!r} is unknown: use set, clear or list")
        except (ValueError, TypeError, RecursionError) as error:
            return {"ok": False, "error": str(error)}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while line := await reader.readline():
                writer.write(json.dumps(self.answer(line)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):  # ValueError: a line beyond the limit
            pass
        finally:
            self._writers.discard(writer)
            writer.close()


def ask_simulator(path: Path, message: dict[str, Any], timeout: float = 3.0) -> dict[str, Any] | None:
    """Send one message to a running simulator. None when none listens there.

    Raises:
        ControlError: it does not answer, or belongs to another user.
    """
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(str(path))
            connection.sendall(json.dumps(message).encode() + b"\n")
            with connection.makefile("rb") as stream:
                answer = json.loads(stream.readline())
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        return None
    except PermissionError:
        raise ControlError(f"the simulator at {path} belongs to another user") from None
    except (OSError, ValueError) as error:
        raise ControlError(f"the simulator at {path} does not answer: {error}") from None
    if not isinstance(answer, dict):
        raise ControlError(f"what listens at {path} is no simulator")
    return answer
