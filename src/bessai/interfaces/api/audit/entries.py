"""Entries and their lines."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ORIGIN = "0" * 64
"""What the first entry holds for the hash of the one before."""
TEXT = 512
"""Characters of a field that are kept."""
DETAIL = 16 << 10
"""Bytes of `detail` that are kept; more is replaced by its digest."""
LINE = 64 << 10
"""No line is longer."""


class AuditError(Exception):
    """The log cannot be written or read; the message names the file and the mend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry."""

    sequence: int
    """1, 2, 3 … without a gap."""
    time: str
    """ISO 8601, UTC."""
    user: str
    role: str
    address: str
    action: str
    target: str
    reason: str
    outcome: str
    detail: Mapping[str, Any]
    previous: str
    """The hash of the entry before."""
    hash: str
    """Of all the other fields."""


_FIELDS = tuple(name for name in Entry.__slots__ if name != "hash")


def make(
    *, sequence: int, time: str, user: str, role: str, address: str, action: str, target: str, reason: str,
    outcome: str, detail: Mapping[str, Any] | None, previous: str,
) -> Entry:  # fmt: skip
    """An entry with its hash. Texts are cut to `TEXT`, and what JSON lacks becomes text or null."""
    fields: dict[str, Any] = {
        "sequence": sequence, "time": time, "user": _cut(user), "role": _cut(role), "address": _cut(address),
        "action": _cut(action), "target": _cut(target), "reason": _cut(reason), "outcome": _cut(outcome),
        "detail": _bounded(detail or {}), "previous": previous,
    }  # fmt: skip
    return Entry(**fields, hash=_hash(fields))


def line_of(entry: Entry) -> bytes:
    """As it stands in the file."""
    return _text({**{name: getattr(entry, name) for name in _FIELDS}, "hash": entry.hash}).encode() + b"\n"


def parse(line: bytes) -> Entry:
    """The entry of a line with its newline.

    Raises:
        ValueError: it is not, byte for byte, what was written.
    """
    if not line.endswith(b"\n"):
        raise ValueError("the line has no end")
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError("the line is no JSON") from error
    if not isinstance(data, dict) or tuple(data) != (*_FIELDS, "hash") or type(data["sequence"]) is not int:
        raise ValueError("the line is no entry")
    entry = Entry(**data)
    del data["hash"]
    try:
        same = entry.hash == _hash(data) and line == line_of(entry)
    except (ValueError, RecursionError, UnicodeEncodeError) as error:
        raise ValueError("the line is no entry") from error
    if not same:
        raise ValueError("its hash does not fit what it says")
    return entry


def _hash(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(_text(fields).encode()).hexdigest()


def _text(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, separators=(",", ":"), allow_nan=False)


def _cut(text: str) -> str:
    text = text.encode("utf-8", "replace").decode()  # halves of characters cannot be sent on
    return text if len(text) <= TEXT else text[: TEXT - 1] + "…"


def _bounded(detail: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = _plain(detail, 0)
    text = _text(plain)
    if len(text) <= DETAIL:
        return plain
    return {"too_long": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest()}


def _plain(value: Any, depth: int) -> Any:
    """What JSON can say of a value, and what reads back as the same."""
    if depth < 8:
        if isinstance(value, Mapping):
            return {_cut(str(key)): _plain(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [_plain(item, depth + 1) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if type(value) is int and abs(value) < 1 << 63:
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return str(value).encode("utf-8", "replace").decode()
