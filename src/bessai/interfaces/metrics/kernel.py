"""What the kernel tells of clock and processes. What it does not tell is None, never a guess."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from bessai.interfaces.api.machine import disk_of
from bessai.interfaces.metrics.figures import ClockFigures, DiskFigures, ProcessFigures

_UNSYNCHRONIZED, _NANOSECONDS = 0x0040, 0x2000
"""Bits of `status` in <sys/timex.h>."""


class _Timex(ctypes.Structure):
    """The head of `struct timex` on Linux; the room behind it takes what newer kernels fill in."""

    _fields_ = (
        ("modes", ctypes.c_uint), ("offset", ctypes.c_long), ("freq", ctypes.c_long), ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long), ("status", ctypes.c_int), ("rest", ctypes.c_byte * 256),
    )  # fmt: skip


def clock() -> ClockFigures | None:
    """How the kernel's clock is kept; reading it needs no right. None: this system does not tell."""
    if sys.platform != "linux":
        return None
    found = _Timex()
    try:
        state: int = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(found))
    except (OSError, AttributeError):
        return None
    if state < 0:  # forbidden, in some containers
        return None
    synchronized = not found.status & _UNSYNCHRONIZED
    scale = 1e-9 if found.status & _NANOSECONDS else 1e-6
    return ClockFigures(
        synchronized=synchronized,
        offset=found.offset * scale if synchronized else None,
        error_max=found.maxerror * 1e-6 if synchronized else None,
    )


def process(pid: int) -> ProcessFigures:
    """Memory and processor time of a process."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        fields = (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
        cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return ProcessFigures(memory=None, cpu=None)
    return ProcessFigures(memory=pages * os.sysconf("SC_PAGE_SIZE"), cpu=cpu)


def processes(pids: Mapping[str, int | None]) -> dict[str, ProcessFigures]:
    """Of those that run."""
    return {name: process(pid) for name, pid in pids.items() if pid}


def disk(directory: Path) -> DiskFigures | None:
    """The disk of the data directory; None when it is gone."""
    try:
        found = disk_of(directory)
    except OSError:
        return None
    return DiskFigures(free=found.free, total=found.total, wear=found.wear)
