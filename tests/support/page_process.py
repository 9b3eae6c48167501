"""The page's own process, as the gateway starts it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PageProcess:
    """A running one."""

    process: subprocess.Popen[bytes]
    log: Path

    def until(self, pattern: str, within: float = 60.0) -> re.Match[str]:
        """The first match in its log."""
        deadline = time.monotonic() + within
        while (found := re.search(pattern, self.log.read_text())) is None:
            assert time.monotonic() < deadline, f"no {pattern!r} in:\n{self.log.read_text()}"
            time.sleep(0.05)
        return found


@contextmanager
def page_process(data: Path, gateway_socket: Path, port: int, **environment: str) -> Iterator[PageProcess]:
    """Start it; end it with the block."""
    log = data.parent / f"{data.name}.page.log"
    environment = {
        **os.environ, "DATA_DIR": str(data), "BESSAI_SOCKET": str(gateway_socket), "HTTP_PORT": str(port),
        "SITE_ID": "s", "LOG_FORMAT": "text", **environment,
    }  # fmt: skip
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "bessai.interfaces.api"],
            env=environment,
            stderr=out,
            stdin=subprocess.PIPE,
        )
    assert process.stdin is not None
    try:
        yield PageProcess(process, log)
    finally:
        process.stdin.close()
        if process.poll() is None:
            process.kill()
        process.wait()
