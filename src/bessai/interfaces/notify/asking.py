"""The gateway's own list of alarms, asked for at its local socket."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any


def ask_alarms(path: Path, timeout: float = 1.0) -> list[dict[str, Any]] | None:
    """The alarm list of the gateway that listens at a socket; None when it does not answer."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(str(path))
            connection.sendall(b'{"op": "alarms"}\n')
            with connection.makefile("rb") as stream:
                answer = json.loads(stream.readline())
    except (OSError, ValueError):
        return None
    found = answer.get("alarms") if isinstance(answer, dict) else None
    return found if isinstance(found, list) else None
