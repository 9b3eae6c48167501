"""Secrets: how they are made, and what is kept of them."""

from __future__ import annotations

import base64
import hashlib
import secrets
from datetime import UTC, datetime


def new_secret() -> str:
    """256 random bits: nothing to guess, so a fast digest is enough to keep it."""
    return secrets.token_urlsafe(32)


def new_id() -> str:
    """Names a session or token in lists; no secret."""
    return secrets.token_hex(6)


def digest(secret: str) -> bytes:
    """What the file holds instead of the secret."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def csrf_of(secret: str) -> str:
    """The word that a page must send with each change; only who has the session's secret can tell it."""
    made = hashlib.sha256(b"csrf\0" + secret.encode("utf-8", "replace")).digest()
    return base64.urlsafe_b64encode(made[:24]).decode()


def iso(ms: int) -> str:
    """A time in ms since 1970 as ISO 8601, UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
