"""Who proposes power from inside the cycle: functions that must answer the grid at once, as a frequency response.

A proposer sees the image that the cycle froze and answers with leases, as everybody else does; the guard decides.
One that fails is an alarm, and asks for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from bessai.model import Condition, Decision, Event, ProcessImage, Request

Handler = Callable[[dict[str, Any]], dict[str, Any]]
"""Answers one message of the local socket, or raises ValueError with the mend."""


class Proposer(Protocol):
    """Asked once a cycle, before the decision."""

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What it answers on the local socket, by `op`."""
        ...

    def told(self, decision: Decision) -> None:
        """What the last cycle decided, before it is asked again. Must not block."""
        ...

    def propose(self, image: ProcessImage) -> Sequence[Request]:
        """Leases for this cycle. Must not block; its time is `image.monotonic`."""
        ...

    def conditions(self) -> Sequence[Condition]:
        """What is wrong with it now."""
        ...

    def take_events(self) -> Sequence[Event]:
        """What happened since the last call."""
        ...

    def status(self) -> dict[str, Any]:
        """Plain JSON-safe data for the status."""
        ...
