"""How a device wants to be spoken to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """Patience and pace, of a connection or of one unit behind it. All times in seconds."""

    timeout: float = 3.0
    """Longest time to wait for a reply; also how long to wait before anything is known of the device."""
    timeout_min: float = 0.5
    """Shortest time to wait, however quick the device has been."""
    pause: float = 0.0
    """Between a reply and the next request: on the whole connection, or to this unit when it is a unit's."""
    settle: float = 0.0
    """Between connecting and the first request; of a connection only."""
    outstanding: int = 1
    """Requests that may wait for a reply at once; on a serial line it is always one."""
