"""The link layer of IEC 60870-5-104 (APCI), both ends, without I/O.

The owner gives received bytes and the time, and takes bytes to send and events:

    link = Link(LinkSettings(), now=loop.time())          # of a controlled station
    events = link.receive(data, now)                      # Started, Received, Acknowledged, Failed, ...
    link.send(asdu, token=7, now=now)                     # False: no room now; keep it and try after an Acknowledged
    transport.write(link.outgoing())                      # after every call of receive, send, poll
    loop.call_at(link.next_deadline(), ...)               # and then link.poll(now)

What was sent is only delivered when an `Acknowledged` names its token. After `Failed` the owner closes the connection;
tokens that were not acknowledged must be sent again on the next one.
Times are monotonic seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


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


class Link:
    """One connection."""

    def __init__(self, settings: LinkSettings, *, now: float, controlling: bool = False) -> None:
        raise NotImplementedError

    @property
    def started(self) -> bool:
        """True while data transfer is started."""
        raise NotImplementedError

    @property
    def room(self) -> int:
        """How many ASDUs `send` takes now: free places of the window, when started, and of the queue."""
        raise NotImplementedError

    @property
    def window(self) -> int:
        """How many ASDUs would go out at once: 0 before the start and when k are on their way.

        A sender that keeps its own buffer sends only so many, and nothing is ever stuck in the queue.
        """
        raise NotImplementedError

    @property
    def in_flight(self) -> int:
        """I frames that were sent and not acknowledged."""
        raise NotImplementedError

    @property
    def failure(self) -> str | None:
        """Why the link failed, None while it works."""
        raise NotImplementedError

    def start(self, now: float) -> None:
        """Ask for data transfer (STARTDT act); controlling station only."""
        raise NotImplementedError

    def stop(self, now: float) -> None:
        """Ask to end data transfer (STOPDT act); controlling station only."""
        raise NotImplementedError

    def send(self, asdu: bytes, token: Any, now: float) -> bool:
        """Send an ASDU, or keep it until it may go; False when there is no room (or the link has failed).

        Raises:
            LinkError: it is longer than 249 bytes or empty.
        """
        raise NotImplementedError

    def receive(self, data: bytes, now: float) -> list[LinkEvent]:
        """What these bytes of the peer mean, in order."""
        raise NotImplementedError

    def poll(self, now: float) -> list[LinkEvent]:
        """What the time means: acknowledge (t2), test (t3), give up (t1)."""
        raise NotImplementedError

    def outgoing(self) -> bytes:
        """Bytes to write; they are handed out once."""
        raise NotImplementedError

    def next_deadline(self) -> float | None:
        """When to call `poll`; None when the link has failed."""
        raise NotImplementedError
