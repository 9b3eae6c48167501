"""The parameters of a link, and what it tells its owner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bessai.iec104.errors import LinkError


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """Parameters of a link; these are the standard's defaults."""

    k: int = 12
    """I frames that may be on their way without an acknowledgement, 1..32767."""
    w: int = 8
    """Received I frames after which an acknowledgement is sent at the latest; at most two thirds of k."""
    t1: float = 15.0
    """Seconds in which a sent frame must be acknowledged, or the connection is closed."""
    t2: float = 10.0
    """Seconds after which received I frames are acknowledged at the latest; less than t1."""
    t3: float = 20.0
    """Seconds of silence after which the connection is tested."""
    queue: int = 12
    """ASDUs that wait in the link while the window is full or data transfer has not started."""

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("k", self.k, 1, 32767),
            ("w", self.w, 1, 32767),
            ("t1", self.t1, 0.01, 255),
            ("t2", self.t2, 0.01, 255),
            ("t3", self.t3, 0.01, 172_800),
            ("queue", self.queue, 0, 100_000),
        ):
            if not low <= value <= high:
                raise LinkError(f"`{name}` is {value:g}, not {low} to {high}.")
        if self.t2 >= self.t1:
            raise LinkError(f"`t2` is {self.t2:g} s, not less than `t1` of {self.t1:g} s.")


@dataclass(frozen=True, slots=True)
class Started:
    """Data transfer has started (STARTDT)."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """Data transfer has stopped (STOPDT); what was not acknowledged stays in flight."""


@dataclass(frozen=True, slots=True)
class Received:
    """An ASDU came."""

    asdu: bytes
    """Its bytes."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The peer has these."""

    tokens: tuple[Any, ...]
    """What `send` was given, in order."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The connection cannot be used any more: close it. It is the last event of a link."""

    reason: str
    """One sentence for people."""


LinkEvent = Started | Stopped | Received | Acknowledged | Failed
