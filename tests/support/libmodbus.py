"""Starts the libmodbus server as a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from support.foreign import serving


@contextmanager
def libmodbus_or_skip() -> Iterator[int]:
    """Its port; skips the test where libmodbus is not installed."""
    command = [sys.executable, "-m", "support.libmodbus_server"]
    with serving(command, missing="libmodbus is not installed (Debian package libmodbus5)") as port:
        yield port
