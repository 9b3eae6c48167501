"""Signing a limits file: a digest that any later edit invalidates, and the block that carries it.

The digest is a checksum that ties a name and a reason to a content. It is no cryptographic signature: whoever may
write the file may sign it, so the file needs the same protection as the gateway's other settings.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any


def digest(document: dict[str, Any]) -> str:
    """`sha256:…` over everything in the file but the digest itself, whatever its layout and comments."""
    signed = document.get("signed")
    rest = {key: value for key, value in document.items() if key != "signed"}
    if isinstance(signed, dict):
        rest["signed"] = {key: value for key, value in signed.items() if key != "digest"}
    text = json.dumps(_canonical(rest), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _canonical(value: Any) -> Any:
    """Numbers as floats, so that 40 and 40.0 are the same content; names as text."""
    if isinstance(value, dict):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def without_signature(text: str) -> str:
    """The text of a file without its `signed` block; everything else, comments included, stays."""
    lines = text.splitlines()
    kept: list[str] = []
    inside = False
    for line in lines:
        if re.match(r"signed\s*:", line):
            inside = True
        elif inside and line[:1] not in {" ", "\t", ""}:
            inside = False
        if not inside:
            kept.append(line)
    return "\n".join(kept).rstrip() + "\n"


def signature_block(signature: dict[str, str]) -> str:
    """The `signed` block as YAML; every value is quoted."""
    lines = [f"  {key}: {json.dumps(value, ensure_ascii=False)}" for key, value in signature.items()]
    return "\n".join(
        ["signed: # written by `bessai limits sign`; any edit of the file invalidates it", *lines, ""]
    )


def replace_text(path: Path, text: str) -> None:
    """Write a file at once or not at all, with the permissions it had.

    Raises:
        OSError: it cannot be written.
    """
    mode = path.stat().st_mode & 0o777
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
