"""Starts the libmodbus server as a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def libmodbus_or_skip() -> Iterator[int]:
    """Its port; skips the test where libmodbus is not installed."""
    command = [sys.executable, str(Path(__file__).with_name("libmodbus_server.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        line = server.stdout.readline()
        if not line and server.wait() == 77:
            pytest.skip("libmodbus is not installed (Debian package libmodbus5)")
        try:
            yield int(line)
        finally:
            server.stdin.close()
            server.wait(5)
