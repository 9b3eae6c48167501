"""Processes that must not outlive the one that started them."""

from __future__ import annotations

import ctypes
import os
import signal
from contextlib import suppress

VARIABLE = "BESSAI_END_WITH_PARENT"
"""Set to the parent's process id in the environment of such a process."""

_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Where the environment asks for it, let Linux send SIGTERM when the parent dies, however it dies."""
    parent = os.environ.pop(VARIABLE, "")
    if not parent:
        return
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if str(os.getppid()) != parent:  # it died before this line
        os.kill(os.getpid(), signal.SIGTERM)
