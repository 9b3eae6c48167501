"""Where the local socket is: a file of its own, so that who only asks imports nothing of what answers."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

_PATH_LIMIT = 100  # sockaddr_un holds 108 bytes


def socket_path(data_dir: Path) -> Path:
    """Where the gateway of a data directory listens.

    Inside the directory, or, where that path is too long for a socket, in a directory of the user's under the
    system's temporary directory.
    """
    path = data_dir.resolve() / "gateway.sock"
    if len(os.fsencode(path)) <= _PATH_LIMIT:
        return path
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"bessai-{os.getuid()}-{digest}" / "gateway.sock"
