"""What a process of this machine uses."""

from __future__ import annotations

import os
from pathlib import Path


def rss(pid: int | None = None) -> float | None:
    """Resident memory in bytes, of this process or another one; None: unknown."""
    try:
        text = Path(f"/proc/{pid or 'self'}/statm").read_text(encoding="ascii")
    except OSError:
        return None
    return float(text.split()[1]) * os.sysconf("SC_PAGE_SIZE")
