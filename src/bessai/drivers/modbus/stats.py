"""Counters of a connection."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class ClientStats:
    """What happened on the wire since the start."""

    requests: int = 0
    replies: int = 0
    exceptions: int = 0
    timeouts: int = 0
    strays: int = 0
    """Frames with a transaction or unit that nobody waits for: late or foreign replies."""
    bad_replies: int = 0
    connects: int = 0
    disconnects: int = 0
    crc_errors: int = 0
    """Replies damaged on a serial line."""
    bytes_in: int = 0
    bytes_out: int = 0
