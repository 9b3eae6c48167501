"""Which code recorded, on what: so that `same version` is decidable."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bessai import __version__

_ROOMS = ("core", "drivers", "model", "registry", "site")
"""The packages that decisions depend on."""

_SECRET = re.compile(r"passw|secret|token|credential|private_key", re.IGNORECASE)


@cache
def build_id() -> str:
    """SHA-256 of the control plane's source files, in hex; needs no version control and no release."""
    root = Path(__file__).parents[2]
    digest = hashlib.sha256()
    for room in _ROOMS:
        for path in sorted((root / room).rglob("*.py")):
            digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
            digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


def header(description: dict[str, Any]) -> dict[str, Any]:
    """The header of a record.

    Args:
        description: what the guard is built from, plain data. Texts under names such as `password` are hidden.
    """
    shown = _without_secrets(description)
    canonical = json.dumps(shown, sort_keys=True, separators=(",", ":"))
    return {
        "gateway": __version__,
        "build": build_id(),
        "site_digest": hashlib.sha256(canonical.encode()).hexdigest(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
        "description": shown,
    }


def _without_secrets(data: Any, name: str = "") -> Any:
    if isinstance(data, dict):
        return {key: _without_secrets(value, str(key)) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_without_secrets(value, name) for value in data]
    if isinstance(data, str):
        return "***" if _SECRET.search(name) else re.sub(r"//[^/@\s]*@", "//***@", data)
    return data
