"""Whose records a data directory holds: one site's, or they would be published under another's name."""

from __future__ import annotations

import contextlib
from pathlib import Path

_FILE = "site_id"


def foreign_records(directory: Path, site_id: str) -> str | None:
    """What is wrong when the directory holds the records of another site, else None."""
    try:
        owner = (directory / _FILE).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):  # new, from before there was such a file, or damaged: nobody else's
        return None
    if owner in {"", site_id}:
        return None
    return (
        f"SITE_ID={site_id}: DATA_DIR={directory} holds the records of {owner!r}; set DATA_DIR to a directory of "
        f"this site, or remove {directory / _FILE} if the site only has a new name"
    )


def claim(directory: Path, site_id: str) -> None:
    """Note whose records they are from now on. What was cut off, or found the disk full, is done at the next start."""
    file = directory / _FILE
    with contextlib.suppress(OSError):
        if not file.exists() or not file.stat().st_size:
            file.write_text(f"{site_id}\n", encoding="utf-8")
